//! A daemon that runs on the state, if one does.

use std::path::Path;

use testsmith_control::{Client, ClientError, Pattern};
use testsmith_domain::RelPath;

use crate::context::Context;
use crate::output;

impl Context {
    /// Who is asked.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.state_dir)
    }
}

/// What a daemon answered; `None`, and said so, if none runs.
pub(crate) fn if_running<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    let answer = answered(answer)?;
    if answer.is_none() {
        tell_none();
    }
    Ok(answer)
}

/// Whether a daemon runs; says so if none does. For what is read from the state in any case.
pub(crate) async fn tell_if_none(client: &Client) -> Result<bool, ClientError> {
    let runs = client.is_running().await?;
    if !runs {
        tell_none();
    }
    Ok(runs)
}

fn tell_none() {
    output::note("no daemon runs; this is what the state tells");
}

/// What a daemon answered; `None` if none runs.
pub(crate) fn answered<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::NoDaemon(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file or folder that is named, as paths in the queue are written: relative to the root. What
/// is not below it, like a pattern with `*`, is taken as it is.
pub(crate) fn pattern(context: &Context, text: &str) -> Pattern {
    Pattern(relative(context, text).map_or_else(|| text.to_owned(), String::from))
}

/// The path relative to the root; it need not exist. `None` if it is outside or the root itself.
pub(crate) fn relative(context: &Context, text: &str) -> Option<RelPath> {
    let path = Path::new(text);
    let here = std::env::current_dir().ok()?;
    let absolute = here.join(path);
    // Of a file that is gone, the folder may still be there to be freed of links.
    let real = absolute.canonicalize().ok().or_else(|| {
        let folder = absolute.parent()?.canonicalize().ok()?;
        Some(folder.join(absolute.file_name()?))
    });
    RelPath::below(&context.root, &real.unwrap_or(absolute)).ok()
}
