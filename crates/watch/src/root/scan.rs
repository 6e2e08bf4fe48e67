//! Comparing the tree, or parts of it, with the index.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{FileStamp, RelPath};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::RootTask;
use crate::change::{Cause, RescanReason};
use crate::check;
use crate::git::{self, Repository};
use crate::index::{Folder, join, parent, parents};
use crate::outbox::{BATCH, in_folder};
use crate::rules::Rules;
use crate::settings::WatchError;
use crate::walk::{Found, Listing, Start, Stat, Visit, Walk};
use crate::watcher::Context;
use crate::watches::{Cover, Watches};

/// Folders that are polled are compared no more often than this,
const POLL_EVERY_MIN: Duration = Duration::from_secs(2);

/// and no less often than this;
const POLL_EVERY_MAX: Duration = Duration::from_secs(30);

/// in between, so that it takes one part in so many of the time.
const POLL_SHARE: u32 = 50;

/// A missing root is looked for after this long, then twice as long, and so on.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The longest between two looks for a missing root.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Findings passed on at once: enough to make the channel cheap, few enough to keep it small.
const FOLDERS_AT_ONCE: usize = 256;

/// A comparison to be run.
#[derive(Debug)]
pub(super) struct RescanDue {
    pub(super) at: Instant,
    /// `at` is put off no further than this.
    latest: Instant,
    reason: Option<RescanReason>,
    /// Whether the watches cannot be trusted.
    reset: bool,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) messages: mpsc::Receiver<ScanMessage>,
    handle: JoinHandle<()>,
    pub(super) cause: Cause,
    number: u32,
    began: Instant,
    /// Whether it is of the whole tree.
    whole: bool,
    dirs: Vec<Box<str>>,
    root_is_gone: bool,
}

#[derive(Debug)]
pub(super) enum ScanMessage {
    Began {
        identity: (u64, u64),
        repository: Option<Repository>,
        rules: Arc<Rules>,
    },
    Found(Vec<Visit>),
    RootGone,
}

struct Job {
    root: PathBuf,
    context: Context,
    watches: Arc<Watches>,
    /// `None` for the whole tree.
    starts: Option<Vec<Start>>,
    unwatch: Vec<PathBuf>,
    /// What the root was when it was last walked.
    identity: Option<(u64, u64)>,
    /// Whether there were files in it.
    had_files: bool,
    reset: bool,
    messages: mpsc::Sender<ScanMessage>,
}

impl RescanDue {
    pub(super) fn first(now: Instant) -> Self {
        Self {
            at: now,
            latest: now,
            reason: None,
            reset: true,
        }
    }
}

impl RootTask {
    pub(super) fn on_request(&mut self, now: Instant) {
        self.request_rescan(RescanReason::Requested, now);
        // Somebody waits for it.
        if let Some(rescan) = &mut self.rescan {
            rescan.at = now;
        }
    }

    /// Compares the whole tree once what goes on in it has calmed down.
    pub(super) fn request_rescan(&mut self, reason: RescanReason, now: Instant) {
        let reset = matches!(
            reason,
            RescanReason::Overflow | RescanReason::Error | RescanReason::RootReturned
        );
        let latest = now + self.context.settings.max_wait;
        let calm = now + self.debounce();
        let due = self.rescan.get_or_insert(RescanDue {
            at: calm,
            latest,
            reason: Some(reason),
            reset,
        });
        due.at = calm.min(due.latest);
        due.reset |= reset;
    }

    pub(super) fn start_scan(&mut self, now: Instant) {
        if self.scan.is_some() {
            return;
        }
        if self.next_slow.take_if(|at| *at <= now).is_some() {
            self.request_rescan(RescanReason::Timer, now);
        }
        let is_due = |rescan: &RescanDue| rescan.at <= now && !self.puts_off(rescan);
        if self.rescan.as_ref().is_some_and(is_due)
            && let Some(rescan) = self.rescan.take()
        {
            return self.compare_all(&rescan);
        }
        if self.missing > 0 || self.rules_above.is_none() {
            return;
        }
        if self.next_poll.take_if(|at| *at <= now).is_some() {
            if !self.watches.is_up() {
                self.request_rescan(RescanReason::Error, now);
                return;
            }
            self.watches.retry();
            let polled = self.index.polled();
            self.compare(polled, Cause::Rescan(RescanReason::Uncovered));
        } else if !self.scan_dirs.is_empty() || !self.unwatch.is_empty() {
            let all = std::mem::take(&mut self.scan_dirs);
            let uppermost = all
                .iter()
                .filter(|dir| !parents(dir).any(|above| all.contains(above)))
                .cloned()
                .collect();
            self.compare(uppermost, Cause::Saved);
        }
    }

    /// What another branch has changed is compared when git is done.
    pub(super) fn puts_off(&self, rescan: &RescanDue) -> bool {
        self.hold.is_some() && rescan.reason == Some(RescanReason::Branch)
    }

    fn compare_all(&mut self, rescan: &RescanDue) {
        let cause = match (self.first, rescan.reason) {
            (Some(cause), _) => cause,
            (None, reason) => Cause::Rescan(reason.unwrap_or(RescanReason::Requested)),
        };
        if cause == Cause::Baseline && self.baseline_from_ns == 0 {
            self.baseline_from_ns = check::now_ns();
        }
        // Covered by the whole.
        self.scan_dirs.clear();
        self.next_slow = None;
        self.stats.rescans += 1;
        self.spawn_scan(None, cause, rescan.reset);
    }

    fn compare(&mut self, dirs: Vec<Box<str>>, cause: Cause) {
        let starts = dirs
            .into_iter()
            .filter_map(|dir| {
                let above = match parent(&dir) {
                    None => self.rules_above.clone(),
                    // If the folder above is not kept, neither is this one.
                    Some(above) => self.index.folder(above)?.rules().cloned(),
                }?;
                Some(Start { dir, above })
            })
            .collect::<Vec<_>>();
        if starts.is_empty() && self.unwatch.is_empty() {
            return;
        }
        self.spawn_scan(Some(starts), cause, false);
    }

    fn spawn_scan(&mut self, starts: Option<Vec<Start>>, cause: Cause, reset: bool) {
        // Two, so that one can be filled while the other is read.
        let (sender, messages) = mpsc::channel(2);
        self.scan_count = self.scan_count.wrapping_add(1);
        let whole = starts.is_none();
        let dirs = starts.as_ref().map_or_else(
            || vec!["".into()],
            |starts| starts.iter().map(|start| start.dir.clone()).collect(),
        );
        let unwatch = std::mem::take(&mut self.unwatch);
        let job = Job {
            root: self.root.clone(),
            context: self.context.clone(),
            watches: Arc::clone(&self.watches),
            starts,
            unwatch: unwatch.iter().map(|dir| self.root.join(&**dir)).collect(),
            identity: self.last_identity,
            had_files: self.index.files() > 0,
            reset,
            messages: sender,
        };
        self.scan = Some(Scan {
            messages,
            handle: tokio::task::spawn_blocking(|| job.run()),
            cause,
            number: self.scan_count,
            began: Instant::now(),
            whole,
            dirs,
            root_is_gone: false,
        });
    }

    pub(super) async fn on_scanned(
        &mut self,
        message: Option<ScanMessage>,
    ) -> Result<(), WatchError> {
        let now = Instant::now();
        match message {
            Some(ScanMessage::Began {
                identity,
                repository,
                rules,
            }) => {
                self.identity = Some(identity);
                self.last_identity = self.identity;
                self.repository = repository;
                self.rules_above = Some(rules);
                if self.missing > 0 {
                    tracing::info!("the project's folder is back");
                    self.missing = 0;
                }
            }
            Some(ScanMessage::Found(visits)) => {
                for visit in visits {
                    match visit {
                        Visit::Folder(listing) => self.on_listing(listing, now),
                        Visit::Gone(dir) => self.on_gone(&dir, now),
                    }
                }
            }
            Some(ScanMessage::RootGone) => {
                if let Some(scan) = &mut self.scan {
                    scan.root_is_gone = true;
                }
            }
            None => {
                if let Some(scan) = self.scan.take() {
                    self.on_scan_end(scan, now).await?;
                }
            }
        }
        Ok(())
    }

    async fn on_scan_end(&mut self, mut scan: Scan, now: Instant) -> Result<(), WatchError> {
        (&mut scan.handle)
            .await
            .map_err(|source| self.panicked(source))?;
        if scan.root_is_gone {
            self.on_root_gone(now);
            return Ok(());
        }
        for dir in &scan.dirs {
            for unseen in self.index.unseen_below(dir, scan.number) {
                self.drop_folder(&unseen, scan.cause, now);
            }
        }
        if scan.whole {
            self.first = None;
            self.next_slow = self.context.settings.rescan_every.map(|every| now + every);
            self.index.compact();
        }
        self.settle_held();
        self.note_coverage(&scan, now);
        Ok(())
    }

    fn on_listing(&mut self, listing: Listing, now: Instant) {
        let Some((cause, number)) = self.scan.as_ref().map(|scan| (scan.cause, scan.number)) else {
            return;
        };
        let Listing {
            dir,
            rules,
            cover,
            complete,
            files,
        } = listing;
        self.index.keep(&dir, rules, cover, number);
        if !complete {
            self.index.vouch_below(&dir, number);
            return;
        }
        let names = files.iter().map(|(name, _)| name.len()).sum();
        self.index.expect(&dir, files.len(), names);
        for path in self.differing(&dir, &files) {
            self.nominate(path, cause, now);
        }
        self.look_again(&dir, files, now);
    }

    /// A folder may have gone and another come in its place: what was seen in it, is not in the
    /// index yet, with which listings are compared, and is not as `found`, is looked at once more.
    fn look_again(&mut self, dir: &str, found: Found, now: Instant) {
        let waiting = self.outbox.in_folder(dir);
        let held = in_folder(&self.held, dir);
        let held = held.map(|(path, held)| (path.clone(), Some(held.stamp), held.cause));
        let again: Vec<_> = waiting
            .into_iter()
            .chain(held)
            .filter(|(path, stamp, _)| !self.is_as_listed(path, stamp.as_ref(), &found))
            .collect();
        for (path, _, cause) in again {
            self.nominate(path, cause, now);
        }
        if let Some(listed) = self.listed.get_mut(dir) {
            *listed = Some(found);
        }
    }

    /// Whether what was seen of a file, `None` if it was not there, is what a scan has found.
    pub(super) fn is_as_listed(
        &self,
        path: &RelPath,
        seen: Option<&FileStamp>,
        found: &[(Box<str>, Stat)],
    ) -> bool {
        let at = found.binary_search_by(|(name, _)| (**name).cmp(path.file_name()));
        match (seen, at) {
            (None, Err(_)) => true,
            (Some(stamp), Ok(at)) => self.is_as(path.dir(), stamp, found[at].1),
            (None, Ok(_)) | (Some(_), Err(_)) => false,
        }
    }

    fn is_as(&self, dir: &str, stamp: &FileStamp, stat: Stat) -> bool {
        // Network file systems may give a file another number each time.
        let is_shared = self
            .index
            .folder(dir)
            .is_some_and(|folder| folder.cover() == Cover::Shared);
        let inode = if is_shared { stamp.inode } else { stat.inode };
        check::matches(stamp, Stat { inode, ..stat })
    }

    /// The files of a folder that are not as the index has them.
    fn differing(&self, dir: &str, found: &[(Box<str>, Stat)]) -> Vec<RelPath> {
        let mut names = Vec::new();
        let folder = self.index.folder(dir);
        let mut known = folder.into_iter().flat_map(Folder::files).peekable();
        for (name, stat) in found {
            while let Some((gone, _)) = known.next_if(|(known, _)| *known < &**name) {
                names.push(gone);
            }
            match known.next_if(|(known, _)| *known == &**name) {
                Some((_, stamp)) if self.is_as(dir, stamp, *stat) => {}
                _ => names.push(name),
            }
        }
        names.extend(known.map(|(gone, _)| gone));
        names
            .into_iter()
            .filter_map(|name| join(dir, name))
            .collect()
    }

    pub(super) fn nominate(&mut self, path: RelPath, cause: Cause, now: Instant) {
        if cause == Cause::Saved {
            self.debouncer.insert(path, now);
        } else if !self.debouncer.contains(&path) && !self.ready_saved.contains(&path) {
            self.ready_compared.insert(path, cause);
        }
    }

    fn on_gone(&mut self, dir: &str, now: Instant) {
        let cause = self.scan.as_ref().map_or(Cause::Saved, |scan| scan.cause);
        for dir in self.index.below(dir) {
            self.drop_folder(&dir, cause, now);
        }
    }

    pub(super) fn drop_folder(&mut self, dir: &str, cause: Cause, now: Instant) {
        let (watched, files) = self.index.drop_folder(dir);
        if watched {
            // If it is ignored rather than gone, its watch is still there.
            self.unwatch.push(dir.into());
        }
        for path in files {
            self.nominate(path, cause, now);
        }
        self.look_again(dir, Vec::new(), now);
    }

    pub(super) fn on_root_gone(&mut self, now: Instant) {
        if self.missing == 0 {
            tracing::warn!(
                "the project's folder is not there, or empty where it was not; nothing is taken for \
                 removed, and it is looked for from time to time"
            );
        }
        let wait = FIRST_RETRY
            .saturating_mul(1 << self.missing.min(8))
            .min(LAST_RETRY);
        self.missing = self.missing.saturating_add(1);
        self.identity = None;
        self.next_slow = None;
        self.next_poll = None;
        self.rescan = Some(RescanDue {
            at: now + wait,
            latest: now + wait,
            reason: Some(RescanReason::RootReturned),
            reset: true,
        });
    }

    fn note_coverage(&mut self, scan: &Scan, now: Instant) {
        let coverage = self.index.coverage();
        let said = std::mem::replace(&mut self.said_of_polling, coverage);
        if coverage.unwatched > 0 && said.unwatched == 0 {
            tracing::warn!(
                watched = coverage.folders() - coverage.unwatched,
                unwatched = coverage.unwatched,
                "some folders have no watch and are polled; \
                 remedy: sudo sysctl fs.inotify.max_user_watches=1048576"
            );
        }
        if coverage.shared > 0 && said.shared == 0 {
            tracing::info!(
                folders = coverage.shared,
                "others may write to this file system, which does not tell of it; \
                 its folders are watched and polled"
            );
        }
        if coverage.polled() == 0 {
            if said.unwatched > 0 {
                tracing::info!(
                    folders = coverage.folders(),
                    "all folders are watched again"
                );
            }
            self.next_poll = None;
            return;
        }
        let wait = scan
            .began
            .elapsed()
            .saturating_mul(POLL_SHARE)
            .clamp(POLL_EVERY_MIN, POLL_EVERY_MAX);
        self.next_poll.get_or_insert(now + wait);
    }
}

impl Job {
    fn run(mut self) {
        for folder in std::mem::take(&mut self.unwatch) {
            self.watches.remove(&folder);
        }
        let Some(identity) = check::identity(&self.root).filter(|now| self.is_credible(*now))
        else {
            self.watches.clear();
            let _ = self.messages.blocking_send(ScanMessage::RootGone);
            return;
        };
        let starts = match self.starts.take() {
            Some(starts) => starts,
            None => match self.begin(identity) {
                Some(starts) => starts,
                None => return,
            },
        };
        // A failed send means that the loop has ended, and nobody wants to know.
        let _ = self.walk(starts);
    }

    /// An empty folder in place of one with sources is where a disk was mounted, not a project of
    /// which all was removed.
    fn is_credible(&self, identity: (u64, u64)) -> bool {
        let is_same = self.identity == Some(identity);
        let is_empty =
            || fs::read_dir(&self.root).is_ok_and(|mut entries| entries.next().is_none());
        is_same || !self.had_files || !is_empty()
    }

    fn begin(&self, identity: (u64, u64)) -> Option<Vec<Start>> {
        // Another file system may have been mounted there, of which no event tells.
        let is_another = self.identity.is_some_and(|before| before != identity);
        if self.reset || is_another {
            self.watches.reset();
        } else {
            self.watches.renew();
        }
        let repository = git::repository_of(&self.root);
        if let Some(repository) = &repository {
            self.watches.add(&repository.git_dir);
        }
        // Cannot fail: the globs were read before.
        let rules = Rules::above(&self.root, &self.context.settings.exclude).ok()?;
        let began = ScanMessage::Began {
            identity,
            repository,
            rules: Arc::clone(&rules),
        };
        self.messages.blocking_send(began).ok()?;
        Some(vec![Start {
            dir: "".into(),
            above: rules,
        }])
    }

    fn walk(&self, starts: Vec<Start>) -> ControlFlow<()> {
        let mut found = Vec::new();
        let mut files = 0;
        let mut visit = |visit| {
            if let Visit::Folder(listing) = &visit {
                files += listing.files.len();
            }
            found.push(visit);
            if files < BATCH && found.len() < FOLDERS_AT_ONCE {
                return ControlFlow::Continue(());
            }
            files = 0;
            self.send(std::mem::take(&mut found))
        };
        Walk {
            root: &self.root,
            claims: &self.context.claims,
            state_dir: self.context.state_dir.as_deref(),
            watch: &|folder| self.watches.add(folder),
        }
        .run(starts, &mut visit)?;
        self.send(found)
    }

    fn send(&self, found: Vec<Visit>) -> ControlFlow<()> {
        match self.messages.blocking_send(ScanMessage::Found(found)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
