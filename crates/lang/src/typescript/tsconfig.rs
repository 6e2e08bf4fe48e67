//! What `tsconfig.json` says of the way modules are named.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};
use testsmith_domain::{Project, RelPath};

use super::manifest::folders_up;

/// How many files an `extends` chain may have: more is a loop.
const CHAIN: usize = 8;

/// How a TypeScript file names another one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// `./cart`
    None,
    /// `./cart.js`, the name of what is built from it.
    Built,
    /// `./cart.ts`
    Source,
}

/// The options of the nearest `tsconfig.json`, with what it extends.
#[derive(Debug, Default)]
pub(super) struct TsConfig {
    options: Map<String, Value>,
    /// Folder of the file that set `paths` or `baseUrl`.
    base: PathBuf,
}

impl TsConfig {
    /// The options that hold for `path`: empty if there is no readable `tsconfig.json`.
    pub(super) fn above(project: &Project, path: &RelPath) -> Self {
        folders_up(&project.root, path)
            .flat_map(|dir| [dir.join("tsconfig.json"), dir.join("jsconfig.json")])
            .find(|file| file.is_file())
            .map_or_else(Self::default, |file| {
                Self::load(&project.root, &file, CHAIN)
            })
    }

    fn load(root: &Path, file: &Path, left: usize) -> Self {
        let dir = file.parent().unwrap_or(root);
        let Some(json) = read_jsonc(file) else {
            return Self::default();
        };
        let mut config = Self::default();
        if left > 0 {
            for parent in parents(&json) {
                if let Some(parent) = inside(root, &dir.join(parent)) {
                    config.overlay(Self::load(root, &with_json(parent), left - 1));
                }
            }
        }
        let own = json.get("compilerOptions").and_then(Value::as_object);
        config.overlay(Self {
            options: own.cloned().unwrap_or_default(),
            base: dir.to_owned(),
        });
        config
    }

    fn overlay(&mut self, upper: Self) {
        if upper.options.contains_key("paths") || upper.options.contains_key("baseUrl") {
            self.base = upper.base;
        }
        self.options.extend(upper.options);
    }

    fn text(&self, key: &str) -> Option<String> {
        Some(self.options.get(key)?.as_str()?.to_ascii_lowercase())
    }

    /// How modules of the project are named.
    pub(super) fn extension(&self) -> Extension {
        if self.options.get("allowImportingTsExtensions") == Some(&Value::Bool(true)) {
            return Extension::Source;
        }
        // Left out, the resolution follows `module`.
        let resolution = self
            .text("moduleResolution")
            .or_else(|| self.text("module"));
        match resolution.as_deref() {
            Some(name) if name.starts_with("node1") || name.starts_with("node2") => {
                Extension::Built
            }
            Some("nodenext") => Extension::Built,
            _ => Extension::None,
        }
    }

    /// The files, without extension, that `specifier` may mean by `paths`, as absolute paths.
    pub(super) fn aliased(&self, specifier: &str) -> Vec<PathBuf> {
        let base = match self.text("baseUrl") {
            Some(_) => self
                .base
                .join(self.options["baseUrl"].as_str().unwrap_or(".")),
            None => self.base.clone(),
        };
        let empty = Map::new();
        let paths = self.options.get("paths").and_then(Value::as_object);
        let mut found: Vec<PathBuf> = paths
            .unwrap_or(&empty)
            .iter()
            .filter_map(|(pattern, targets)| {
                Some((matched(pattern, specifier)?, targets.as_array()?))
            })
            .flat_map(|(star, targets)| {
                let targets = targets.iter().filter_map(Value::as_str);
                targets.map(move |target| target.replacen('*', star, 1))
            })
            .map(|target| base.join(target))
            .collect();
        if self.options.contains_key("baseUrl") {
            found.push(base.join(specifier));
        }
        found
    }
}

/// What the star of `pattern` stands for in `specifier`.
fn matched<'a>(pattern: &str, specifier: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        Some((head, tail)) => specifier.strip_prefix(head)?.strip_suffix(tail),
        None => (pattern == specifier).then_some(""),
    }
}

/// What a configuration builds on: `extends`, and for one that only refers to others (as Vite's
/// template has it) the first of these.
fn parents(json: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut parents: Vec<String> = match json.get("extends") {
        Some(Value::Array(several)) => several.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    };
    // A package's configuration would have to be looked up as Node does; the options that matter
    // here are seldom left to it.
    parents.retain(|parent| parent.starts_with('.'));
    if json.get("compilerOptions").is_none() {
        let first = json.get("references").and_then(|all| all.get(0));
        parents.extend(first.and_then(|first| text(first.get("path")?)));
    }
    parents
}

fn with_json(path: PathBuf) -> PathBuf {
    if path.is_dir() {
        return path.join("tsconfig.json");
    }
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return path;
    }
    let mut name = path.into_os_string();
    name.push(".json");
    name.into()
}

/// `path` without `.` and `..`, if it is inside of `root`.
pub(super) fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean.starts_with(root).then_some(clean)
}

fn read_jsonc(path: &Path) -> Option<Value> {
    let text = crate::read::settings(path)?;
    serde_json::from_str(&plain_json(text.trim_start_matches('\u{feff}'))).ok()
}

/// JSON without the comments and trailing commas that TypeScript allows.
fn plain_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => {
                out.push(c);
                while let Some(inner) = chars.next() {
                    out.push(inner);
                    match inner {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => while chars.next_if(|c| *c != '\n').is_some() {},
            ('/', Some('*')) => {
                let mut last = ' ';
                // Past the star, so that `/*/` does not end at once.
                chars.next();
                for inner in chars.by_ref() {
                    if (last, inner) == ('*', '/') {
                        break;
                    }
                    last = inner;
                }
            }
            ('}' | ']', _) => {
                if out.trim_end().ends_with(',') {
                    out.truncate(out.trim_end().len() - 1);
                }
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str)], path: &str) -> (tempfile::TempDir, TsConfig) {
        let root = tempfile::tempdir().unwrap();
        for (at, text) in files {
            let file = root.path().join(at);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let project = Project::at(root.path());
        let config = TsConfig::above(&project, &RelPath::new(path).unwrap());
        (root, config)
    }

    #[test]
    fn the_extension_style_is_found() {
        let table: [(&[(&str, &str)], Extension); 9] = [
            (&[], Extension::None),
            (&[("tsconfig.json", "{ broken")], Extension::None),
            (
                &[(
                    "tsconfig.json",
                    r#"{"compilerOptions":{"moduleResolution":"bundler"}}"#,
                )],
                Extension::None,
            ),
            (
                &[(
                    "tsconfig.json",
                    r#"{"compilerOptions":{"moduleResolution":"NodeNext"}}"#,
                )],
                Extension::Built,
            ),
            (
                &[(
                    "tsconfig.json",
                    r#"{"compilerOptions":{"module":"node16",},} // end"#,
                )],
                Extension::Built,
            ),
            (
                &[(
                    "tsconfig.json",
                    r#"{"compilerOptions":{"module":"Node16","moduleResolution":"node"}}"#,
                )],
                Extension::None,
            ),
            (
                &[
                    (
                        "tsconfig.json",
                        r#"{/* a // b */ "extends":"./base", "compilerOptions":{"strict":true}}"#,
                    ),
                    ("base.json", r#"{"compilerOptions":{"module":"nodenext"}}"#),
                ],
                Extension::Built,
            ),
            (
                &[
                    (
                        "tsconfig.json",
                        r#"{"files":[],"references":[{"path":"./tsconfig.app.json"}]}"#,
                    ),
                    (
                        "tsconfig.app.json",
                        r#"{"compilerOptions":{"moduleResolution":"bundler","allowImportingTsExtensions":true}}"#,
                    ),
                ],
                Extension::Source,
            ),
            (
                &[("tsconfig.json", r#"{"extends":"./tsconfig.json"}"#)],
                Extension::None,
            ),
        ];
        for (files, expected) in table {
            let (_root, config) = config(files, "src/a.ts");
            assert_eq!(config.extension(), expected, "{files:?}");
        }
    }

    #[test]
    fn aliases_are_followed() {
        let text = r#"{"compilerOptions":{"baseUrl":".","paths":{"@/*":["./src/*"],"shared":["lib/shared"]}}}"#;
        let (root, config) = config(&[("web/tsconfig.json", text)], "web/src/a.ts");
        let base = root.path().join("web");
        assert_eq!(config.aliased("@/cart")[0], base.join("./src/cart"));
        assert_eq!(config.aliased("shared")[0], base.join("lib/shared"));
        assert_eq!(config.aliased("src/x"), [base.join("src/x")]);
    }

    #[test]
    fn comments_and_trailing_commas_go() {
        let text = "{\n // c\n \"a\": \"//x\\\"/*\", /* y, } */ \"b\": [1, 2,],\n}";
        let value: Value = serde_json::from_str(&plain_json(text)).unwrap();
        assert_eq!(value, serde_json::json!({"a": "//x\"/*", "b": [1, 2]}));
    }
}
