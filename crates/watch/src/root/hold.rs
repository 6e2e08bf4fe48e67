//! Waiting while git moves files about.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::RootTask;
use crate::change::RescanReason;
use crate::check::Patience;
use crate::git::Activity;

/// A rebase or merge without a sign of life for this long waits for the user.
const GIT_REST: Duration = Duration::from_secs(1);

/// How often to look at git while waiting for it, should its events fail us.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Git is at work, and files are not looked at.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) since: Instant,
    /// When to see whether it is done.
    pub(super) probe_at: Instant,
    /// It is done; what it changed last is at rest at this moment.
    pub(super) release_at: Option<Instant>,
    pub(super) activity: Activity,
}

impl Hold {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.release_at.is_some_and(|at| at <= now)
    }

    pub(super) fn next_deadline(&self, git_hold: Duration) -> Instant {
        let next = self.release_at.unwrap_or(self.probe_at);
        next.min(self.probe_at).min(self.since + git_hold)
    }
}

impl RootTask {
    pub(super) fn is_git_hint(&self, path: &Path) -> bool {
        self.repository.as_ref().is_some_and(|repository| {
            path.starts_with(&repository.git_dir) && path != self.root.join(".git")
        })
    }

    pub(super) fn on_git_hint(&mut self, path: &Path, now: Instant) {
        self.last_git_event = Some(now);
        if let Some(hold) = &mut self.hold {
            hold.probe_at = now;
        }
        if path.file_name().is_some_and(|name| name == "HEAD") {
            self.request_rescan(RescanReason::Branch, now);
        }
    }

    pub(super) fn patience(&self, now: Instant) -> Patience {
        if self.git_is_stale {
            return Patience::None;
        }
        match self.last_git_event {
            Some(last) if now < last + GIT_REST => Patience::Any,
            _ => Patience::Lock,
        }
    }

    /// Git was found at work.
    pub(super) fn on_held(&mut self, activity: Activity, now: Instant) {
        let probe_at = match (&activity, self.last_git_event) {
            (Activity::Operation(_), Some(last)) => (last + GIT_REST).max(now),
            _ => now + PROBE_EVERY,
        };
        let hold = self.hold.get_or_insert_with(|| {
            tracing::debug!("git is at work; changes wait for it");
            Hold {
                since: now,
                probe_at,
                release_at: None,
                activity: Activity::None,
            }
        });
        hold.probe_at = probe_at;
        hold.release_at = None;
        hold.activity = activity;
    }

    /// A probe found git at rest.
    pub(super) fn on_git_rest(&mut self, now: Instant) {
        let release_at = now + self.debounce();
        if let Some(hold) = &mut self.hold {
            hold.release_at.get_or_insert(release_at);
            hold.probe_at = now + PROBE_EVERY;
        }
    }

    /// Whether files may be looked at; if not, whether to probe.
    pub(super) fn may_look(&mut self, now: Instant) -> Result<(), bool> {
        let Some(hold) = &self.hold else {
            return Ok(());
        };
        if now >= hold.since + self.context.settings.git_hold {
            if let Activity::Locked(path) | Activity::Operation(path) = &hold.activity {
                tracing::warn!(
                    path = %path.display(),
                    "git has been at work for too long; changes wait no more; \
                     remedy: if no git process is running, remove the lock"
                );
            }
            self.git_is_stale = true;
            self.hold = None;
            return Ok(());
        }
        if hold.is_over(now) {
            return Ok(());
        }
        Err(hold.probe_at <= now)
    }
}
