//! Looking for what the rules describe.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::allow::{AllowError, Allowed};
use crate::judge;
use crate::rules::{Check, RULES, Rule};

/// A comment with these words passes over what is found on its line, or, if it has a line of its
/// own, on the next.
pub const ALLOW_COMMENT: &str = "testsmith:allow-secret";

/// What a line of its own begins with that is a comment, in any language of ours.
const COMMENTS: [&str; 6] = ["//", "#", "/*", "*", "--", ";"];

/// Where a secret was found. It does not hold the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// The line that it begins on, counted from 1.
    pub line: u32,
    /// Its columns on that line, in characters counted from 1; the end is not part of it.
    pub columns: Range<u32>,
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// Whether the user lets it pass.
    pub allowed: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} at line {}", self.rule, self.line)
    }
}

/// Finds secrets, but for what the user lets pass. Cheap to make; the rules are compiled once.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    allowed: Allowed,
}

/// The rules, compiled.
struct Compiled {
    keywords: AhoCorasick,
    /// For each keyword, the rule it belongs to.
    rule_of: Vec<usize>,
    /// For each rule, its patterns.
    patterns: Vec<Vec<Regex>>,
}

#[expect(
    clippy::expect_used,
    reason = "the table is constant and compiled by every test; to go on without it would be to \
              send secrets"
)]
static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let keywords = RULES.iter().enumerate();
    let keywords = keywords.flat_map(|(at, rule)| rule.keywords.iter().map(move |k| (at, *k)));
    let (rule_of, keywords): (Vec<usize>, Vec<&str>) = keywords.unzip();
    let compile = |pattern: &&str| {
        let pattern = RegexBuilder::new(pattern).unicode(false).build();
        pattern.expect("the table's patterns are right")
    };
    Compiled {
        keywords: AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(keywords)
            .expect("there are few keywords"),
        rule_of,
        patterns: RULES
            .iter()
            .map(|rule| rule.patterns.iter().map(compile).collect())
            .collect(),
    }
});

impl Scanner {
    /// A scanner that lets `allow` pass. An entry with a `/`, `.` or `*` in it is a glob of paths,
    /// relative to the project's root, in whose files everything passes; any other is the id of a
    /// rule that does not count.
    pub fn new(allow: &[String]) -> Result<Self, AllowError> {
        Ok(Self {
            allowed: Allowed::read(allow)?,
        })
    }

    /// Compiles the rules, which takes some ten milliseconds that the first scan would take.
    pub fn compile() {
        LazyLock::force(&COMPILED);
    }

    /// Whether everything in the file passes.
    pub fn allows_path(&self, path: &str) -> bool {
        self.allowed.has_path(path)
    }

    /// Whether what this rule finds passes everywhere.
    pub fn allows_rule(&self, id: &str) -> bool {
        self.allowed.has_rule(id)
    }

    /// The secrets in `text` that do not pass, in order.
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        let mut found = self.scan_all(text);
        found.retain(|finding| !finding.allowed);
        found
    }

    /// All secrets in `text`, in order, with those that pass.
    pub fn scan_all(&self, text: &str) -> Vec<Finding> {
        // By their first byte; they do not overlap.
        let mut found: BTreeMap<usize, (&Rule, Range<usize>)> = BTreeMap::new();
        for (rule, patterns) in candidates(text) {
            for captures in patterns
                .iter()
                .flat_map(|pattern| matches(rule, pattern, text.as_bytes()))
            {
                let bytes = secret(text, &captures);
                let before = found.range(..bytes.end).next_back();
                let overlaps = before.is_some_and(|(_, (_, other))| other.end > bytes.start);
                if !overlaps && holds(rule, text, &captures) {
                    found.insert(bytes.start, (rule, bytes));
                }
            }
        }
        let mut cursor = Cursor::default();
        found
            .into_values()
            .map(|(rule, bytes)| {
                cursor.advance(text, bytes.start);
                Finding {
                    rule: rule.id,
                    line: cursor.line,
                    columns: cursor.column..cursor.column + first_line(&text[bytes.clone()]),
                    allowed: cursor.is_commented || self.allowed.has_rule(rule.id),
                    bytes,
                }
            })
            .collect()
    }
}

/// How many characters the first line has.
fn first_line(text: &str) -> u32 {
    let line = text.lines().next().unwrap_or_default();
    u32::try_from(line.chars().count()).unwrap_or(u32::MAX)
}

/// A place in a text, which only moves on: so that many findings take one pass.
#[derive(Debug)]
struct Cursor {
    at: usize,
    line: u32,
    column: u32,
    /// Whether a comment lets pass what is found on the line.
    is_commented: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            // No place yet: the first line is still to be looked at.
            at: usize::MAX,
            line: 1,
            column: 1,
            is_commented: false,
        }
    }
}

impl Cursor {
    fn advance(&mut self, text: &str, to: usize) {
        let first = self.at == usize::MAX;
        let from = if first { 0 } else { self.at };
        let passed = &text[from..to];
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        if let Some(end) = passed.rfind('\n') {
            self.line += number(passed.matches('\n').count());
            self.column = 1 + number(passed[end + 1..].chars().count());
        } else {
            self.column += number(passed.chars().count());
        }
        if first || passed.contains('\n') {
            self.is_commented = is_commented(text, to);
        }
        self.at = to;
    }
}

/// The rules whose keywords are in `text`, in the table's order.
fn candidates(text: &str) -> impl Iterator<Item = (&'static Rule, &'static [Regex])> {
    let compiled = &*COMPILED;
    let mut wanted = vec![false; RULES.len()];
    for found in compiled.keywords.find_overlapping_iter(text) {
        wanted[compiled.rule_of[found.pattern().as_usize()]] = true;
    }
    let all = RULES.iter().zip(&compiled.patterns);
    all.zip(wanted)
        .filter(|(_, wanted)| *wanted)
        .map(|((rule, patterns), _)| (rule, patterns.as_slice()))
}

/// The matches of a rule's pattern. What is assigned may be the name of what comes next, so there
/// the search goes on within the value.
fn matches<'t>(
    rule: &'t Rule,
    pattern: &'t Regex,
    text: &'t [u8],
) -> impl Iterator<Item = Captures<'t>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let captures = pattern.captures_at(text, at)?;
        let secret = captures.name("secret").or_else(|| captures.get(0))?;
        at = match rule.check {
            Check::Assignment => secret.start() + 1,
            Check::None | Check::Filled | Check::Password => secret.end().max(at + 1),
        };
        Some(captures)
    })
    .fuse()
}

/// The secret's bytes, widened to whole characters.
fn secret(text: &str, captures: &Captures<'_>) -> Range<usize> {
    let found = captures.name("secret").or_else(|| captures.get(0));
    let range = found.map_or(0..0, |found| found.range());
    text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end)
}

/// Whether what a rule's pattern has matched is a secret.
fn holds(rule: &Rule, text: &str, captures: &Captures<'_>) -> bool {
    let secret = &text[secret(text, captures)];
    match rule.check {
        Check::None => true,
        Check::Filled => !judge::is_filled(secret),
        Check::Password => {
            let user = captures.name("user");
            let user = user.and_then(|user| text.get(user.range()));
            judge::is_password(user.filter(|user| !user.is_empty()), secret)
        }
        Check::Assignment => {
            let start = captures.get(0).map_or(0, |found| found.start());
            judge::is_random(name_around(text, start), secret)
        }
    }
}

/// The name that the byte at `at` is part of.
fn name_around(text: &str, at: usize) -> &str {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let start = text[..at].trim_end_matches(part).len();
    let rest = &text[at..];
    let length = rest.len() - rest.trim_start_matches(part).len();
    &text[start..at + length]
}

/// Whether the line of the byte at `at` has the comment that lets it pass, or the line above,
/// which must be nothing but a comment: else it is about itself.
fn is_commented(text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let above = text[..start].lines().next_back().unwrap_or_default();
    let above = above.trim_start();
    line.contains(ALLOW_COMMENT)
        || (above.contains(ALLOW_COMMENT) && COMMENTS.iter().any(|mark| above.starts_with(mark)))
}

#[cfg(test)]
mod tests;
