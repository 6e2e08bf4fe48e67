//! What is to be done for each member of a file, decided without asking anybody.

use std::collections::HashMap;
use std::sync::Arc;

use testsmith_domain::{
    Block, BlockKey, BlockState, CacheKey, LanguageDriver, LedgerEntry, MemberName, Project,
    RelPath, SourceFile,
};

/// One file to bring up to date.
#[derive(Debug, Clone)]
pub struct FileRequest {
    /// The project it is in.
    pub project: Project,
    /// The file, analyzed.
    pub file: Arc<SourceFile>,
    /// Its text.
    pub source: Arc<str>,
    /// Its language.
    pub driver: Arc<dyn LanguageDriver>,
    /// The blocks of its test file as it is now; empty if there is none.
    pub blocks: Vec<Block>,
    /// What was written for it before.
    pub ledger: Option<LedgerEntry>,
    /// The project's guidance for tests (`TESTSMITH.md`).
    pub guidance: Option<Arc<str>>,
}

/// What is to be done for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Every member of the file, in its order.
    pub members: Vec<PlannedMember>,
    /// Members that the file has no more but whose blocks nobody edited: they may go. Always empty
    /// for a file with syntax errors, whose members cannot all be seen.
    pub obsolete: Vec<MemberName>,
}

/// What is to be done for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMember {
    /// The member.
    pub member: MemberName,
    /// The keys of its answer, one for each model of the chain, the preferred one's first; each also
    /// as a block is marked.
    pub answers: Vec<(CacheKey, BlockKey)>,
    /// The mark that counts now: that of the answer which is there, else the preferred model's.
    pub block_key: BlockKey,
    /// What is to be done.
    pub step: Step,
}

/// What is to be done for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: its block is there and up to date.
    Fresh,
    /// Nothing: its block was edited, so it is the user's.
    Edited,
    /// Nothing: the user deleted its block.
    Deleted {
        /// Whether the ledger does not know of it yet.
        newly: bool,
    },
    /// Nothing: its block is older than its code, but there is no model to write a better one.
    Kept,
    /// Nothing: the body for this key was run and did not hold.
    Quarantined,
    /// Nothing: tests of the body for this key are findings.
    Finding,
    /// Nothing: the body waits for the user to accept it.
    Proposed,
    /// A body is to be found in the cache, or asked for.
    Wanted,
}

/// What answers are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants {
    /// Whether bodies would be worth more than an older block.
    pub(crate) replaces: bool,
    /// Whether only the preferred model's answers will do.
    pub(crate) prefers: bool,
}

/// Decides for every member of `request`. `answers_of` gives the keys of the member at an index.
pub(crate) fn plan(
    request: &FileRequest,
    answers_of: impl Fn(usize) -> Option<Vec<(CacheKey, BlockKey)>>,
    wants: Wants,
) -> Plan {
    let mut blocks: HashMap<&MemberName, &Block> = HashMap::with_capacity(request.blocks.len());
    for block in &request.blocks {
        // A block that the user copied counts as edited if any copy is.
        let known = blocks.entry(&block.member).or_insert(block);
        if block.state == BlockState::Edited {
            *known = block;
        }
    }
    let names = request.file.members.iter().map(|member| &member.name);
    let members = names
        .enumerate()
        .filter_map(|(at, name)| {
            let answers = answers_of(at)?;
            let about = About {
                block: blocks.remove(name),
                entry: request.ledger.as_ref(),
                test_path: &request.file.test_path,
                member: name,
                answers: &answers,
            };
            let (step, block_key) = about.step(wants)?;
            Some(PlannedMember {
                member: name.clone(),
                block_key,
                answers,
                step,
            })
        })
        .collect();
    Plan {
        members,
        obsolete: obsolete(request, &blocks),
    }
}

/// What is known of one member.
struct About<'a> {
    block: Option<&'a Block>,
    entry: Option<&'a LedgerEntry>,
    test_path: &'a RelPath,
    member: &'a MemberName,
    answers: &'a [(CacheKey, BlockKey)],
}

impl<'a> About<'a> {
    /// What is to be done, and the mark that counts now. `None` without any answer to wish for.
    fn step(&self, wants: Wants) -> Option<(Step, BlockKey)> {
        let preferred = &self.answers.first()?.1;
        let of_block = self.block.and_then(|block| self.known(&block.key));
        let step = match self.block {
            Some(block) if block.state == BlockState::Edited => {
                (Step::Edited, of_block.unwrap_or(preferred))
            }
            Some(_) if of_block.is_some_and(|key| will_do(key, preferred, wants)) => {
                (Step::Fresh, of_block?)
            }
            Some(_) if !wants.replaces => (Step::Kept, preferred),
            block => {
                let deleted = block.is_none().then(|| self.deleted()).flatten();
                let held_back = || {
                    let (step, key) = self.held_back()?;
                    Some(if will_do(key, preferred, wants) {
                        (step, key)
                    } else {
                        // What is known of it stays known until there is something better.
                        (Step::Wanted, key)
                    })
                };
                let wanted = (Step::Wanted, of_block.unwrap_or(preferred));
                deleted.or_else(held_back).unwrap_or(wanted)
            }
        };
        Some((step.0, step.1.clone()))
    }

    /// The key as one of the member's own.
    fn known(&self, key: &BlockKey) -> Option<&'a BlockKey> {
        self.keys().find(|own| *own == key)
    }

    fn keys(&self) -> impl Iterator<Item = &'a BlockKey> {
        self.answers.iter().map(|(_, key)| key)
    }

    /// Whether the body for one of the keys is known, and kept out of the tree.
    fn held_back(&self) -> Option<(Step, &'a BlockKey)> {
        let entry = self.entry?;
        let proposal = entry.proposals.get(self.member);
        let block = entry.blocks.get(self.member);
        self.keys().find_map(|key| {
            if proposal.is_some_and(|proposal| proposal.key == *key) {
                return Some((Step::Proposed, key));
            }
            let block = block?;
            if block.findings.iter().any(|finding| finding.key == *key) {
                return Some((Step::Finding, key));
            }
            block.is_settled(key).then_some((Step::Quarantined, key))
        })
    }

    /// Whether the user deleted the member's block, as far as the ledger tells.
    fn deleted(&self) -> Option<(Step, &'a BlockKey)> {
        let entry = self.entry?;
        let block = entry.blocks.get(self.member)?;
        if let Some(key) = self.keys().find(|key| block.deleted.contains(*key)) {
            return Some((Step::Deleted { newly: false }, key));
        }
        // A block written to another file is not missing from this one.
        let written = block.written.as_ref()?;
        let key = self.known(&written.key)?;
        (entry.test_path == *self.test_path).then_some((Step::Deleted { newly: true }, key))
    }
}

/// Whether the answer of this key is good enough.
fn will_do(key: &BlockKey, preferred: &BlockKey, wants: Wants) -> bool {
    !wants.prefers || key == preferred
}

/// The members of the blocks that are left once those of the file's members are taken out, in the
/// order of the test file.
fn obsolete(request: &FileRequest, left: &HashMap<&MemberName, &Block>) -> Vec<MemberName> {
    if !request.file.problems.is_empty() {
        return Vec::new();
    }
    let mut names: Vec<MemberName> = Vec::new();
    for block in &request.blocks {
        let pristine = left
            .get(&block.member)
            .is_some_and(|block| block.state == BlockState::Pristine);
        if pristine && !names.contains(&block.member) {
            names.push(block.member.clone());
        }
    }
    names
}
