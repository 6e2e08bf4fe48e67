//! Exit codes: part of the contract with scripts and with systemd.

use std::process::ExitCode;

/// Everything asked for was done.
pub(crate) const OK: u8 = 0;
/// Some file failed, or the command could not do its work.
pub(crate) const FAILED: u8 = 1;
/// The configuration cannot be used; nothing was done. systemd must not restart on it.
pub(crate) const BAD_CONFIG: u8 = 64;
/// Another instance holds the state; nothing was done. systemd must not restart on it.
pub(crate) const HELD: u8 = 75;
// 2, a usage error, is clap's own.

/// The exit code for an error that ended a command.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    use testsmith_daemon::DaemonError;
    let code = match error.downcast_ref::<DaemonError>() {
        Some(DaemonError::Config(_) | DaemonError::Provider(_)) => BAD_CONFIG,
        Some(DaemonError::Held { .. }) => HELD,
        _ => FAILED,
    };
    ExitCode::from(code)
}
