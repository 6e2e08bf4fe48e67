//! Splits code of any of the languages into tokens.

use crate::write::scan::{Dialect, name_length};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Int(i64),
    Float(f64),
    Text(String),
    /// A string with expressions inside: text and code in turn, text first.
    Template(Vec<String>),
    Op(&'static str),
    /// The end of a statement.
    End,
    /// A Python block begins.
    Indent,
    /// A Python block ends.
    Dedent,
}

/// Operators, longer ones first.
const OPERATORS: [&str; 54] = [
    "===", "!==", "**=", "//=", "...", ">>>", "**", "//", "==", "!=", "<=", ">=", "&&", "||", "+=",
    "-=", "*=", "/=", "%=", "++", "--", ":=", "=>", "->", "??", "?.", "<<", ">>", "<-", "&^", "+",
    "-", "*", "/", "%", "<", ">", "=", "!", "(", ")", "[", "]", "{", "}", ",", ".", ":", "?", "&",
    "|", "^", "~", "@",
];

/// Splits `code`; `None` if it holds something that is not known.
pub(super) fn tokens(code: &str, dialect: Dialect) -> Option<Vec<Token>> {
    let mut lexer = Lexer {
        rest: code,
        dialect,
        depth: 0,
        indents: Vec::new(),
        out: Vec::new(),
    };
    while !lexer.rest.is_empty() {
        lexer.step()?;
    }
    lexer.end();
    if dialect == Dialect::Python {
        let open = lexer.indents.len().saturating_sub(1);
        lexer.out.extend(std::iter::repeat_n(Token::Dedent, open));
    }
    Some(lexer.out)
}

struct Lexer<'a> {
    rest: &'a str,
    dialect: Dialect,
    /// Open parentheses and brackets; in Python, braces as well.
    depth: usize,
    indents: Vec<usize>,
    out: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) -> Option<()> {
        let first = self.rest.chars().next()?;
        if first == '\n' {
            self.advance(1);
            self.newline();
            return Some(());
        }
        if first.is_whitespace() {
            self.advance(first.len_utf8());
            return Some(());
        }
        if let Some(length) = self.comment() {
            self.advance(length);
            return Some(());
        }
        if first == ';' {
            self.advance(1);
            self.end();
            return Some(());
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if let Some(length) = self.string_prefix() {
            return self.string(length);
        }
        let length = name_length(self.rest);
        if length > 0 {
            let name = self.rest[..length].to_owned();
            self.advance(length);
            self.out.push(Token::Name(name));
            return Some(());
        }
        let operator = *OPERATORS
            .iter()
            .find(|operator| self.rest.starts_with(**operator))?;
        self.advance(operator.len());
        match operator {
            "(" | "[" => self.depth += 1,
            ")" | "]" => self.depth = self.depth.checked_sub(1)?,
            "{" if self.dialect == Dialect::Python => self.depth += 1,
            "}" if self.dialect == Dialect::Python => self.depth = self.depth.checked_sub(1)?,
            _ => {}
        }
        self.out.push(Token::Op(operator));
        Some(())
    }

    fn advance(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    fn comment(&self) -> Option<usize> {
        let line = || Some(self.rest.find('\n').unwrap_or(self.rest.len()));
        match self.dialect {
            Dialect::Python => self.rest.starts_with('#').then(line)?,
            _ if self.rest.starts_with("//") => line(),
            _ if self.rest.starts_with("/*") => self.rest.find("*/").map(|end| end + 2),
            _ => None,
        }
    }

    /// What a line's end means, by each language's rule.
    fn newline(&mut self) {
        if self.depth > 0 {
            return;
        }
        match self.dialect {
            Dialect::Python => self.indentation(),
            Dialect::Go => {
                let ends = match self.out.last() {
                    Some(Token::Op(op)) => [")", "]", "}", "++", "--"].contains(op),
                    Some(Token::End) | None => false,
                    Some(_) => true,
                };
                if ends {
                    self.end();
                }
            }
            Dialect::Script => {
                let next = self.rest.trim_start();
                let goes_on = next
                    .starts_with(['.', '?', ':', '|', '&', '+', '*', '%', '=', ')', ','])
                    || matches!(self.out.last(), Some(Token::Op(op)) if ![")", "]", "}"].contains(op));
                if !goes_on {
                    self.end();
                }
            }
        }
    }

    fn indentation(&mut self) {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let code = line.trim_start();
        if code.is_empty() || code.starts_with('#') {
            return;
        }
        self.end();
        let indent = line.len() - code.len();
        match self.indents.last() {
            None => self.indents.push(indent),
            Some(last) if indent > *last => {
                self.indents.push(indent);
                self.out.push(Token::Indent);
            }
            Some(_) => {
                while self.indents.len() > 1
                    && self.indents.last().is_some_and(|last| *last > indent)
                {
                    self.indents.pop();
                    self.out.push(Token::Dedent);
                }
            }
        }
    }

    fn end(&mut self) {
        if !matches!(
            self.out.last(),
            None | Some(Token::End | Token::Indent | Token::Dedent)
        ) {
            self.out.push(Token::End);
        }
    }

    fn number(&mut self) -> Option<()> {
        let length = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(self.rest.len());
        let text = self.rest[..length].replace('_', "");
        self.advance(length);
        self.out.push(match (self.dialect, text.parse::<i64>()) {
            (Dialect::Script, _) | (_, Err(_)) => Token::Float(text.parse().ok()?),
            // A leading zero is octal in Go.
            (_, Ok(_)) if text.len() > 1 && text.starts_with('0') => return None,
            (_, Ok(value)) => Token::Int(value),
        });
        Some(())
    }

    /// The length of a string's prefix, if a string starts here.
    fn string_prefix(&self) -> Option<usize> {
        let quotes: &[char] = match self.dialect {
            Dialect::Go => &['"', '`'],
            Dialect::Python => &['"', '\''],
            Dialect::Script => &['"', '\'', '`'],
        };
        if self.rest.starts_with(quotes) {
            return Some(0);
        }
        let prefixed = self.dialect == Dialect::Python
            && self.rest.starts_with(['f', 'F'])
            && self.rest[1..].starts_with(quotes);
        prefixed.then_some(1)
    }

    fn string(&mut self, prefix: usize) -> Option<()> {
        self.advance(prefix);
        let quote = self.rest.chars().next()?;
        let triple = quote.to_string().repeat(3);
        let delimiter = if self.dialect == Dialect::Python && self.rest.starts_with(&triple) {
            triple
        } else {
            quote.to_string()
        };
        self.advance(delimiter.len());
        let raw = self.dialect == Dialect::Go && quote == '`';
        let template = prefix > 0 || (self.dialect == Dialect::Script && quote == '`');
        let opening = if prefix > 0 { "{" } else { "${" };
        let mut parts = vec![String::new()];
        while !self.rest.starts_with(&delimiter) {
            let c = self.rest.chars().next()?;
            if template && self.rest.starts_with(opening) {
                self.advance(opening.len());
                let end = self.rest.find('}')?;
                let code = self.rest[..end].to_owned();
                // Format specifications, conversions and nesting are not known.
                if code.contains(['{', ':', '!', '`', '"', '\'']) || code.is_empty() {
                    return None;
                }
                parts.extend([code, String::new()]);
                self.advance(end + 1);
                continue;
            }
            self.advance(c.len_utf8());
            let c = if c == '\\' && !raw { self.escape()? } else { c };
            parts.last_mut()?.push(c);
        }
        self.advance(delimiter.len());
        let plain = parts.len() == 1;
        self.out.push(match parts.pop() {
            Some(text) if plain => Token::Text(text),
            last => {
                parts.extend(last);
                Token::Template(parts)
            }
        });
        Some(())
    }

    fn escape(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.advance(c.len_utf8());
        Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '\\' | '"' | '\'' | '`' => c,
            _ => return None,
        })
    }
}
