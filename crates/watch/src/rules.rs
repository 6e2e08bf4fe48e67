//! Which paths are ignored, and by what.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};

use crate::git;
use crate::settings::WatchError;

/// The rule files that count, those that win first.
pub(crate) const RULE_FILES: [&str; 3] = [".testsmithignore", ".ignore", ".gitignore"];

/// Folders that hold no source of the project, whatever their names end in.
const NEVER_SOURCES: [&str; 2] = ["node_modules", "__pycache__"];

/// Folders of version control: not even a rule lets them in.
const VERSION_CONTROL: [&str; 4] = [".git", ".hg", ".svn", ".jj"];

/// Files that mark their folder as one that a program made and can make again:
/// a cache (<https://bford.info/cachedir/>) or a Python virtual environment (PEP 405).
const MARKS: [&str; 2] = ["CACHEDIR.TAG", "pyvenv.cfg"];

/// Whether `name` is that of a file with ignore rules.
pub(crate) fn is_rule_file(name: &str) -> bool {
    RULE_FILES.contains(&name)
}

/// The rules that hold in a folder: those of its own files, then those of the folders above.
///
/// Folders without such files share the node of the folder above.
#[derive(Debug)]
pub(crate) struct Rules {
    above: Option<Arc<Rules>>,
    /// By [`RULE_FILES`].
    own: [Gitignore; RULE_FILES.len()],
    /// What holds everywhere in the tree; only in the uppermost node.
    everywhere: Option<Everywhere>,
}

#[derive(Debug)]
struct Everywhere {
    exclude: Gitignore,
    /// `.git/info/exclude`, then the user's global excludes.
    git: [Gitignore; 2],
}

/// What the rules say of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict<'a> {
    Kept,
    Exclude(&'a Glob),
    Rule(&'a Glob),
    Hidden,
    NeverSources,
    VersionControl,
    /// Named like a secret: not even a rule lets it in.
    SecretName,
}

impl Rules {
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self {
            above: None,
            own: std::array::from_fn(|_| Gitignore::empty()),
            everywhere: None,
        }
    }

    /// What holds in `root` from elsewhere: the settings, git's own excludes, and the rule files
    /// of the folders above up to the top of the repository that `root` belongs to.
    pub(crate) fn above(root: &Path, exclude: &[String]) -> Result<Arc<Self>, WatchError> {
        let mut top = None;
        let mut info = Gitignore::empty();
        if let Some(repository) = git::repository_of(root) {
            let mut builder = GitignoreBuilder::new(&repository.top);
            log_partial(builder.add(repository.common_dir.join("info/exclude")));
            info = build(&builder);
            top = Some(repository.top);
        }
        let base = top.as_deref().unwrap_or(root);
        let (global, problem) = GitignoreBuilder::new(base).build_global();
        log_partial(problem);
        let mut rules = Arc::new(Self {
            above: None,
            own: std::array::from_fn(|_| Gitignore::empty()),
            everywhere: Some(Everywhere {
                exclude: compile_exclude(root, exclude)?,
                git: [info, global],
            }),
        });
        let mut folders: Vec<&Path> = root
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(base))
            .collect();
        folders.reverse();
        for folder in folders {
            rules = Self::load(folder, &rules);
        }
        Ok(rules)
    }

    /// The rules in `folder`, given those of the folder above it.
    pub(crate) fn load(folder: &Path, above: &Arc<Self>) -> Arc<Self> {
        let own = RULE_FILES.map(|name| {
            let file = folder.join(name);
            if !fs::symlink_metadata(&file).is_ok_and(|file| file.is_file()) {
                return Gitignore::empty();
            }
            let mut builder = GitignoreBuilder::new(folder);
            log_partial(builder.add(file));
            build(&builder)
        });
        if own.iter().all(Gitignore::is_empty) {
            return Arc::clone(above);
        }
        Arc::new(Self {
            above: Some(Arc::clone(above)),
            own,
            everywhere: None,
        })
    }

    pub(crate) fn ignores(&self, path: &Path, is_dir: bool) -> bool {
        !matches!(self.verdict(path, is_dir), Verdict::Kept)
    }

    /// What the rules say of `path`, an absolute path directly in the folder they belong to.
    pub(crate) fn verdict(&self, path: &Path, is_dir: bool) -> Verdict<'_> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_dir && VERSION_CONTROL.contains(&&*name) {
            return Verdict::VersionControl;
        }
        if testsmith_domain::is_secret_name(&name) {
            return Verdict::SecretName;
        }
        let everywhere = self.chain().find_map(|rules| rules.everywhere.as_ref());
        if let Some(Match::Ignore(glob)) =
            everywhere.map(|rules| rules.exclude.matched(path, is_dir))
        {
            return Verdict::Exclude(glob);
        }
        let own =
            (0..RULE_FILES.len()).flat_map(|kind| self.chain().map(move |rules| &rules.own[kind]));
        let git = everywhere.into_iter().flat_map(|rules| &rules.git);
        for rules in own.chain(git) {
            match rules.matched(path, is_dir) {
                Match::None => {}
                Match::Ignore(glob) => return Verdict::Rule(glob),
                Match::Whitelist(_) => return Verdict::Kept,
            }
        }
        if name.starts_with('.') {
            Verdict::Hidden
        } else if is_dir && NEVER_SOURCES.contains(&&*name) {
            Verdict::NeverSources
        } else {
            Verdict::Kept
        }
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |rules| rules.above.as_deref())
    }
}

/// The mark, if any, that says that `folder` is no part of the project around it.
pub(crate) fn foreign_mark(folder: &Path) -> Option<PathBuf> {
    let mark = MARKS
        .iter()
        .map(|name| folder.join(name))
        .find(|mark| mark.exists());
    mark.or_else(|| git::is_linked_worktree(folder).then(|| folder.join(".git")))
}

/// Reads the `exclude` setting for a tree.
pub(crate) fn compile_exclude(root: &Path, globs: &[String]) -> Result<Gitignore, WatchError> {
    let problem = |pattern: &str, source| WatchError::Exclude {
        pattern: pattern.to_owned(),
        source,
    };
    let mut builder = GitignoreBuilder::new(root);
    for glob in globs {
        builder
            .add_line(None, glob)
            .map_err(|source| problem(glob, source))?;
    }
    builder
        .build()
        .map_err(|source| problem(&globs.join(" "), source))
}

fn build(builder: &GitignoreBuilder) -> Gitignore {
    builder.build().unwrap_or_else(|problem| {
        log_partial(Some(problem));
        Gitignore::empty()
    })
}

/// A file of rules is the user's, and git too passes over a line that it cannot read.
fn log_partial(problem: Option<ignore::Error>) {
    if let Some(problem) = problem
        && !problem.is_io()
    {
        tracing::debug!(%problem, "an ignore rule cannot be read");
    }
}
