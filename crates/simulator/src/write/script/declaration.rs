//! Finds functions and classes in TypeScript and JavaScript source.

use std::ops::Range;

use crate::write::scan::{Source, name_length};

/// A function or method.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "modifiers, each of its own")]
pub(super) struct Function {
    pub params: Vec<Param>,
    pub is_async: bool,
    pub is_generator: bool,
    pub is_static: bool,
    /// Whether it is read, not called.
    pub is_getter: bool,
    /// Its statements; for an arrow with an expression, that expression.
    pub body: Range<usize>,
    pub is_expression: bool,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    /// Its name; a pattern, if it takes its argument apart.
    pub name: String,
    pub of: Option<String>,
    pub default: Option<String>,
    /// Whether it may be left out.
    pub optional: bool,
    pub rest: bool,
}

/// A class.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub body: Range<usize>,
    pub is_abstract: bool,
    pub extends: bool,
}

/// How a test gets at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Export {
    Named,
    Default,
}

/// Whether the source is CommonJS.
pub(super) fn is_common_js(source: &Source<'_>) -> bool {
    let esm = source
        .blank
        .lines()
        .any(|line| line.starts_with("export ") || line.starts_with("import "));
    !esm && source.holds_any(0..source.blank.len(), &["module.exports", "exports."])
}

/// How `name` is exported, and what it is called inside.
pub(super) fn export(source: &Source<'_>, name: &str) -> (Export, String) {
    let blank = &source.blank;
    for (at, _) in blank.match_indices("export default ") {
        let rest = &blank[at + "export default ".len()..];
        let rest = ["async ", "abstract ", "function*", "function ", "class "]
            .iter()
            .fold(rest, |rest, word| {
                rest.strip_prefix(word).unwrap_or(rest).trim_start()
            });
        let local = &rest[..name_length(rest)];
        if local == name || name == "default" {
            return (Export::Default, local.to_owned());
        }
    }
    for (at, _) in blank.match_indices("module.exports = ") {
        let rest = &blank[at + "module.exports = ".len()..];
        let rest = rest.strip_prefix("class ").unwrap_or(rest);
        if &rest[..name_length(rest)] == name {
            return (Export::Default, name.to_owned());
        }
    }
    // `export { inner as name }`, and CommonJS's `{ name: inner }`.
    for (before, word) in [("export ", " as "), ("module.exports = ", ": ")] {
        for (at, _) in blank.match_indices(&format!("{before}{{")) {
            let open = at + before.len();
            let Some(close) = source.closing(open) else {
                continue;
            };
            for part in source.parts(open + 1..close, b',') {
                let Some((left, right)) = source.slice(part).split_once(word) else {
                    continue;
                };
                let (left, right) = (left.trim(), right.trim());
                let (local, outer) = if word == ": " {
                    (right, left)
                } else {
                    (left, right)
                };
                let plain = name_length(local) == local.len();
                if plain && outer == name {
                    return (Export::Named, local.to_owned());
                }
                if plain && outer == "default" && (local == name || name == "default") {
                    return (Export::Default, local.to_owned());
                }
            }
        }
    }
    (Export::Named, name.to_owned())
}

/// The function called `name` at the top of the file. An empty name is that of a nameless default
/// export.
pub(super) fn function(source: &Source<'_>, name: &str) -> Option<Function> {
    let blank = &source.blank;
    if name.is_empty() {
        let at = blank.find("export default ")? + "export default ".len();
        return function_value(source, at);
    }
    for (at, _) in whole_words(blank, name) {
        let before = line_start(blank, at);
        let after = &blank[at + name.len()..];
        if before.ends_with("function ")
            || before.ends_with("function* ")
            || before.ends_with("function *")
        {
            return signature(source, at + name.len()).map(|found| Function {
                is_async: before.contains("async "),
                is_generator: before.contains('*'),
                ..found
            });
        }
        let declared = ["const ", "let ", "var ", "exports."]
            .iter()
            .any(|word| before.ends_with(word));
        if declared && after.trim_start().starts_with(['=', ':']) {
            let end = at + name.len();
            let value = end + assigned(&blank[end..])?;
            if let Some(found) = function_value(source, value) {
                return Some(found);
            }
        }
    }
    // `module.exports = { name(…) {…}, name: (…) => … }`
    let at = blank.find("module.exports = {")? + "module.exports = ".len();
    method(source, at + 1..source.closing(at)?, name)
}

/// The class called `name`.
pub(super) fn class(source: &Source<'_>, name: &str) -> Option<Class> {
    let (at, _) = whole_words(&source.blank, name)
        .find(|(at, _)| line_start(&source.blank, *at).ends_with("class "))?;
    let open = at + source.blank[at..].find('{')?;
    let header = &source.blank[at..open];
    Some(Class {
        is_abstract: line_start(&source.blank, at).contains("abstract "),
        extends: header.contains(" extends "),
        body: open + 1..source.closing(open)?,
    })
}

/// The method, getter or function-valued field called `name` of a class or object.
pub(super) fn method(source: &Source<'_>, body: Range<usize>, name: &str) -> Option<Function> {
    let blank = source.blank.get(body.clone())?;
    for (at, _) in whole_words(blank, name) {
        if depth(&blank[..at]) != 0 {
            continue;
        }
        let end = body.start + at + name.len();
        let before = line_start(blank, at);
        let after = blank[at + name.len()..].trim_start();
        let words: Vec<&str> = before.split_whitespace().collect();
        let is = |word: &str| words.contains(&word);
        if after.starts_with(['(', '<']) {
            if before.trim_end().ends_with('.') || is("return") || is("set") {
                continue;
            }
            return signature(source, end).map(|found| Function {
                is_async: is("async"),
                is_static: is("static"),
                is_getter: is("get"),
                is_generator: before.trim_end().ends_with('*'),
                ..found
            });
        }
        if after.starts_with(['=', ':'])
            && let Some(value) = assigned(&source.blank[end..body.end])
            && let Some(found) = function_value(source, end + value)
        {
            return Some(Function {
                is_static: is("static"),
                ..found
            });
        }
    }
    None
}

/// The fields of an interface, or of a type that is an object.
pub(super) fn object_type(source: &Source<'_>, name: &str) -> Option<Vec<Param>> {
    let (at, _) = whole_words(&source.blank, name).find(|(at, _)| {
        let before = line_start(&source.blank, *at);
        before.ends_with("interface ") || before.ends_with("type ")
    })?;
    let line_end = source.blank[at..]
        .find('\n')
        .map_or(source.blank.len(), |end| at + end);
    let open = at + source.blank[at..line_end].find('{')?;
    let body = open + 1..source.closing(open)?;
    let mut fields = Vec::new();
    for line in source.parts(body, b';') {
        for part in split_lines(source, line) {
            for part in source.parts(part, b',') {
                fields.push(param(source, part));
            }
        }
    }
    Some(fields)
}

/// Splits at line ends outside of brackets.
fn split_lines(source: &Source<'_>, range: Range<usize>) -> Vec<Range<usize>> {
    source.parts(range, b'\n')
}

/// Where the value starts in `: T = value` or `= value`, past an annotation.
fn assigned(blank: &str) -> Option<usize> {
    let bytes = blank.as_bytes();
    if blank.trim_start().starts_with(':') && !blank.contains('=') {
        return None;
    }
    let mut depth = 0_isize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'=' if depth == 0 && bytes.get(at + 1) != Some(&b'>') => {
                let rest = &blank[at + 1..];
                return Some(at + 1 + rest.len() - rest.trim_start().len());
            }
            b';' | b'\n' if depth == 0 => break,
            _ => {}
        }
    }
    // An object's `name: value`.
    let colon = blank.find(':')? + 1;
    let rest = &blank[colon..];
    Some(colon + rest.len() - rest.trim_start().len())
}

/// A function expression or arrow that starts at `at`.
fn function_value(source: &Source<'_>, at: usize) -> Option<Function> {
    let blank = &source.blank;
    let mut start = at;
    let is_async = blank[start..].starts_with("async ") || blank[start..].starts_with("async(");
    if is_async {
        start += "async".len();
        start += blank[start..].len() - blank[start..].trim_start().len();
    }
    if let Some(rest) = blank[start..].strip_prefix("function") {
        let is_generator = rest.trim_start().starts_with('*');
        let open = start + blank[start..].find(['(', '<'])?;
        return signature(source, open).map(|found| Function {
            is_async,
            is_generator,
            ..found
        });
    }
    let length = name_length(&blank[start..]);
    let (params, mut end) = if length > 0 {
        let param = Param {
            name: blank[start..start + length].to_owned(),
            of: None,
            default: None,
            optional: false,
            rest: false,
        };
        (vec![param], start + length)
    } else {
        if blank[start..].starts_with('<') {
            start += blank[start..].find('(')?;
        }
        if !blank[start..].starts_with('(') {
            return None;
        }
        let close = source.closing(start)?;
        (params(source, start + 1..close), close + 1)
    };
    let arrow = blank[end..].find("=>")?;
    // Between parameters and arrow stands nothing but a type.
    if blank[end..end + arrow].contains([';', '{']) && !blank[end..].trim_start().starts_with(':') {
        return None;
    }
    end += arrow + 2;
    end += blank[end..].len() - blank[end..].trim_start().len();
    let (body, is_expression) = if blank[end..].starts_with('{') {
        (end + 1..source.closing(end)?, false)
    } else {
        (end..expression_end(blank, end), true)
    };
    Some(Function {
        params,
        is_async,
        body,
        is_expression,
        ..Function::default()
    })
}

/// Parameters, result type and body, from the type parameters or parentheses on.
fn signature(source: &Source<'_>, at: usize) -> Option<Function> {
    let blank = &source.blank;
    let open = at + blank[at..].find('(')?;
    let close = source.closing(open)?;
    let mut body = close + 1;
    // A result type may hold braces; the body's brace is the one not after `:`, `|`, `<` …
    loop {
        body += blank[body..].find('{')?;
        let before = blank[close + 1..body].trim_end();
        if before.ends_with([':', '|', '<', '&', ',', '(']) {
            body = source.closing(body)? + 1;
        } else {
            break;
        }
    }
    // An overload has no body.
    if blank[close + 1..body].contains([';', '}']) && !blank[close + 1..body].contains('{') {
        return None;
    }
    Some(Function {
        params: params(source, open + 1..close),
        body: body + 1..source.closing(body)?,
        ..Function::default()
    })
}

pub(super) fn params(source: &Source<'_>, range: Range<usize>) -> Vec<Param> {
    source
        .parts(range, b',')
        .into_iter()
        .map(|part| param(source, part))
        .filter(|param| param.name != "this")
        .collect()
}

fn param(source: &Source<'_>, range: Range<usize>) -> Param {
    let mut halves = arrowless_equals(source, range.clone());
    let head = halves.remove(0);
    let default = halves
        .first()
        .map(|half| source.slice(half.start..range.end).to_owned());
    let mut text = source.slice(head);
    for word in ["public ", "private ", "protected ", "readonly "] {
        text = text.strip_prefix(word).unwrap_or(text).trim_start();
    }
    let rest = text.starts_with("...");
    let text = text.trim_start_matches("...");
    let pattern = text.starts_with(['{', '[']);
    let colon = if pattern {
        text.rfind("}:").map(|at| at + 1)
    } else {
        text.find(':')
    };
    let (name, of) = match colon {
        Some(at) => (text[..at].trim(), Some(text[at + 1..].trim().to_owned())),
        None => (text, None),
    };
    Param {
        optional: name.ends_with('?') || default.is_some(),
        name: name.trim_end_matches('?').to_owned(),
        of,
        default,
        rest,
    }
}

/// The two sides of a default's `=`, which is not that of an arrow.
fn arrowless_equals(source: &Source<'_>, range: Range<usize>) -> Vec<Range<usize>> {
    let bytes = source.blank.as_bytes();
    let mut depth = 0_isize;
    for at in range.clone() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'=' if depth == 0 && bytes.get(at + 1) != Some(&b'>') => {
                return vec![range.start..at, at + 1..range.end];
            }
            _ => {}
        }
    }
    vec![range]
}

/// Where an expression ends that starts at `at`.
fn expression_end(blank: &str, at: usize) -> usize {
    let mut depth = 0_isize;
    for (n, byte) in blank.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' | b';' | b',' if depth == 0 => return n,
            b')' | b']' | b'}' => depth -= 1,
            b'\n' if depth == 0 => {
                let next = blank[n..].trim_start();
                if !next.starts_with(['.', '?', ':', '+', '*', '&', '|', '-', '/']) {
                    return n;
                }
            }
            _ => {}
        }
    }
    blank.len()
}

/// How many brackets are open at the end of `code`.
fn depth(code: &str) -> isize {
    code.bytes().fold(0, |depth, byte| match byte {
        b'(' | b'[' | b'{' => depth + 1,
        b')' | b']' | b'}' => depth - 1,
        _ => depth,
    })
}

fn line_start(blank: &str, at: usize) -> &str {
    let start = blank[..at].rfind('\n').map_or(0, |end| end + 1);
    &blank[start..at]
}

fn whole_words<'b>(blank: &'b str, name: &'b str) -> impl Iterator<Item = (usize, &'b str)> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    blank.match_indices(name).filter(move |(at, _)| {
        !blank[..*at].ends_with(part) && !blank[at + name.len()..].starts_with(part)
    })
}
