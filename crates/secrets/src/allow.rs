//! `secrets.allow`: what the user lets pass.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::rules;

/// Why an entry of `secrets.allow` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// It looks like a rule's id, and no rule is called so.
    #[error(
        "`{entry}` is no rule{}; write the id of a rule, or a glob of paths with a `/`, `.` or `*` in it",
        nearest.map(|id| format!(", did you mean `{id}`?")).unwrap_or_default()
    )]
    NoRule {
        /// The entry.
        entry: String,
        /// The rule's id that is most like it.
        nearest: Option<&'static str>,
    },
    /// It looks like a glob, and is none.
    #[error("`{entry}` is no glob: {problem}")]
    NoGlob {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The entries, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    rules: Vec<&'static str>,
    paths: GlobSet,
}

impl Allowed {
    pub(crate) fn read(entries: &[String]) -> Result<Self, AllowError> {
        let mut allowed = Self::default();
        let mut globs = GlobSetBuilder::new();
        for entry in entries {
            let no_glob = |problem: &globset::Error| AllowError::NoGlob {
                entry: entry.clone(),
                problem: problem.kind().to_string(),
            };
            if entry.contains(['/', '.', '*']) {
                globs.add(Glob::new(entry).map_err(|problem| no_glob(&problem))?);
            } else {
                allowed.rules.push(rule(entry)?);
            }
            allowed.paths = globs.build().map_err(|problem| no_glob(&problem))?;
        }
        Ok(allowed)
    }

    pub(crate) fn has_rule(&self, id: &str) -> bool {
        self.rules.contains(&id)
    }

    pub(crate) fn has_path(&self, path: &str) -> bool {
        self.paths.is_match(path)
    }
}

fn rule(entry: &str) -> Result<&'static str, AllowError> {
    let mut ids = rules().map(|(id, _)| id);
    if let Some(id) = ids.find(|id| *id == entry) {
        return Ok(id);
    }
    let nearest = rules()
        .map(|(id, _)| (strsim::damerau_levenshtein(id, entry), id))
        .min()
        .filter(|(distance, id)| *distance <= id.len().div_ceil(3))
        .map(|(_, id)| id);
    Err(AllowError::NoRule {
        entry: entry.to_owned(),
        nearest,
    })
}
