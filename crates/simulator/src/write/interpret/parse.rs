//! Parses tokens into statements and expressions.

use super::token::{Token, tokens};
use crate::write::scan::Dialect;
use crate::write::value::Value;

mod statement;

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Statement {
    /// The values given back; `None` for a bare `return`.
    Return(Option<Vec<Expression>>),
    /// Condition, then, else.
    If(Expression, Vec<Statement>, Vec<Statement>),
    /// New names with their values, in Go and JavaScript a declaration.
    Declare(Vec<String>, Vec<Expression>),
    /// Target, operator (`=`, `+` for `+=` …), value.
    Assign(Expression, &'static str, Expression),
    /// Names for index and element (either may be absent), what is gone through, body.
    ForEach(Option<String>, Option<String>, Expression, Vec<Statement>),
    /// Condition, step, body.
    While(Expression, Vec<Statement>, Vec<Statement>),
    /// The error's name, if it is written.
    Raise(Option<String>),
    Expression(Expression),
    Break,
    Continue,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Literal(Value),
    Name(String),
    Unary(&'static str, Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    /// Condition, then, else.
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
    Field(Box<Expression>, String),
    Index(Box<Expression>, Box<Expression>),
    Call(Box<Expression>, Vec<Expression>),
    List(Vec<Expression>),
    /// A string put together from these.
    Join(Vec<Expression>),
    /// Parameters and the expression given back.
    Lambda(Vec<String>, Box<Expression>),
    /// Element, its name, what it is taken from, condition.
    Comprehension(
        Box<Expression>,
        String,
        Box<Expression>,
        Option<Box<Expression>>,
    ),
}

/// The statements of a body.
pub(super) fn statements(code: &str, dialect: Dialect) -> Option<Vec<Statement>> {
    let mut parser = Parser::new(code, dialect)?;
    let mut found = Vec::new();
    while parser.at < parser.tokens.len() {
        if !parser.take(&Token::End) {
            found.extend(parser.statement()?);
        }
    }
    Some(found)
}

/// A lone expression.
pub(super) fn expression(code: &str, dialect: Dialect) -> Option<Expression> {
    let mut parser = Parser::new(code, dialect)?;
    let expression = parser.expression()?;
    parser.take(&Token::End);
    (parser.at == parser.tokens.len()).then_some(expression)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    dialect: Dialect,
    /// How deep expressions are nested, to end before the stack does.
    depth: usize,
}

impl Parser {
    fn new(code: &str, dialect: Dialect) -> Option<Self> {
        Some(Self {
            tokens: tokens(code, dialect)?,
            at: 0,
            dialect,
            depth: 0,
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn op(&mut self, op: &'static str) -> bool {
        self.take(&Token::Op(op))
    }

    fn expect(&mut self, op: &'static str) -> Option<()> {
        self.op(op).then_some(())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(name)) if name == word)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Option<String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Some(name)
            }
            _ => None,
        }
    }

    fn expression(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > 40 {
            return None;
        }
        let mut left = self.binary(1)?;
        if self.dialect == Dialect::Python && self.word("if") {
            let condition = self.binary(1)?;
            if !self.word("else") {
                return None;
            }
            let other = self.expression()?;
            left = Expression::Choice(condition.into(), left.into(), other.into());
        } else if self.dialect == Dialect::Script && self.op("?") {
            let then = self.expression()?;
            self.expect(":")?;
            let other = self.expression()?;
            left = Expression::Choice(left.into(), then.into(), other.into());
        }
        self.depth -= 1;
        Some(left)
    }

    /// Binary operators that bind at least as strongly as `least`.
    fn binary(&mut self, least: u8) -> Option<Expression> {
        let mut left = self.unary()?;
        while let Some((op, strength, length)) = self.operator() {
            if strength < least {
                break;
            }
            // `a < b < c` means different things in different languages.
            if strength == COMPARISON
                && matches!(&left, Expression::Binary(op, ..) if is_comparison(op))
            {
                return None;
            }
            self.at += length;
            let tighter = if op == "**" { strength } else { strength + 1 };
            let right = self.binary(tighter)?;
            left = Expression::Binary(op, left.into(), right.into());
        }
        Some(left)
    }

    /// The binary operator here, how strongly it binds, and how many tokens it takes.
    fn operator(&self) -> Option<(&'static str, u8, usize)> {
        let python = self.dialect == Dialect::Python;
        match self.peek()? {
            Token::Name(word) if python => match word.as_str() {
                "or" => Some(("||", 1, 1)),
                "and" => Some(("&&", 2, 1)),
                "in" => Some(("in", COMPARISON, 1)),
                "is" => match self.tokens.get(self.at + 1) {
                    Some(Token::Name(next)) if next == "not" => Some(("!=", COMPARISON, 2)),
                    _ => Some(("==", COMPARISON, 1)),
                },
                "not" => Some(("not in", COMPARISON, 2)),
                _ => None,
            },
            Token::Op(op) => {
                let strength = match *op {
                    "||" | "??" => 1,
                    "&&" => 2,
                    op if is_comparison(op) => COMPARISON,
                    "+" | "-" => 6,
                    "*" | "/" | "%" | "//" => 7,
                    "**" => 9,
                    _ => return None,
                };
                Some((op, strength, 1))
            }
            _ => None,
        }
    }

    fn unary(&mut self) -> Option<Expression> {
        for op in ["-", "+", "!"] {
            if self.op(op) {
                return Some(Expression::Unary(op, self.binary(8)?.into()));
            }
        }
        if self.dialect == Dialect::Python && self.word("not") {
            return Some(Expression::Unary("!", self.binary(3)?.into()));
        }
        if self.dialect != Dialect::Go && self.word("await") {
            return self.unary();
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut left: Expression) -> Option<Expression> {
        loop {
            if self.op(".") {
                left = Expression::Field(left.into(), self.name()?);
            } else if self.op("(") {
                left = Expression::Call(left.into(), self.list(")")?);
            } else if self.op("[") {
                let index = self.expression()?;
                self.expect("]")?;
                left = Expression::Index(left.into(), index.into());
            } else {
                return Some(left);
            }
        }
    }

    /// Expressions up to a closing bracket, which is taken.
    fn list(&mut self, close: &'static str) -> Option<Vec<Expression>> {
        let mut items = Vec::new();
        while !self.op(close) {
            let item = self.expression()?;
            if self.is_word("for") && items.is_empty() {
                items.push(self.comprehension(item)?);
                self.expect(close)?;
                break;
            }
            items.push(item);
            if !self.op(",") {
                self.expect(close)?;
                break;
            }
        }
        Some(items)
    }

    fn comprehension(&mut self, element: Expression) -> Option<Expression> {
        self.word("for");
        let name = self.name()?;
        if !self.word("in") {
            return None;
        }
        let from = self.binary(1)?;
        let condition = if self.word("if") {
            Some(self.binary(1)?.into())
        } else {
            None
        };
        Some(Expression::Comprehension(
            element.into(),
            name,
            from.into(),
            condition,
        ))
    }

    fn primary(&mut self) -> Option<Expression> {
        if let Some(lambda) = self.lambda() {
            return Some(lambda);
        }
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Int(value) => Some(Expression::Literal(Value::Int(value))),
            Token::Float(value) => Some(Expression::Literal(Value::Float(value))),
            Token::Text(text) => Some(Expression::Literal(Value::Str(text))),
            Token::Template(parts) => {
                let parts: Option<_> = parts
                    .iter()
                    .enumerate()
                    .map(|(n, part)| {
                        if n % 2 == 0 {
                            Some(Expression::Literal(Value::Str(part.clone())))
                        } else {
                            expression(part, self.dialect)
                        }
                    })
                    .collect();
                Some(Expression::Join(parts?))
            }
            Token::Name(name) => Some(match name.as_str() {
                "true" | "True" => Expression::Literal(Value::Bool(true)),
                "false" | "False" => Expression::Literal(Value::Bool(false)),
                "nil" | "None" | "undefined" => Expression::Literal(Value::Null),
                // JavaScript's `null` is not its `undefined`; only the latter is known.
                "null" | "new" | "func" | "function" | "lambda" | "yield" | "async" => return None,
                _ => Expression::Name(name),
            }),
            Token::Op("(") => {
                let inner = self.expression()?;
                if self.is_word("for") {
                    let inner = self.comprehension(inner)?;
                    self.expect(")")?;
                    return Some(inner);
                }
                self.expect(")")?;
                // Parentheses end a chain of comparisons.
                Some(Expression::Unary("()", inner.into()))
            }
            Token::Op("[") if self.dialect == Dialect::Go => self.go_slice(),
            Token::Op("[") => {
                let items = self.list("]")?;
                Some(match <[Expression; 1]>::try_from(items) {
                    Ok([one @ Expression::Comprehension(..)]) => one,
                    Ok([one]) => Expression::List(vec![one]),
                    Err(items) => Expression::List(items),
                })
            }
            _ => None,
        }
    }

    /// `[]T{…}`, or the type alone as an argument of `make`.
    fn go_slice(&mut self) -> Option<Expression> {
        self.expect("]")?;
        self.name()?;
        if self.op("{") {
            return Some(Expression::List(self.list("}")?));
        }
        Some(Expression::List(Vec::new()))
    }

    /// `x => …` and `(x, y) => …` with an expression for a body.
    fn lambda(&mut self) -> Option<Expression> {
        if self.dialect != Dialect::Script {
            return None;
        }
        let start = self.at;
        let lambda = self.try_lambda();
        if lambda.is_none() {
            self.at = start;
        }
        lambda
    }

    fn try_lambda(&mut self) -> Option<Expression> {
        let mut names = Vec::new();
        if self.op("(") {
            while !self.op(")") {
                names.push(self.name()?);
                self.skip_type(&[",", ")"]);
                self.op(",");
            }
        } else {
            names.push(self.name()?);
        }
        self.expect("=>")?;
        if self.peek() == Some(&Token::Op("{")) {
            return None;
        }
        Some(Expression::Lambda(names, self.expression()?.into()))
    }

    /// Skips a type annotation up to one of `ends`.
    fn skip_type(&mut self, ends: &[&str]) {
        if !self.op(":") {
            return;
        }
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::Op(op) if depth == 0 && ends.contains(op) => return,
                Token::Op("(" | "[" | "{" | "<") => depth += 1,
                Token::Op(")" | "]" | "}" | ">") => depth = depth.saturating_sub(1),
                Token::End if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }
}

const COMPARISON: u8 = 4;

pub(super) fn is_comparison(op: &str) -> bool {
    matches!(
        op,
        "==" | "!=" | "===" | "!==" | "<" | "<=" | ">" | ">=" | "in" | "not in"
    )
}
