//! Repair by rule, from what Node, the test runners and TypeScript say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use testsmith_domain::{Member, SourceFile};
use tree_sitter::Node;

use super::imports::{canonical, import};
use super::manifest::Runner;
use super::names::{declared, used};
use super::prepare::render;
use super::script::{SUBJECT, Script};
use crate::compose::split_imports;
use crate::dialect::{Dialect, Import, Item, TextEdit, apply};
use crate::mend::{free_name, names_before, names_behind, quoted_behind, taken_names};
use crate::syntax::{Descend, Parsed, named_children, walk};

/// See [`testsmith_domain::LanguageDriver::mend`].
pub(super) fn mend(file: &SourceFile, member: &Member, body: &str, said: &str) -> Option<String> {
    let script = Script::reading(&file.test_path);
    let (code, statements) = split_imports(&script, body);
    let mut needed: Vec<Import> = statements.into_iter().flat_map(|s| s.imports).collect();
    let before = (code.clone(), needed.clone());

    without_unknown_modules(said, &mut needed);
    let code = in_the_runner_s_words(&script, &code, file, &missing_names(said));
    add_missing(&script, &code, file, &missing_names(said), &mut needed);
    let code = rename_second(&script, &code, said);
    let code = rename_taken(&script, &code, member, said, &mut needed);

    if (&code, &needed) == (&before.0, &before.1) {
        return None;
    }
    needed.sort();
    needed.dedup();
    Some(if needed.is_empty() {
        code
    } else {
        format!("{}\n\n{code}", render(&needed))
    })
}

fn missing_names(said: &str) -> BTreeSet<String> {
    let mut names = names_before(said, " is not defined");
    names.extend(names_behind(said, "Cannot find name "));
    // TypeScript knows the types of a runner that is not there.
    names.extend(names_behind(said, "Cannot use namespace "));
    names
}

/// Imports by paths that lead nowhere: names are then looked up in the module under test, and what
/// has another name in the body is imported from there.
fn without_unknown_modules(said: &str, needed: &mut Vec<Import>) {
    let mut unknown = quoted_behind(said, "Cannot find module ");
    unknown.extend(quoted_behind(said, "Failed to resolve import "));
    let urls = said.split("Failed to load url ").skip(1);
    unknown.extend(urls.filter_map(|rest| rest.split_whitespace().next()));
    needed.retain_mut(|import| {
        let tail = import.module.trim_start_matches(['.', '/']);
        // Node gives the whole path, from the root.
        let is_unknown = import.module.starts_with('.')
            && unknown.iter().any(|path| {
                path.trim_start_matches(['.', '/']) == tail || path.ends_with(&format!("/{tail}"))
            });
        if !is_unknown {
            return true;
        }
        match &import.item {
            Item::Name(name) if import.local.as_ref() != Some(name) => {}
            Item::Module => {}
            _ => return false,
        }
        SUBJECT.clone_into(&mut import.module);
        true
    });
}

/// What other runners call the same: `jest.fn()` becomes `vi.fn()` under vitest.
fn in_the_runner_s_words(
    script: &Script<'_>,
    code: &str,
    file: &SourceFile,
    missing: &BTreeSet<String>,
) -> String {
    let words: &[(&str, &str)] = match Runner::of(&file.framework) {
        Runner::Vitest => &[
            ("jest", "vi"),
            ("before", "beforeAll"),
            ("after", "afterAll"),
            ("context", "describe"),
            ("specify", "it"),
        ],
        Runner::Jest => &[
            ("vi", "jest"),
            ("before", "beforeAll"),
            ("after", "afterAll"),
            ("context", "describe"),
            ("specify", "it"),
            ("suite", "describe"),
        ],
        Runner::Node => &[
            ("beforeAll", "before"),
            ("afterAll", "after"),
            ("context", "describe"),
            ("specify", "it"),
        ],
        Runner::Mocha | Runner::MochaChai => &[
            ("beforeAll", "before"),
            ("afterAll", "after"),
            ("test", "it"),
            ("suite", "describe"),
        ],
    };
    let parsed = script.parse(code);
    let free = used(&parsed, [parsed.root()]);
    let all = 0..code.len();
    let edits = words
        .iter()
        .filter(|(theirs, _)| missing.contains(*theirs) && free.contains(*theirs))
        .flat_map(|(theirs, ours)| renames(&parsed, &all, theirs, ours))
        .collect();
    apply(code, edits, "\n")
}

fn add_missing(
    script: &Script<'_>,
    code: &str,
    file: &SourceFile,
    missing: &BTreeSet<String>,
    needed: &mut Vec<Import>,
) {
    let parsed = script.parse(code);
    let free = used(&parsed, [parsed.root()]);
    for name in missing.intersection(&free) {
        let local = Some(name);
        if needed.iter().all(|import| import.local.as_ref() != local) {
            needed.extend(subject(file, name).or_else(|| of_node(name)));
        }
    }
}

/// The module under test, if `name` is what one would call it: `shoppingCart` for
/// `shopping-cart.ts`.
fn subject(file: &SourceFile, name: &str) -> Option<Import> {
    let plain = |text: &str| {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    let stem = file.path.stem();
    let folder = file.path.dir().rsplit('/').next().unwrap_or_default();
    let own = plain(name) == plain(stem) || (stem == "index" && plain(name) == plain(folder));
    own.then(|| import(SUBJECT, Item::Module, Some(name)))
}

/// A module of Node's, or a function that only one of them has.
fn of_node(name: &str) -> Option<Import> {
    let module = canonical(name);
    if name == "assert" {
        return Some(import("node:assert/strict", Item::Default, Some(name)));
    }
    if module != name {
        return Some(import(&module, Item::Module, Some(name)));
    }
    let (module, _) = FUNCTIONS
        .iter()
        .find(|(_, names)| names.split_whitespace().any(|known| known == name))?;
    Some(import(module, Item::Name(name.to_owned()), Some(name)))
}

const FUNCTIONS: &[(&str, &str)] = &[
    ("node:async_hooks", "AsyncLocalStorage AsyncResource"),
    (
        "node:child_process",
        "execFile execFileSync execSync fork spawn spawnSync",
    ),
    (
        "node:crypto",
        "createHash createHmac randomBytes randomUUID timingSafeEqual",
    ),
    ("node:events", "EventEmitter"),
    (
        "node:fs",
        "appendFileSync copyFileSync createReadStream createWriteStream existsSync mkdirSync \
         mkdtempSync readFileSync readdirSync renameSync rmSync statSync symlinkSync unlinkSync \
         writeFileSync",
    ),
    (
        "node:fs/promises",
        "mkdir mkdtemp readFile readdir rm writeFile",
    ),
    ("node:os", "homedir tmpdir"),
    (
        "node:path",
        "basename dirname extname isAbsolute join normalize relative resolve sep",
    ),
    (
        "node:stream",
        "Duplex PassThrough Readable Transform Writable",
    ),
    ("node:stream/promises", "pipeline"),
    ("node:url", "fileURLToPath pathToFileURL"),
    ("node:util", "format inspect isDeepStrictEqual promisify"),
    (
        "node:worker_threads",
        "MessageChannel Worker parentPort workerData",
    ),
    ("node:zlib", "deflateSync gunzipSync gzipSync inflateSync"),
];

/// What one scope declares twice: of two alike the second goes; otherwise the second, and what
/// comes after it, gets a name of its own.
fn rename_second(script: &Script<'_>, code: &str, said: &str) -> String {
    let mut twice = names_before(said, " has already been declared");
    twice.extend(names_behind(
        said,
        "Cannot redeclare block-scoped variable ",
    ));
    twice.extend(names_behind(said, "Duplicate identifier "));
    let functions = said.contains("Duplicate function implementation");
    let parsed = script.parse(code);
    let mut names = identifiers(&parsed);
    let mut edits = Vec::new();
    walk(parsed.root(), |scope| {
        if !matches!(scope.kind(), "program" | "statement_block") {
            return Descend::Yes;
        }
        let mut seen: BTreeMap<&str, Vec<Node<'_>>> = BTreeMap::new();
        for statement in named_children(scope) {
            for name in declared_by(&parsed, statement) {
                let is_function = statement.kind() == "function_declaration";
                if twice.contains(name) || (functions && is_function) {
                    seen.entry(name).or_default().push(statement);
                }
            }
        }
        for (name, statements) in seen {
            edits.extend(distinct(&parsed, scope, name, &statements, &mut names));
        }
        Descend::Yes
    });
    apply(code, edits, "\n")
}

fn distinct(
    parsed: &Parsed<'_>,
    scope: Node<'_>,
    name: &str,
    statements: &[Node<'_>],
    names: &mut BTreeSet<String>,
) -> Vec<TextEdit> {
    let Some((first, others)) = statements.split_first() else {
        return Vec::new();
    };
    let mut edits = Vec::new();
    for (index, statement) in others.iter().enumerate() {
        if parsed.of(*first) == parsed.of(*statement) {
            edits.push(TextEdit::remove(
                parsed.whole_lines(&statement.byte_range()),
            ));
            continue;
        }
        let next = others.get(index + 1);
        let end = next.map_or(scope.end_byte(), Node::start_byte);
        let new = free_name(name, |name| names.contains(name));
        names.insert(new.clone());
        edits.extend(renames(parsed, &(statement.start_byte()..end), name, &new));
    }
    edits
}

fn declared_by<'t>(parsed: &Parsed<'t>, statement: Node<'_>) -> Vec<&'t str> {
    match statement.kind() {
        "lexical_declaration" | "variable_declaration" => named_children(statement)
            .into_iter()
            .flat_map(|node| declared(parsed, node))
            .collect(),
        "function_declaration" | "generator_function_declaration" | "class_declaration" => {
            declared(parsed, statement)
        }
        _ => Vec::new(),
    }
}

/// Gives what other blocks of the file have as well a name with the member's in it.
fn rename_taken(
    script: &Script<'_>,
    code: &str,
    member: &Member,
    said: &str,
    needed: &mut [Import],
) -> String {
    let taken = taken_names(said);
    let parsed = script.parse(code);
    let mut names = identifiers(&parsed);
    let defined: BTreeSet<String> = script
        .defined_names(&parsed)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let camel: String = member.name.as_str().split('.').map(capitalised).collect();
    let mut edits = Vec::new();
    for old in &taken {
        let imported = needed.iter_mut().find(|i| i.local.as_ref() == Some(old));
        if imported.is_none() && !defined.contains(old) {
            continue;
        }
        let wanted = if old.contains(&camel) {
            old.clone()
        } else {
            format!("{old}For{camel}")
        };
        let new = free_name(&wanted, |name| name == old || names.contains(name));
        edits.extend(renames(&parsed, &(0..code.len()), old, &new));
        names.insert(new.clone());
        if let Some(import) = imported {
            import.local = Some(new);
        }
    }
    apply(code, edits, "\n")
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}

/// The edits that give every variable and type called `old` in a range the name `new`; properties
/// keep theirs.
fn renames(parsed: &Parsed<'_>, range: &Range<usize>, old: &str, new: &str) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    walk(parsed.root(), |node| {
        if range.contains(&node.start_byte()) && parsed.of(node) == old {
            match node.kind() {
                "identifier" | "type_identifier" => {
                    edits.push(TextEdit::replace(node.byte_range(), new));
                }
                "shorthand_property_identifier" | "shorthand_property_identifier_pattern" => {
                    edits.push(TextEdit::replace(
                        node.byte_range(),
                        format!("{old}: {new}"),
                    ));
                }
                _ => {}
            }
        }
        Descend::Yes
    });
    edits
}

fn identifiers(parsed: &Parsed<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(parsed.root(), |node| {
        if node.kind().contains("identifier") {
            found.insert(parsed.of(node).to_owned());
        }
        Descend::Yes
    });
    found
}
