//! Reading and writing test files on the blocking pool, with trouble told as a job's outcome.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use testsmith_domain::{
    BlockEdit, ComposeError, ComposeRequest, Composed, LanguageDriver, Project, RelPath, SourceFile,
};

use crate::report::{Outcome, WaitsOn};
use crate::tree::{self, WriteError, WriteLog};

/// Runs `work` where blocking is allowed. A panic in it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking work that has not begun; nobody
            // is left then to wait for it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Opens a file of the project, if it may be read: not one that is named like a secret, and not what a
/// link in a stranger's checkout names, which could be any file of the user's. Blocks.
pub(crate) fn open_source(root: &Path, path: &RelPath) -> io::Result<File> {
    let real = path.under(root).canonicalize()?;
    let may_be_read = |real: RelPath| !real.names_secret();
    if path.names_secret() || !RelPath::below(root, &real).is_ok_and(may_be_read) {
        return Err(io::Error::other(
            "it is a link out of the project, or to a secret",
        ));
    }
    // A pipe would be waited at.
    if !real.metadata()?.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    File::open(real)
}

/// What a file of the project holds, see [`open_source`]; its size, if that is more than `most`. Blocks.
pub(crate) fn read_source(
    root: &Path,
    path: &RelPath,
    most: u64,
) -> io::Result<Result<Vec<u8>, u64>> {
    let mut file = open_source(root, path)?;
    let size = file.metadata()?.len();
    if size > most {
        return Ok(Err(size));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// A test file's text; `None` if there is none.
pub(crate) async fn read_text(
    project: &Project,
    path: &RelPath,
) -> Result<Option<String>, Outcome> {
    let (root, file) = (project.root.clone(), path.clone());
    let bytes = blocking(move || tree::read(&root, &file))
        .await
        .map_err(|e| unwritable(&e))?;
    bytes
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| Outcome::Parked {
            reason: format!("`{path}` is not UTF-8; save it as UTF-8, or remove it"),
        })
}

/// Brings a test file from `expected` to `new`.
pub(crate) async fn write(
    log: &Arc<WriteLog>,
    project: &Project,
    path: &RelPath,
    expected: Option<&str>,
    new: Option<&str>,
) -> Result<(), WriteError> {
    let (log, root, file) = (Arc::clone(log), project.root.clone(), path.clone());
    let (expected, new) = (expected.map(str::to_owned), new.map(str::to_owned));
    blocking(move || {
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        tree::replace(
            &log,
            &root,
            &file,
            bytes(&expected).as_deref(),
            bytes(&new).as_deref(),
        )
    })
    .await
}

/// What a test file is composed from, beside the edits.
pub(crate) struct Composing<'a> {
    pub(crate) project: &'a Project,
    pub(crate) driver: &'a Arc<dyn LanguageDriver>,
    pub(crate) file: &'a Arc<SourceFile>,
    pub(crate) existing: Option<&'a str>,
}

/// Composes a test file, which may read and parse others of its folder.
pub(crate) async fn compose(
    work: Composing<'_>,
    edits: Vec<BlockEdit>,
) -> Result<Composed, Outcome> {
    let Composing {
        project,
        driver,
        file,
        existing,
    } = work;
    let (project, driver) = (project.clone(), Arc::clone(driver));
    let (file, existing) = (Arc::clone(file), existing.map(str::to_owned));
    let test_path = file.test_path.clone();
    let composed = blocking(move || {
        driver.compose(&ComposeRequest {
            project: &project,
            file: &file,
            existing: existing.as_deref(),
            edits: &edits,
        })
    });
    composed.await.map_err(|error| unusable(&test_path, &error))
}

/// The test file is not fit to be written to.
pub(crate) fn unusable(test_path: &RelPath, error: &ComposeError) -> Outcome {
    let remedy = match error {
        ComposeError::ExistingBroken(_) | ComposeError::BadMarks { .. } => {
            "; mend it, then save the source again"
        }
        ComposeError::ResultBroken(_) => "; nothing was written",
    };
    Outcome::Parked {
        reason: format!("`{test_path}`: {error}{remedy}"),
    }
}

/// The wait before a disk that had no room, or was not there, is tried again.
const DISK_WAIT: Duration = Duration::from_secs(30);

/// The source could not be read. Rights do not change by themselves; that no file descriptor or no
/// memory was left, or that a disk did not answer, passes.
pub(crate) fn unreadable(error: &io::Error) -> Outcome {
    let reason = format!("cannot read it: {error}");
    // An error without a number is a judgement of ours.
    if error.raw_os_error().is_none() || is_lasting(error.kind()) {
        return Outcome::Parked { reason };
    }
    Outcome::Waiting {
        until: SystemTime::now() + DISK_WAIT,
        reason,
        on: WaitsOn::Disk,
    }
}

/// The test file could not be read or written. A disk may recover by itself; rights do not.
pub(crate) fn unwritable(error: &WriteError) -> Outcome {
    let reason = chain(error);
    match error {
        WriteError::Io { source, .. } if !is_lasting(source.kind()) => Outcome::Waiting {
            until: SystemTime::now() + DISK_WAIT,
            reason,
            on: WaitsOn::Disk,
        },
        _ => Outcome::Parked { reason },
    }
}

/// Whether somebody has to change something before it can work.
fn is_lasting(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidFilename
    )
}

/// The test file was saved by somebody else each time it was to be written.
pub(crate) fn keeps_changing(test_path: &RelPath) -> Outcome {
    Outcome::Parked {
        reason: format!(
            "`{test_path}` changed each time it was to be written; save the source again"
        ),
    }
}

/// An error with all that lies behind it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries print their cause themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
