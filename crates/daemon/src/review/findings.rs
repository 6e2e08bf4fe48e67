//! Tests that fail each time: wrong themselves, or right about wrong code.

use std::path::PathBuf;
use std::sync::Arc;

use testsmith_domain::{
    BlockEdit, Finding, FindingState, LedgerEntry, MemberName, Project, RelPath,
};

use super::edit::note_written;
use super::{FindingReport, QuarantineReport, Review, Settled};
use crate::error::DaemonError;

impl Review {
    /// The open findings, or all of them.
    pub(super) async fn findings(&self, all: bool) -> Result<Vec<FindingReport>, DaemonError> {
        let mut reports = Vec::new();
        for (_, path, entry) in self.ledgers().await? {
            for (member, block) in &entry.blocks {
                let findings = block.findings.iter();
                let shown = findings.filter(|f| all || f.state == FindingState::Open);
                reports.extend(shown.map(|finding| FindingReport {
                    path: path.clone(),
                    member: member.clone(),
                    test_path: entry.test_path.clone(),
                    finding: finding.clone(),
                }));
            }
        }
        Ok(reports)
    }

    /// What is in quarantine.
    pub(super) async fn quarantine(&self) -> Result<Vec<QuarantineReport>, DaemonError> {
        let mut reports = Vec::new();
        for (_, path, entry) in self.ledgers().await? {
            for (member, block) in entry.blocks {
                if let Some(quarantined) = block.quarantine {
                    reports.push(QuarantineReport {
                        path: path.clone(),
                        member,
                        verdict: quarantined.verdict,
                        output: quarantined.output,
                        body: quarantined.body,
                        since: quarantined.since,
                    });
                }
            }
        }
        Ok(reports)
    }

    /// Lets go what is in quarantine; a running service asks for it at once.
    pub(super) async fn release_quarantine(
        &self,
        paths: &[PathBuf],
    ) -> Result<Vec<Settled>, DaemonError> {
        let mut found = Vec::new();
        if paths.is_empty() {
            found = self.ledgers().await?;
        }
        for path in paths {
            found.push(self.named(path).await?);
        }
        let mut settled = Vec::new();
        for (project, path, entry) in found {
            if entry
                .blocks
                .values()
                .all(|block| block.quarantine.is_none())
            {
                continue;
            }
            let mut held = self.hold(&project, &path).await?;
            held.run_again();
            let mut members = Vec::new();
            let mut entry = held.ledger.clone().unwrap_or(entry);
            for (member, block) in &mut entry.blocks {
                if block.quarantine.take().is_some() {
                    members.push(member.clone());
                }
            }
            entry.blocks.retain(|_, block| !block.is_empty());
            settled.push(Settled {
                path,
                test_path: entry.test_path.clone(),
                members,
                refused: Vec::new(),
            });
            self.release(held, Some(entry)).await?;
        }
        Ok(settled)
    }

    /// Writes the finding's test beside those of its member that hold. It will fail: the user wants
    /// it to.
    pub(super) async fn accept_finding(&self, id: &str) -> Result<Settled, DaemonError> {
        let (project, path, ..) = self.find(id).await?;
        let driver = self.driver_for(&path)?;
        let held = self.hold(&project, &path).await?;
        // As it is now that nobody else works on it.
        let found = async {
            let file = Arc::new(self.source(&project, &path).await?);
            let entry = held.ledger.clone().ok_or_else(|| unknown(id))?;
            let (member, finding) = of(&entry, id)?;
            Ok((file, entry, member, finding))
        };
        let (file, mut entry, member, finding) = match found.await {
            Ok(found) => found,
            Err(error) => return Err(self.give_back(held, error).await),
        };
        // With it those of the same body that hold, and those accepted before.
        let known = entry.blocks.get(&member);
        let accepted = known.map(|block| block.findings.iter());
        let accepted = accepted.into_iter().flatten();
        let keep: Vec<String> = accepted
            .filter(|other| other.state == FindingState::Accepted && other.key == finding.key)
            .map(|other| other.test.clone())
            .chain(finding.beside.clone())
            .chain([finding.test.clone()])
            .collect();
        let whole = driver.test_names(&file, &finding.body);
        let body = if whole.iter().all(|test| keep.contains(test)) {
            Some(finding.body.clone())
        } else {
            driver.keep_tests(&file, &finding.body, &keep)
        };
        let edits = [BlockEdit::Put {
            member: member.clone(),
            key: finding.key.clone(),
            // A test that cannot be told apart from the rest comes with it.
            body: body.unwrap_or(finding.body),
            verified: true,
        }];
        let edited = match self.edit(&project, &file, &entry, &edits).await {
            Ok(edited) => edited,
            Err(error) => {
                self.release(held, Some(entry)).await?;
                return Err(error);
            }
        };
        if edited.refused.is_empty() {
            note_written(&mut entry, &driver, &file, &edited);
            set_state(&mut entry, id, FindingState::Accepted);
        }
        let settled = Settled {
            path,
            test_path: file.test_path.clone(),
            members: vec![member],
            refused: edited.refused,
        };
        self.release(held, Some(entry)).await?;
        Ok(settled)
    }

    pub(super) async fn dismiss_finding(&self, id: &str) -> Result<Settled, DaemonError> {
        let (project, path, ..) = self.find(id).await?;
        let held = self.hold(&project, &path).await?;
        let entry = held.ledger.clone().ok_or_else(|| unknown(id));
        let found = entry.and_then(|entry| Ok((of(&entry, id)?.0, entry)));
        let (member, mut entry) = match found {
            Ok(found) => found,
            Err(error) => return Err(self.give_back(held, error).await),
        };
        set_state(&mut entry, id, FindingState::Dismissed);
        let settled = Settled {
            path,
            test_path: entry.test_path.clone(),
            members: vec![member],
            refused: Vec::new(),
        };
        self.release(held, Some(entry)).await?;
        Ok(settled)
    }

    async fn find(&self, id: &str) -> Result<(Project, RelPath, LedgerEntry), DaemonError> {
        let ledgers = self.ledgers().await?;
        let mut found = ledgers
            .into_iter()
            .filter(|(.., entry)| of(entry, id).is_ok());
        found.next().ok_or_else(|| unknown(id))
    }
}

fn of(entry: &LedgerEntry, id: &str) -> Result<(MemberName, Finding), DaemonError> {
    let mut all = entry.blocks.iter().flat_map(|(member, block)| {
        let findings = block.findings.iter();
        findings.map(move |finding| (member, finding))
    });
    let found = all.find(|(_, finding)| finding.id == id);
    let found = found.map(|(member, finding)| (member.clone(), finding.clone()));
    found.ok_or_else(|| unknown(id))
}

fn set_state(entry: &mut LedgerEntry, id: &str, state: FindingState) {
    let blocks = entry.blocks.values_mut();
    for finding in blocks.flat_map(|block| &mut block.findings) {
        if finding.id == id {
            finding.state = state;
        }
    }
}

/// There is no such finding.
pub(super) fn unknown(id: &str) -> DaemonError {
    DaemonError::Review(format!(
        "there is no finding `{id}`; `testsmith findings --all` lists them"
    ))
}
