//! Log lines: to standard error, to the service's log files, or to systemd's journal; filtered by
//! `TESTSMITH_LOG` as others are by `RUST_LOG`.

mod file;
mod rolling;
mod traces;

use std::env;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use testsmith_config::{LogFiles, LogSettings};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use self::file::LogFile;
pub(crate) use self::rolling::files;
pub(crate) use self::traces::Traces;
use crate::args::LogFormat;

/// The folder of log files in the state directory.
pub(crate) const FOLDER: &str = "logs";

/// A file in it that says that the service last logged to the journal.
pub(crate) const JOURNAL_MARK: &str = "in-journal";

/// The journal field that tells whose line it is.
pub(crate) const STATE_FIELD: &str = "TESTSMITH_STATE_DIR";

/// What stands before the names of fields in the journal.
pub(crate) const FIELD_PREFIX: &str = "TESTSMITH";

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sets up logging for a command that prints its own results: only what is wrong is logged.
pub(crate) fn start_command(format: LogFormat, verbose: bool) -> Traces {
    // What became of each file is printed as the command's own result.
    let default = if verbose {
        "testsmith=info,warn"
    } else {
        "warn,testsmith_daemon::workers=error"
    };
    let filter = wanted().unwrap_or_else(|| EnvFilter::new(default));
    start(filter, vec![to_stderr(format)]).1
}

/// Sets up logging for a server without a state of its own.
pub(crate) fn start_server(format: LogFormat, verbose: bool) -> Traces {
    let level = if verbose { "debug" } else { "info" };
    let filter = wanted().unwrap_or_else(|| at_level(level));
    start(filter, vec![to_stderr(format)]).1
}

/// Sets up logging for the service. Log files are begun by [`ServiceLog::open_files`].
pub(crate) fn start_service(
    format: LogFormat,
    verbose: bool,
    settings: &LogSettings,
    state_dir: &Path,
) -> ServiceLog {
    let asked = wanted();
    let is_fixed = asked.is_some() || verbose;
    let level = if verbose {
        "debug"
    } else {
        settings.level.as_str()
    };
    let journal = (format == LogFormat::Human && in_journal()).then(|| to_journal(state_dir));
    let is_journal = journal.is_some();
    let keeps_files = match settings.files {
        LogFiles::Always => true,
        LogFiles::Auto => !is_journal,
        LogFiles::Never => false,
    };
    let file = keeps_files.then(|| Arc::new(LogFile::new(settings)));
    // The file first: what was seen on a terminal is in it.
    let mut layers: Vec<BoxedLayer> = file.iter().map(|file| to_file(Arc::clone(file))).collect();
    layers.push(journal.unwrap_or_else(|| to_stderr(format)));
    let (filter, traces) = start(asked.unwrap_or_else(|| at_level(level)), layers);
    ServiceLog {
        filter,
        _traces: traces,
        is_fixed,
        is_journal,
        file,
    }
}

/// The service's log, as far as it can be changed while it runs.
#[derive(Debug)]
pub(crate) struct ServiceLog {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Sent until the log is dropped.
    _traces: Traces,
    /// Whether the level was chosen for this run and goes before the configuration.
    is_fixed: bool,
    is_journal: bool,
    file: Option<Arc<LogFile>>,
}

impl ServiceLog {
    /// Begins to keep log files, with all that was said so far. To be called once the state
    /// directory is ours: two processes must not write into one file.
    pub(crate) fn open_files(&self, state_dir: &Path) {
        let folder = state_dir.join(FOLDER);
        if let Some(file) = &self.file
            && let Err(error) = file.open(&folder)
        {
            tracing::warn!(folder = %folder.display(), %error, "no log files can be kept");
        }
        if let Err(error) = mark(&folder, self.is_journal) {
            tracing::debug!(folder = %folder.display(), %error, "the place of the log is not noted");
        }
    }

    /// Puts other settings in force. Whether there are files stays as it was at the start.
    pub(crate) fn apply(&self, settings: &LogSettings) {
        if !self.is_fixed {
            // Fails only if the subscriber is gone, and nobody logs any more.
            let _ = self.filter.reload(at_level(settings.level.as_str()));
        }
        if let Some(file) = &self.file {
            file.apply(settings);
        }
    }
}

/// Notes where the log goes, for `testsmith logs`.
fn mark(folder: &Path, is_journal: bool) -> std::io::Result<()> {
    let path = folder.join(JOURNAL_MARK);
    if is_journal {
        rolling::make_folder(folder)?;
        std::fs::write(path, "")
    } else if path.exists() {
        std::fs::remove_file(path)
    } else {
        Ok(())
    }
}

fn at_level(level: &str) -> EnvFilter {
    EnvFilter::new(match level {
        "error" => "error".to_owned(),
        level => format!("testsmith={level},warn"),
    })
}

/// What the environment asks for.
fn wanted() -> Option<EnvFilter> {
    let text = env::var("TESTSMITH_LOG")
        .ok()
        .filter(|text| !text.is_empty())?;
    match EnvFilter::try_new(text) {
        Ok(filter) => Some(filter),
        Err(error) => {
            crate::output::note(format_args!(
                "testsmith: TESTSMITH_LOG is not used, since it cannot be read: {error}"
            ));
            None
        }
    }
}

/// Each line goes to all of `layers` or to none; traces have a filter of their own.
fn start(
    filter: EnvFilter,
    layers: Vec<BoxedLayer>,
) -> (reload::Handle<EnvFilter, Registry>, Traces) {
    let (filter, handle) = reload::Layer::new(filter);
    let lines: BoxedLayer = layers.with_filter(filter).boxed();
    let (spans, traces) = traces::start();
    let all: Vec<BoxedLayer> = std::iter::once(lines).chain(spans).collect();
    tracing_subscriber::registry().with(all).init();
    (handle, traces)
}

fn to_stderr(format: LogFormat) -> BoxedLayer {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => layer.json().flatten_event(true).with_timer(Rfc3339).boxed(),
        LogFormat::Human => {
            let colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::io::stderr().is_terminal();
            let layer = layer.with_ansi(colour).with_target(false);
            // Whoever reads for the journal notes the time as well.
            if in_journal() {
                layer.without_time().boxed()
            } else {
                layer.with_timer(Rfc3339).boxed()
            }
        }
    }
}

fn to_file(file: Arc<LogFile>) -> BoxedLayer {
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_timer(Rfc3339)
        .with_writer(file)
        .boxed()
}

/// Lines with their fields as fields of the journal. Without one, to standard error.
fn to_journal(state_dir: &Path) -> BoxedLayer {
    match tracing_journald::layer() {
        Ok(layer) => layer
            .with_field_prefix(Some(FIELD_PREFIX.to_owned()))
            .with_syslog_identifier("testsmith".to_owned())
            .with_custom_fields([(STATE_FIELD, state_dir.as_os_str().as_encoded_bytes())])
            .boxed(),
        Err(_) => to_stderr(LogFormat::Human),
    }
}

/// Whether standard error is the journal's, as `JOURNAL_STREAM` says: a program that was started
/// from such a one inherits the variable, but has standard error elsewhere.
fn in_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr().as_fd())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
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
