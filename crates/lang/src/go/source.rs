//! Source files: which are, and the members in them.

use testsmith_domain::{
    Analysis, Framework, Language, Member, MemberImport, MemberKind, MemberName, NotSource,
    Project, RelPath, SourceFile,
};
use tree_sitter::Node;

use super::build::{Constraint, head};
use super::dialect::GoDialect;
use super::files::{Module, OWN_SUFFIX, is_go_file, is_test_file};
use super::{imports, names};
use crate::dialect::{Dialect, Item};
use crate::syntax::{Descend, Parsed, comments_above, named_children, walk};
use crate::uses::{Definition, Definitions, ImportUse};

/// Reads a file.
pub(super) fn analyze(project: &Project, path: &RelPath, source: &str) -> Analysis {
    if let Some(reason) = no_source_by_name(path) {
        return Analysis::NotSource(reason);
    }
    if is_generated(source) {
        return Analysis::NotSource(NotSource::Generated);
    }
    let file = GoDialect.parse(source);
    if Constraint::read(&file).is_some_and(|constraint| constraint.is_ignore()) {
        return Analysis::NotSource(NotSource::Excluded);
    }
    let problems = GoDialect.problems(&file);
    let members = if problems.is_empty() {
        members(&file)
    } else {
        Vec::new()
    };
    let package = names::package_clause(&file).map(|node| file.of(node).to_owned());
    Analysis::Source(SourceFile {
        path: path.clone(),
        language: Language::Go,
        framework: framework(project, path),
        module: package.unwrap_or_default(),
        test_path: path.sibling(&format!("{}{OWN_SUFFIX}", path.stem())),
        members,
        problems,
    })
}

fn no_source_by_name(path: &RelPath) -> Option<NotSource> {
    let vendored = |folder: &str| matches!(folder, "vendor" | "testdata");
    // `go build ./...` passes over these, whatever they hold.
    let hidden = |folder: &str| folder.starts_with(['_', '.']);
    let folders = || path.dir().split('/');
    if is_test_file(path) {
        Some(NotSource::Test)
    } else if folders().any(vendored) {
        Some(NotSource::Vendored)
    } else if folders().any(hidden) || !is_go_file(path) {
        Some(NotSource::Excluded)
    } else {
        None
    }
}

/// Go's own rule (`go help generate`): a line comment of these words before the package clause;
/// and what other generators write there.
fn is_generated(source: &str) -> bool {
    head(source).lines().any(|line| {
        let line = line.trim_end();
        (line.starts_with("// Code generated ") && line.ends_with(" DO NOT EDIT."))
            || line.contains("@generated")
    })
}

/// The framework that the project's tests are written for.
pub(super) fn framework(project: &Project, path: &RelPath) -> Framework {
    if let Some(framework) = project.framework_for(Language::Go) {
        return framework.clone();
    }
    let requires = Module::of(project, path).unwrap_or_default().requires;
    let has = |name: &str| requires.contains(name);
    let name = if has("github.com/stretchr/testify") {
        "testify"
    } else if has("go.uber.org/mock") || has("github.com/golang/mock") {
        "gomock"
    } else {
        "go-testing"
    };
    Framework(name.to_owned())
}

fn members(file: &Parsed<'_>) -> Vec<Member> {
    let (definitions, candidates) = definitions(file);
    let ranges: Vec<_> = definitions.iter().map(Definition::range).collect();
    let definitions = Definitions::new(&GoDialect, file, definitions, import_uses(file));
    let mut members: Vec<Member> = Vec::new();
    for (index, node) in candidates {
        let Some((name, receiver)) = public_name(file, node) else {
            continue;
        };
        // Twice the same name does not compile; the first one stands.
        if members.iter().any(|member| member.name == name) {
            continue;
        }
        let dependencies = definitions.of(index);
        members.push(Member {
            name,
            kind: match receiver {
                Some(_) => MemberKind::Method,
                None => MemberKind::Function,
            },
            signature: signature(file, node).to_owned(),
            doc: doc(file, node),
            receiver,
            is_async: false,
            text: dependencies.text,
            uses: dependencies.uses,
            digest: dependencies.digest,
            lines: ranges.get(index).map_or((1, 1), |range| file.lines(range)),
            import: MemberImport::SamePackage,
        });
    }
    members
}

/// The member's name and its receiver's type, if it is public and worth a test. Methods of
/// unexported types are reached through what returns or takes them, and tested there.
fn public_name(file: &Parsed<'_>, node: Node<'_>) -> Option<(MemberName, Option<String>)> {
    let name = file.field(node, "name")?;
    if !names::is_exported(name) {
        return None;
    }
    if node.kind() == "method_declaration" {
        let receiver = names::receiver_type(file, node)?;
        let public = names::is_exported(receiver);
        return public.then(|| {
            (
                MemberName(format!("{receiver}.{name}")),
                Some(receiver.to_owned()),
            )
        });
    }
    (!names::is_test_name(name)).then(|| (MemberName::from(name), None))
}

/// A declaration without its body.
pub(super) fn signature<'t>(file: &Parsed<'t>, node: Node<'_>) -> &'t str {
    let end = node
        .child_by_field_name("body")
        .map_or(node.end_byte(), |body| body.start_byte());
    file.slice(node.start_byte()..end).trim_end()
}

/// The words of the doc comment, without directives to tools.
fn doc(file: &Parsed<'_>, node: Node<'_>) -> Option<String> {
    let mut lines: Vec<&str> = Vec::new();
    for comment in comments_above(file, node) {
        let text = file.of(comment).trim_end();
        if let Some(block) = text.strip_prefix("/*") {
            let block = block.strip_suffix("*/").unwrap_or(block);
            lines.extend(block.trim().lines().map(str::trim));
        } else if let Some(line) = text.strip_prefix("//")
            && !is_directive(line)
        {
            lines.push(line.strip_prefix(' ').unwrap_or(line));
        }
    }
    let doc = lines.join("\n").trim().to_owned();
    (!doc.is_empty()).then_some(doc)
}

/// `go:noinline`, `nolint:errcheck`: no space before, a colon after the first word.
fn is_directive(line: &str) -> bool {
    let (word, rest) = line.split_once(':').unwrap_or((line, " "));
    !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && !rest.starts_with(' ')
}

/// All definitions of a file, and which of them are functions and methods.
fn definitions<'f>(file: &'f Parsed<'_>) -> (Vec<Definition<'f>>, Vec<(usize, Node<'f>)>) {
    let mut all = Vec::new();
    let mut functions = Vec::new();
    for node in named_children(file.root()) {
        match node.kind() {
            "function_declaration" | "method_declaration" => {
                functions.push((all.len(), node));
                all.push(function(file, node));
            }
            "const_declaration" | "var_declaration" | "type_declaration" => {
                all.extend(declaration(file, node));
            }
            _ => {}
        }
    }
    (all, functions)
}

fn function<'f>(file: &'f Parsed<'_>, node: Node<'f>) -> Definition<'f> {
    let name = file.field(node, "name").unwrap_or_default();
    let receiver = names::receiver_type(file, node).map(str::to_owned);
    let is_method = node.kind() == "method_declaration";
    let mut nodes = comments_above(file, node);
    nodes.push(node);
    Definition {
        names: vec![if is_method {
            format!(".{name}")
        } else {
            name.to_owned()
        }],
        requires: receiver.filter(|_| is_method),
        lead: "",
        uses: names::used(file, &nodes),
        nodes,
    }
}

/// The definitions of a `const`, `var` or `type` declaration: one for each line of a group, but
/// a single one where lines depend on those before them, as with `iota`.
fn declaration<'f>(file: &'f Parsed<'_>, node: Node<'f>) -> Vec<Definition<'f>> {
    let specs = names::specs(node);
    let is_group = file.of(node).trim_end().ends_with(')') && {
        let open = file.of(node).split_whitespace().nth(1);
        open.is_some_and(|word| word.starts_with('('))
    };
    let all_names = |specs: &[Node<'_>]| -> Vec<String> {
        let names = specs.iter().flat_map(|spec| names::spec_names(file, *spec));
        names.map(str::to_owned).collect()
    };
    if !is_group || (node.kind() == "const_declaration" && depends_on_order(file, &specs)) {
        let mut nodes = comments_above(file, node);
        nodes.push(node);
        return vec![Definition {
            names: all_names(&specs),
            requires: None,
            lead: "",
            uses: names::used(file, &nodes),
            nodes,
        }];
    }
    let lead = match node.kind() {
        "const_declaration" => "const ",
        "var_declaration" => "var ",
        _ => "type ",
    };
    let single = |spec: Node<'f>| {
        let mut nodes = comments_above(file, spec);
        nodes.push(spec);
        Definition {
            names: all_names(&[spec]),
            requires: None,
            lead,
            uses: names::used(file, &nodes),
            nodes,
        }
    };
    specs.into_iter().map(single).collect()
}

fn depends_on_order(file: &Parsed<'_>, specs: &[Node<'_>]) -> bool {
    specs.iter().any(|spec| {
        let mut iota = spec.child_by_field_name("value").is_none();
        walk(*spec, |node| {
            iota |= node.kind() == "iota" || file.of(node) == "iota";
            Descend::when(!iota)
        });
        iota
    })
}

fn import_uses(file: &Parsed<'_>) -> Vec<ImportUse> {
    let all = imports::statements(file)
        .into_iter()
        .flat_map(|s| s.imports);
    all.filter(|import| import.item != Item::Nothing)
        .map(|import| ImportUse {
            text: imports::render_spec(&import),
            // See `names::used` on dot imports.
            locals: vec![import.local.unwrap_or_else(|| ".".to_owned())],
        })
        .collect()
}
