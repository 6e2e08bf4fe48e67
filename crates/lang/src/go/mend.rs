//! Repair by rule, from what the Go compiler says.

use std::collections::BTreeSet;
use std::ops::Range;

use testsmith_domain::{Member, SourceFile};
use tree_sitter::Node;

use super::dialect::GoDialect;
use super::prepare::well_known;
use super::{imports, names};
use crate::compose::split_imports;
use crate::dialect::{Dialect, Import, Item, TextEdit, apply};
use crate::mend::{free_name, names_before, names_behind, quoted_behind, taken_names};
use crate::syntax::{Descend, Parsed, named_children, walk};

/// See [`testsmith_domain::LanguageDriver::mend`].
pub(super) fn mend(file: &SourceFile, member: &Member, body: &str, said: &str) -> Option<String> {
    let (code, statements) = split_imports(&GoDialect, body);
    let mut needed: Vec<Import> = statements.into_iter().flat_map(|s| s.imports).collect();
    let before = (code.clone(), needed.clone());

    let unused = unused_imports(said);
    needed.retain(|import| !unused.contains(import.module.as_str()));
    let undefined = names_behind(said, "undefined: ");
    let code = without_own_package(&code, file, &undefined);
    add_missing(file, &code, &undefined, &mut needed);

    let mut taken = names_before(said, " redeclared in this block");
    taken.extend(taken_names(said));
    let code = rename_imports(&code, &taken, &mut needed);
    let (code, twice) = rename_second(&code);
    taken.retain(|name| !twice.contains(name));
    let code = rename_taken(&code, member, &taken, said);

    if (&code, &needed) == (&before.0, &before.1) {
        return None;
    }
    Some(if needed.is_empty() {
        code
    } else {
        format!("{}\n\n{code}", imports::render(&needed))
    })
}

/// The paths of imports that nothing uses: `"os" imported and not used`, and
/// `"gopkg.in/yaml.v3" imported as yaml and not used`.
fn unused_imports(said: &str) -> BTreeSet<&str> {
    said.lines()
        .filter(|line| line.contains(" imported ") && line.contains(" and not used"))
        .flat_map(|line| quoted_behind(line, ": "))
        .collect()
}

/// The package under test called by its name from within: `shop.Total` becomes `Total`.
fn without_own_package(code: &str, file: &SourceFile, undefined: &BTreeSet<String>) -> String {
    if !undefined.contains(&file.module) {
        return code.to_owned();
    }
    let parsed = GoDialect.parse(code);
    let mut cuts = Vec::new();
    walk(parsed.root(), |node| {
        if let Some(name) = names::qualifier(node)
            && parsed.of(name) == file.module
            && let Some(field) = node.child(node.child_count().saturating_sub(1))
        {
            cuts.push(TextEdit::remove(name.start_byte()..field.start_byte()));
        }
        Descend::Yes
    });
    apply(code, cuts, "\n")
}

fn add_missing(
    file: &SourceFile,
    code: &str,
    undefined: &BTreeSet<String>,
    needed: &mut Vec<Import>,
) {
    let parsed = GoDialect.parse(code);
    for name in names::qualifiers(&parsed, parsed.root()) {
        let local = Some(&name);
        if undefined.contains(&name)
            && needed.iter().all(|import| import.local.as_ref() != local)
            && let Some(path) = well_known(file, &name).or_else(|| told(file, &name))
        {
            needed.push(imports::plain(path));
        }
    }
}

/// The package that is most likely meant by a name of which the compiler says that it means nothing
/// in the package.
fn told(file: &SourceFile, name: &str) -> Option<&'static str> {
    let suite = "github.com/stretchr/testify/suite";
    let testify = (file.framework.0 == "testify").then_some(&suite);
    STANDARD
        .iter()
        .chain(testify)
        .find(|path| imports::package_name(path) == name)
        .copied()
}

/// Beside those that are added without asking, see [`well_known`]. Of those with the same name the
/// one that tests use more often comes first.
const STANDARD: &[&str] = &[
    "math/rand",
    "crypto/rand",
    "text/template",
    "html/template",
    "archive/tar",
    "archive/zip",
    "compress/gzip",
    "compress/zlib",
    "container/heap",
    "container/list",
    "container/ring",
    "crypto",
    "crypto/aes",
    "crypto/cipher",
    "crypto/ecdsa",
    "crypto/ed25519",
    "crypto/elliptic",
    "crypto/hmac",
    "crypto/md5",
    "crypto/rsa",
    "crypto/sha1",
    "crypto/sha256",
    "crypto/sha512",
    "crypto/subtle",
    "crypto/tls",
    "crypto/x509",
    "database/sql",
    "database/sql/driver",
    "embed",
    "encoding",
    "encoding/base32",
    "encoding/base64",
    "encoding/binary",
    "encoding/csv",
    "encoding/gob",
    "encoding/hex",
    "encoding/pem",
    "encoding/xml",
    "expvar",
    "flag",
    "go/ast",
    "go/format",
    "go/parser",
    "go/token",
    "hash",
    "hash/adler32",
    "hash/crc32",
    "hash/crc64",
    "hash/fnv",
    "hash/maphash",
    "html",
    "image",
    "image/color",
    "image/draw",
    "image/gif",
    "image/jpeg",
    "image/png",
    "index/suffixarray",
    "io/fs",
    "io/ioutil",
    "iter",
    "log",
    "log/slog",
    "math/big",
    "math/bits",
    "math/cmplx",
    "mime",
    "mime/multipart",
    "net",
    "net/http/cookiejar",
    "net/http/httputil",
    "net/mail",
    "net/netip",
    "net/rpc",
    "net/smtp",
    "net/textproto",
    "os/exec",
    "os/signal",
    "os/user",
    "path",
    "regexp/syntax",
    "runtime",
    "runtime/debug",
    "runtime/pprof",
    "syscall",
    "testing/fstest",
    "testing/iotest",
    "testing/quick",
    "text/scanner",
    "text/tabwriter",
    "unicode/utf16",
    "unsafe",
];

/// An import whose name the file has for another package gets its path for a name:
/// `crypto/rand` becomes `cryptorand`.
fn rename_imports(code: &str, taken: &BTreeSet<String>, needed: &mut [Import]) -> String {
    let parsed = GoDialect.parse(code);
    let hidden = names::declared_inside(&parsed, parsed.root());
    let mut edits = Vec::new();
    for import in needed.iter_mut() {
        let Some(local) = import.local.clone().filter(|local| taken.contains(local)) else {
            continue;
        };
        let long: String = import
            .module
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        if import.item != Item::Module || hidden.contains(&local) || long == local {
            continue;
        }
        walk(parsed.root(), |node| {
            if let Some(name) = names::qualifier(node)
                && parsed.of(name) == local
            {
                edits.push(TextEdit::replace(name.byte_range(), &long));
            }
            Descend::Yes
        });
        import.local = Some(long);
    }
    apply(code, edits, "\n")
}

/// What the body itself defines twice: of two alike the second goes; otherwise the second gets a
/// name of its own. Gives the names with it.
fn rename_second(code: &str) -> (String, BTreeSet<String>) {
    let parsed = GoDialect.parse(code);
    let mut taken = identifiers(&parsed);
    let mut first: Vec<(&str, Node<'_>)> = Vec::new();
    let mut twice = BTreeSet::new();
    let mut edits = Vec::new();
    for node in named_children(parsed.root()) {
        let Some(name) = (node.kind() == "function_declaration")
            .then(|| node.child_by_field_name("name"))
            .flatten()
        else {
            continue;
        };
        let text = parsed.of(name);
        let Some((_, other)) = first.iter().find(|(other, _)| *other == text) else {
            first.push((text, node));
            continue;
        };
        if text == "init" || text == "_" {
            continue;
        }
        twice.insert(text.to_owned());
        if parsed.of(*other) == parsed.of(node) {
            edits.push(TextEdit::remove(parsed.whole_lines(&node.byte_range())));
        } else {
            let new = free_name(text, |name| taken.contains(name));
            edits.push(TextEdit::replace(name.byte_range(), &new));
            taken.insert(new);
        }
    }
    (apply(code, edits, "\n"), twice)
}

/// Gives what is defined elsewhere as well a name with the member's in it.
fn rename_taken(code: &str, member: &Member, taken: &BTreeSet<String>, said: &str) -> String {
    let parsed = GoDialect.parse(code);
    let hidden = names::declared_inside(&parsed, parsed.root());
    let defined = names::defined(&parsed);
    let mut used = identifiers(&parsed);
    let mut edits = Vec::new();
    for (old, _) in defined {
        let clashes = taken.contains(&old) && !old.contains('.') && !hidden.contains(&old);
        if !clashes {
            continue;
        }
        let wanted = member_name(&old, member.name.as_str());
        let new = free_name(&wanted, |name| {
            name == old || used.contains(name) || said.contains(&format!("{name} "))
        });
        edits.extend(
            places(&parsed, &old)
                .into_iter()
                .map(|at| TextEdit::replace(at, &new)),
        );
        used.insert(new);
    }
    apply(code, edits, "\n")
}

/// `TestCart_Total_Empty` for `TestEmpty`, `newFakeForCartTotal` for `newFake`.
fn member_name(name: &str, member: &str) -> String {
    let camel = member.replace(['.', '_'], "");
    let snake = member.replace('.', "_");
    if name.contains(&camel) || name.contains(&snake) {
        return name.to_owned();
    }
    let prefix = ["Test", "Benchmark", "Fuzz", "Example"]
        .into_iter()
        .find(|prefix| names::is_test_name(name) && name.starts_with(prefix));
    match prefix.and_then(|prefix| Some((prefix, name.strip_prefix(prefix)?))) {
        Some((prefix, "")) => format!("{prefix}{snake}"),
        Some((prefix, rest)) => format!("{prefix}{snake}_{}", rest.trim_start_matches('_')),
        None => format!("{name}For{camel}"),
    }
}

/// Where a name of the top level stands; not as the key of a literal, which names a field.
fn places(parsed: &Parsed<'_>, name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    walk(parsed.root(), |node| {
        let is_name = matches!(node.kind(), "identifier" | "type_identifier");
        if is_name && parsed.of(node) == name && !is_key(node) {
            found.push(node.byte_range());
        }
        Descend::Yes
    });
    found
}

fn is_key(node: Node<'_>) -> bool {
    let element = node.parent().filter(|p| p.kind() == "literal_element");
    let keyed = element.and_then(|element| {
        let keyed = element.parent().filter(|p| p.kind() == "keyed_element")?;
        Some(
            keyed.child_by_field_name("key") == Some(element)
                || keyed.named_child(0) == Some(element),
        )
    });
    keyed.unwrap_or(false)
}

fn identifiers(parsed: &Parsed<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(parsed.root(), |node| {
        if node.kind().ends_with("identifier") {
            found.insert(parsed.of(node).to_owned());
        }
        Descend::Yes
    });
    found
}
