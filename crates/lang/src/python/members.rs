//! The public members of a module.
//!
//! # What counts
//!
//! - Functions at the top level and methods of classes there, by [`Outline::is_public`]; methods
//!   without a leading underscore. What is defined inside functions or nested classes is not.
//! - Not counted: what has no behaviour to test yet (a body of `...`, `pass` or
//!   `raise NotImplementedError`), overloads, abstract methods, pytest fixtures, protocols, and what
//!   only type checkers see.
//! - A class is a member itself where it behaves beyond its methods: it has operators or other
//!   special methods that the language calls, or a constructor that decides something. Plain
//!   data, whose special methods `@dataclass` and the like write, is left to the tests that use
//!   it.
//!
//! Several definitions of one name (overloads, a property's setter, the branches of an `if`) are
//! one member.
//!
//! # What its tests depend on
//!
//! A class is taken apart: its *frame* (bases, fields, special methods) and each method by itself.
//! Who names the class uses the frame; a method counts as used where its class is and something
//! is called by its name. So an edit of one method is no change for those that do not call it.

use std::collections::{BTreeMap, BTreeSet};

use testsmith_domain::{Member, MemberImport, MemberKind, MemberName};
use tree_sitter::Node;

use super::class_parts::{ClassParts, is_testable};
use super::dialect::Python;
use super::names;
use super::outline::{
    Outline, Top, TopKind, bases, body_of, decorators, doc, last_name, signature, undecorated,
};
use crate::dialect::Import;
use crate::syntax::Parsed;
use crate::uses::{Definition, Definitions, ImportUse};

/// The public members of `file`, in file order.
pub(super) fn members(file: &Parsed<'_>) -> Vec<Member> {
    let outline = Outline::of(file);
    let mut parts = Parts::default();
    parts.collect(file, &outline);
    let definitions = Definitions::new(&Python, file, parts.definitions, import_uses(&outline));
    let mut found: Vec<(usize, Member)> = parts
        .members
        .into_iter()
        .map(|draft| (draft.at, draft.finish(file, &definitions)))
        .collect();
    found.sort_by_key(|(at, _)| *at);
    let mut seen = BTreeSet::new();
    found.retain(|(_, member)| seen.insert(member.name.clone()));
    found.into_iter().map(|(_, member)| member).collect()
}

/// A key that every definition uses: what `from x import *` brings may be any name.
const STAR: &str = "*";

fn import_uses(outline: &Outline<'_>) -> Vec<ImportUse> {
    let text =
        |import: &Import| format!("{}\n{:?}\n{:?}", import.module, import.item, import.local);
    outline
        .imports
        .iter()
        .filter(|import| import.module != "__future__")
        .map(|import| ImportUse {
            locals: vec![import.local.clone().unwrap_or_else(|| STAR.to_owned())],
            text: text(import),
        })
        .collect()
}

/// A member before its dependencies are known.
#[derive(Debug)]
struct Draft<'n> {
    /// Where it stands.
    at: usize,
    /// Its definition's index.
    definition: usize,
    name: String,
    kind: MemberKind,
    class: Option<String>,
    /// The definition that tells its signature and documentation.
    main: Node<'n>,
    /// What it spans.
    range: std::ops::Range<usize>,
}

impl Draft<'_> {
    fn finish(self, file: &Parsed<'_>, definitions: &Definitions<'_>) -> Member {
        let inner = undecorated(self.main);
        let dependencies = definitions.of(self.definition);
        let import = self.class.as_ref().unwrap_or(&self.name).clone();
        let name = match &self.class {
            Some(class) => format!("{class}.{}", self.name),
            None => self.name,
        };
        Member {
            name: MemberName(name),
            kind: self.kind,
            signature: signature(file, self.main),
            doc: doc(file, &body_of(inner)),
            receiver: self.class,
            is_async: inner.child(0).is_some_and(|first| first.kind() == "async"),
            text: dedent(&dependencies.text, self.main.start_position().column),
            uses: dependencies.uses,
            digest: dependencies.digest,
            lines: file.lines(&self.range),
            import: MemberImport::Named(import),
        }
    }
}

/// Takes up to `columns` of white space off each line but the first, which starts at the node.
fn dedent(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let own = line.len() - line.trim_start_matches([' ', '\t']).len();
        let cut = if index == 0 { 0 } else { own.min(columns) };
        out.push_str(line.get(cut..).unwrap_or(line));
    }
    out
}

#[derive(Default)]
struct Parts<'n> {
    definitions: Vec<Definition<'n>>,
    members: Vec<Draft<'n>>,
}

impl<'n> Parts<'n> {
    fn collect(&mut self, file: &Parsed<'_>, outline: &Outline<'n>) {
        for (index, guard) in outline.guards.iter().enumerate() {
            let uses = used(file, &[*guard]);
            self.define(vec![guard_key(index)], None, vec![*guard], uses);
        }
        let mut groups: BTreeMap<(&str, TopKind), Vec<&Top<'n>>> = BTreeMap::new();
        for top in &outline.tops {
            groups.entry((&top.name, top.kind)).or_default().push(top);
        }
        for top in &outline.tops {
            // With the first of its group all of them are done.
            let Some(all) = groups.remove(&(top.name.as_str(), top.kind)) else {
                continue;
            };
            let guards = all.iter().flat_map(|top| &top.guards);
            let guards: BTreeSet<String> = guards.map(|at| guard_key(*at)).collect();
            match top.kind {
                TopKind::Function => self.function(file, outline, &all, guards),
                TopKind::Class => {
                    for class in &all {
                        self.class(file, outline, class, &guards);
                    }
                }
                TopKind::Value => {
                    let nodes: Vec<Node<'n>> = all.iter().map(|top| top.node).collect();
                    let mut uses = used(file, &nodes);
                    uses.extend(guards);
                    self.define(vec![top.name.clone()], None, nodes, uses);
                }
            }
        }
    }

    fn define(
        &mut self,
        names: Vec<String>,
        requires: Option<String>,
        nodes: Vec<Node<'n>>,
        mut uses: BTreeSet<String>,
    ) -> usize {
        uses.insert(STAR.to_owned());
        // What else is said of its name belongs to it: `total = cache(total)`.
        uses.extend(names.iter().cloned());
        self.definitions.push(Definition {
            names,
            requires,
            nodes,
            lead: "",
            uses,
        });
        self.definitions.len() - 1
    }

    fn function(
        &mut self,
        file: &Parsed<'_>,
        outline: &Outline<'n>,
        all: &[&Top<'n>],
        guards: BTreeSet<String>,
    ) {
        let Some(name) = all.first().map(|top| top.name.clone()) else {
            return;
        };
        let nodes: Vec<Node<'n>> = all.iter().map(|top| top.node).collect();
        let mut uses = used(file, &nodes);
        uses.extend(guards);
        let mut keys = vec![name.clone()];
        keys.extend(nodes.iter().flat_map(|node| registered_with(file, *node)));
        let definition = self.define(keys, None, nodes.clone(), uses);
        let last = all
            .iter()
            .rev()
            .find(|top| !top.typing_only && is_testable(file, top.node));
        if let Some(main) = last
            && outline.is_public(&name)
        {
            self.member(
                definition,
                name,
                MemberKind::Function,
                None,
                (main.node, &nodes),
            );
        }
    }

    fn class(
        &mut self,
        file: &Parsed<'_>,
        outline: &Outline<'n>,
        top: &Top<'n>,
        guards: &BTreeSet<String>,
    ) {
        let class = undecorated(top.node);
        let parts = ClassParts::of(file, top.node);
        let public = outline.is_public(&top.name)
            && !top.typing_only
            && !bases(class)
                .into_iter()
                .any(|base| last_name(file, base) == "Protocol");

        let mut uses = used(file, &parts.frame);
        uses.extend(guards.iter().cloned());
        let frame = self.define(vec![top.name.clone()], None, parts.frame.clone(), uses);
        if public && parts.behaves(file) {
            let place = (top.node, parts.frame.as_slice());
            self.member(frame, top.name.clone(), MemberKind::Type, None, place);
        }
        for (name, nodes) in parts.methods {
            let mut uses = used(file, &nodes);
            uses.insert(top.name.clone());
            let definition = self.define(
                vec![format!(".{name}")],
                Some(top.name.clone()),
                nodes.clone(),
                uses,
            );
            let main = nodes.iter().find(|node| is_testable(file, **node));
            if let Some(main) = main
                && public
                && !name.starts_with('_')
            {
                let class = Some(top.name.clone());
                self.member(definition, name, MemberKind::Method, class, (*main, &nodes));
            }
        }
    }

    fn member(
        &mut self,
        definition: usize,
        name: String,
        kind: MemberKind,
        class: Option<String>,
        (main, nodes): (Node<'n>, &[Node<'n>]),
    ) {
        let start = nodes.iter().map(Node::start_byte).min();
        let end = nodes.iter().map(Node::end_byte).max();
        let range = start.unwrap_or(main.start_byte())..end.unwrap_or(main.end_byte());
        self.members.push(Draft {
            at: range.start,
            definition,
            name,
            kind,
            class,
            main,
            range,
        });
    }
}

fn guard_key(index: usize) -> String {
    format!("?{index}")
}

/// The names these nodes use, as keys: attributes with a dot before them.
fn used(file: &Parsed<'_>, nodes: &[Node<'_>]) -> BTreeSet<String> {
    let mut uses = names::Uses::default();
    for node in nodes {
        uses.add(names::uses(file, *node));
    }
    let attributes = uses.attributes.into_iter().map(|name| format!(".{name}"));
    uses.names.into_keys().chain(attributes).collect()
}

/// `@area.register` makes a function part of `area`.
fn registered_with(file: &Parsed<'_>, node: Node<'_>) -> Vec<String> {
    decorators(node)
        .into_iter()
        .filter(|decorator| last_name(file, *decorator) == "register")
        .filter_map(|decorator| names::base_name(file, decorator))
        .map(str::to_owned)
        .collect()
}
