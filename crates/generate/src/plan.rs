//! What is to be done for each member of a file, decided without asking anybody.

use std::collections::HashMap;
use std::sync::Arc;

use testsmith_domain::{
    Block, BlockKey, BlockState, CacheKey, LanguageDriver, LedgerEntry, MemberName, Project,
    SourceFile,
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
    /// The key of its answer.
    pub key: CacheKey,
    /// The same, as its block is marked.
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

/// Decides for every member of `request`. `key_of` gives the key of the member at an index;
/// `replaces` tells whether bodies would be worth more than an older block.
pub(crate) fn plan(
    request: &FileRequest,
    key_of: impl Fn(usize) -> Option<CacheKey>,
    replaces: bool,
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
            let key = key_of(at)?;
            let block_key = BlockKey(key.short());
            let block = blocks.remove(name);
            let step = step(request, block, name, &block_key, replaces);
            Some(PlannedMember {
                member: name.clone(),
                key,
                block_key,
                step,
            })
        })
        .collect();
    Plan {
        members,
        obsolete: obsolete(request, &blocks),
    }
}

fn step(
    request: &FileRequest,
    block: Option<&Block>,
    member: &MemberName,
    key: &BlockKey,
    replaces: bool,
) -> Step {
    match block {
        Some(block) if block.state == BlockState::Edited => Step::Edited,
        Some(block) if block.key == *key => Step::Fresh,
        Some(_) if !replaces => Step::Kept,
        Some(_) => held_back(request, member, key).unwrap_or(Step::Wanted),
        None => deleted(request, member, key)
            .or_else(|| held_back(request, member, key))
            .unwrap_or(Step::Wanted),
    }
}

/// Whether the body for this key is known, and kept out of the tree.
fn held_back(request: &FileRequest, member: &MemberName, key: &BlockKey) -> Option<Step> {
    let entry = request.ledger.as_ref()?;
    if entry.proposals.get(member).is_some_and(|p| p.key == *key) {
        return Some(Step::Proposed);
    }
    let block = entry.blocks.get(member)?;
    if block.findings.iter().any(|finding| finding.key == *key) {
        return Some(Step::Finding);
    }
    block.is_settled(key).then_some(Step::Quarantined)
}

/// Whether the user deleted the member's block, as far as the ledger tells.
fn deleted(request: &FileRequest, member: &MemberName, key: &BlockKey) -> Option<Step> {
    let entry = request.ledger.as_ref()?;
    let block = entry.blocks.get(member)?;
    if block.deleted.contains(key) {
        return Some(Step::Deleted { newly: false });
    }
    // A block written to another file is not missing from this one.
    let written = block.written.as_ref()?;
    (written.key == *key && entry.test_path == request.file.test_path)
        .then_some(Step::Deleted { newly: true })
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
