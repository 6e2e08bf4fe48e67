//! Finds functions and types in Go source.

use std::ops::Range;

use crate::write::scan::{Source, name_length, parts};

/// A function or method.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub name: String,
    pub receiver: Option<Receiver>,
    pub generics: Vec<Param>,
    pub params: Vec<Param>,
    pub results: Vec<Param>,
    /// Between the braces.
    pub body: Range<usize>,
}

/// What a method is called on.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub name: String,
    /// The type's name, without pointer and type arguments.
    pub of: String,
    pub pointer: bool,
    /// How the method names the type's parameters.
    pub type_args: Vec<String>,
}

/// A name with its type. Unnamed parameters have an empty name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    pub name: String,
    pub of: String,
}

/// A declared type.
#[derive(Debug)]
pub(super) struct Type {
    pub generics: Vec<Param>,
    /// What it is defined as, as written.
    pub definition: String,
    /// Its fields, if it is a struct; embedded ones are left out.
    pub fields: Vec<Param>,
}

/// All functions of a file.
pub(super) fn functions(source: &Source<'_>) -> Vec<Function> {
    starts(source, "func ")
        .filter_map(|at| function(source, at + "func ".len()))
        .collect()
}

/// The type called `name`.
pub(super) fn type_named(source: &Source<'_>, name: &str) -> Option<Type> {
    let blank = &source.blank;
    let grouped = source.holds_any(0..blank.len(), &["type ("]);
    let at = starts(source, "type ")
        .map(|at| at + "type ".len())
        .chain(
            grouped
                .then(|| starts(source, "\t"))
                .into_iter()
                .flatten()
                .map(|at| at + 1),
        )
        .find(|at| &blank[*at..*at + name_length(&blank[*at..])] == name)?;
    let mut at = at + name.len();
    let mut generics = Vec::new();
    if blank[at..].starts_with('[') {
        let end = source.closing(at)?;
        // `type T [4]int` has a length there, no parameters.
        if blank[at..end].contains(' ') {
            generics = params(source, at + 1..end);
            at = end + 1;
        }
    }
    let rest = blank[at..].trim_start_matches([' ', '=']);
    let start = blank.len() - rest.len();
    let line_end = start + rest.find('\n').unwrap_or(rest.len());
    let mut fields = Vec::new();
    let mut end = line_end;
    if let Some(open) = blank[start..line_end].find('{').map(|open| open + start) {
        end = source.closing(open)? + 1;
        if rest.starts_with("struct") {
            fields = blank_lines(blank, open + 1..end - 1)
                .flat_map(|line| params(source, line))
                .filter(|field| !field.name.is_empty())
                .collect();
        }
    }
    Some(Type {
        generics,
        definition: source.slice(start..end).to_owned(),
        fields,
    })
}

/// The imports as (name in the file, path).
pub(super) fn imports(source: &Source<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut in_group = false;
    for line in source.text.lines() {
        let line = line.trim();
        if line.starts_with("import (") {
            in_group = true;
        } else if in_group && line == ")" {
            in_group = false;
        } else if in_group || line.starts_with("import ") {
            let spec = line.trim_start_matches("import ").trim();
            let mut quotes = spec.split('"');
            let (Some(name), Some(path)) = (quotes.next(), quotes.next()) else {
                continue;
            };
            let name = match name.trim() {
                "" => path.rsplit('/').next().unwrap_or(path),
                name => name,
            };
            found.push((name.to_owned(), path.to_owned()));
        }
    }
    found
}

/// Where lines start with `word`.
fn starts<'s>(source: &'s Source<'_>, word: &'s str) -> impl Iterator<Item = usize> + 's {
    source
        .blank
        .match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || source.blank.as_bytes()[at - 1] == b'\n')
}

fn blank_lines(blank: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    blank[range].split_inclusive('\n').map(move |line| {
        let this = start..start + line.len();
        start += line.len();
        this
    })
}

/// The function whose `func ` ends at `at`.
fn function(source: &Source<'_>, mut at: usize) -> Option<Function> {
    let blank = &source.blank;
    let mut receiver = None;
    if blank[at..].starts_with('(') {
        let end = source.closing(at)?;
        receiver = Some(read_receiver(source.slice(at + 1..end)));
        at = end + 1;
    }
    at += blank[at..].len() - blank[at..].trim_start().len();
    let length = name_length(&blank[at..]);
    let name = blank[at..at + length].to_owned();
    at += length;
    let mut generics = Vec::new();
    if blank[at..].starts_with('[') {
        let end = source.closing(at)?;
        generics = params(source, at + 1..end);
        at = end + 1;
    }
    if !blank[at..].starts_with('(') {
        return None;
    }
    let end = source.closing(at)?;
    let parameters = params(source, at + 1..end);
    let open = body_open(source, end + 1)?;
    let result_text = source.slice(end + 1..open);
    let results = if result_text.is_empty() {
        Vec::new()
    } else if result_text.starts_with('(') {
        let first = end + 1 + blank[end + 1..].find('(')?;
        params(source, first + 1..source.closing(first)?)
    } else {
        vec![Param {
            name: String::new(),
            of: result_text.to_owned(),
        }]
    };
    Some(Function {
        name,
        receiver,
        generics,
        params: parameters,
        results,
        body: open + 1..source.closing(open)?,
    })
}

/// The brace that opens a body, past those of `interface{…}` and `struct{…}`.
fn body_open(source: &Source<'_>, mut at: usize) -> Option<usize> {
    loop {
        let open = at + source.blank[at..].find('{')?;
        let before = source.blank[at..open].trim_end();
        if before.ends_with("interface") || before.ends_with("struct") {
            at = source.closing(open)? + 1;
        } else {
            return Some(open);
        }
    }
}

fn read_receiver(text: &str) -> Receiver {
    let (name, of) = match text.split_once(char::is_whitespace) {
        Some((name, of)) => (name, of.trim()),
        None => ("", text),
    };
    let pointer = of.starts_with('*');
    let of = of.trim_start_matches('*');
    let (of, args) = of.split_once('[').unwrap_or((of, ""));
    Receiver {
        name: name.to_owned(),
        of: of.to_owned(),
        pointer,
        type_args: args
            .trim_end_matches(']')
            .split(',')
            .map(|arg| arg.trim().to_owned())
            .filter(|arg| !arg.is_empty())
            .collect(),
    }
}

/// A parameter list, or the names and type of one line of a struct.
fn params(source: &Source<'_>, range: Range<usize>) -> Vec<Param> {
    const NO_NAMES: [&str; 5] = ["chan", "func", "map", "struct", "interface"];
    let pieces: Vec<(&str, &str)> = parts(&source.blank, range, b',')
        .into_iter()
        .map(|piece| {
            // A struct field's tag is blanked to quotes; what stands before it is the type.
            let code = source.blank[piece.clone()]
                .find('"')
                .map_or(piece.len(), |tag| tag);
            let text = source.slice(piece.start..piece.start + code);
            let length = name_length(text);
            let (name, rest) = text.split_at(length);
            if length > 0 && rest.starts_with([' ', '\t']) && !NO_NAMES.contains(&name) {
                (name, rest.trim())
            } else {
                ("", text)
            }
        })
        .collect();
    if pieces.iter().all(|(name, _)| name.is_empty()) {
        return pieces
            .into_iter()
            .map(|(_, of)| Param {
                name: String::new(),
                of: of.to_owned(),
            })
            .collect();
    }
    // In `a, b int` what looks like a type alone is a name that shares the next type.
    let mut following = "";
    let mut found: Vec<_> = pieces
        .into_iter()
        .rev()
        .map(|(name, of)| {
            let name = if name.is_empty() {
                of
            } else {
                following = of;
                name
            };
            Param {
                name: name.to_owned(),
                of: following.to_owned(),
            }
        })
        .collect();
    found.reverse();
    found
}
