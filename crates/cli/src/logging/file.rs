//! The service's log file as a writer of `tracing`.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use testsmith_config::LogSettings;

use super::rolling::{Limits, Rolling};

/// Lines said before the file is open are kept up to this many bytes.
const EARLY: usize = 64 * 1024;

/// Where lines go: first into memory, then into files.
#[derive(Debug)]
pub(crate) struct LogFile(Mutex<State>);

#[derive(Debug)]
struct State {
    limits: Limits,
    to: To,
}

#[derive(Debug)]
enum To {
    Memory(Vec<u8>),
    Files(Rolling),
}

impl LogFile {
    pub(crate) fn new(settings: &LogSettings) -> Self {
        Self(Mutex::new(State {
            limits: limits(settings),
            to: To::Memory(Vec::new()),
        }))
    }

    /// Begins to write files into `folder`, with what was said so far.
    pub(crate) fn open(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let now = SystemTime::now();
        let mut rolling = Rolling::open(folder, state.limits, now)?;
        if let To::Memory(early) = &state.to
            && !early.is_empty()
        {
            rolling.write(early, now);
        }
        state.to = To::Files(rolling);
        Ok(())
    }

    pub(crate) fn apply(&self, settings: &LogSettings) {
        let mut state = self.lock();
        state.limits = limits(settings);
        let limits = state.limits;
        if let To::Files(rolling) = &mut state.to {
            rolling.set_limits(limits);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn limits(settings: &LogSettings) -> Limits {
    Limits {
        size: settings.max_size.get(),
        age: settings.max_age.get(),
        total: settings.max_total.get(),
    }
}

/// One event's line at a time: the formatter writes it in one piece.
impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut self.lock().to {
            To::Memory(early) if early.len() + line.len() <= EARLY => early.extend_from_slice(line),
            To::Memory(_) => {}
            To::Files(rolling) => rolling.write(line, SystemTime::now()),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
