//! One layer of settings: a table whose every key knows its line.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeArray, DeTable, DeValue};
use toml::{Table, Value};

use crate::error::{ConfigError, Place};
use crate::keys::{self, Keys, Shape};

/// The values of one layer, and where each leaf was written.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) values: Table,
    pub(crate) places: BTreeMap<String, Place>,
}

impl Layer {
    /// Reads a file's text. Unknown keys are errors.
    pub(crate) fn parse(text: &str, path: &Path, keys: &Keys) -> Result<Self, ConfigError> {
        let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
        let place = |line| Place::File(path.to_owned(), line);
        let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            place: place(error.span().map(|span| line_of(span.start))),
            message: error.message().to_owned(),
        })?;
        let mut layer = Self::default();
        let mut walk = Walk {
            keys,
            place: &|offset| place(Some(line_of(offset))),
            layer: &mut layer,
        };
        let values = walk.table(document.get_ref(), "")?;
        layer.values = values;
        Ok(layer)
    }

    /// Sets one key, as a variable or a flag does.
    pub(crate) fn set(&mut self, key: &str, value: Value, place: Place) {
        let mut table = &mut self.values;
        let mut parts = keys::split(key);
        let Some(last) = parts.pop() else { return };
        for part in parts {
            let entry = table
                .entry(part)
                .or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(inner) => table = inner,
                _ => return,
            }
        }
        table.insert(last, value);
        self.places.insert(key.to_owned(), place);
    }

    /// Removes every leaf for which `unwanted` holds and gives their keys.
    pub(crate) fn remove_where(&mut self, unwanted: impl Fn(&str) -> bool) -> Vec<String> {
        let gone: Vec<String> = self
            .places
            .keys()
            .filter(|key| unwanted(key))
            .cloned()
            .collect();
        let mut gone: Vec<String> = gone.iter().map(|key| self.take_out(key)).collect();
        gone.dedup();
        gone
    }

    /// Removes a leaf; of a list's element, the whole list. Gives what was removed.
    fn take_out(&mut self, key: &str) -> String {
        self.places.remove(key);
        let key = list_of(key).unwrap_or(key);
        remove(&mut self.values, &keys::split(key));
        key.to_owned()
    }

    /// Puts `other` over this layer.
    pub(crate) fn overlay(&mut self, other: Self) {
        // A list takes the place of another as a whole.
        for key in other.places.keys() {
            let list = list_of(key).unwrap_or(key);
            let is_element = |known: &String| list_of(known) == Some(list);
            self.places
                .retain(|known, _| known != list && !is_element(known));
        }
        merge(&mut self.values, other.values);
        self.places.extend(other.places);
    }
}

/// The list that a key is in: `llm.fallback` of `llm.fallback[1].model`.
pub(crate) fn list_of(key: &str) -> Option<&str> {
    let (list, _) = key.split_once('[').filter(|_| !key.contains('"'))?;
    Some(list)
}

fn remove(table: &mut Table, key: &[String]) {
    match key {
        [] => {}
        [last] => {
            table.remove(last);
        }
        [first, rest @ ..] => {
            if let Some(Value::Table(inner)) = table.get_mut(first) {
                remove(inner, rest);
                if inner.is_empty() {
                    table.remove(first);
                }
            }
        }
    }
}

/// The value under a key.
pub(crate) fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let parts = keys::split(key);
    let (last, parents) = parts.split_last()?;
    let table = parents
        .iter()
        .try_fold(table, |at, part| entry(at, part)?.as_table())?;
    entry(table, last)
}

/// The value of this name, or the element of a list: `fallback[1]`.
fn entry<'a>(table: &'a Table, part: &str) -> Option<&'a Value> {
    table.get(part).or_else(|| {
        let (list, at) = part.strip_suffix(']')?.split_once('[')?;
        table.get(list)?.as_array()?.get(at.parse::<usize>().ok()?)
    })
}

fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

struct Walk<'a> {
    keys: &'a Keys,
    place: &'a dyn Fn(usize) -> Place,
    layer: &'a mut Layer,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) -> Result<Table, ConfigError> {
        let mut out = Table::new();
        for (name, value) in table {
            let name_part = keys::join(&[name.get_ref().to_string()]);
            let key = match prefix {
                "" => name_part,
                prefix => format!("{prefix}.{name_part}"),
            };
            let place = (self.place)(name.span().start);
            let Some(shape) = self.keys.shape(&key) else {
                let nearest = self.keys.nearest(&key);
                return Err(ConfigError::UnknownKey {
                    place,
                    key,
                    nearest,
                });
            };
            let value = match (value.get_ref(), shape) {
                (DeValue::Table(inner), Shape::Table | Shape::FreeTable) => {
                    Value::Table(self.table(inner, &key)?)
                }
                (DeValue::Array(items), Shape::Tables) if !items.is_empty() => {
                    Value::Array(self.tables(items, &key, &place)?)
                }
                (leaf, Shape::Tables) if !matches!(leaf, DeValue::Array(_)) => {
                    let message = format!("is a list; write its elements under [[{key}]]");
                    return Err(ConfigError::BadValue {
                        place,
                        key,
                        message,
                    });
                }
                (_, Shape::Table | Shape::FreeTable) => {
                    let message = format!("is a table; write its keys under [{key}]");
                    return Err(ConfigError::BadValue {
                        place,
                        key,
                        message,
                    });
                }
                (leaf, _) => {
                    self.layer.places.insert(key.clone(), place.clone());
                    plain(leaf).map_err(|message| ConfigError::BadValue {
                        place,
                        key,
                        message,
                    })?
                }
            };
            out.insert(name.get_ref().to_string(), value);
        }
        Ok(out)
    }

    /// The elements of a list of tables: each leaf has its own place.
    fn tables(
        &mut self,
        items: &DeArray<'_>,
        key: &str,
        place: &Place,
    ) -> Result<Vec<Value>, ConfigError> {
        let mut out = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let DeValue::Table(inner) = item.get_ref() else {
                return Err(ConfigError::BadValue {
                    place: place.clone(),
                    key: key.to_owned(),
                    message: format!("is a list of tables; write each under [[{key}]]"),
                });
            };
            let table = self.table(inner, &format!("{key}[{at}]"))?;
            out.push(Value::Table(table));
        }
        Ok(out)
    }
}

/// A spanned value without its spans.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| format!("`{number}` is too large"))?,
        ),
        DeValue::Float(number) => Value::Float(
            number
                .as_str()
                .parse()
                .map_err(|_| format!("`{number}` is no number"))?,
        ),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(date) => Value::Datetime(*date),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| plain(item.get_ref()))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(_) => return Err("must not be a table".to_owned()),
    })
}
