//! Tests that wait for the user's word (`mode = "propose"`).

use std::path::PathBuf;
use std::sync::Arc;

use testsmith_domain::{
    BlockEdit, LedgerEntry, MemberName, Project, Proposal, RelPath, SourceFile,
};

use super::edit::{gone, note_written};
use super::{ProposalReport, Review, Settled, ended};
use crate::error::DaemonError;
use crate::files::{Composing, compose, read_text};
use crate::preview::diff;

impl Review {
    /// What would be written.
    pub(super) async fn proposals(
        &self,
        paths: &[PathBuf],
    ) -> Result<Vec<ProposalReport>, DaemonError> {
        let mut reports = Vec::new();
        for (project, path, entry) in self.proposed(paths).await? {
            let file = Arc::new(self.source(&project, &path).await?);
            let existing = read_text(&project, &file.test_path).await;
            let existing = existing.map_err(|outcome| ended(&outcome))?;
            let driver = self.driver_for(&path)?;
            let mut edits = edits(&entry, &[]);
            edits.extend(gone(&driver, &file, &entry, existing.as_deref())?);
            let work = Composing {
                project: &project,
                driver: &driver,
                file: &file,
                existing: existing.as_deref(),
            };
            let composed = compose(work, edits).await;
            let composed = composed.map_err(|outcome| ended(&outcome))?;
            let diff = diff(
                &file.test_path,
                existing.as_deref(),
                composed.text.as_deref(),
            );
            reports.push(ProposalReport {
                path,
                test_path: file.test_path.clone(),
                members: entry.proposals.into_keys().collect(),
                diff,
            });
        }
        Ok(reports)
    }

    /// Writes them.
    pub(super) async fn accept(&self, paths: &[PathBuf]) -> Result<Vec<Settled>, DaemonError> {
        let mut settled = Vec::new();
        for (project, path, _) in self.proposed(paths).await? {
            let driver = self.driver_for(&path)?;
            let held = self.hold(&project, &path).await?;
            // As it is now that nobody else works on it.
            let file = match self.source(&project, &path).await {
                Ok(file) => Arc::new(file),
                Err(error) => return Err(self.give_back(held, error).await),
            };
            let Some(mut entry) = held.ledger.clone() else {
                self.release(held, None).await?;
                continue;
            };
            let stale = stale(&entry, &file);
            let edited = match self
                .edit(&project, &file, &entry, &edits(&entry, &stale))
                .await
            {
                Ok(edited) => edited,
                Err(error) => {
                    self.release(held, Some(entry)).await?;
                    return Err(error);
                }
            };
            let mut proposals = std::mem::take(&mut entry.proposals);
            proposals.retain(|member, _| !stale.contains(member));
            note_written(&mut entry, &driver, &file, &edited);
            for (member, proposal) in &proposals {
                if let Some(block) = entry.blocks.get_mut(member) {
                    block.unverified.clone_from(&proposal.unverified);
                }
            }
            settled.push(Settled {
                path,
                test_path: file.test_path.clone(),
                members: proposals.into_keys().collect(),
                refused: edited
                    .refused
                    .into_iter()
                    .chain(stale.into_iter().map(|member| (member, STALE.to_owned())))
                    .collect(),
            });
            self.release(held, Some(entry)).await?;
        }
        Ok(settled)
    }

    /// Drops them; they are not proposed again until the code changes.
    pub(super) async fn reject(&self, paths: &[PathBuf]) -> Result<Vec<Settled>, DaemonError> {
        let mut settled = Vec::new();
        for (project, path, _) in self.proposed(paths).await? {
            let held = self.hold(&project, &path).await?;
            let Some(mut entry) = held.ledger.clone() else {
                self.release(held, None).await?;
                continue;
            };
            let proposals = std::mem::take(&mut entry.proposals);
            for (member, proposal) in &proposals {
                if proposal.body.is_some() {
                    let block = entry.blocks.entry(member.clone()).or_default();
                    block.deleted.insert(proposal.key.clone());
                }
            }
            settled.push(Settled {
                path,
                test_path: entry.test_path.clone(),
                members: proposals.into_keys().collect(),
                refused: Vec::new(),
            });
            self.release(held, Some(entry)).await?;
        }
        Ok(settled)
    }

    /// Files with proposals: those named, or all.
    async fn proposed(
        &self,
        paths: &[PathBuf],
    ) -> Result<Vec<(Project, RelPath, LedgerEntry)>, DaemonError> {
        let mut found = Vec::new();
        if paths.is_empty() {
            found = self.ledgers().await?;
        }
        for path in paths {
            found.push(self.named(path).await?);
        }
        found.retain(|(.., entry)| !entry.proposals.is_empty());
        Ok(found)
    }
}

const STALE: &str = "the code has changed since; a new proposal comes with `testsmith generate`";

/// Members whose code is not what their proposals were made for.
fn stale(entry: &LedgerEntry, file: &SourceFile) -> Vec<MemberName> {
    let is_stale = |(member, proposal): &(&MemberName, &Proposal)| {
        let now = file.members.iter().find(|m| m.name == **member);
        proposal.body.is_some()
            && proposal.source.is_some()
            && now.map(|member| member.digest) != proposal.source
    };
    let proposals = entry.proposals.iter().filter(is_stale);
    proposals.map(|(member, _)| member.clone()).collect()
}

fn edits(entry: &LedgerEntry, without: &[MemberName]) -> Vec<BlockEdit> {
    let proposals = entry.proposals.iter();
    proposals
        .filter(|(member, _)| !without.contains(member))
        .map(|(member, proposal)| match &proposal.body {
            Some(body) => BlockEdit::Put {
                member: member.clone(),
                key: proposal.key.clone(),
                body: body.clone(),
                verified: proposal.unverified.is_none(),
            },
            None => BlockEdit::Remove {
                member: member.clone(),
            },
        })
        .collect()
}
