//! Lines from systemd's journal, by way of `journalctl`.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::filter::Filter;
use super::line::Entry;
use crate::logging::{FIELD_PREFIX, STATE_FIELD};
use crate::output;

/// All lines of the service with this state that `filter` lets through, the oldest first.
pub(super) fn read(state_dir: &Path, filter: &Filter) -> anyhow::Result<Vec<Entry>> {
    let output = command(state_dir, filter.since)
        .output()
        .context("the log is in systemd's journal, and `journalctl` cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("journalctl: {}", output::escape(said.trim()));
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(entry)
        .filter(|entry| filter.lets_through(entry))
        .collect())
}

/// Hands on each new line.
pub(super) async fn follow(
    state_dir: &Path,
    filter: &Filter,
    mut take: impl FnMut(&Entry) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::from(command(state_dir, None));
    let mut child = command
        .args(["--follow", "--lines=0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the log is in systemd's journal, and `journalctl` cannot be run")?;
    let Some(stdout) = child.stdout.take() else {
        return Ok(());
    };
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(entry) = entry(line.as_bytes()).filter(|entry| filter.lets_through(entry)) {
            take(&entry)?;
        }
        if output::is_closed() {
            break;
        }
    }
    Ok(())
}

fn command(state_dir: &Path, since: Option<SystemTime>) -> Command {
    let mut field = OsString::from(format!("{STATE_FIELD}="));
    field.push(state_dir);
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--output=json"]);
    if let Some(since) = since {
        let seconds = since
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        command.arg(format!("--since=@{seconds}"));
    }
    command.arg(field).stdin(Stdio::null());
    command
}

/// An entry of the journal in the form of our own files.
fn entry(line: &[u8]) -> Option<Entry> {
    let object: serde_json::Map<String, Value> = serde_json::from_slice(line).ok()?;
    let micros: u64 = text(object.get("__REALTIME_TIMESTAMP")?).parse().ok()?;
    let time = UNIX_EPOCH + Duration::from_micros(micros);
    let level = match text(object.get("PRIORITY")?).as_str() {
        "0" | "1" | "2" | "3" => "ERROR",
        "4" => "WARN",
        "5" => "INFO",
        "6" => "DEBUG",
        _ => "TRACE",
    };
    let mut fields = vec![
        (
            "timestamp".to_owned(),
            humantime::format_rfc3339_millis(time).to_string().into(),
        ),
        ("level".to_owned(), level.into()),
        ("message".to_owned(), text(object.get("MESSAGE")?).into()),
    ];
    fields.extend(
        object
            .get("TARGET")
            .map(|target| ("target".to_owned(), text(target).into())),
    );
    for (key, value) in &object {
        let own = key
            .strip_prefix(FIELD_PREFIX)
            .and_then(|key| key.strip_prefix('_'));
        if let Some(own) = own.filter(|_| key != STATE_FIELD) {
            fields.push((own.to_lowercase(), text(value).into()));
        }
    }
    Some(Entry::from_fields(fields))
}

/// A value's text. One that is no UTF-8 is a list of bytes, and one that was given twice a list.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> = items
                .iter()
                .map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            match bytes {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => items.last().map(text).unwrap_or_default(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_journal_reads_as_a_line_of_a_file() {
        let line = r#"{"__REALTIME_TIMESTAMP":"1795551922867000","PRIORITY":"5","MESSAGE":"job ended","TARGET":"testsmith_daemon::workers","TESTSMITH_STATE_DIR":"/s","TESTSMITH_JOB_ID":"7","TESTSMITH_PATH":["cart.go","cart.go"],"TESTSMITH_REASON":[98,97,100,255],"_PID":"1"}"#;
        let entry = entry(line.as_bytes()).unwrap();
        let shown = anstream::adapter::strip_str(&entry.shown()).to_string();
        assert!(
            shown.ends_with("INFO job ended job_id=7 path=cart.go reason=bad\u{fffd}"),
            "{shown}"
        );
        assert!(shown.starts_with("2026-11-24T"), "{shown}");
    }
}
