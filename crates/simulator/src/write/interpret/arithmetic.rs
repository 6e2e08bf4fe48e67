//! Operators on known values, by each language's rules.

use std::cmp::Ordering;

use super::builtin;
use super::evaluate::{Known, Machine, Stop};
use super::parse::is_comparison;
use crate::write::scan::Dialect;
use crate::write::value::Value;

impl Machine<'_> {
    pub(super) fn binary(&self, op: &str, left: Value, right: Value) -> Known<Value> {
        let value = match (left, right) {
            (left, right) if is_comparison(op) => compare(op, &left, &right, self.dialect),
            (Value::Int(left), Value::Int(right)) => return self.integers(op, left, right),
            (Value::Int(left), Value::Float(right)) => {
                return self.floats(op, float(left)?, right);
            }
            (Value::Float(left), Value::Int(right)) => {
                return self.floats(op, left, float(right)?);
            }
            (Value::Float(left), Value::Float(right)) => return self.floats(op, left, right),
            (Value::Str(left), Value::Str(right)) if op == "+" => Some(Value::Str(left + &right)),
            (Value::List(mut left), Value::List(right))
                if op == "+" && self.dialect == Dialect::Python =>
            {
                left.extend(right);
                Some(Value::List(left))
            }
            (Value::Str(text), Value::Int(times))
                if op == "*" && self.dialect == Dialect::Python && times < 100 =>
            {
                Some(Value::Str(text.repeat(usize::try_from(times).unwrap_or(0))))
            }
            (left, right)
                if op == "+"
                    && self.dialect == Dialect::Script
                    && (matches!(left, Value::Str(_)) || matches!(right, Value::Str(_))) =>
            {
                let texts = (
                    builtin::shown(&left, self.dialect),
                    builtin::shown(&right, self.dialect),
                );
                texts
                    .0
                    .zip(texts.1)
                    .map(|(left, right)| Value::Str(left + &right))
            }
            _ => None,
        };
        value.ok_or(Stop::Unknown)
    }

    fn integers(&self, op: &str, left: i64, right: i64) -> Known<Value> {
        let python = self.dialect == Dialect::Python;
        if right == 0 && matches!(op, "/" | "//" | "%") {
            return Err(Stop::Raised(python.then(|| "ZeroDivisionError".into())));
        }
        let value = match op {
            "+" => left.checked_add(right),
            "-" => left.checked_sub(right),
            "*" => left.checked_mul(right),
            "/" if python => return self.floats("/", float(left)?, float(right)?),
            "/" => left.checked_div(right),
            "//" => left.checked_div_euclid(right).filter(|_| right > 0),
            "%" if python => left.checked_rem_euclid(right).filter(|_| right > 0),
            "%" => left.checked_rem(right),
            "**" => u32::try_from(right)
                .ok()
                .and_then(|right| left.checked_pow(right)),
            _ => None,
        };
        // 32-bit types share this arithmetic; what would not fit them is not known.
        value
            .filter(|value| i32::try_from(*value).is_ok() || python)
            .map(Value::Int)
            .ok_or(Stop::Unknown)
    }

    fn floats(&self, op: &str, left: f64, right: f64) -> Known<Value> {
        let python = self.dialect == Dialect::Python;
        if right == 0.0 && matches!(op, "/" | "//" | "%") {
            return Err(if python {
                Stop::Raised(Some("ZeroDivisionError".into()))
            } else {
                Stop::Unknown
            });
        }
        let value = match op {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => (left / right).floor(),
            "%" if python => left - right * (left / right).floor(),
            "%" => left % right,
            "**" if right.fract() == 0.0 && right.abs() < 64.0 => left.powf(right),
            _ => return Err(Stop::Unknown),
        };
        let negative_zero = value == 0.0 && value.is_sign_negative();
        if value.is_finite() && !negative_zero {
            Ok(Value::Float(value))
        } else {
            Err(Stop::Unknown)
        }
    }
}

/// An integer as a float, if that is exact.
fn float(value: i64) -> Known<f64> {
    i32::try_from(value)
        .map(f64::from)
        .map_err(|_| Stop::Unknown)
}

fn compare(op: &str, left: &Value, right: &Value, dialect: Dialect) -> Option<Value> {
    if let "in" | "not in" = op {
        let found = match (left, right) {
            (Value::Str(part), Value::Str(text)) => text.contains(part),
            (left, Value::List(items)) => items.contains(left),
            _ => return None,
        };
        return Some(Value::Bool(found == (op == "in")));
    }
    let order = match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.partial_cmp(right),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Float(right)) => float(*left).ok()?.partial_cmp(right),
        (Value::Float(left), Value::Int(right)) => left.partial_cmp(&float(*right).ok()?),
        (Value::Str(left), Value::Str(right)) => left.partial_cmp(right),
        _ => None,
    };
    let equality = matches!(op, "==" | "===" | "!=" | "!==");
    let equal = match (left, right) {
        _ if order.is_some() => order == Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Null, Value::Null) => true,
        (Value::Null, Value::Error | Value::Record(_))
        | (Value::Error | Value::Record(_), Value::Null) => false,
        // In Python and JavaScript values of different types differ; `==` may convert them.
        (Value::Null, _) | (_, Value::Null) if dialect != Dialect::Go => false,
        (Value::List(left), Value::List(right)) if dialect == Dialect::Python => left == right,
        (Value::List(items), Value::Null) | (Value::Null, Value::List(items)) => items.is_empty(),
        _ => return None,
    };
    Some(Value::Bool(match op {
        "==" | "===" => equal,
        "!=" | "!==" => !equal,
        _ if equality => return None,
        "<" => order? == Ordering::Less,
        "<=" => order? != Ordering::Greater,
        ">" => order? == Ordering::Greater,
        ">=" => order? != Ordering::Less,
        _ => return None,
    }))
}
