//! Everything that is known of one file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use testsmith_config::Settings;
use testsmith_control::{FileStory, Ignored, JobInfo, LedgerMember, Timestamp};
use testsmith_domain::{
    Analysis, ContentHash, LanguageDriver, LedgerEntry, MemberName, Project, RelPath,
};
use testsmith_queue::Queue;
use testsmith_watch::{IgnoredBy, WatchError, explain_ignored};

use crate::error::DaemonError;
use crate::files::{blocking, open_source, read_source};
use crate::service::{frameworks, root_name};

/// What is known of `path` in `root`, but for what a running daemon does with it.
pub(super) async fn story(
    queue: &Queue,
    drivers: &[Arc<dyn LanguageDriver>],
    settings: &Settings,
    root: &Path,
    path: &RelPath,
) -> Result<FileStory, DaemonError> {
    let name = root_name(root);
    let trouble = |error| DaemonError::state(root, error);
    let ledger = queue.ledger(&name, path).await.map_err(trouble)?;
    let history = queue.history(&name, path).await.map_err(trouble)?;
    let stamp = queue.stamp(&name, path).await.map_err(trouble)?;
    let driver = drivers.iter().find(|driver| driver.claims(path));
    let is_own_test = driver.is_some_and(|driver| driver.owns(path));
    let mut tests_of = Vec::new();
    if is_own_test {
        let test = path.clone();
        let found = queue.find_ledger(&name, move |entry| entry.test_path == test);
        let found = found.await.map_err(trouble)?;
        tests_of.extend(found.into_iter().map(|(source, _)| source));
    }
    let looked = look(root, path, settings, driver.filter(|_| !is_own_test)).await;
    let jobs = queue.list().into_iter();
    let job = jobs.rev().find(|job| job.root == name && job.path == *path);
    Ok(FileStory {
        root: root.to_owned(),
        path: path.clone(),
        live: false,
        exists: looked.exists,
        language: driver.map(|driver| {
            let names: Vec<_> = driver.languages().iter().map(|l| l.as_str()).collect();
            names.join(" or ")
        }),
        is_own_test,
        ignored: looked.ignored?.map(|by| Ignored {
            path: by.path,
            rule: by.rule,
            file: by.file,
            line: by.line.map(|line| line as u64),
        }),
        seen_as_it_is: stamp.map(|stamp| looked.content == Some(stamp.hash)),
        job: job.as_ref().map(JobInfo::from),
        running: None,
        open_calls: Vec::new(),
        public: looked.public,
        nothing_to_test: looked.nothing_to_test,
        tests_of,
        test_path: ledger.as_ref().map(|entry| entry.test_path.clone()),
        members: ledger.as_ref().map(members).unwrap_or_default(),
        history,
    })
}

/// The file as it is in the tree.
struct Looked {
    ignored: Result<Option<IgnoredBy>, WatchError>,
    exists: bool,
    /// `None` if it may not be read.
    content: Option<ContentHash>,
    public: Vec<MemberName>,
    nothing_to_test: Option<String>,
}

async fn look(
    root: &Path,
    path: &RelPath,
    settings: &Settings,
    driver: Option<&Arc<dyn LanguageDriver>>,
) -> Looked {
    let project = Project {
        root: root.to_owned(),
        frameworks: frameworks(settings),
    };
    let exclude = settings.watch.exclude.clone();
    let most = settings.watch.max_file_size.get();
    let (path, driver) = (path.clone(), driver.cloned());
    blocking(move || {
        let meta = path.under(&project.root).metadata();
        let file = open_source(&project.root, &path);
        let mut looked = Looked {
            ignored: explain_ignored(&project.root, &path, &exclude),
            exists: meta.is_ok_and(|meta| !meta.is_dir()),
            content: file.and_then(ContentHash::of_reader).ok(),
            public: Vec::new(),
            nothing_to_test: None,
        };
        let bytes = read_source(&project.root, &path, most).ok();
        let text = bytes.and_then(|read| String::from_utf8(read.ok()?).ok());
        let Some((driver, text)) = driver.zip(text) else {
            return looked;
        };
        match driver.analyze(&project, &path, &text) {
            Analysis::NotSource(why) => looked.nothing_to_test = Some(why.to_string()),
            Analysis::Source(file) => {
                if file.members.is_empty() {
                    let problem = file.problems.first().map(ToString::to_string);
                    let why = problem.unwrap_or_else(|| "it has no public members".to_owned());
                    looked.nothing_to_test = Some(why);
                }
                looked.public = file.members.into_iter().map(|m| m.name).collect();
            }
        }
        looked
    })
    .await
}

fn members(entry: &LedgerEntry) -> Vec<LedgerMember> {
    let blocks = entry.blocks.iter();
    blocks
        .map(|(member, block)| LedgerMember {
            member: member.clone(),
            key: block.written.as_ref().map(|written| written.key.0.clone()),
            deleted: block.deleted.iter().map(|key| key.0.clone()).collect(),
            yours: block.told,
            yours_since: block
                .theirs_since
                .map(|since| Timestamp(UNIX_EPOCH + Duration::from_secs(since))),
            outdated: block.outdated.is_some(),
            unverified: block.unverified.clone(),
            quarantined: block
                .quarantine
                .as_ref()
                .map(|quarantined| quarantined.verdict.to_string()),
            findings: block.findings.iter().map(|f| f.id.clone()).collect(),
            proposed: entry.proposals.contains_key(member),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use testsmith_config::Sources;

    use super::*;

    #[tokio::test]
    async fn what_no_job_may_read_is_not_read_to_explain_it_either() {
        let dir = tempfile::tempdir().unwrap();
        let outer = dir.path().canonicalize().unwrap();
        let root = outer.join("shop");
        fs::create_dir(&root).unwrap();
        fs::write(outer.join("key.go"), "package other\n").unwrap();
        fs::write(root.join(".env"), "KEY=1\n").unwrap();
        fs::write(root.join("cart.go"), "package shop\n").unwrap();
        symlink(outer.join("key.go"), root.join("out.go")).unwrap();
        symlink(root.join(".env"), root.join("in.go")).unwrap();
        mknodat(CWD, root.join("pipe.go"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let settings = Settings::load(&Sources::default()).unwrap().settings;
        for (name, is_read) in [
            ("cart.go", true),
            (".env", false),
            ("out.go", false),
            ("in.go", false),
            ("pipe.go", false),
        ] {
            let path = RelPath::new(name).unwrap();
            let looked = look(&root, &path, &settings, None).await;
            assert!(looked.exists, "{name}");
            assert_eq!(looked.content.is_some(), is_read, "{name}");
        }
    }
}
