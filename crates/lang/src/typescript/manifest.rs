//! What `package.json` says: the test framework, the module system, what is installed.

use std::path::Path;

use serde_json::Value;
use testsmith_domain::{Framework, Language, Project, RelPath};

/// The test runners whose reports and imports are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Vitest,
    Jest,
    Mocha,
    /// Mocha with chai's `expect` in place of Node's `assert`.
    MochaChai,
    /// Node's own `node:test`, Node 20 or newer.
    Node,
}

impl Runner {
    /// The runner of a framework's name. A name we do not know, which only the user's settings can
    /// bring, is taken for one of the many runners with jest's interface.
    pub(super) fn of(framework: &Framework) -> Self {
        match framework.0.as_str() {
            "vitest" => Self::Vitest,
            "mocha" => Self::Mocha,
            "mocha+chai" => Self::MochaChai,
            "node" => Self::Node,
            _ => Self::Jest,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Vitest => "vitest",
            Self::Jest => "jest",
            Self::Mocha => "mocha",
            Self::MochaChai => "mocha+chai",
            Self::Node => "node",
        }
    }
}

/// One `package.json`.
#[derive(Debug)]
struct Manifest(Value);

/// The `package.json` files from a file's folder up to the project's root, nearest first.
#[derive(Debug)]
pub(super) struct Manifests(Vec<Manifest>);

impl Manifests {
    /// Reads those that hold for `path`. One that cannot be read is as good as none.
    pub(super) fn above(project: &Project, path: &RelPath) -> Self {
        Self(
            folders_up(&project.root, path)
                .filter_map(|dir| read_json(&dir.join("package.json")))
                .map(Manifest)
                .collect(),
        )
    }

    /// Whether a plain `.js` file here is an ES module by its package.
    pub(super) fn is_esm(&self) -> bool {
        let nearest = self.0.first().and_then(|manifest| manifest.0.get("type"));
        nearest.and_then(Value::as_str) == Some("module")
    }

    /// The version range of a dependency of any kind, from the nearest package that has it.
    pub(super) fn dependency(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|manifest| manifest.dependency(name))
    }

    /// The framework for a file: the user's choice, else the nearest package's that has one.
    pub(super) fn framework(
        &self,
        project: &Project,
        language: Language,
        commonjs: bool,
    ) -> Framework {
        if let Some(chosen) = project.framework_for(language) {
            return chosen.clone();
        }
        let found = self.0.iter().find_map(Manifest::runner);
        let runner = match found {
            Some(Runner::Mocha) if self.chai_fits(commonjs) => Runner::MochaChai,
            Some(runner) => runner,
            // Node runs JavaScript as it is; TypeScript wants a runner that strips the types.
            None if language == Language::JavaScript => Runner::Node,
            None => Runner::Vitest,
        };
        Framework(runner.name().to_owned())
    }

    /// Whether chai is there and can be loaded: since version 5 it cannot be `require`d on Node 20.
    fn chai_fits(&self, commonjs: bool) -> bool {
        self.dependency("chai").is_some_and(|version| {
            let major: String = version
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            !commonjs || major.parse::<u32>().is_ok_and(|major| major < 5)
        })
    }
}

impl Manifest {
    fn dependency(&self, name: &str) -> Option<&str> {
        ["devDependencies", "dependencies", "peerDependencies"]
            .iter()
            .find_map(|section| self.0.get(section)?.get(name)?.as_str())
    }

    /// The runner that the `test` script starts, else the one that is installed.
    fn runner(&self) -> Option<Runner> {
        self.runner_of_script().or_else(|| {
            let has = |names: &[&str]| names.iter().any(|name| self.dependency(name).is_some());
            if has(&["vitest"]) {
                Some(Runner::Vitest)
            } else if self.0.get("jest").is_some()
                || has(&[
                    "jest",
                    "ts-jest",
                    "@jest/globals",
                    "babel-jest",
                    "react-scripts",
                ])
            {
                Some(Runner::Jest)
            } else {
                has(&["mocha"]).then_some(Runner::Mocha)
            }
        })
    }

    fn runner_of_script(&self) -> Option<Runner> {
        let script = self.0.get("scripts")?.get("test")?.as_str()?;
        let mut words = script.split_whitespace().map(|word| {
            let word = word.rsplit('/').next().unwrap_or(word);
            word.trim_end_matches(".js").trim_end_matches(".mjs")
        });
        words.find_map(|word| match word {
            "vitest" => Some(Runner::Vitest),
            "jest" | "react-scripts" => Some(Runner::Jest),
            "mocha" | "_mocha" => Some(Runner::Mocha),
            "--test" => Some(Runner::Node),
            _ => None,
        })
    }
}

/// The folders from that of `path` up to and with the root.
pub(super) fn folders_up<'a>(
    root: &'a Path,
    path: &'a RelPath,
) -> impl Iterator<Item = std::path::PathBuf> + use<'a> {
    Path::new(path.dir())
        .ancestors()
        .map(move |dir| root.join(dir))
}

fn read_json(path: &Path) -> Option<Value> {
    let text = crate::read::settings(path)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Manifests by path, the source file, its language, and the framework to be found.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, Language, &'a str);

    fn framework(manifests: &[(&str, &str)], path: &str, language: Language) -> String {
        let root = tempfile::tempdir().unwrap();
        for (at, text) in manifests {
            let file = root.path().join(at);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let project = Project::at(root.path());
        let path = RelPath::new(path).unwrap();
        let manifests = Manifests::above(&project, &path);
        manifests
            .framework(&project, language, path.extension() == "cjs")
            .0
    }

    #[test]
    fn the_framework_is_found() {
        use Language::{JavaScript, TypeScript};
        let table: [Row<'_>; 13] = [
            (&[], "a.ts", TypeScript, "vitest"),
            (&[], "a.js", JavaScript, "node"),
            (&[("package.json", "not json")], "a.js", JavaScript, "node"),
            (
                &[("package.json", r#"{"devDependencies":{"vitest":"^3"}}"#)],
                "src/a.js",
                JavaScript,
                "vitest",
            ),
            (
                &[(
                    "package.json",
                    r#"{"devDependencies":{"jest":"30","ts-jest":"29"}}"#,
                )],
                "a.ts",
                TypeScript,
                "jest",
            ),
            (
                &[(
                    "package.json",
                    r#"{"devDependencies":{"@jest/globals":"30"}}"#,
                )],
                "a.ts",
                TypeScript,
                "jest",
            ),
            (
                &[("package.json", r#"{"devDependencies":{"mocha":"11"}}"#)],
                "a.js",
                JavaScript,
                "mocha",
            ),
            (
                &[(
                    "package.json",
                    r#"{"devDependencies":{"mocha":"11","chai":"^4.5.0"}}"#,
                )],
                "a.cjs",
                JavaScript,
                "mocha+chai",
            ),
            (
                &[(
                    "package.json",
                    r#"{"devDependencies":{"mocha":"11","chai":"^6.0.0"}}"#,
                )],
                "a.cjs",
                JavaScript,
                "mocha",
            ),
            (
                &[(
                    "package.json",
                    r#"{"devDependencies":{"mocha":"11","chai":"^6.0.0"}}"#,
                )],
                "a.mjs",
                JavaScript,
                "mocha+chai",
            ),
            (
                &[(
                    "package.json",
                    r#"{"scripts":{"test":"node --test src"},"devDependencies":{"jest":"30"}}"#,
                )],
                "a.js",
                JavaScript,
                "node",
            ),
            (
                &[
                    ("package.json", r#"{"devDependencies":{"jest":"30"}}"#),
                    ("packages/x/package.json", r#"{"name":"x"}"#),
                ],
                "packages/x/src/a.ts",
                TypeScript,
                "jest",
            ),
            (
                &[
                    ("package.json", r#"{"devDependencies":{"jest":"30"}}"#),
                    (
                        "packages/x/package.json",
                        r#"{"scripts":{"test":"npx vitest run"}}"#,
                    ),
                ],
                "packages/x/src/a.ts",
                TypeScript,
                "vitest",
            ),
        ];
        for (manifests, path, language, expected) in table {
            assert_eq!(
                framework(manifests, path, language),
                expected,
                "{manifests:?}"
            );
        }
    }

    #[test]
    fn the_user_s_choice_wins() {
        let mut project = Project::at("/nowhere");
        project.frameworks = vec![(Language::TypeScript, Framework("mocha".into()))];
        let path = RelPath::new("a.ts").unwrap();
        let found =
            Manifests::above(&project, &path).framework(&project, Language::TypeScript, false);
        assert_eq!(found.0, "mocha");
    }
}
