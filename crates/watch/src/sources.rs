//! The same walk without watching, and why a path is not in it.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::Glob;
use testsmith_domain::RelPath;

use crate::index::join;
use crate::rules::{self, Rules, Verdict};
use crate::settings::{Claims, WatchError};
use crate::walk::{Start, Visit, Walk};
use crate::watches::Cover;

/// The sources in a tree, by the same rules as the watcher's, sorted by path. Blocks on the disk.
/// Folders that cannot be read count as empty.
pub fn list_sources(
    root: &Path,
    exclude: &[String],
    claims: &Claims,
    state_dir: Option<&Path>,
) -> Result<Vec<RelPath>, WatchError> {
    let mut sources = Vec::new();
    let start = Start {
        dir: "".into(),
        above: Rules::above(root, exclude)?,
    };
    let mut visit = |visit| {
        if let Visit::Folder(listing) = visit {
            let files = listing.files.iter();
            sources.extend(files.filter_map(|(name, _)| join(&listing.dir, name)));
        }
        ControlFlow::Continue(())
    };
    // Never broken off.
    let _ = Walk {
        root,
        claims,
        state_dir,
        watch: &|_| Cover::None,
    }
    .run(vec![start], &mut visit);
    sources.sort_unstable();
    Ok(sources)
}

/// What keeps a path from being a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredBy {
    /// The path or the folder above it that is ignored, relative to the root.
    pub path: RelPath,
    /// The rule as it is written, or what the program itself goes by.
    pub rule: String,
    /// The file that the rule is in. `None` for the `exclude` setting and the program's own rules.
    pub file: Option<PathBuf>,
    /// The rule's line in that file, counted from 1.
    pub line: Option<usize>,
}

/// What ignores `path`; `None` if no rule does. Whether there is such a file, and whether its name
/// is that of a source, is not looked at. Blocks on the disk.
pub fn explain_ignored(
    root: &Path,
    path: &RelPath,
    exclude: &[String],
) -> Result<Option<IgnoredBy>, WatchError> {
    let mut rules = Rules::load(root, &Rules::above(root, exclude)?);
    let mut prefix = String::new();
    for part in path.as_str().split('/') {
        let Some(step) = join(&prefix, part) else {
            break;
        };
        let absolute = step.under(root);
        let is_dir = step != *path || absolute.is_dir();
        if let Some(ignored) = explain(rules.verdict(&absolute, is_dir), &step) {
            return Ok(Some(ignored));
        }
        if is_dir && let Some(mark) = rules::foreign_mark(&absolute) {
            return Ok(Some(IgnoredBy {
                path: step,
                rule: "the folder is marked as no part of the project".to_owned(),
                file: Some(mark),
                line: None,
            }));
        }
        rules = Rules::load(&absolute, &Arc::clone(&rules));
        step.as_str().clone_into(&mut prefix);
    }
    Ok(None)
}

fn explain(verdict: Verdict<'_>, path: &RelPath) -> Option<IgnoredBy> {
    let ours = |rule: &str| {
        Some(IgnoredBy {
            path: path.clone(),
            rule: rule.to_owned(),
            file: None,
            line: None,
        })
    };
    match verdict {
        Verdict::Kept => None,
        Verdict::Exclude(glob) => ours(glob.original()),
        Verdict::Rule(glob) => Some(IgnoredBy {
            path: path.clone(),
            rule: glob.original().to_owned(),
            file: glob.from().map(Path::to_owned),
            line: line_of(glob),
        }),
        Verdict::Hidden => ours("hidden files and folders are passed over"),
        Verdict::NeverSources => ours("folders of this name hold no sources of the project"),
        Verdict::VersionControl => ours("version control's own folder"),
        Verdict::SecretName => ours("files named like secrets are never read"),
    }
}

/// Where a rule is written. The last place, since the last rule wins.
fn line_of(glob: &Glob) -> Option<usize> {
    let text = fs::read_to_string(glob.from()?).ok()?;
    let last = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_end() == glob.original())
        .last();
    last.map(|(number, _)| number + 1)
}
