//! Finds functions and classes in Python source.

use std::ops::Range;

use crate::write::scan::{Source, name_length};

/// A function or method.
#[derive(Debug, Clone, Default)]
pub(super) struct Function {
    pub params: Vec<Param>,
    /// Decorators without their `@`.
    pub decorators: Vec<String>,
    pub is_async: bool,
    /// What follows the colon.
    pub body: Range<usize>,
}

/// A parameter, `self` and `cls` left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    pub name: String,
    pub of: Option<String>,
    pub default: Option<String>,
    pub keyword_only: bool,
}

/// A class.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub body: Range<usize>,
    pub decorators: Vec<String>,
    /// What stands in the parentheses behind its name.
    pub bases: String,
}

impl Function {
    pub(super) fn has_decorator(&self, names: &[&str]) -> bool {
        self.decorators.iter().any(|decorator| {
            let last = decorator.rsplit('.').next().unwrap_or(decorator);
            names.iter().any(|name| last == *name || decorator == name)
        })
    }

    pub(super) fn is_property(&self) -> bool {
        self.has_decorator(&["property", "cached_property"])
    }

    /// Whether it is called on the class.
    pub(super) fn is_static(&self) -> bool {
        self.has_decorator(&["staticmethod", "classmethod"])
    }
}

/// A logical line: where it starts, how far it is indented, where its block ends.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: usize,
    code: usize,
    indent: usize,
}

/// The function called `name` in a scope: a module's or class's body.
pub(super) fn function(source: &Source<'_>, scope: Range<usize>, name: &str) -> Option<Function> {
    let lines = lines(source, scope.clone());
    let base = lines.first()?.indent;
    // Of several definitions, as under `if` and `else` or with a property's setter, the first.
    let at = lines.iter().position(|line| {
        let code = source.blank[line.code..]
            .trim_start_matches("async ")
            .trim_start();
        code.strip_prefix("def ").is_some_and(|rest| {
            let rest = rest.trim_start();
            &rest[..name_length(rest)] == name
        }) && owner_is(&lines, line, base, source)
    })?;
    let line = lines[at];
    let open = line.code + source.blank[line.code..].find('(')?;
    let close = source.closing(open)?;
    let colon = close + colon(&source.blank[close..])?;
    Some(Function {
        params: params(source, open + 1..close),
        decorators: decorators(source, &lines, at),
        is_async: source.blank[line.code..].starts_with("async "),
        body: colon + 1..block_end(&lines, at, scope.end),
    })
}

/// The class called `name` in a scope.
pub(super) fn class(source: &Source<'_>, scope: Range<usize>, name: &str) -> Option<Class> {
    let lines = lines(source, scope.clone());
    let at = lines.iter().position(|line| {
        source.blank[line.code..]
            .strip_prefix("class ")
            .is_some_and(|rest| {
                let rest = rest.trim_start();
                &rest[..name_length(rest)] == name
            })
    })?;
    let line = lines[at];
    let after = line.code + source.blank[line.code..].find(name)? + name.len();
    let mut bases = "";
    let mut end = after;
    if source.blank[after..].starts_with('(') {
        end = source.closing(after)?;
        bases = source.slice(after + 1..end);
    }
    let colon = end + colon(&source.blank[end..])?;
    Some(Class {
        body: colon + 1..block_end(&lines, at, scope.end),
        decorators: decorators(source, &lines, at),
        bases: bases.to_owned(),
    })
}

/// The annotated fields of a class's body: what a dataclass takes.
pub(super) fn fields(source: &Source<'_>, body: Range<usize>) -> Vec<Param> {
    let lines = lines(source, body.clone());
    let Some(base) = lines.first().map(|line| line.indent) else {
        return Vec::new();
    };
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.indent == base)
        .filter_map(|(n, line)| {
            let end = lines.get(n + 1).map_or(body.end, |next| next.start);
            let code = &source.blank[line.code..end];
            let length = name_length(code);
            let annotated = length > 0 && code[length..].trim_start().starts_with(':');
            let block = ["class", "def", "if", "else", "try", "for", "with"];
            (annotated && !block.contains(&&code[..length]))
                .then(|| param(source, line.code..end, false))
        })
        .filter(|field| {
            !field
                .of
                .as_deref()
                .is_some_and(|of| of.starts_with("ClassVar"))
        })
        .collect()
}

/// The logical lines of a range that hold code, those within brackets left out.
fn lines(source: &Source<'_>, range: Range<usize>) -> Vec<Line> {
    let mut found = Vec::new();
    let mut start = range.start;
    let mut depth = 0_isize;
    for text in source
        .blank
        .get(range)
        .unwrap_or_default()
        .split_inclusive('\n')
    {
        let code = text.trim_start();
        if depth <= 0 && !code.is_empty() {
            found.push(Line {
                start,
                code: start + (text.len() - code.len()),
                indent: text.len() - code.len(),
            });
        }
        for byte in code.bytes() {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
        start += text.len();
    }
    found
}

/// Whether a line is of the scope itself, or only under its `if`, `else`, `try` and the like.
fn owner_is(lines: &[Line], line: &Line, base: usize, source: &Source<'_>) -> bool {
    let mut indent = line.indent;
    for above in lines.iter().rev().filter(|above| above.start < line.start) {
        if indent <= base {
            break;
        }
        if above.indent < indent {
            let code = &source.blank[above.code..];
            let code = code.trim_start_matches("async ");
            if code.starts_with("def ") || code.starts_with("class ") {
                return false;
            }
            indent = above.indent;
        }
    }
    true
}

fn block_end(lines: &[Line], at: usize, end: usize) -> usize {
    lines[at + 1..]
        .iter()
        .find(|line| line.indent <= lines[at].indent)
        .map_or(end, |line| line.start)
}

fn decorators(source: &Source<'_>, lines: &[Line], at: usize) -> Vec<String> {
    lines[..at]
        .iter()
        .rev()
        .take_while(|line| source.blank[line.code..].starts_with('@'))
        .map(|line| {
            let text = &source.text[line.code + 1..];
            let end = text.find(['(', '\n']).unwrap_or(text.len());
            text[..end].trim().to_owned()
        })
        .collect()
}

/// The colon that ends a header.
fn colon(blank: &str) -> Option<usize> {
    let mut depth = 0_isize;
    blank.bytes().enumerate().find_map(|(at, byte)| {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' => depth -= 1,
            b')' if at > 0 => depth -= 1,
            b':' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    })
}

fn params(source: &Source<'_>, range: Range<usize>) -> Vec<Param> {
    let mut keyword_only = false;
    let mut found = Vec::new();
    for (n, part) in source.parts(range, b',').into_iter().enumerate() {
        let text = source.slice(part.clone());
        if text.starts_with('*') {
            keyword_only |= !text.starts_with("**");
            continue;
        }
        if text == "/" || (n == 0 && (text == "self" || text == "cls")) {
            continue;
        }
        found.push(param(source, part, keyword_only));
    }
    found
}

fn param(source: &Source<'_>, range: Range<usize>, keyword_only: bool) -> Param {
    let mut halves = source.parts(range.clone(), b'=').into_iter();
    let head = halves.next().unwrap_or(range.clone());
    let default = halves
        .next()
        .map(|_| source.slice(head.end + 1..range.end).to_owned());
    let text = source.slice(head);
    let (name, of) = match text.split_once(':') {
        Some((name, of)) => (
            name.trim(),
            Some(of.trim().trim_matches(['"', '\'']).to_owned()),
        ),
        None => (text, None),
    };
    Param {
        name: name.to_owned(),
        of,
        default,
        keyword_only,
    }
}
