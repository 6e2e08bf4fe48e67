//! Appends the time, in microseconds since 1970, to a file: what watchexec is told to start.

use std::fs::OpenOptions;
use std::io::{Error, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Error> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(Error::other)?;
    let path = std::env::args().nth(1).ok_or(Error::other("no file"))?;
    let mut file = OpenOptions::new().append(true).open(path)?;
    writeln!(file, "{}", now.as_micros())
}
