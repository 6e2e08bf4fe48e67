//! Bringing a model's code into the form that is cached.

use std::collections::BTreeSet;

use testsmith_domain::{BodyProblem, SourceFile};

use super::dialect::GoDialect;
use super::{imports, names};
use crate::body::clean;
use crate::compose::trim_blank_lines;
use crate::dialect::{Dialect, Import, Item, TextEdit, apply};
use crate::syntax::{Parsed, is_comment, named_children, walk};

/// See [`testsmith_domain::LanguageDriver::prepare_body`]. The prepared form is one import
/// declaration, if there are imports, an empty line, and the code.
pub(super) fn prepare(file: &SourceFile, code: &str) -> Result<String, BodyProblem> {
    let code = clean(&GoDialect, code)?;
    let parsed = GoDialect.parse(&code);
    if let Some(problem) = GoDialect::body_problems(&parsed).into_iter().next() {
        return Err(BodyProblem::Syntax(problem));
    }
    let tests = names::tests(&parsed);
    if tests.is_empty() {
        return Err(BodyProblem::NoTest);
    }
    if names::defined(&parsed)
        .iter()
        .any(|(name, _)| name == "TestMain")
    {
        return Err(BodyProblem::Forbidden(
            "`TestMain`, of which a package has one",
        ));
    }
    let statements = imports::statements(&parsed);
    let (own, others): (Vec<Import>, Vec<Import>) = statements
        .into_iter()
        .flat_map(|statement| statement.imports)
        .partition(|import| is_self(file, import));
    let bare = apply(&code, cuts(&parsed, &own), "\n");
    let bare = trim_blank_lines(&bare);
    let bare_parsed = GoDialect.parse(&bare);
    let imports = needed(file, &bare_parsed, others);
    let body = if imports.is_empty() {
        bare
    } else {
        format!("{}\n\n{bare}", imports::render(&imports))
    };
    // What was cut out may have held more together than it should; nothing broken is cached.
    let whole = GoDialect.parse(&body);
    match GoDialect::body_problems(&whole).into_iter().next() {
        Some(problem) => Err(BodyProblem::Syntax(problem)),
        None => Ok(body),
    }
}

/// What does not belong into a body: the package clause, import declarations, build constraints,
/// and the package's own name before its own names.
fn cuts(parsed: &Parsed<'_>, own: &[Import]) -> Vec<TextEdit> {
    let mut cuts = Vec::new();
    for node in named_children(parsed.root()) {
        let text = parsed.of(node);
        let constraint = text.starts_with("//go:build") || text.starts_with("// +build");
        let goes = matches!(node.kind(), "package_clause" | "import_declaration")
            || (is_comment(node) && constraint);
        if goes {
            cuts.push(TextEdit::remove(parsed.whole_lines(&node.byte_range())));
        }
    }
    let own: BTreeSet<&str> = own.iter().filter_map(|i| i.local.as_deref()).collect();
    let local = names::declared_inside(parsed, parsed.root());
    walk(parsed.root(), |node| {
        if let Some(name) = names::qualifier(node)
            && own.contains(parsed.of(name))
            && !local.contains(parsed.of(name))
            && let Some(field) = node.child(node.child_count().saturating_sub(1))
        {
            cuts.push(TextEdit::remove(name.start_byte()..field.start_byte()));
        }
        crate::syntax::Descend::Yes
    });
    cuts
}

/// Whether `import` is the package under test. The module's path is not known here, so this
/// goes by the package's name, and for an import under another name by the folder as well.
fn is_self(file: &SourceFile, import: &Import) -> bool {
    let root = import.module.split('/').next().unwrap_or_default();
    let name = imports::package_name(&import.module);
    if name != file.module || STANDARD_ROOTS.contains(&root) || import.item == Item::Nothing {
        return false;
    }
    let folder = file.path.dir();
    let in_folder = import.module.ends_with(&format!("/{folder}"));
    import.local.as_ref().is_none_or(|local| *local == name) || in_folder
}

/// The imports that `code` needs: those given that it uses, and well-known ones that it uses but
/// that were forgotten.
fn needed(file: &SourceFile, code: &Parsed<'_>, given: Vec<Import>) -> Vec<Import> {
    let used = names::qualifiers(code, code.root());
    let mut known = names::declared_inside(code, code.root());
    known.extend(names::defined(code).into_iter().map(|(name, _)| name));
    let (mut kept, unused): (Vec<Import>, Vec<Import>) =
        given.into_iter().partition(|import| import.used_by(&used));
    for qualifier in &used {
        let is_kept = kept
            .iter()
            .any(|import| import.local.as_ref() == Some(qualifier));
        // Packages are lower-case; what is not is a variable of the package under test.
        if is_kept || known.contains(qualifier) || names::is_exported(qualifier) {
            continue;
        }
        if let Some(import) = unused
            .iter()
            .find(|import| may_be_called(import, qualifier))
        {
            // The package's name is not its path's: say so.
            kept.push(Import {
                local: Some(qualifier.clone()),
                ..import.clone()
            });
        } else if let Some(path) = well_known(file, qualifier) {
            kept.push(imports::plain(path));
        }
    }
    kept.sort_by(|a, b| (&a.module, &a.local).cmp(&(&b.module, &b.local)));
    kept.dedup();
    kept
}

fn may_be_called(import: &Import, qualifier: &str) -> bool {
    let plain = import.local == Some(imports::package_name(&import.module));
    plain && import.module.replace(['-', '_'], "").contains(qualifier)
}

/// The package that nearly everyone means by this name.
pub(super) fn well_known(file: &SourceFile, name: &str) -> Option<&'static str> {
    let testify = [
        "github.com/stretchr/testify/assert",
        "github.com/stretchr/testify/mock",
        "github.com/stretchr/testify/require",
    ];
    let testify = testify.iter().filter(|_| file.framework.0 == "testify");
    let mut all = WELL_KNOWN.iter().chain(testify);
    all.find(|path| imports::package_name(path) == name)
        .copied()
}

/// Packages of the standard library that tests use, whose names nothing else commonly has.
const WELL_KNOWN: &[&str] = &[
    "bufio",
    "bytes",
    "cmp",
    "context",
    "encoding/json",
    "errors",
    "fmt",
    "io",
    "maps",
    "math",
    "net/http",
    "net/http/httptest",
    "net/url",
    "os",
    "path/filepath",
    "reflect",
    "regexp",
    "slices",
    "sort",
    "strconv",
    "strings",
    "sync",
    "sync/atomic",
    "testing",
    "time",
    "unicode",
    "unicode/utf8",
];

/// First elements of the standard library's paths.
const STANDARD_ROOTS: &[&str] = &[
    "archive",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "weak",
];
