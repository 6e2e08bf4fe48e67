//! Which settings differ between two readings of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use crate::Settings;

impl Settings {
    /// The keys whose values differ, dotted, in order.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (leaves(self), leaves(other));
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let mut differing: Vec<String> = keys
            .into_iter()
            .filter(|key| ours.get(*key) != theirs.get(*key))
            .cloned()
            .collect();
        // Their values are hidden in the text.
        if self.llm.headers != other.llm.headers
            && !differing.iter().any(|key| key.starts_with("llm.headers"))
        {
            differing.push("llm.headers".to_owned());
        }
        let hidden = |settings: &Self| {
            let links = settings.llm.fallback.iter();
            links.map(|link| link.headers.clone()).collect::<Vec<_>>()
        };
        if hidden(self) != hidden(other) && !differing.iter().any(|key| key == "llm.fallback") {
            differing.push("llm.fallback".to_owned());
        }
        differing
    }
}

fn leaves(settings: &Settings) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    if let Ok(table) = toml::Table::try_from(settings) {
        collect(&table, "", &mut leaves);
    }
    leaves
}

fn collect(table: &toml::Table, prefix: &str, leaves: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(table) => collect(table, &format!("{key}."), leaves),
            value => {
                leaves.insert(key, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Settings, Sources};

    fn with(flags: &[(&str, &str)]) -> Settings {
        let flag = |(key, value): &(&str, &str)| {
            ("--set".to_owned(), (*key).to_owned(), (*value).to_owned())
        };
        let sources = Sources {
            flags: flags.iter().map(flag).collect(),
            ..Sources::default()
        };
        Settings::load(&sources).unwrap().settings
    }

    #[test]
    fn differing_keys_are_named() {
        let plain = with(&[]);
        assert!(plain.differences(&with(&[])).is_empty());
        let other = with(&[
            ("llm.model", "m"),
            ("watch.debounce", "1s"),
            ("llm.headers.x-team", "one"),
        ]);
        assert_eq!(
            plain.differences(&other),
            ["llm.headers.x-team", "llm.model", "watch.debounce"]
        );
        let hidden = with(&[("llm.headers.x-team", "two")]);
        let before = with(&[("llm.headers.x-team", "one")]);
        assert_eq!(before.differences(&hidden), ["llm.headers"]);
    }
}
