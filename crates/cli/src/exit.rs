//! Exit codes: part of the contract with scripts and with systemd.

use std::process::ExitCode;

/// Everything asked for was done.
pub(crate) const OK: u8 = 0;
/// Some file failed, or the command could not do its work.
pub(crate) const FAILED: u8 = 1;
/// A daemon runs, not as well as it should.
pub(crate) const DEGRADED: u8 = 3;
/// No daemon runs.
pub(crate) const NO_DAEMON: u8 = 4;
/// The configuration cannot be used; nothing was done. systemd must not restart on it.
pub(crate) const BAD_CONFIG: u8 = 64;
/// Another instance holds the state; nothing was done. systemd must not restart on it.
pub(crate) const HELD: u8 = 75;

/// The command line asks for what makes no sense together.
const USAGE: u8 = 2;

/// A usage error that clap cannot see.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The exit code for an error that ended a command.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    use testsmith_control::ClientError;
    use testsmith_daemon::DaemonError;
    if error.is::<UsageError>() {
        return ExitCode::from(USAGE);
    }
    if let Some(ClientError::NoDaemon(_)) = error.downcast_ref::<ClientError>() {
        return ExitCode::from(NO_DAEMON);
    }
    let code = match error.downcast_ref::<DaemonError>() {
        // A restart mends none of these.
        Some(
            DaemonError::Config(_) | DaemonError::Provider(_) | DaemonError::NewerState { .. },
        ) => BAD_CONFIG,
        Some(DaemonError::Held { .. }) => HELD,
        _ => FAILED,
    };
    ExitCode::from(code)
}
