//! Runs statements and evaluates expressions.

use super::Names;
use super::builtin;
use super::parse::{Expression, Statement};
use crate::write::scan::{Dialect, Source};
use crate::write::value::Value;

/// Why a run ends before its last statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    /// What happens is not known.
    Unknown,
    Returned(Option<Vec<Value>>),
    Raised(Option<String>),
    Break,
    Continue,
}

pub(super) type Known<T> = Result<T, Stop>;

/// Steps after which a run is given up.
const MAX_STEPS: u32 = 20_000;

/// A run.
pub(super) struct Machine<'s> {
    pub source: &'s Source<'s>,
    pub dialect: Dialect,
    names: Names,
    steps: u32,
}

impl<'s> Machine<'s> {
    pub(super) fn new(source: &'s Source<'s>, dialect: Dialect, names: Names) -> Self {
        Self {
            source,
            dialect,
            names,
            steps: 0,
        }
    }

    pub(super) fn into_names(self) -> Names {
        self.names
    }

    pub(super) fn run(&mut self, statements: &[Statement]) -> Known<()> {
        statements
            .iter()
            .try_for_each(|statement| self.step(statement))
    }

    fn tick(&mut self) -> Known<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            Err(Stop::Unknown)
        } else {
            Ok(())
        }
    }

    fn step(&mut self, statement: &Statement) -> Known<()> {
        self.tick()?;
        match statement {
            Statement::Return(None) => Err(Stop::Returned(None)),
            Statement::Return(Some(values)) => Err(Stop::Returned(Some(self.all(values)?))),
            Statement::If(condition, then, other) => {
                if self.truth(condition)? {
                    self.run(then)
                } else {
                    self.run(other)
                }
            }
            Statement::Declare(names, expressions) => {
                let values = self.all(expressions)?;
                for (expression, value) in expressions.iter().zip(&values) {
                    self.refuse_alias(expression, value)?;
                }
                for (name, value) in names.iter().zip(values) {
                    // A name may hide another until its block ends; blocks are not kept here.
                    if self.names.contains_key(name) {
                        return Err(Stop::Unknown);
                    }
                    self.names.insert(name.clone(), value);
                }
                Ok(())
            }
            Statement::Assign(target, op, value) => self.assign(target, op, value),
            Statement::ForEach(index, element, through, body) => {
                self.for_each(index.as_ref(), element.as_ref(), through, body)
            }
            Statement::While(condition, step, body) => {
                let outer = self.names.clone();
                while self.truth(condition)? {
                    match self.run(body) {
                        Err(Stop::Break) => break,
                        Ok(()) | Err(Stop::Continue) => {}
                        Err(other) => return Err(other),
                    }
                    self.leave(&outer);
                    self.run(step)?;
                }
                self.leave(&outer);
                Ok(())
            }
            Statement::Raise(error) => Err(Stop::Raised(error.clone())),
            Statement::Expression(expression) => self.effect(expression),
            Statement::Break => Err(Stop::Break),
            Statement::Continue => Err(Stop::Continue),
        }
    }

    /// Forgets the names that a block declared. Python's stay.
    fn leave(&mut self, outer: &Names) {
        if self.dialect != Dialect::Python {
            self.names.retain(|name, _| outer.contains_key(name));
        }
    }

    fn for_each(
        &mut self,
        index: Option<&String>,
        element: Option<&String>,
        through: &Expression,
        body: &[Statement],
    ) -> Known<()> {
        let items = match self.evaluate(through)? {
            Value::List(items) => items,
            Value::Int(count) if self.dialect == Dialect::Go && element.is_none() => (0..count
                .min(i64::from(MAX_STEPS)))
                .map(Value::Int)
                .collect(),
            // Go goes through a string by runes, which are numbers.
            Value::Str(text) if self.dialect != Dialect::Go && text.is_ascii() => {
                text.chars().map(|c| Value::Str(c.into())).collect()
            }
            _ => return Err(Stop::Unknown),
        };
        let outer = self.names.clone();
        if self.dialect != Dialect::Python
            && [index, element]
                .into_iter()
                .flatten()
                .any(|name| outer.contains_key(name))
        {
            return Err(Stop::Unknown);
        }
        for (n, item) in items.into_iter().enumerate() {
            self.tick()?;
            if let Some(index) = index {
                let n = i64::try_from(n).map_err(|_| Stop::Unknown)?;
                self.names.insert(index.clone(), Value::Int(n));
            }
            if let Some(element) = element {
                self.names.insert(element.clone(), item);
            }
            match self.run(body) {
                Err(Stop::Break) => break,
                Ok(()) | Err(Stop::Continue) => {}
                Err(other) => return Err(other),
            }
            self.leave(&outer);
        }
        self.leave(&outer);
        Ok(())
    }

    /// Lists and objects are copied here; a second name for one would not see its changes.
    fn refuse_alias(&self, expression: &Expression, value: &Value) -> Known<()> {
        let shared = matches!(value, Value::List(_) | Value::Record(_));
        let named = matches!(
            expression,
            Expression::Name(_) | Expression::Field(..) | Expression::Index(..)
        );
        if shared && named && self.dialect != Dialect::Go {
            Err(Stop::Unknown)
        } else {
            Ok(())
        }
    }

    fn assign(&mut self, target: &Expression, op: &'static str, from: &Expression) -> Known<()> {
        let mut value = self.evaluate(from)?;
        let field = matches!(target, Expression::Field(..));
        // `self.items = items` is how constructors are written, and does no harm there.
        if op == "=" && !field {
            self.refuse_alias(from, &value)?;
        }
        if op != "=" {
            let before = self.evaluate(target)?;
            value = self.binary(op, before, value)?;
        }
        match target {
            Expression::Name(name) => {
                self.names.insert(name.clone(), value);
                Ok(())
            }
            Expression::Field(object, field) => match &**object {
                Expression::Name(name) => match self.names.get_mut(name) {
                    Some(Value::Record(fields)) => {
                        fields.insert(field.clone(), value);
                        Ok(())
                    }
                    _ => Err(Stop::Unknown),
                },
                _ => Err(Stop::Unknown),
            },
            _ => Err(Stop::Unknown),
        }
    }

    /// An expression for its effect: only what a list takes in is known.
    fn effect(&mut self, expression: &Expression) -> Known<()> {
        if let Expression::Call(callee, arguments) = expression
            && let Expression::Field(object, method) = &**callee
            && let Expression::Name(name) = &**object
            && let ("append" | "push", [argument]) = (method.as_str(), arguments.as_slice())
        {
            let item = self.evaluate(argument)?;
            if let Some(Value::List(items)) = self.names.get_mut(name) {
                items.push(item);
                return Ok(());
            }
            return Err(Stop::Unknown);
        }
        match expression {
            Expression::Literal(_) => Ok(()),
            _ => Err(Stop::Unknown),
        }
    }

    pub(super) fn all(&mut self, expressions: &[Expression]) -> Known<Vec<Value>> {
        expressions
            .iter()
            .map(|expression| self.evaluate(expression))
            .collect()
    }

    fn truth(&mut self, condition: &Expression) -> Known<bool> {
        let value = self.evaluate(condition)?;
        self.is_true(&value)
    }

    fn is_true(&self, value: &Value) -> Known<bool> {
        match (self.dialect, value) {
            (_, Value::Bool(value)) => Ok(*value),
            (Dialect::Go, _) | (_, Value::Record(_) | Value::Error) => Err(Stop::Unknown),
            (_, Value::Null) => Ok(false),
            (_, Value::Int(value)) => Ok(*value != 0),
            (_, Value::Float(value)) => Ok(*value != 0.0),
            (_, Value::Str(text)) => Ok(!text.is_empty()),
            (Dialect::Python, Value::List(items)) => Ok(!items.is_empty()),
            (Dialect::Script, Value::List(_)) => Ok(true),
        }
    }

    pub(super) fn evaluate(&mut self, expression: &Expression) -> Known<Value> {
        self.tick()?;
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Name(name) => match self.names.get(name) {
                Some(value) => Ok(value.clone()),
                // Sentinel errors of Go are called so by custom.
                None if self.dialect == Dialect::Go && name.starts_with("Err") => Ok(Value::Error),
                None => Err(Stop::Unknown),
            },
            Expression::Unary("()" | "+", inner) => self.evaluate(inner),
            Expression::Unary("!", inner) => Ok(Value::Bool(!self.truth(inner)?)),
            Expression::Unary(_, inner) => match self.evaluate(inner)? {
                Value::Int(value) => Ok(Value::Int(value.checked_neg().ok_or(Stop::Unknown)?)),
                Value::Float(value) => Ok(Value::Float(-value)),
                _ => Err(Stop::Unknown),
            },
            Expression::Binary(op @ ("&&" | "||" | "??"), left, right) => {
                let left = self.evaluate(left)?;
                let goes_on = match *op {
                    "&&" => self.is_true(&left)?,
                    "||" => !self.is_true(&left)?,
                    _ => left == Value::Null,
                };
                if goes_on {
                    self.evaluate(right)
                } else {
                    Ok(left)
                }
            }
            Expression::Binary(op, left, right) => {
                // Go computes constants exactly, not in floating point.
                let constant =
                    |side: &Expression| matches!(side, Expression::Literal(Value::Float(_)));
                if self.dialect == Dialect::Go && constant(left) && constant(right) {
                    return Err(Stop::Unknown);
                }
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                self.binary(op, left, right)
            }
            Expression::Choice(condition, then, other) => {
                let chosen = if self.truth(condition)? { then } else { other };
                self.evaluate(chosen)
            }
            Expression::Field(object, field) => self.field(object, field),
            Expression::Index(object, index) => self.index(object, index),
            Expression::Call(callee, arguments) => builtin::call(self, callee, arguments),
            Expression::List(items) => Ok(Value::List(self.all(items)?)),
            Expression::Join(parts) => {
                let mut text = String::new();
                for part in parts {
                    let value = self.evaluate(part)?;
                    text += &builtin::shown(&value, self.dialect).ok_or(Stop::Unknown)?;
                }
                Ok(Value::Str(text))
            }
            Expression::Lambda(..) => Err(Stop::Unknown),
            Expression::Comprehension(element, name, from, condition) => {
                let Value::List(items) = self.evaluate(from)? else {
                    return Err(Stop::Unknown);
                };
                let names = [name.clone()];
                let mut found = Vec::new();
                for item in items {
                    let keep = match condition {
                        Some(condition) => {
                            let value = self.apply(&names, condition, vec![item.clone()])?;
                            self.is_true(&value)?
                        }
                        None => true,
                    };
                    if keep {
                        found.push(self.apply(&names, element, vec![item])?);
                    }
                }
                Ok(Value::List(found))
            }
        }
    }

    /// Evaluates an expression with some names set for it alone.
    pub(super) fn apply(
        &mut self,
        names: &[String],
        expression: &Expression,
        values: Vec<Value>,
    ) -> Known<Value> {
        let outer = self.names.clone();
        self.names.extend(names.iter().cloned().zip(values));
        let value = self.evaluate(expression);
        self.names = outer;
        value
    }

    fn field(&mut self, object: &Expression, field: &str) -> Known<Value> {
        match self.evaluate(object)? {
            Value::Record(fields) => fields.get(field).cloned().ok_or(Stop::Unknown),
            Value::List(items) if self.dialect == Dialect::Script && field == "length" => {
                builtin::count(items.len(), self.dialect)
            }
            Value::Str(text)
                if self.dialect == Dialect::Script && field == "length" && text.is_ascii() =>
            {
                builtin::count(text.len(), self.dialect)
            }
            _ => Err(Stop::Unknown),
        }
    }

    fn index(&mut self, object: &Expression, index: &Expression) -> Known<Value> {
        let object = self.evaluate(object)?;
        let index = match self.evaluate(index)? {
            Value::Int(index) => index,
            Value::Float(index) if index.fract() == 0.0 => {
                format!("{index}").parse().map_err(|_| Stop::Unknown)?
            }
            _ => return Err(Stop::Unknown),
        };
        let items = match object {
            Value::List(items) => items,
            Value::Str(text) if self.dialect != Dialect::Go && text.is_ascii() => {
                text.chars().map(|c| Value::Str(c.into())).collect()
            }
            _ => return Err(Stop::Unknown),
        };
        let length = i64::try_from(items.len()).map_err(|_| Stop::Unknown)?;
        let at = if index < 0 && self.dialect == Dialect::Python {
            index + length
        } else {
            index
        };
        let found = usize::try_from(at)
            .ok()
            .and_then(|at| items.into_iter().nth(at));
        match (found, self.dialect) {
            (Some(value), _) => Ok(value),
            (None, Dialect::Python) => Err(Stop::Raised(Some("IndexError".into()))),
            (None, Dialect::Go) => Err(Stop::Raised(None)),
            (None, Dialect::Script) => Ok(Value::Null),
        }
    }
}
