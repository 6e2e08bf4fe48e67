//! One root's loop: hints in, batches out.

mod hints;
mod hold;
mod listing;
mod scan;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{FileStamp, RelPath};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::hold::Hold;
use self::scan::{RescanDue, Scan, ScanMessage};
use self::settle::{Held, InFlight, Suspect};
use crate::change::{Cause, ChangeBatch, RescanReason};
use crate::check::Checked;
use crate::debounce::Debouncer;
use crate::git::Repository;
use crate::handle::{RootState, RootStats, Shared};
use crate::hints::Hints;
use crate::index::{Coverage, Index};
use crate::outbox::{BATCH, Outbox, effects};
use crate::rules::Rules;
use crate::settings::{RootSpec, WatchError};
use crate::walk::Found;
use crate::watcher::Context;
use crate::watches::Watches;

/// While this many findings of a scan wait for a look or for the receiver, the scan waits too.
const SCAN_AHEAD: usize = 2 * BATCH;

/// Watches one root.
///
/// A path moves from the debouncer to `ready`, from there into a look on the blocking pool, and
/// with its result into the outbox, back into the debouncer for a second look, or nowhere. Only
/// one look is under way at a time, so that an older result never follows a newer one.
pub(crate) struct RootTask {
    root: PathBuf,
    context: Context,
    shared: Arc<Shared>,
    hints: Arc<Hints>,
    watches: Arc<Watches>,

    index: Index,
    /// What holds in the root from elsewhere; `None` before the first scan.
    rules_above: Option<Arc<Rules>>,
    repository: Option<Repository>,
    /// Device and inode of the root; `None` while it is not there.
    identity: Option<(u64, u64)>,
    /// What they were when it was there last.
    last_identity: Option<(u64, u64)>,

    debouncer: Debouncer<RelPath>,
    ready_saved: BTreeSet<RelPath>,
    ready_compared: BTreeMap<RelPath, Cause>,
    in_flight: Option<(JoinHandle<Checked>, InFlight)>,
    /// The folders of the files that are being looked at, each with what a scan has found in it
    /// since: what the look saw may be of another folder of that name.
    listed: HashMap<Box<str>, Option<Found>>,
    suspects: HashMap<RelPath, Suspect>,
    held: BTreeMap<RelPath, Held>,
    outbox: Outbox,
    /// Since when more files than a person edits wait for each other.
    storm: Option<Instant>,
    hold: Option<Hold>,
    /// Git took longer than `git_hold`; it is not waited for until it is done.
    git_is_stale: bool,
    last_git_event: Option<Instant>,

    scan: Option<Scan>,
    scan_count: u32,
    scan_dirs: BTreeSet<Box<str>>,
    /// Folders whose rules have been saved, until they have been read.
    rules_due: BTreeSet<Box<str>>,
    unwatch: Vec<Box<str>>,
    rescan: Option<RescanDue>,
    /// The cause of the first comparison, until it is through.
    first: Option<Cause>,
    /// When the first look at a project never seen before began: what is younger is a change.
    baseline_from_ns: i64,
    /// How often in a row the root was not there.
    missing: u32,
    next_slow: Option<Instant>,
    next_poll: Option<Instant>,
    /// Of which folders it was said that they are polled.
    said_of_polling: Coverage,

    unreadable: HashSet<RelPath>,
    stats: RootStats,
}

enum Event<'a> {
    Cancelled,
    Closed,
    Checked(Result<Checked, JoinError>),
    Scanned(Option<ScanMessage>),
    Slot(mpsc::Permit<'a, ChangeBatch>),
    Hints,
    RescanRequested,
    Timer,
}

impl RootTask {
    pub(crate) fn new(spec: RootSpec, context: Context, shared: Arc<Shared>) -> Self {
        let hints = Arc::new(Hints::default());
        let first = if spec.known.is_some() {
            Cause::Startup
        } else {
            Cause::Baseline
        };
        Self {
            root: spec.root,
            watches: Arc::new(Watches::new(Arc::clone(&hints))),
            hints,
            debouncer: Debouncer::new(context.settings.debounce, context.settings.max_wait),
            context,
            shared,
            index: Index::new(spec.known.unwrap_or_default()),
            rules_above: None,
            repository: None,
            identity: None,
            last_identity: None,
            ready_saved: BTreeSet::new(),
            ready_compared: BTreeMap::new(),
            in_flight: None,
            listed: HashMap::new(),
            suspects: HashMap::new(),
            held: BTreeMap::new(),
            outbox: Outbox::default(),
            storm: None,
            hold: None,
            git_is_stale: false,
            last_git_event: None,
            scan: None,
            scan_count: 0,
            scan_dirs: BTreeSet::new(),
            rules_due: BTreeSet::new(),
            unwatch: Vec::new(),
            rescan: Some(RescanDue::first(Instant::now())),
            first: Some(first),
            baseline_from_ns: 0,
            missing: 0,
            next_slow: None,
            next_poll: None,
            said_of_polling: Coverage::default(),
            unreadable: HashSet::new(),
            stats: RootStats::new(),
        }
    }

    pub(crate) async fn run(
        mut self,
        out: mpsc::Sender<ChangeBatch>,
        cancel: CancellationToken,
    ) -> Result<(), WatchError> {
        let mut requests = self.shared.rescans();
        loop {
            let now = Instant::now();
            self.advance(now);
            self.publish();
            let sending = self.outbox.next(|cause| self.is_complete(cause));
            match self.next_event(sending, &out, &cancel, &mut requests).await {
                Event::Cancelled => return Ok(()),
                Event::Closed => return Err(WatchError::Closed),
                Event::Checked(checked) => {
                    let checked = checked.map_err(|source| self.panicked(source))?;
                    self.on_checked(checked);
                }
                Event::Scanned(message) => self.on_scanned(message).await?,
                Event::Slot(slot) => {
                    if let Some(cause) = sending {
                        slot.send(self.take_batch(cause));
                    }
                }
                Event::Hints => self.on_hints(Instant::now()),
                Event::RescanRequested => self.on_request(Instant::now()),
                Event::Timer => {}
            }
        }
    }

    async fn next_event<'a>(
        &mut self,
        sending: Option<Cause>,
        out: &'a mpsc::Sender<ChangeBatch>,
        cancel: &CancellationToken,
        requests: &mut watch::Receiver<u64>,
    ) -> Event<'a> {
        let deadline = self.next_deadline(Instant::now());
        let congested = self.ready_compared.len() + self.outbox.compared() + self.held.len()
            > SCAN_AHEAD
            && self.first == Some(Cause::Baseline);
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let checked = async {
            match &mut self.in_flight {
                Some((handle, _)) => handle.await,
                None => std::future::pending().await,
            }
        };
        let scanned = async {
            match &mut self.scan {
                Some(scan) if !congested => scan.messages.recv().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Event::Cancelled,
            checked = checked => Event::Checked(checked),
            () = self.hints.wait() => Event::Hints,
            slot = out.reserve(), if sending.is_some() => slot.map_or(Event::Closed, Event::Slot),
            () = out.closed() => Event::Closed,
            message = scanned => Event::Scanned(message),
            Ok(()) = requests.changed() => Event::RescanRequested,
            () = timer => Event::Timer,
        }
    }

    /// Starts what can be started now.
    fn advance(&mut self, now: Instant) {
        for path in self.debouncer.due(now) {
            self.route(path, now);
        }
        self.start_scan(now);
        self.start_check(now);
        if self.first.is_none() && !self.stats.ready && self.comparison_is_sent() {
            self.stats.ready = true;
            self.index.compact();
            tracing::debug!(files = self.index.files(), "ready");
        }
    }

    /// The next moment at which [`advance`](Self::advance) can do something. Never one that has to
    /// wait for a running scan or look: their ends are events of their own.
    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let mut moments = vec![self.debouncer.next_deadline()];
        if self.scan.is_none() {
            let rescan = self.rescan.as_ref().filter(|rescan| !self.puts_off(rescan));
            moments.push(rescan.map(|rescan| rescan.at));
            moments.push(self.next_slow);
            moments.push(self.next_poll);
        }
        if self.in_flight.is_none() && self.missing == 0 {
            match &self.hold {
                Some(hold) if !hold.is_over(now) => {
                    moments.push(Some(hold.next_deadline(self.context.settings.git_hold)));
                }
                _ => {
                    let max_wait = self.context.settings.max_wait;
                    moments.push(self.storm.map(|since| since + max_wait));
                }
            }
        }
        moments.into_iter().flatten().min()
    }

    fn is_complete(&self, cause: Cause) -> bool {
        if cause == Cause::Saved {
            return !matches!(self.in_flight, Some((_, InFlight::Saved)));
        }
        self.scan.is_none() && self.ready_compared.is_empty() && self.in_flight.is_none()
    }

    /// Whether all that comparisons of the tree found was looked at and sent.
    fn comparison_is_sent(&self) -> bool {
        self.scan.is_none()
            && self.ready_compared.is_empty()
            && !matches!(self.in_flight, Some((_, InFlight::Compared(_))))
            && self.outbox.compared() == 0
            && self.held.is_empty()
            && !self
                .suspects
                .values()
                .any(|suspect| suspect.cause != Cause::Saved)
    }

    fn take_batch(&mut self, cause: Cause) -> ChangeBatch {
        let threshold = self.context.settings.bulk_threshold;
        // What trails behind a bulk change belongs to it.
        let more = if cause == Cause::Saved {
            !self.ready_saved.is_empty() || self.debouncer.len() > 0 || self.scan.is_some()
        } else {
            !self.is_complete(cause)
        };
        let (changes, bulk) = self.outbox.take(cause, threshold, more);
        for change in &changes {
            for (path, stamp) in effects(change) {
                match stamp {
                    Some(stamp) => self.index.set(path, stamp),
                    None => self.index.remove(path),
                }
            }
        }
        tracing::debug!(?cause, bulk, changes = changes.len(), "changes");
        ChangeBatch {
            root: self.root.clone(),
            cause,
            bulk,
            changes,
        }
    }

    fn publish(&mut self) {
        let coverage = self.index.coverage();
        self.stats.files = self.index.files();
        self.stats.watched = coverage.watched + coverage.shared;
        self.stats.unwatched = coverage.unwatched;
        self.stats.shared = coverage.shared;
        let looking = match &self.in_flight {
            Some((_, InFlight::Probe)) | None => 0,
            Some(_) => 1,
        };
        self.stats.pending = self.debouncer.len()
            + self.ready_saved.len()
            + self.ready_compared.len()
            + self.held.len()
            + self.outbox.len()
            + looking;
        self.stats.state = if self.missing > 0 {
            RootState::Missing
        } else if !self.stats.ready {
            RootState::Starting
        } else if self.hold.is_some() {
            RootState::HeldForGit
        } else if self.stats.unwatched > 0 {
            RootState::Degraded
        } else if self.is_comparing() {
            RootState::Rescanning
        } else if self.stats.pending > 0 || !self.scan_dirs.is_empty() {
            RootState::Settling
        } else if self.stats.shared > 0 {
            RootState::Polling
        } else {
            RootState::Fresh
        };
        self.shared.publish(&self.root, self.stats);
    }

    /// Whether the tree, or a part of it, is compared other than by polling.
    fn is_comparing(&self) -> bool {
        let polls = Cause::Rescan(RescanReason::Uncovered);
        self.rescan.is_some() || self.scan.as_ref().is_some_and(|scan| scan.cause != polls)
    }

    fn panicked(&self, source: JoinError) -> WatchError {
        WatchError::Panicked {
            root: self.root.clone(),
            source,
        }
    }

    /// What the receiver knows of a path.
    fn known(&self, path: &RelPath) -> Option<FileStamp> {
        self.index.get(path).copied()
    }

    /// Whether a file of this path would be a source.
    fn keeps(&self, path: &RelPath) -> bool {
        (self.context.claims)(path)
            && self
                .index
                .folder(path.dir())
                .and_then(|folder| folder.rules())
                .is_some_and(|rules| !rules.ignores(&path.under(&self.root), false))
    }

    fn debounce(&self) -> Duration {
        self.context.settings.debounce
    }
}
