//! Repair by rule, from what Python, pytest and unittest say.

use std::collections::BTreeSet;

use testsmith_domain::{Member, SourceFile};

use super::dialect::Python;
use super::known_names;
use super::names;
use super::prepare::edited;
use super::{imports, rename};
use crate::compose::split_imports;
use crate::dialect::{Dialect, Import, Item};
use crate::mend::{names_behind, quoted_behind, taken_names};

/// See [`testsmith_domain::LanguageDriver::mend`].
pub(super) fn mend(file: &SourceFile, _member: &Member, body: &str, said: &str) -> Option<String> {
    let (code, statements) = split_imports(&Python, body);
    let mut needed: Vec<Import> = statements.into_iter().flat_map(|s| s.imports).collect();
    let before = (code.clone(), needed.clone());

    replace_modules(file, said, &mut needed);
    whole_datetime(said, &mut needed);
    add_missing(file, &code, said, &mut needed);
    let taken = taken_names(said);
    needed.retain(|import| {
        // Another block's import of this name stays, and its own is a name less.
        import
            .local
            .as_ref()
            .is_none_or(|local| !taken.contains(local))
    });
    let code = edited(&code, |parsed| {
        let mut edits = Vec::new();
        for name in &taken {
            edits.extend(rename::numbered(parsed, name).unwrap_or_default());
        }
        edits
    });

    if (&code, &needed) == (&before.0, &before.1) {
        return None;
    }
    let head = imports::render(&needed, |_| false, false);
    Some(format!("{head}\n\n\n{code}").trim_start().to_owned())
}

/// Imports of modules that are not there: `mock` is `unittest.mock` today, and what is taken from a
/// module of the name that the one under test has is the latter's.
fn replace_modules(file: &SourceFile, said: &str, needed: &mut Vec<Import>) {
    let mut missing = quoted_behind(said, "No module named ");
    missing.extend(
        said.split("cannot import name ")
            .skip(1)
            .flat_map(|rest| quoted_behind(rest.lines().next().unwrap_or_default(), " from ")),
    );
    let own = file.module.rsplit('.').next().unwrap_or_default();
    needed.retain_mut(|import| {
        // Python names the outermost package that is not there.
        let is_missing = missing.iter().any(|name| {
            let rest = import.module.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if !is_missing {
            return true;
        }
        if import.module == "mock" {
            match &import.item {
                Item::Module => {
                    "unittest".clone_into(&mut import.module);
                    import.item = Item::Name("mock".to_owned());
                }
                _ => "unittest.mock".clone_into(&mut import.module),
            }
            return true;
        }
        // Without its import a name is looked up in the module under test.
        import.module.rsplit('.').next() != Some(own) || !matches!(import.item, Item::Name(_))
    });
}

/// `from datetime import datetime` where the code means the module.
fn whole_datetime(said: &str, needed: &mut [Import]) {
    if !said.contains("type object 'datetime.datetime' has no attribute ") {
        return;
    }
    let class = |import: &&mut Import| {
        import.module == "datetime" && import.local.as_deref() == Some("datetime")
    };
    if let Some(import) = needed.iter_mut().find(class) {
        import.item = Item::Module;
    }
}

fn add_missing(file: &SourceFile, code: &str, said: &str, needed: &mut Vec<Import>) {
    let parsed = Python.parse(code);
    let free = names::free_names(&parsed);
    let bound: BTreeSet<String> = needed.iter().filter_map(|i| i.local.clone()).collect();
    for name in names_behind(said, "NameError: name ") {
        if free.contains(&name) && !bound.contains(&name) {
            needed.extend(own_module(file, &name).or_else(|| known_names::told(&name)));
        }
    }
}

/// The module under test, if `name` is its name or that of the package it is in.
fn own_module(file: &SourceFile, name: &str) -> Option<Import> {
    let (module, item) = match file.module.rsplit_once('.') {
        Some((package, own)) if own == name => (package, Item::Name(own.to_owned())),
        _ if imports::first_part(&file.module) == name => (file.module.as_str(), Item::Module),
        _ => return None,
    };
    Some(Import {
        module: module.to_owned(),
        item,
        local: Some(name.to_owned()),
        type_only: false,
    })
}
