//! Running the bodies before they are written.

use testsmith_domain::MemberName;
use testsmith_generate::FileRequest;
use tokio_util::sync::CancellationToken;

use super::{CONTENTION_LIMIT, LedgerChange, Run, Step, contended};
use crate::files::read_text;
use crate::merge::Merge;
use crate::report::{Outcome, TrialFigures};
use crate::verification::{Files, try_bodies};

impl Run<'_> {
    /// Runs the bodies that are to be written, and leaves in `merge` those that hold. Gives the test
    /// file as it is now.
    pub(super) async fn try_bodies(
        &mut self,
        request: &FileRequest,
        merge: &mut Merge,
        mut existing: Option<String>,
        superseded: &CancellationToken,
    ) -> Step<Option<String>> {
        if self.verifier.is_none() {
            return Ok(existing);
        }
        // A name that another file of ours holds for a moment is no fault of the body's.
        merge.compose(existing.as_deref()).await?;
        if merge.is_contended() {
            if self.remove_orphans(merge).await? {
                existing = read_text(&merge.project, &merge.file.test_path).await?;
                merge.compose(existing.as_deref()).await?;
            }
            let waited = self.job.enqueued.elapsed().unwrap_or_default();
            if merge.is_contended() && waited < CONTENTION_LIMIT {
                return Err(contended(&merge.without()));
            }
        }
        if merge.rename_helpers() {
            merge.compose(existing.as_deref()).await?;
        }
        let refused: Vec<MemberName> = merge.rejected.iter().map(|(m, _)| m.clone()).collect();
        let files = Files {
            model: &self.model,
            verifier: Option::as_ref(&self.verifier),
            settings: &self.settings.verify,
            pipeline: self.model.pipeline(self.prefers),
            request,
            existing: existing.as_deref(),
            refused: &refused,
        };
        let tried = try_bodies(files, &mut merge.result, superseded).await;
        self.figures.effort = merge.result.effort;
        self.figures.hits = merge.result.hits;
        self.figures.misses = merge.result.misses;
        let Some(trial) = tried else {
            return Err(Outcome::Superseded);
        };
        let is_broken = trial.waits_for_project();
        self.figures.trial = TrialFigures {
            passed: trial.passed,
            runs: trial.runs,
            elapsed: trial.elapsed,
            is_unverified: trial.lacks_toolchain(),
            is_broken,
        };
        self.figures.held_back = trial.held_back();
        merge.trial = trial;
        Ok(existing)
    }

    /// Keeps what would be written until the user accepts it.
    pub(super) async fn propose(
        &mut self,
        request: &FileRequest,
        merge: &mut Merge,
        existing: Option<String>,
    ) -> Step<Outcome> {
        let (_, edits) = merge.compose(existing.as_deref()).await?;
        let proposals = merge.proposals(&edits);
        merge.tell_whose();
        let mut entry = merge.entry();
        entry.proposals = proposals;
        if request.ledger.as_ref() != Some(&entry) {
            self.ledger = LedgerChange::Put(entry.clone());
        }
        if let Some(error) = &merge.result.error {
            return Err(self.service.failed_call(self.job, error));
        }
        if let Some(outcome) = merge.trial.waits(self.project_has_changed()) {
            return Err(outcome);
        }
        if entry.proposals.is_empty() {
            return Ok(Outcome::UpToDate);
        }
        Ok(Outcome::Proposed {
            test_path: merge.file.test_path.clone(),
            members: entry.proposals.into_keys().collect(),
        })
    }
}
