//! Log lines: to standard error, filtered by `TESTSMITH_LOG` as others are by `RUST_LOG`.

use std::env;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::args::LogFormat;

/// How much is said by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    /// The service: what happened to each job.
    Service,
    /// A command that prints its own results: only what is wrong.
    Command,
}

/// Sets up logging for the rest of the process.
pub(crate) fn start(format: LogFormat, volume: Volume, verbose: bool) {
    let default = match (volume, verbose) {
        (Volume::Service, true) => "testsmith=debug,warn",
        (Volume::Service, false) | (Volume::Command, true) => "testsmith=info,warn",
        // What became of each file is printed as the command's own result.
        (Volume::Command, false) => "warn,testsmith_daemon::workers=error",
    };
    let filter = env::var("TESTSMITH_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => {
            builder
                .json()
                .flatten_event(true)
                .with_timer(Rfc3339)
                .init();
        }
        LogFormat::Human => {
            let colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::io::stderr().is_terminal();
            builder
                .with_ansi(colour)
                .with_target(false)
                .with_timer(Rfc3339)
                .init();
        }
    }
}

/// UTC to the millisecond, as `2026-11-23T18:05:09.123Z`.
struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(
            w,
            "{}",
            humantime::format_rfc3339_millis(std::time::SystemTime::now())
        )
    }
}
