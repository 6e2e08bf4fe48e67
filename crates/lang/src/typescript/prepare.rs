//! Bringing a model's code into the form that is cached.

use testsmith_domain::{BodyProblem, Member, MemberImport, SourceFile};
use tree_sitter::Node;

use super::cases;
use super::frameworks::is_given;
use super::imports::{Writing, canonical, statements};
use super::manifest::Runner;
use super::names::declared;
use super::script::{SUBJECT, Script};
use crate::body::clean;
use crate::compose::trim_blank_lines;
use crate::dialect::{Dialect, Import, Item, TextEdit, apply};
use crate::syntax::{Descend, Parsed, is_comment, named_children, walk};

/// See [`testsmith_domain::LanguageDriver::prepare_body`]. The prepared form is the imports that
/// no rule gives, as ES `import` statements, an empty line, and one `describe`.
pub(super) fn prepare(
    file: &SourceFile,
    member: &Member,
    code: &str,
) -> Result<String, BodyProblem> {
    let script = Script::reading(&file.test_path);
    let code = clean(&script, code)?;
    let parsed = script.parse(&code);
    if let Some(problem) = parsed.problems().into_iter().next() {
        return Err(BodyProblem::Syntax(problem));
    }
    if !cases::any_runs(&parsed) {
        return Err(BodyProblem::NoTest);
    }
    if copies_subject(&parsed, file) {
        return Err(BodyProblem::Forbidden("a copy of the code under test"));
    }
    let imports = kept_imports(&parsed, file);
    let mut edits = cases::without_only(&parsed);
    edits.extend(cuts(&parsed));
    let code = trim_blank_lines(&apply(&code, edits, "\n"));
    let code = in_one_suite(&script.parse(&code), member);
    let body = if imports.is_empty() {
        code
    } else {
        format!("{}\n\n{code}", render(&imports))
    };
    // What was moved may have depended on its place; nothing broken is cached.
    match script.parse(&body).problems().into_iter().next() {
        Some(problem) => Err(BodyProblem::Syntax(problem)),
        None => Ok(body),
    }
}

/// Whether the code defines at its top level what the file under test exports: it would then test
/// its own copy.
fn copies_subject(parsed: &Parsed<'_>, file: &SourceFile) -> bool {
    let own = |name: &str| {
        let mut members = file.members.iter();
        members.any(|m| match &m.import {
            MemberImport::Named(local) | MemberImport::Default(local) => local == name,
            MemberImport::SamePackage => false,
        })
    };
    named_children(parsed.root()).into_iter().any(|node| {
        let declaration = node.child_by_field_name("declaration").unwrap_or(node);
        let defines = matches!(
            declaration.kind(),
            "function_declaration" | "generator_function_declaration" | "class_declaration"
        );
        defines && declared(parsed, declaration).into_iter().any(own)
    })
}

/// The imports that compose does not add by itself, in one form: Node's modules as `node:…`, the
/// module under test, where it is needed under another name, as [`SUBJECT`].
fn kept_imports(parsed: &Parsed<'_>, file: &SourceFile) -> Vec<Import> {
    let runner = Runner::of(&file.framework);
    let mut kept: Vec<Import> = Vec::new();
    for statement in statements(parsed) {
        let subject = is_subject(file, &statement.imports);
        for mut import in statement.imports {
            if is_given(runner, &import) || (subject && is_implied(file, &import)) {
                continue;
            }
            import.module = if subject {
                SUBJECT.to_owned()
            } else {
                canonical(&import.module)
            };
            kept.push(import);
        }
    }
    kept.sort();
    kept.dedup();
    kept
}

/// The statements of a body's head, for imports in order.
pub(super) fn render(imports: &[Import]) -> String {
    let mut lines = Vec::new();
    let mut rest = imports;
    while let Some(first) = rest.first() {
        let same = rest
            .iter()
            .take_while(|import| import.module == first.module);
        let (module, others) = rest.split_at(same.count());
        lines.push(Writing::usual(false).render(module));
        rest = others;
    }
    lines.join("\n")
}

/// Whether an import of the module under test is added by rule: names as they are exported, and
/// the default export by its own name.
fn is_implied(file: &SourceFile, import: &Import) -> bool {
    let local = import.local.as_deref();
    let default = |name: &str| {
        let mut members = file.members.iter();
        members.any(|m| m.import == MemberImport::Default(name.to_owned()))
    };
    match &import.item {
        Item::Name(name) => local == Some(name),
        Item::Default => local.is_some_and(default),
        Item::Nothing => true,
        Item::Module | Item::All => false,
    }
}

/// Whether these imports, of one statement, are of the module under test, in whatever way the
/// model guessed its place.
fn is_subject(file: &SourceFile, imports: &[Import]) -> bool {
    let Some(module) = imports.first().map(|import| import.module.as_str()) else {
        return false;
    };
    if module == file.module || module == SUBJECT {
        return true;
    }
    let of_member = |import: &Import| {
        let mut members = file.members.iter();
        members.any(|m| match (&m.import, &import.item) {
            (MemberImport::Named(name), Item::Name(item)) => name == item,
            (MemberImport::Default(name), _) => Some(name) == import.local.as_ref(),
            _ => false,
        })
    };
    let is_path = module.starts_with(['.', '/', '@', '~', '#']) || module.starts_with("src/");
    let guess: Vec<&str> = module
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".." | "@" | "~" | "#"))
        .collect();
    let own = own_segments(file);
    let same_place = !guess.is_empty()
        && guess
            .iter()
            .rev()
            .zip(own.iter().rev())
            .all(|(guess, own)| without_extension(guess) == own.as_str());
    // A package of one word that has the file's name is a package, unless it gives our members.
    let any = imports.iter().any(of_member);
    let all = !imports.is_empty() && imports.iter().all(of_member);
    let same_name =
        guess.last().map(|last| without_extension(last)) == own.last().map(String::as_str);
    (is_path && (same_place || all)) || (same_name && any)
}

/// The path of the file in the way modules are named: `index` is its folder.
fn own_segments(file: &SourceFile) -> Vec<String> {
    let mut segments: Vec<String> = file
        .path
        .dir()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    segments.push(file.path.stem().to_owned());
    if file.path.stem() == "index" && segments.len() > 1 {
        segments.pop();
    }
    segments
}

fn without_extension(segment: &str) -> &str {
    const EXTENSIONS: [&str; 8] = ["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"];
    match segment.rsplit_once('.') {
        Some((stem, extension)) if EXTENSIONS.contains(&extension) => stem,
        _ => segment,
    }
}

/// What does not belong into a body: imports, `export {}`, directives.
fn cuts(parsed: &Parsed<'_>) -> Vec<TextEdit> {
    let mut ranges: Vec<_> = statements(parsed).into_iter().map(|s| s.range).collect();
    for node in named_children(parsed.root()) {
        let text = parsed.of(node);
        let empty_export = node.kind() == "export_statement"
            && text.trim_end_matches(';').replace(char::is_whitespace, "") == "export{}";
        let directive = node.kind() == "expression_statement"
            && node
                .named_child(0)
                .is_some_and(|child| child.kind() == "string");
        if empty_export || directive {
            ranges.push(node.byte_range());
        }
    }
    ranges
        .iter()
        .map(|range| TextEdit::remove(parsed.whole_lines(range)))
        .collect()
}

/// The code with all of it inside of one `describe`, so that helpers and hooks of one member do
/// not meet those of another. Code that cannot be moved stays as it is.
fn in_one_suite(parsed: &Parsed<'_>, member: &Member) -> String {
    let statements: Vec<Node<'_>> = named_children(parsed.root())
        .into_iter()
        .filter(|node| !is_comment(*node))
        .collect();
    let calls: Vec<(Node<'_>, cases::Call<'_>)> = statements
        .iter()
        .filter_map(|node| Some((*node, cases::call(parsed, node.named_child(0)?)?)))
        .collect();
    let one_suite = matches!(calls.as_slice(), [(_, call)] if call.is_suite);
    if (one_suite && statements.len() == 1) || is_bound_to_top(parsed, &statements) {
        return parsed.text().to_owned();
    }
    if one_suite
        && let [(suite, call)] = calls.as_slice()
        && let Some(body) = call.body.filter(|body| body.kind() == "statement_block")
    {
        return moved_into(parsed, *suite, body);
    }
    let inner = indented(parsed, 0..parsed.text().len());
    let name = &member.name;
    format!(
        "describe('{name}', () => {{\n{}}});\n",
        trim_blank_lines(&inner)
    )
}

/// Whether a statement only works at the top level: mocks of modules, which are hoisted there,
/// `await`, exports, types for all.
fn is_bound_to_top(parsed: &Parsed<'_>, statements: &[Node<'_>]) -> bool {
    statements.iter().any(|statement| {
        let hoisted = statement.kind() == "expression_statement" && {
            let text = parsed.of(*statement);
            [
                "vi.mock(",
                "vi.hoisted(",
                "vi.doMock(",
                "jest.mock(",
                "jest.doMock(",
            ]
            .iter()
            .any(|start| text.starts_with(start))
        };
        let mut awaits = false;
        walk(*statement, |node| {
            awaits |= node.kind() == "await_expression";
            Descend::when(!awaits && !super::names::is_function(node))
        });
        let top = matches!(
            statement.kind(),
            "export_statement" | "ambient_declaration" | "import_statement"
        );
        hoisted || awaits || top || parsed.of(*statement).contains("vi.hoisted(")
    })
}

/// All but the suite, moved to the start of its body.
fn moved_into(parsed: &Parsed<'_>, suite: Node<'_>, body: Node<'_>) -> String {
    let lines = parsed.whole_lines(&suite.byte_range());
    if lines == suite.byte_range() {
        // It shares its lines with something else.
        return parsed.text().to_owned();
    }
    let moved: Vec<String> = [0..lines.start, lines.end..parsed.text().len()]
        .into_iter()
        .filter(|range| !parsed.slice(range.clone()).trim().is_empty())
        .map(|range| trim_blank_lines(&indented(parsed, range)))
        .collect();
    let brace = body.start_byte() + 1;
    let head = parsed.slice(lines.start..brace);
    let rest = parsed.slice(brace..lines.end);
    format!("{head}\n{}{rest}", moved.join("\n"))
}

/// The lines of a range, two spaces further in; not those inside of template strings, whose white
/// space counts.
fn indented(parsed: &Parsed<'_>, range: std::ops::Range<usize>) -> String {
    let mut templates = Vec::new();
    walk(parsed.root(), |node| {
        if node.kind() == "template_string" {
            templates.push(node.byte_range());
        }
        Descend::when(node.kind() != "template_string")
    });
    let mut out = String::new();
    let mut at = range.start;
    for line in parsed.slice(range).split_inclusive('\n') {
        let inside = |template: &std::ops::Range<usize>| template.start < at && at < template.end;
        if !line.trim().is_empty() && !templates.iter().any(inside) {
            out.push_str("  ");
        }
        out.push_str(line);
        at += line.len();
    }
    out
}
