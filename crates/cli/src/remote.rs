//! A daemon that runs on the state, if one does.

use std::path::{Path, PathBuf};

use testsmith_control::{Client, ClientError, Pattern, SOCKET, Signpost};
use testsmith_domain::RelPath;

use crate::args::Global;
use crate::context::{Context, base_dir};
use crate::{block_on, output};

impl Context {
    /// Who is asked.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.state_dir)
    }

    /// As seen from the nearest folder, from `start` upwards to the project's root, that a daemon
    /// watches; where nothing says which folder is the root, it may be any above. Where that one is
    /// a root among several, the state is in another one's directory.
    pub(crate) fn where_watched(
        mut self,
        global: &Global,
        start: Option<&Path>,
    ) -> anyhow::Result<Self> {
        // Who names it means that one.
        if global.state_dir.is_some() {
            return Ok(self);
        }
        let home = base_dir("XDG_STATE_HOME", ".local/state")?;
        let start = start.unwrap_or(Path::new(".")).canonicalize();
        let start = start.unwrap_or_else(|_| self.root.clone());
        let ends = testsmith_daemon::is_root(&self.root);
        let folders = start.ancestors();
        for folder in folders.take_while(|folder| !ends || folder.starts_with(&self.root)) {
            let own = testsmith_daemon::state_dir(&home, folder);
            if let Some(state_dir) = watching(folder, own)? {
                (self.root, self.state_dir) = (folder.to_owned(), state_dir);
                break;
            }
        }
        Ok(self)
    }
}

/// The state directory of the daemon that watches the root `folder`, whose own directory is `own`.
fn watching(folder: &Path, own: PathBuf) -> anyhow::Result<Option<PathBuf>> {
    let elsewhere = Signpost::read(&own);
    if elsewhere.is_none() && !own.join(SOCKET).exists() {
        return Ok(None);
    }
    block_on(async {
        if Client::new(&own).is_running().await.unwrap_or(false) {
            return Some(own);
        }
        let elsewhere = elsewhere?;
        let is_it = match Client::new(&elsewhere).status().await {
            Ok(status) => {
                let roots = status.daemon.into_iter().flat_map(|daemon| daemon.roots);
                roots.into_iter().any(|known| known.root == folder)
            }
            // The command itself says that it hangs.
            Err(ClientError::TimedOut(_)) => true,
            Err(_) => false,
        };
        is_it.then_some(elsewhere)
    })
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
