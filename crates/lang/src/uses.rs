//! What a member's tests depend on (design §5): the definitions of its file that it uses, and
//! theirs in turn, and the imports among them.
//!
//! A driver lists all definitions of a file, members among them, each with the names by which
//! others use it and the names it uses itself. Names are plain keys: a driver that wants methods
//! in a name space of their own writes them `.total` in both places.
//!
//! Digests do not depend on the order of definitions in the file.

use std::collections::{BTreeMap, BTreeSet};

use testsmith_domain::{ContentHash, FieldHasher};
use tree_sitter::Node;

use crate::dialect::Dialect;
use crate::syntax::Parsed;
use crate::tokens::{Comments, digest};

/// One definition of a file.
#[derive(Debug, Clone)]
pub(crate) struct Definition<'n> {
    /// The names by which others use it.
    pub(crate) names: Vec<String>,
    /// A name that must be in use as well for this definition to be: a method counts as used
    /// only where its type is. Without effect if no definition of the file has that name.
    pub(crate) requires: Option<String>,
    /// Its nodes, doc comments and decorators first.
    pub(crate) nodes: Vec<Node<'n>>,
    /// What its text starts with where the nodes lack it: `const ` for one line of a group.
    pub(crate) lead: &'static str,
    /// The names it uses, its own among them or not.
    pub(crate) uses: BTreeSet<String>,
}

/// An import of a source file, as far as digests need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportUse {
    /// The names by which code uses it.
    pub(crate) locals: Vec<String>,
    /// The import in a form that layout does not change.
    pub(crate) text: String,
}

/// The definitions of one file.
#[derive(Debug)]
pub(crate) struct Definitions<'n> {
    all: Vec<Definition<'n>>,
    texts: Vec<String>,
    digests: Vec<ContentHash>,
    by_name: BTreeMap<String, Vec<usize>>,
    imports: Vec<ImportUse>,
}

/// What one definition depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependencies {
    /// The text of the definition itself.
    pub(crate) text: String,
    /// The text of the definitions it uses, transitively, in file order.
    pub(crate) uses: Vec<String>,
    /// The places, in the list given to [`Definitions::new`], of the definition itself and of those
    /// it uses: for drivers that have to know whether one of them is broken.
    pub(crate) reached: BTreeSet<usize>,
    /// Digest of all of it, and of the imports among them.
    pub(crate) digest: ContentHash,
}

impl<'n> Definitions<'n> {
    /// Takes in the definitions of `file`, in file order.
    pub(crate) fn new(
        dialect: &dyn Dialect,
        file: &Parsed<'_>,
        all: Vec<Definition<'n>>,
        imports: Vec<ImportUse>,
    ) -> Self {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, definition) in all.iter().enumerate() {
            for name in &definition.names {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
        let texts = all.iter().map(|d| d.text(file)).collect();
        let digests = all
            .iter()
            .map(|d| {
                let tokens = digest(dialect, file, d.nodes.iter().copied(), Comments::Doc);
                let lead = FieldHasher::new().field(d.lead);
                lead.field(tokens.as_bytes()).finish()
            })
            .collect();
        Self {
            all,
            texts,
            digests,
            by_name,
            imports,
        }
    }

    /// What the definition at `index` (in the list given to [`Definitions::new`]) depends on.
    pub(crate) fn of(&self, index: usize) -> Dependencies {
        let (reached, names) = self.reach(index);
        let others = || reached.iter().copied().filter(|other| *other != index);
        let mut used: Vec<&ContentHash> = others().filter_map(|i| self.digests.get(i)).collect();
        used.sort();
        let mut imports: Vec<&str> = self
            .imports
            .iter()
            .filter(|import| {
                import
                    .locals
                    .iter()
                    .any(|local| names.contains(local.as_str()))
            })
            .map(|import| import.text.as_str())
            .collect();
        imports.sort_unstable();
        imports.dedup();

        let mut hasher = FieldHasher::new();
        if let Some(own) = self.digests.get(index) {
            hasher.add(own.as_bytes());
        }
        hasher.add((used.len() as u64).to_be_bytes());
        for digest in used {
            hasher.add(digest.as_bytes());
        }
        for import in imports {
            hasher.add(import);
        }
        Dependencies {
            text: self.texts.get(index).cloned().unwrap_or_default(),
            uses: others()
                .filter_map(|i| self.texts.get(i).cloned())
                .collect(),
            digest: hasher.finish(),
            reached,
        }
    }

    /// The definitions reached from one, itself included, and all names they use.
    fn reach(&self, start: usize) -> (BTreeSet<usize>, BTreeSet<&str>) {
        let mut reached = BTreeSet::from([start]);
        let mut names: BTreeSet<&str> = BTreeSet::new();
        // Definitions that were named before what they require was.
        let mut waiting: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut queue = vec![start];
        while let Some(index) = queue.pop() {
            let Some(definition) = self.all.get(index) else {
                continue;
            };
            for name in definition.uses.iter().map(String::as_str) {
                if !names.insert(name) {
                    continue;
                }
                let mut candidates = waiting.remove(name).unwrap_or_default();
                candidates.extend(self.by_name.get(name).into_iter().flatten());
                for candidate in candidates {
                    match self.unmet(candidate, &names) {
                        Some(required) => waiting.entry(required).or_default().push(candidate),
                        None if reached.insert(candidate) => queue.push(candidate),
                        None => {}
                    }
                }
            }
        }
        (reached, names)
    }

    /// The name that the definition still lacks to count as used.
    fn unmet(&self, index: usize, names: &BTreeSet<&str>) -> Option<&str> {
        let required = self.all.get(index)?.requires.as_deref()?;
        (self.by_name.contains_key(required) && !names.contains(required)).then_some(required)
    }
}

impl Definition<'_> {
    /// The bytes from its first node to its last.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        let start = self.nodes.iter().map(Node::start_byte).min().unwrap_or(0);
        let end = self.nodes.iter().map(Node::end_byte).max().unwrap_or(start);
        start..end
    }

    /// Its nodes' text: what stands between them is kept if it is white space.
    fn text(&self, file: &Parsed<'_>) -> String {
        let mut out = String::new();
        let mut end: Option<usize> = None;
        for node in &self.nodes {
            // The lead belongs to what is defined, not to the comments above it.
            if !self.lead.is_empty() && Some(node) == self.nodes.last() {
                out.push_str(end.map_or("", |_| "\n"));
                out.push_str(self.lead);
            } else if let Some(end) = end {
                let gap = file.slice(end..node.start_byte());
                let keep = end <= node.start_byte() && gap.trim().is_empty();
                out.push_str(if keep { gap } else { "\n" });
            }
            out.push_str(file.of(*node));
            end = Some(node.end_byte());
        }
        out
    }
}
