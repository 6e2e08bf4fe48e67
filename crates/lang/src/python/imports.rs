//! Reading and writing import statements.

use tree_sitter::Node;

use crate::dialect::{Import, Item};
use crate::syntax::{Parsed, named_children};

/// What a statement imports; empty if `node` is no import statement.
pub(super) fn read(file: &Parsed<'_>, node: Node<'_>) -> Vec<Import> {
    match node.kind() {
        "import_statement" => named_children(node)
            .into_iter()
            .filter_map(|name| whole_module(file, name))
            .collect(),
        "import_from_statement" => {
            let Some(module) = node.child_by_field_name("module_name") else {
                return Vec::new();
            };
            names_of(file, node, &dotted(file, module), Some(module))
        }
        "future_import_statement" => names_of(file, node, "__future__", None),
        _ => Vec::new(),
    }
}

/// Whether `node` is an import statement of any kind.
pub(super) fn is_import(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "import_statement" | "import_from_statement" | "future_import_statement"
    )
}

/// `import a.b` binds `a`; `import a.b as c` binds `c`.
fn whole_module(file: &Parsed<'_>, node: Node<'_>) -> Option<Import> {
    let (name, alias) = match node.kind() {
        "dotted_name" => (node, None),
        "aliased_import" => (node.child_by_field_name("name")?, file.field(node, "alias")),
        _ => return None,
    };
    let module = dotted(file, name);
    let first = module.split('.').next().unwrap_or_default().to_owned();
    Some(Import {
        local: Some(alias.map_or(first, str::to_owned)),
        module,
        item: Item::Module,
        type_only: false,
    })
}

fn names_of(
    file: &Parsed<'_>,
    node: Node<'_>,
    module: &str,
    module_node: Option<Node<'_>>,
) -> Vec<Import> {
    named_children(node)
        .into_iter()
        .filter(|child| Some(*child) != module_node)
        .filter_map(|child| {
            let (item, local) = match child.kind() {
                "wildcard_import" => (Item::All, None),
                "dotted_name" => {
                    let name = dotted(file, child);
                    (Item::Name(name.clone()), Some(name))
                }
                "aliased_import" => {
                    let name = dotted(file, child.child_by_field_name("name")?);
                    (
                        Item::Name(name),
                        file.field(child, "alias").map(str::to_owned),
                    )
                }
                _ => return None,
            };
            // A future statement is a switch: it is never unused.
            let local = local.filter(|_| module != "__future__");
            Some(Import {
                module: module.to_owned(),
                item,
                local,
                type_only: false,
            })
        })
        .collect()
}

/// A dotted name without the white space that may stand in it.
fn dotted(file: &Parsed<'_>, node: Node<'_>) -> String {
    file.of(node).split_whitespace().collect()
}

/// The import as one statement, without line end.
fn statement(import: &Import) -> String {
    let Import {
        module,
        item,
        local,
        ..
    } = import;
    match item {
        Item::Module => match local {
            Some(local) if local != first_part(module) => format!("import {module} as {local}"),
            _ => format!("import {module}"),
        },
        _ => format!("from {module} import {}", clause(import)),
    }
}

/// What stands behind `import` in a `from` statement.
fn clause(import: &Import) -> String {
    match (&import.item, &import.local) {
        (Item::Name(name), Some(local)) if name != local => format!("{name} as {local}"),
        (Item::Name(name), _) => name.clone(),
        _ => "*".to_owned(),
    }
}

/// The statements that import all of these, one for each module, in the order that isort and
/// ruff give them, each with its section: see [`section`].
pub(super) fn statements(imports: &[Import], is_local: impl Fn(&str) -> bool) -> Vec<(u8, String)> {
    let mut sorted: Vec<(u8, &Import)> = imports
        .iter()
        .map(|import| (section(&import.module, &is_local), import))
        .collect();
    sorted.sort_by_key(|(section, import)| (*section, order(import)));
    sorted.dedup();
    let mut lines: Vec<(u8, &str, Vec<String>)> = Vec::new();
    for (section, import) in sorted {
        if import.item == Item::Module {
            lines.push((section, "", vec![statement(import)]));
            continue;
        }
        match lines.last_mut() {
            Some((_, module, names)) if *module == import.module => names.push(clause(import)),
            _ => lines.push((section, &import.module, vec![clause(import)])),
        }
    }
    let text = |module: &str, names: &[String]| match module {
        "" => names.concat(),
        module => from_statement(module, names),
    };
    lines
        .into_iter()
        .map(|(section, module, names)| (section, text(module, &names)))
        .collect()
}

/// The statements one below the other, with an empty line between sections if `spaced`.
pub(super) fn render(imports: &[Import], is_local: impl Fn(&str) -> bool, spaced: bool) -> String {
    let mut out = String::new();
    let mut last = None;
    for (section, statement) in statements(imports, is_local) {
        if last.is_some() {
            out.push('\n');
        }
        if spaced && last.is_some_and(|last| last != section) {
            out.push('\n');
        }
        out.push_str(&statement);
        last = Some(section);
    }
    out
}

/// `from module import a, b`, broken as black breaks it where it is longer than 88 columns.
fn from_statement(module: &str, names: &[String]) -> String {
    let line = format!("from {module} import {}", names.join(", "));
    if line.chars().count() <= 88 || names.len() < 2 {
        return line;
    }
    format!("from {module} import (\n    {},\n)", names.join(",\n    "))
}

/// Future statements, then the standard library, then what is installed, then the project's own.
fn section(module: &str, is_local: impl Fn(&str) -> bool) -> u8 {
    match () {
        () if module == "__future__" => 0,
        () if is_local(module) => 3,
        () if is_standard(module) => 1,
        () => 2,
    }
}

/// Sorts within a section: `import` before `from`, then modules, then names (constants, classes,
/// the rest).
fn order(import: &Import) -> (bool, &str, u8, String) {
    let name = clause(import);
    let case = match () {
        () if name.len() > 1 && !name.contains(char::is_lowercase) => 0,
        () if name.starts_with(char::is_uppercase) => 1,
        () => 2,
    };
    (import.item != Item::Module, &import.module, case, name)
}

/// The part of a dotted name before the first dot.
pub(super) fn first_part(module: &str) -> &str {
    module.split('.').next().unwrap_or_default()
}

/// Whether a module comes with Python.
pub(super) fn is_standard(module: &str) -> bool {
    let first = first_part(module);
    STANDARD.split(' ').any(|name| name == first)
}

/// The public top-level modules of Python 3.11 (`sys.stdlib_module_names`).
const STANDARD: &str = "\
    __future__ abc aifc antigravity argparse array ast asynchat asyncio asyncore atexit audioop \
    base64 bdb binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code \
    codecs codeop collections colorsys compileall concurrent configparser contextlib contextvars \
    copy copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils \
    doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch \
    fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip \
    hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect io ipaddress \
    itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math \
    mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath \
    nturl2path numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools \
    pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd \
    py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource \
    rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtpd \
    smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat \
    statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny \
    tarfile telnetlib tempfile termios textwrap this threading time timeit tkinter token \
    tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata \
    unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib \
    xml xmlrpc zipapp zipfile zipimport zlib zoneinfo";
