//! Finding `describe`, `it` and `test` calls, in all their forms.

use tree_sitter::Node;

use super::names::string_text;
use crate::dialect::TextEdit;
use crate::syntax::{Descend, Parsed, Visit, is_comment, named_children, walk, walk_both};

/// A call of the framework that groups tests or is one.
pub(super) struct Call<'n> {
    /// Whether it groups others.
    pub(super) is_suite: bool,
    /// Whether the framework would run it.
    pub(super) runs: bool,
    /// Its first argument.
    title: Node<'n>,
    /// The function's body, if it is written in place.
    pub(super) body: Option<Node<'n>>,
}

/// Reads `node`, if it is such a call: `it('…', …)`, `test.each(…)('…', …)`, `describe.skip('…', …)`.
pub(super) fn call<'n>(file: &Parsed<'_>, node: Node<'n>) -> Option<Call<'n>> {
    if node.kind() != "call_expression" {
        return None;
    }
    let (root, modifiers) = callee(file, node.child_by_field_name("function")?)?;
    let is_suite = match file.of(root) {
        "describe" | "suite" | "context" | "fdescribe" | "xdescribe" => true,
        "it" | "test" | "specify" | "fit" | "xit" | "xtest" => false,
        _ => return None,
    };
    let arguments = node.child_by_field_name("arguments")?;
    let mut arguments = named_children(arguments);
    arguments.retain(|node| !is_comment(*node));
    let title = *arguments.first()?;
    // `it.each([…])` alone gives the function that makes the tests.
    let literal = matches!(
        title.kind(),
        "array" | "object" | "arrow_function" | "string_fragment"
    );
    if literal || modifiers.last() == Some(&"extend") {
        return None;
    }
    let function = arguments
        .iter()
        .rev()
        .find(|node| super::names::is_function(**node));
    let idle = ["skip", "todo"];
    Some(Call {
        is_suite,
        runs: arguments.len() > 1
            && !file.of(root).starts_with('x')
            && !modifiers.iter().any(|modifier| idle.contains(modifier)),
        title,
        body: function.and_then(|function| function.child_by_field_name("body")),
    })
}

/// What a call calls in the end, and the properties on the way there.
fn callee<'n, 't>(file: &Parsed<'t>, mut node: Node<'n>) -> Option<(Node<'n>, Vec<&'t str>)> {
    let mut modifiers = Vec::new();
    loop {
        node = match node.kind() {
            "identifier" => return Some((node, modifiers)),
            "member_expression" => {
                modifiers.push(file.field(node, "property")?);
                node.child_by_field_name("object")?
            }
            "call_expression" => node.child_by_field_name("function")?,
            _ => return None,
        };
    }
}

/// Whether at least one test would run.
pub(super) fn any_runs(file: &Parsed<'_>) -> bool {
    let mut found = false;
    walk(file.root(), |node| {
        let call = call(file, node);
        found |= call
            .as_ref()
            .is_some_and(|call| !call.is_suite && call.runs);
        Descend::when(!found && call.is_none_or(|call| call.runs))
    });
    found
}

/// The full names of all tests: the titles of the groups around a test and its own, joined by a
/// space.
pub(super) fn names(file: &Parsed<'_>) -> Vec<String> {
    let all = named_calls(file).into_iter();
    all.map(|(name, _)| name).collect()
}

/// Those of the tests whose function, written in place, does nothing or asserts a constant.
pub(super) fn empty(file: &Parsed<'_>) -> Vec<String> {
    let all = named_calls(file).into_iter();
    all.filter(|(_, call)| {
        call.runs
            && call.body.is_some_and(|body| {
                if body.kind() == "statement_block" {
                    named_children(body)
                        .into_iter()
                        .all(|statement| is_idle(file, statement))
                } else {
                    is_idle(file, body)
                }
            })
    })
    .map(|(name, _)| name)
    .collect()
}

fn is_idle(file: &Parsed<'_>, node: Node<'_>) -> bool {
    /// Assertions that hold for ever, without white space.
    const CONSTANT: [&str; 7] = [
        "expect(true).toBe(true)",
        "expect(true).toEqual(true)",
        "expect(true).toBeTruthy()",
        "expect(1).toBe(1)",
        "assert(true)",
        "assert.ok(true)",
        "assert.equal(1,1)",
    ];
    match node.kind() {
        "comment" | "empty_statement" | "undefined" | "null" | "true" => true,
        "return_statement" => node.named_child_count() == 0,
        _ => {
            let text: String = file.of(node).split_whitespace().collect();
            CONSTANT.contains(&text.trim_end_matches(';'))
        }
    }
}

fn named_calls<'f>(file: &'f Parsed<'_>) -> Vec<(String, Call<'f>)> {
    let mut titles: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    walk_both(file.root(), |visit| match visit {
        Visit::Enter(node) => {
            if let Some(call) = call(file, node) {
                let title = title(file, call.title);
                if call.is_suite {
                    titles.push((node.id(), title));
                } else {
                    let around = titles.iter().map(|(_, title)| title.as_str());
                    let all: Vec<&str> = around.chain([title.as_str()]).collect();
                    found.push((all.join(" "), call));
                }
            }
            Descend::Yes
        }
        Visit::Leave(node) => {
            if titles.last().is_some_and(|(id, _)| *id == node.id()) {
                titles.pop();
            }
            Descend::No
        }
    });
    found
}

/// A title as the report has it. What is computed stands as it is written.
fn title(file: &Parsed<'_>, node: Node<'_>) -> String {
    let text = file.of(node);
    let plain = node.kind() == "template_string"
        && named_children(node)
            .iter()
            .all(|part| part.kind() != "template_substitution");
    if node.kind() != "string" && !plain {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut chars = string_text(text).chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(escaped) => out.push(escaped),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

/// The edits that take `.only` and its short forms off: they keep all other tests of the file
/// from running.
pub(super) fn without_only(file: &Parsed<'_>) -> Vec<TextEdit> {
    let mut edits = Vec::new();
    walk(file.root(), |node| {
        if let (Some(_), Some(function)) = (call(file, node), node.child_by_field_name("function"))
        {
            if let Some((root, _)) = callee(file, function)
                && matches!(file.of(root), "fit" | "fdescribe")
            {
                edits.push(TextEdit::remove(root.start_byte()..root.start_byte() + 1));
            }
            let mut next = Some(function);
            while let Some(part) = next {
                if file.field(part, "property") == Some("only")
                    && let Some(object) = part.child_by_field_name("object")
                {
                    edits.push(TextEdit::remove(object.end_byte()..part.end_byte()));
                }
                next = part
                    .child_by_field_name("object")
                    .or_else(|| part.child_by_field_name("function"));
            }
        }
        Descend::Yes
    });
    edits
}

/// The statements of the tests that are not called as one of `keep`, and of groups in which no test
/// is left; and how many tests stay.
pub(super) fn not_kept<'f>(file: &'f Parsed<'_>, keep: &[String]) -> (Vec<Node<'f>>, usize) {
    struct Open<'n> {
        node: Node<'n>,
        title: String,
        kept: usize,
        cut: Vec<Node<'n>>,
    }
    let mut open: Vec<Open<'f>> = Vec::new();
    let (mut cut, mut kept) = (Vec::new(), 0);
    walk_both(file.root(), |visit| match visit {
        Visit::Enter(node) => {
            let Some(call) = call(file, node) else {
                return Descend::Yes;
            };
            let title = title(file, call.title);
            if call.is_suite {
                open.push(Open {
                    node,
                    title,
                    kept: 0,
                    cut: Vec::new(),
                });
                return Descend::Yes;
            }
            let around = open.iter().map(|open| open.title.as_str());
            let all: Vec<&str> = around.chain([title.as_str()]).collect();
            let stays = keep.contains(&all.join(" "));
            let (own_cut, own_kept) = match open.last_mut() {
                Some(open) => (&mut open.cut, &mut open.kept),
                None => (&mut cut, &mut kept),
            };
            if stays {
                *own_kept += 1;
            } else {
                own_cut.push(statement(node));
            }
            Descend::No
        }
        Visit::Leave(node) => {
            if let Some(closed) = open.pop_if(|open| open.node.id() == node.id()) {
                let (outer_cut, outer_kept) = match open.last_mut() {
                    Some(open) => (&mut open.cut, &mut open.kept),
                    None => (&mut cut, &mut kept),
                };
                *outer_kept += closed.kept;
                if closed.kept == 0 {
                    outer_cut.push(statement(closed.node));
                } else {
                    outer_cut.extend(closed.cut);
                }
            }
            Descend::No
        }
    });
    (cut, kept)
}

/// The statement that a call is, if it is one.
fn statement(node: Node<'_>) -> Node<'_> {
    node.parent()
        .filter(|parent| parent.kind() == "expression_statement")
        .unwrap_or(node)
}

#[cfg(test)]
mod tests {
    use testsmith_domain::RelPath;

    use super::*;
    use crate::dialect::Dialect as _;
    use crate::typescript::script::Script;

    #[test]
    fn tests_that_do_nothing_are_known() {
        let code = "describe('a', () => {\n  it('x', () => {});\n  it('y', async () => {\n    // Later.\n    expect(true) .toBe(true);\n    return;\n  });\n  it('z', () => { add(1); });\n});\ntest('n', () => undefined);\ntest('f', run);\ntest('c', () => add(1));\n";
        let script = Script::reading(&RelPath::new("a.test.ts").unwrap());
        assert_eq!(empty(&script.parse(code)), ["a x", "a y", "n"]);
    }
}
