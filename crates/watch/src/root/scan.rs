//! Comparing the tree, or parts of it, with the index.

mod job;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::job::Job;
use super::RootTask;
use crate::change::{Cause, RescanReason};
use crate::check;
use crate::git::Repository;
use crate::index::{parent, parents};
use crate::rules::Rules;
use crate::settings::WatchError;
use crate::walk::{Start, Visit};

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
    pub(super) number: u32,
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
        self.rules_due.retain(|dir| self.scan_dirs.contains(dir));
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
