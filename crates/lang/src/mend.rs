//! What the drivers' repairs by rule share: reading compilers' and runners' words.

use std::collections::BTreeSet;

/// The names that stand behind `marker` in what was said: `strings` behind `undefined: `.
pub(crate) fn names_behind(said: &str, marker: &str) -> BTreeSet<String> {
    said.match_indices(marker)
        .filter_map(|(at, _)| {
            let rest = said.get(at + marker.len()..)?.trim_start_matches(QUOTES);
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            rest.get(..end)
        })
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The names that stand before `marker` in what was said: `fs` before ` is not defined`.
pub(crate) fn names_before(said: &str, marker: &str) -> BTreeSet<String> {
    said.match_indices(marker)
        .filter_map(|(at, _)| {
            let rest = said.get(..at)?.trim_end_matches(QUOTES);
            let start = rest.rfind(|c| !is_name(c)).map_or(0, |at| {
                at + rest[at..].chars().next().map_or(1, char::len_utf8)
            });
            rest.get(start..)
        })
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What stands in quotes behind `marker`.
pub(crate) fn quoted_behind<'s>(said: &'s str, marker: &str) -> BTreeSet<&'s str> {
    said.match_indices(marker)
        .filter_map(|(at, _)| {
            let rest = said.get(at + marker.len()..)?;
            let quote = rest.chars().next().filter(|c| QUOTES.contains(c))?;
            rest.get(1..)?.split(quote).next()
        })
        .collect()
}

/// The names of which [`testsmith_domain::Rejection::DuplicateName`] says that they are taken.
pub(crate) fn taken_names(said: &str) -> BTreeSet<String> {
    names_before(said, " is already defined in ")
}

/// `name`, or with the first number from 2 on behind it that makes it one that is not `taken`.
pub(crate) fn free_name(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..1000).map(|number| format!("{name}{number}"));
    let mut all = std::iter::once(name.to_owned()).chain(numbered);
    all.find(|name| !taken(name))
        .unwrap_or_else(|| format!("{name}_"))
}

const QUOTES: [char; 3] = ['\'', '"', '`'];

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_read_around_words() {
        let said = "./a_test.go:7:37: undefined: rand\n./a_test.go:7:62: undefined: tmpl.X\n";
        assert_eq!(names_behind(said, "undefined: "), set(&["rand", "tmpl"]));
        let said = "\u{1b}[1mReferenceError\u{1b}[22m: fs is not defined\nE   NameError: name 'é' is not defined";
        assert_eq!(names_before(said, " is not defined"), set(&["fs", "é"]));
        assert_eq!(names_before(" is not defined", " is not defined"), set(&[]));
        assert_eq!(
            names_before("– is not defined", " is not defined"),
            set(&[])
        );
        assert_eq!(
            names_before("–a is not defined", " is not defined"),
            set(&["a"])
        );
        let said = "`TestTotal` is already defined in `shop/cart_test.go`";
        assert_eq!(taken_names(said), set(&["TestTotal"]));
        let said = "Cannot find module './carts' imported from '/a'\nCannot find module \"x";
        let found = quoted_behind(said, "Cannot find module ");
        assert_eq!(found, BTreeSet::from(["./carts", "x"]));
    }

    #[test]
    fn a_free_name_has_the_first_number_that_is_left() {
        assert_eq!(free_name("a", |_| false), "a");
        assert_eq!(free_name("a", |name| ["a", "a2"].contains(&name)), "a3");
    }
}
