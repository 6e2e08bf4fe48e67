//! What the ledger remembers of a file.

use std::collections::BTreeMap;

use testsmith_domain::{
    Block, BlockEdit, BlockKey, BlockState, ContentHash, FindingState, LedgerBlock, LedgerEntry,
    MemberName, Proposal, Quarantined, Verdict, WrittenBlock,
};
use testsmith_generate::Decision;

use super::{Merge, Written};
use crate::verification::unix_seconds;

/// What the reason of a member begins with that holds a secret.
const NOT_SENT: &str = "not sent";

impl Merge {
    /// What to remember of the file from now on.
    pub(crate) fn entry(&self) -> LedgerEntry {
        if let Some(entry) = self.ledger.as_ref().filter(|_| self.whole_file_is_gone()) {
            return self.with_findings(entry.clone());
        }
        let known = self.ledger.as_ref().map(|entry| entry.blocks.clone());
        let mut blocks = known.unwrap_or_default();
        // Of a block that was taken out, the text tells which imports are to go with it.
        let are_to_go = self.existed_before && self.written == Written::NotYet;
        for block in blocks.values_mut() {
            block.written.take_if(|_| !are_to_go);
            block.unverified = None;
        }
        for block in &self.blocks {
            let entry = blocks.entry(block.member.clone()).or_default();
            entry.written = self.written(block);
            entry.unverified = self.unverified(block);
        }
        for (member, key) in &self.result.newly_deleted {
            let block = blocks.entry(member.clone()).or_default();
            block.deleted.insert(key.clone());
        }
        for (member, key, decision) in &self.result.decisions {
            if let Some(block) = blocks.get_mut(member) {
                block.told = matches!(decision, Decision::Edited | Decision::Deleted);
                let since = block.theirs_since.unwrap_or_else(unix_seconds);
                block.theirs_since = block.told.then_some(since);
                block.outdated = is_outdated(Some(block), key, decision).then(|| key.clone());
            }
        }
        self.with_findings(LedgerEntry {
            test_path: self.file.test_path.clone(),
            blocks,
            proposals: BTreeMap::new(),
        })
    }

    /// The block's text as it was written. Of one that was edited, the text from before that: what
    /// the user changed is told from it.
    fn written(&self, block: &Block) -> Option<WrittenBlock> {
        match block.state {
            BlockState::Pristine => Some(WrittenBlock {
                key: block.key.clone(),
                sum: self.driver.body_sum(&self.file.test_path, &block.body),
                body: block.body.clone(),
            }),
            BlockState::Edited => self.known(&block.member)?.written.clone(),
        }
    }

    fn unverified(&self, block: &Block) -> Option<String> {
        if block.verified || block.state == BlockState::Edited {
            return None;
        }
        let now = self.trial.unverified.get(&block.member).cloned();
        let before = || self.known(&block.member)?.unverified.clone();
        Some(now.or_else(before).unwrap_or_default())
    }

    pub(super) fn known(&self, member: &MemberName) -> Option<&LedgerBlock> {
        self.ledger.as_ref()?.blocks.get(member)
    }

    fn digest_of(&self, member: &MemberName) -> Option<ContentHash> {
        let mut members = self.file.members.iter();
        members.find(|m| m.name == *member).map(|m| m.digest)
    }

    /// Adds what did not hold in this run, and drops what was found for older code.
    fn with_findings(&self, mut entry: LedgerEntry) -> LedgerEntry {
        for (member, quarantined) in &self.trial.quarantined {
            let block = entry.blocks.entry(member.clone()).or_default();
            block.quarantine = Some(quarantined.clone());
        }
        for (member, key, decision) in &self.result.decisions {
            // What could not even be read is not asked for again either. What was not sent costs
            // nothing, and may be sent once the user allows it.
            if let Decision::Missing { reason } = decision
                && !reason.starts_with(NOT_SENT)
                && self.result.error.is_none()
            {
                let block = entry.blocks.entry(member.clone()).or_default();
                block.quarantine = Some(Quarantined {
                    key: key.clone(),
                    body: String::new(),
                    verdict: Verdict::DoesNotCompile,
                    output: reason.clone(),
                    since: unix_seconds(),
                });
            }
        }
        for (member, findings) in &self.trial.findings {
            let block = entry.blocks.entry(member.clone()).or_default();
            block.findings.clone_from(findings);
        }
        let can_see_all = self.file.problems.is_empty();
        for (member, block) in &mut entry.blocks {
            let mut decisions = self.result.decisions.iter();
            let now = decisions.find(|(of, ..)| of == member);
            let is_old = |key: &BlockKey| match now {
                Some((_, now, _)) => now != key,
                None => can_see_all,
            };
            block
                .quarantine
                .take_if(|quarantined| is_old(&quarantined.key));
            block.findings.retain(|finding| !is_old(&finding.key));
        }
        entry.blocks.retain(|_, block| !block.is_empty());
        entry
    }

    /// The edits, as they wait for the user.
    pub(crate) fn proposals(&self, edits: &[BlockEdit]) -> BTreeMap<MemberName, Proposal> {
        let refused = |member: &MemberName| self.rejected.iter().any(|(of, _)| of == member);
        let proposals = edits.iter().filter_map(|edit| match edit {
            BlockEdit::Put {
                member, key, body, ..
            } => Some((
                member.clone(),
                Proposal {
                    key: key.clone(),
                    body: Some(body.clone()),
                    unverified: self.trial.unverified.get(member).cloned(),
                    source: self.digest_of(member),
                },
            )),
            BlockEdit::Remove { member } => {
                let block = self.blocks.iter().find(|block| block.member == *member)?;
                Some((
                    member.clone(),
                    Proposal {
                        key: block.key.clone(),
                        body: None,
                        unverified: None,
                        source: None,
                    },
                ))
            }
            BlockEdit::Gone { .. } => None,
        });
        // What was proposed before for the same code is not found anew: it waits on.
        let before = self.ledger.iter().flat_map(|entry| &entry.proposals);
        let waits_on = before.filter(|(member, proposal)| {
            self.result.decisions.iter().any(|(of, key, decision)| {
                of == *member && *key == proposal.key && *decision == Decision::Proposed
            })
        });
        let waits_on = waits_on.map(|(member, proposal)| (member.clone(), proposal.clone()));
        proposals
            .filter(|(member, _)| !refused(member))
            .chain(waits_on)
            .collect()
    }
}

/// Whether a block of the user's own tests older code than there is now.
pub(super) fn is_outdated(
    block: Option<&LedgerBlock>,
    key: &BlockKey,
    decision: &Decision,
) -> bool {
    let Some(block) = block else { return false };
    let older = block
        .written
        .as_ref()
        .is_some_and(|written| written.key != *key);
    let accepted = block
        .findings
        .iter()
        .any(|finding| finding.key == *key && finding.state == FindingState::Accepted);
    *decision == Decision::Edited && older && !accepted
}
