//! Everything that is known of one file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use testsmith_control::{FileStory, Ignored, JobInfo, LedgerMember, Timestamp};
use testsmith_domain::{ContentHash, LanguageDriver, LedgerEntry, RelPath};
use testsmith_queue::Queue;
use testsmith_watch::explain_ignored;

use crate::error::DaemonError;
use crate::files::blocking;
use crate::service::root_name;

/// What is known of `path` in `root`.
pub(super) async fn story(
    queue: &Queue,
    drivers: &[Arc<dyn LanguageDriver>],
    exclude: &[String],
    root: &Path,
    path: &RelPath,
    live: bool,
) -> Result<FileStory, DaemonError> {
    let name = root_name(root);
    let trouble = |error| DaemonError::state(root, error);
    let ledger = queue.ledger(&name, path).await.map_err(trouble)?;
    let history = queue.history(&name, path).await.map_err(trouble)?;
    let stamp = queue.stamp(&name, path).await.map_err(trouble)?;
    let driver = drivers.iter().find(|driver| driver.claims(path));
    let (ignored, content) = {
        let (root, path, exclude) = (root.to_owned(), path.clone(), exclude.to_vec());
        blocking(move || {
            let ignored = explain_ignored(&root, &path, &exclude);
            let file = std::fs::File::open(path.under(&root));
            (ignored, file.and_then(ContentHash::of_reader).ok())
        })
        .await
    };
    let job = queue
        .list()
        .into_iter()
        .rfind(|job| job.root == name && job.path == *path);
    Ok(FileStory {
        root: root.to_owned(),
        path: path.clone(),
        live,
        exists: content.is_some(),
        language: driver.map(|driver| {
            let names: Vec<_> = driver.languages().iter().map(|l| l.as_str()).collect();
            names.join(" or ")
        }),
        is_own_test: driver.is_some_and(|driver| driver.owns(path)),
        ignored: ignored?.map(|by| Ignored {
            path: by.path,
            rule: by.rule,
            file: by.file,
            line: by.line.map(|line| line as u64),
        }),
        seen_as_it_is: stamp.map(|stamp| content == Some(stamp.hash)),
        job: job.as_ref().map(JobInfo::from),
        test_path: ledger.as_ref().map(|entry| entry.test_path.clone()),
        members: ledger.as_ref().map(members).unwrap_or_default(),
        history,
    })
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
