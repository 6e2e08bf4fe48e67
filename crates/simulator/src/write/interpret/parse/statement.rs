//! Statements.

use super::{Expression, Parser, Statement};
use crate::write::interpret::token::Token;
use crate::write::scan::Dialect;
use crate::write::value::Value;

impl Parser {
    /// One statement; several where one stands for more, as a loop with its first step.
    pub(super) fn statement(&mut self) -> Option<Vec<Statement>> {
        let dialect = self.dialect;
        let word = match self.peek() {
            Some(Token::Name(word)) => word.clone(),
            _ => String::new(),
        };
        let one = match (dialect, word.as_str()) {
            (_, "return") => self.returned()?,
            (_, "if") => self.condition()?,
            (Dialect::Go, "switch") => self.switch()?,
            (_, "for") => return self.repeated(),
            (Dialect::Python | Dialect::Script, "while") => {
                self.at += 1;
                let condition = self.header()?;
                Statement::While(condition, Vec::new(), self.block()?)
            }
            (Dialect::Script, "const" | "let" | "var") | (Dialect::Go, "var" | "const") => {
                self.at += 1;
                self.declaration()?
            }
            (Dialect::Python, "raise") | (Dialect::Script, "throw") => {
                self.at += 1;
                self.word("new");
                let name = self.name();
                self.skip_to_end();
                Statement::Raise(name)
            }
            (_, "break") => self.lone(Statement::Break),
            (_, "continue") => self.lone(Statement::Continue),
            (Dialect::Python, "pass") => {
                self.lone(Statement::Expression(Expression::Literal(Value::Null)))
            }
            (Dialect::Go, "defer" | "go" | "select" | "type" | "goto")
            | (Dialect::Python, "with" | "try" | "def" | "class" | "global" | "nonlocal" | "del")
            | (Dialect::Script, "try" | "do" | "switch" | "function" | "class") => return None,
            _ => self.simple()?,
        };
        Some(vec![one])
    }

    fn lone(&mut self, statement: Statement) -> Statement {
        self.at += 1;
        self.take(&Token::End);
        statement
    }

    fn skip_to_end(&mut self) {
        while self.peek().is_some_and(|token| *token != Token::End) {
            self.at += 1;
        }
        self.take(&Token::End);
    }

    /// The end of a statement, which a closing brace also is.
    fn finish(&mut self) -> Option<()> {
        let done = self.take(&Token::End)
            || matches!(self.peek(), None | Some(Token::Op("}") | Token::Dedent));
        done.then_some(())
    }

    fn returned(&mut self) -> Option<Statement> {
        self.at += 1;
        if self.finish().is_some() {
            return Some(Statement::Return(None));
        }
        let mut values = vec![self.expression()?];
        while self.op(",") {
            values.push(self.expression()?);
        }
        self.finish()?;
        // A Python tuple is a value of its own, which is not known here.
        if self.dialect == Dialect::Python && values.len() > 1 {
            return None;
        }
        Some(Statement::Return(Some(values)))
    }

    /// The condition of `if` and `while`.
    fn header(&mut self) -> Option<Expression> {
        if self.dialect == Dialect::Script {
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            return Some(condition);
        }
        self.expression()
    }

    fn condition(&mut self) -> Option<Statement> {
        self.at += 1;
        let condition = self.header()?;
        let then = self.block()?;
        let other = if self.dialect == Dialect::Python && self.is_word("elif") {
            vec![self.condition()?]
        } else if self.word("else") {
            if self.dialect != Dialect::Python && self.is_word("if") {
                vec![self.condition()?]
            } else {
                self.block()?
            }
        } else {
            Vec::new()
        };
        Some(Statement::If(condition, then, other))
    }

    /// `{ … }`, a Python block, or JavaScript's single statement.
    fn block(&mut self) -> Option<Vec<Statement>> {
        let mut found = Vec::new();
        if self.dialect == Dialect::Python {
            self.expect(":")?;
            if !self.take(&Token::End) {
                return self.statement();
            }
            if !self.take(&Token::Indent) {
                return None;
            }
            while !self.take(&Token::Dedent) {
                found.extend(self.statement()?);
            }
            return Some(found);
        }
        if !self.op("{") {
            return if self.dialect == Dialect::Script {
                self.statement()
            } else {
                None
            };
        }
        while !self.op("}") {
            if !self.take(&Token::End) {
                found.extend(self.statement()?);
            }
        }
        self.take(&Token::End);
        Some(found)
    }

    /// Go's `switch`, as a chain of conditions.
    fn switch(&mut self) -> Option<Statement> {
        self.at += 1;
        let subject = if self.op("{") {
            None
        } else {
            let subject = self.expression()?;
            self.expect("{")?;
            Some(subject)
        };
        let mut cases = Vec::new();
        let mut default = Vec::new();
        while !self.op("}") {
            if self.take(&Token::End) {
                continue;
            }
            let condition = if self.word("default") {
                None
            } else {
                Some(self.case(subject.as_ref())?)
            };
            self.expect(":")?;
            let mut body = Vec::new();
            while !self.is_word("case")
                && !self.is_word("default")
                && self.peek() != Some(&Token::Op("}"))
            {
                if self.is_word("fallthrough") || self.is_word("break") {
                    return None;
                }
                if !self.take(&Token::End) {
                    body.extend(self.statement()?);
                }
            }
            match condition {
                Some(condition) => cases.push((condition, body)),
                None => default = body,
            }
        }
        self.take(&Token::End);
        let chain = cases
            .into_iter()
            .rev()
            .fold(default, |other, (condition, body)| {
                vec![Statement::If(condition, body, other)]
            });
        chain.into_iter().next()
    }

    /// What follows `case`.
    fn case(&mut self, subject: Option<&Expression>) -> Option<Expression> {
        if !self.word("case") {
            return None;
        }
        let mut any: Option<Expression> = None;
        loop {
            let value = self.expression()?;
            let condition = match subject {
                None => value,
                Some(subject) => Expression::Binary("==", subject.clone().into(), value.into()),
            };
            any = Some(match any {
                None => condition,
                Some(before) => Expression::Binary("||", before.into(), condition.into()),
            });
            if !self.op(",") {
                return any;
            }
        }
    }

    /// What follows `const`, `let`, `var`.
    fn declaration(&mut self) -> Option<Statement> {
        let name = self.name()?;
        if self.dialect == Dialect::Script {
            self.skip_type(&["="]);
        } else if let Some(of) = self.name() {
            let zero = match of.as_str() {
                "int" | "int64" | "int32" | "int16" => Value::Int(0),
                "float64" => Value::Float(0.0),
                "string" => Value::Str(String::new()),
                "bool" => Value::Bool(false),
                _ => return None,
            };
            if self.peek() != Some(&Token::Op("=")) {
                self.finish()?;
                return Some(Statement::Declare(
                    vec![name],
                    vec![Expression::Literal(zero)],
                ));
            }
        } else if self.op("[") {
            // `var found []T`
            self.expect("]")?;
            self.name()?;
            self.finish()?;
            return Some(Statement::Declare(
                vec![name],
                vec![Expression::List(Vec::new())],
            ));
        }
        self.expect("=")?;
        let value = self.expression()?;
        self.finish()?;
        Some(Statement::Declare(vec![name], vec![value]))
    }

    /// An assignment, or an expression for its effect.
    fn simple(&mut self) -> Option<Statement> {
        let mut targets = vec![self.expression()?];
        while self.op(",") {
            targets.push(self.expression()?);
        }
        if self.op(":=") {
            let names = targets
                .into_iter()
                .map(|target| match target {
                    Expression::Name(name) => Some(name),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()?;
            let mut values = vec![self.expression()?];
            while self.op(",") {
                values.push(self.expression()?);
            }
            let same = names.len() == values.len();
            self.finish_or_header()?;
            return same.then_some(Statement::Declare(names, values));
        }
        let [target] = <[Expression; 1]>::try_from(targets).ok()?;
        if self.dialect == Dialect::Python && matches!(target, Expression::Name(_)) && self.op(":")
        {
            // An annotation, which may hold brackets but no `=`.
            while self
                .peek()
                .is_some_and(|token| !matches!(token, Token::End | Token::Op("=")))
            {
                self.at += 1;
            }
        }
        for (written, op) in [
            ("=", "="),
            ("+=", "+"),
            ("-=", "-"),
            ("*=", "*"),
            ("/=", "/"),
            ("%=", "%"),
            ("//=", "//"),
            ("**=", "**"),
        ] {
            if self.op(written) {
                let value = self.expression()?;
                self.finish_or_header()?;
                return Some(Statement::Assign(target, op, value));
            }
        }
        for (written, op) in [("++", "+"), ("--", "-")] {
            if self.op(written) {
                self.finish_or_header()?;
                let one = match self.dialect {
                    Dialect::Script => Value::Float(1.0),
                    Dialect::Go | Dialect::Python => Value::Int(1),
                };
                return Some(Statement::Assign(target, op, Expression::Literal(one)));
            }
        }
        self.finish()?;
        if let Expression::Call(callee, _) = &target
            && self.dialect == Dialect::Go
            && **callee == Expression::Name("panic".into())
        {
            return Some(Statement::Raise(None));
        }
        Some(Statement::Expression(target))
    }

    /// The end of a statement, or of a part of a `for` header.
    fn finish_or_header(&mut self) -> Option<()> {
        if matches!(self.peek(), Some(Token::Op("{" | ")"))) {
            return Some(());
        }
        self.finish()
    }

    fn repeated(&mut self) -> Option<Vec<Statement>> {
        self.at += 1;
        match self.dialect {
            Dialect::Python => {
                let first = self.name()?;
                let second = if self.op(",") {
                    Some(self.name()?)
                } else {
                    None
                };
                if !self.word("in") {
                    return None;
                }
                let mut through = self.expression()?;
                let (index, element) = match second {
                    None => (None, Some(first)),
                    Some(element) => {
                        let Expression::Call(callee, mut arguments) = through else {
                            return None;
                        };
                        if *callee != Expression::Name("enumerate".into()) || arguments.len() != 1 {
                            return None;
                        }
                        through = arguments.pop()?;
                        (Some(first), Some(element))
                    }
                };
                let body = self.block()?;
                Some(vec![Statement::ForEach(index, element, through, body)])
            }
            Dialect::Script => self.script_for(),
            Dialect::Go => self.go_for(),
        }
    }

    fn script_for(&mut self) -> Option<Vec<Statement>> {
        self.expect("(")?;
        if !(self.word("const") || self.word("let") || self.word("var")) {
            return None;
        }
        let name = self.name()?;
        if self.word("of") {
            let through = self.expression()?;
            self.expect(")")?;
            let body = self.block()?;
            return Some(vec![Statement::ForEach(None, Some(name), through, body)]);
        }
        self.skip_type(&["="]);
        self.expect("=")?;
        let from = self.expression()?;
        self.take(&Token::End).then_some(())?;
        let condition = self.expression()?;
        self.take(&Token::End).then_some(())?;
        let step = self.simple()?;
        self.expect(")")?;
        let body = self.block()?;
        Some(vec![
            Statement::Declare(vec![name], vec![from]),
            Statement::While(condition, vec![step], body),
        ])
    }

    fn go_for(&mut self) -> Option<Vec<Statement>> {
        let start = self.at;
        if let (Some(first), true) = (
            self.name(),
            self.op(",") || self.peek() == Some(&Token::Op(":=")),
        ) {
            let second = self.name();
            if self.op(":=") && self.word("range") {
                let through = self.expression()?;
                let body = self.block()?;
                let named = |name: String| (name != "_").then_some(name);
                return Some(vec![Statement::ForEach(
                    named(first),
                    second.and_then(named),
                    through,
                    body,
                )]);
            }
        }
        self.at = start;
        let first = self.simple_in_header()?;
        match first {
            Statement::Expression(condition) => {
                let body = self.block()?;
                Some(vec![Statement::While(condition, Vec::new(), body)])
            }
            first => {
                let condition = self.expression()?;
                self.take(&Token::End).then_some(())?;
                let step = self.simple()?;
                let body = self.block()?;
                Some(vec![first, Statement::While(condition, vec![step], body)])
            }
        }
    }

    /// The first part of a Go `for` header: a declaration, or a lone condition.
    fn simple_in_header(&mut self) -> Option<Statement> {
        let start = self.at;
        let condition = self.expression()?;
        if self.peek() == Some(&Token::Op("{")) {
            return Some(Statement::Expression(condition));
        }
        self.at = start;
        self.simple()
    }
}
