//! A project on disk, and candidates for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{Analysis, BlockKey, Project, RelPath, Verdict};
use testsmith_verify::{
    Candidate, CandidateBlock, MemberVerdict, MemoryVerdicts, Verification, Verifier,
    VerifySettings,
};

/// A project in a folder of its own.
pub(crate) struct Sample {
    dir: tempfile::TempDir,
}

impl Sample {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("project")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let sample = Self { dir };
        share_build_caches(&sample.root());
        for (path, text) in files {
            let path = sample.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        sample
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// A candidate for `source` with these bodies by member.
    pub(crate) fn candidate(&self, source: &str, bodies: &[(&str, &str)]) -> Candidate {
        let path = RelPath::new(source).unwrap();
        let drivers = testsmith_lang::drivers();
        let driver = drivers.into_iter().find(|d| d.claims(&path)).unwrap();
        let project = Arc::new(Project::at(self.root()));
        let text = fs::read_to_string(path.under(&self.root())).unwrap();
        let Analysis::Source(file) = driver.analyze(&project, &path, &text) else {
            panic!("no source: {source}");
        };
        let blocks = bodies.iter().map(|(name, code)| {
            let member = file.members.iter().find(|m| m.name.as_str() == *name);
            let member = member.unwrap_or_else(|| panic!("no member {name}"));
            CandidateBlock {
                member: member.name.clone(),
                key: BlockKey("0123abcd".to_owned()),
                body: driver.prepare_body(&file, member, code).unwrap(),
                source: member.digest,
            }
        });
        let existing = fs::read_to_string(file.test_path.under(&self.root())).ok();
        Candidate {
            blocks: blocks.collect(),
            project,
            existing,
            source: text.into(),
            edits: Vec::new(),
            file: Arc::new(file),
            driver,
        }
    }

    /// All files and what is in them, but for installed packages.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut pending = vec![self.root()];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if entry.file_name() == "node_modules" {
                    continue;
                }
                if kind.is_dir() {
                    pending.push(entry.path());
                } else if kind.is_file() {
                    found.insert(entry.path(), fs::read(entry.path()).unwrap());
                }
            }
        }
        found
    }

    /// Verifies a candidate; the tree must be as it was.
    pub(crate) async fn verify(&self, candidate: Candidate, limit: Duration) -> Verification {
        let before = self.tree();
        let verification = verifier(limit).verify(candidate).await;
        assert!(before == self.tree(), "the tree was touched");
        verification
    }
}

/// Settings for short runs.
pub(crate) fn settings(limit: Duration) -> VerifySettings {
    testsmith_verify::use_launcher(Path::new(env!("CARGO_BIN_EXE_testsmith-sandbox")).to_owned());
    let mut settings = VerifySettings::in_dir(kept());
    settings.limits.wall = limit;
    settings
}

fn kept() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify");
    fs::create_dir_all(&dir).unwrap();
    dir.canonicalize().unwrap()
}

/// Makes the project's own folder of build caches a link to one that all tests share: Go's own packages would be
/// compiled for each of them.
fn share_build_caches(root: &Path) {
    let shared = kept().join("shared");
    fs::create_dir_all(&shared).unwrap();
    let own = VerifySettings::in_dir(kept()).cache_of(root);
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    // A name may come again after long.
    drop(std::os::unix::fs::symlink(shared, own));
}

pub(crate) fn verifier(limit: Duration) -> Verifier {
    Verifier::new(settings(limit), Arc::new(MemoryVerdicts::default()))
}

/// The verdicts by member.
pub(crate) fn verdicts(verification: &Verification) -> Vec<(&str, Verdict)> {
    let members = verification.members.iter();
    members.map(|m| (m.member.as_str(), m.verdict)).collect()
}

pub(crate) fn of<'v>(verification: &'v Verification, member: &str) -> &'v MemberVerdict {
    let mut members = verification.members.iter();
    members.find(|m| m.member.as_str() == member).unwrap()
}
