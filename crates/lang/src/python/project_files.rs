//! What a Python project's own files say: which packages it needs, where its modules are.
//!
//! Read afresh each time: the files are small and may change at any moment. What cannot be read
//! or does not parse says nothing.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The project files of one folder.
#[derive(Debug)]
pub(super) struct ProjectFiles {
    dir: PathBuf,
    pyproject: Table,
}

impl ProjectFiles {
    /// Reads the files in `dir`.
    pub(super) fn read(dir: &Path) -> Self {
        let pyproject = crate::read::settings(&dir.join("pyproject.toml")).unwrap_or_default();
        Self {
            dir: dir.to_owned(),
            pyproject: pyproject.parse().unwrap_or_default(),
        }
    }

    /// Folders, relative to this one, that the files name as places of modules.
    pub(super) fn import_roots(&self) -> Vec<String> {
        let mut roots: Vec<String> = Vec::new();
        let mut add = |value: Option<&Value>| roots.extend(strings(value));
        add(self.tool("pytest.ini_options.pythonpath"));
        add(self.tool("pytest.pythonpath"));
        add(self.tool("setuptools.packages.find.where"));
        add(self
            .tool("setuptools.package-dir")
            .and_then(|dirs| dirs.get("")));
        add(self.tool("pdm.build.package-dir"));
        add(self.tool("maturin.python-source"));
        add(self.tool("uv.build-backend.module-root"));
        for package in self
            .tool("poetry.packages")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            add(package.get("from"));
        }
        let wheel = self.tool("hatch.build.targets.wheel");
        add(wheel.and_then(|wheel| wheel.get("sources")));
        for package in strings(wheel.and_then(|wheel| wheel.get("packages"))) {
            roots.extend(
                package
                    .rsplit_once('/')
                    .map(|(parent, _)| parent.to_owned()),
            );
        }
        roots.extend(self.roots_of_ini());
        roots.extend(self.root_of_setup_py());
        roots
            .into_iter()
            .map(|root| root.trim_start_matches("./").trim_matches('/').to_owned())
            .filter(|root| !root.is_empty() && root != "." && !root.split('/').any(|p| p == ".."))
            .collect()
    }

    fn tool(&self, path: &str) -> Option<&Value> {
        lookup(&self.pyproject, &format!("tool.{path}"))
    }

    fn text(&self, name: &str) -> String {
        crate::read::settings(&self.dir.join(name)).unwrap_or_default()
    }

    fn roots_of_ini(&self) -> Vec<String> {
        let setup = self.text("setup.cfg");
        let mut roots = ini_values(&setup, "options.packages.find", "where");
        roots.extend(ini_values(&setup, "tool:pytest", "pythonpath"));
        for line in ini_values(&setup, "options", "package_dir") {
            // `= src` under `package_dir =`.
            roots.extend(line.strip_prefix('=').map(|dir| dir.trim().to_owned()));
        }
        roots.extend(ini_values(&self.text("pytest.ini"), "pytest", "pythonpath"));
        roots.extend(ini_values(&self.text("tox.ini"), "pytest", "pythonpath"));
        roots
            .iter()
            .flat_map(|dirs| dirs.split_whitespace())
            .map(str::to_owned)
            .collect()
    }

    /// The folder in `package_dir={"": "src"}`, without running anything.
    fn root_of_setup_py(&self) -> Option<String> {
        let text = self.text("setup.py");
        let (_, rest) = text.split_once("package_dir")?;
        let rest = rest.split_once("\"\"").or_else(|| rest.split_once("''"))?.1;
        let rest = rest.trim_start().strip_prefix(':')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest.get(1..)?.split(quote).next().map(str::to_owned)
    }

    /// Whether any of the files names this package as something the project needs. Plugins count
    /// (`pytest-cov` names pytest), as does a section that configures it.
    pub(super) fn names_package(&self, package: &str) -> bool {
        self.requirements()
            .iter()
            .any(|requirement| is_package(requirement, package))
    }

    /// Whether any of the files configures pytest.
    pub(super) fn configures_pytest(&self) -> bool {
        self.tool("pytest").is_some()
            || ["pytest.ini", ".pytest.ini", "pytest.toml", "conftest.py"]
                .iter()
                .any(|name| self.dir.join(name).is_file())
            || ["tests/conftest.py", "test/conftest.py"]
                .iter()
                .any(|name| self.dir.join(name).is_file())
            || has_section(&self.text("setup.cfg"), "tool:pytest")
            || has_section(&self.text("tox.ini"), "pytest")
    }

    /// Every requirement, as written.
    fn requirements(&self) -> Vec<String> {
        let mut found = Vec::new();
        let lists = [
            "project.dependencies",
            "project.optional-dependencies",
            "dependency-groups",
            "tool.uv.dev-dependencies",
            "tool.pdm.dev-dependencies",
        ];
        for path in lists {
            collect_strings(lookup(&self.pyproject, path), &mut found);
        }
        for path in ["tool.poetry.dependencies", "tool.poetry.dev-dependencies"] {
            collect_keys(lookup(&self.pyproject, path), &mut found);
        }
        for group in tables(self.tool("poetry.group")) {
            collect_keys(group.get("dependencies"), &mut found);
        }
        for environment in tables(self.tool("hatch.envs")) {
            collect_strings(environment.get("dependencies"), &mut found);
            collect_strings(environment.get("extra-dependencies"), &mut found);
        }
        if let Ok(pipfile) = self.text("Pipfile").parse::<Table>() {
            collect_keys(pipfile.get("packages"), &mut found);
            collect_keys(pipfile.get("dev-packages"), &mut found);
        }
        for name in ["setup.cfg", "tox.ini"] {
            found.extend(lines(&self.text(name)));
        }
        let setup = self.text("setup.py");
        found.extend(
            setup
                .split(['"', '\''])
                .skip(1)
                .step_by(2)
                .map(str::to_owned),
        );
        for path in self.requirement_files() {
            found.extend(lines(&crate::read::settings(&path).unwrap_or_default()));
        }
        found
    }

    /// `requirements.txt`, `dev-requirements.txt`, `requirements/test.in` and so on.
    fn requirement_files(&self) -> Vec<PathBuf> {
        let is_list = |name: &str| {
            let extension = Path::new(name).extension().and_then(|e| e.to_str());
            matches!(extension, Some("txt" | "in"))
        };
        let mut files = entries(&self.dir);
        files.retain(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            (name.contains("requirements") && is_list(name))
                || matches!(name, "environment.yml" | "environment.yaml")
        });
        files.extend(entries(&self.dir.join("requirements")));
        files
    }
}

/// The files in a folder, by name.
pub(super) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The value at a dotted path.
fn lookup<'v>(table: &'v Table, path: &str) -> Option<&'v Value> {
    let mut parts = path.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values)
}

/// A string, or a list of them.
fn strings(value: Option<&Value>) -> Vec<String> {
    let mut found = Vec::new();
    collect_strings(value, &mut found);
    found
}

/// All strings in a value, at any depth.
fn collect_strings(value: Option<&Value>, out: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => out.push(text.clone()),
        Some(Value::Array(items)) => items
            .iter()
            .for_each(|item| collect_strings(Some(item), out)),
        Some(Value::Table(table)) => {
            table
                .values()
                .for_each(|item| collect_strings(Some(item), out));
        }
        _ => {}
    }
}

fn collect_keys(value: Option<&Value>, out: &mut Vec<String>) {
    let table = value.and_then(Value::as_table);
    out.extend(table.into_iter().flat_map(Table::keys).cloned());
}

/// The lines of a list of requirements, also where it is the value of a setting.
fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .map(|line| line.trim_start_matches("- "))
        .map(|line| {
            line.split_once(" = ")
                .map_or(line, |(_, value)| value)
                .trim()
                .to_owned()
        })
        .filter(|line| !line.is_empty())
        .collect()
}

/// Whether a requirement such as `pytest-cov>=4; python_version > "3"` names `package` or a plugin
/// of it.
fn is_package(requirement: &str, package: &str) -> bool {
    let end = requirement
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
        .unwrap_or(requirement.len());
    let name = requirement
        .get(..end)
        .unwrap_or_default()
        .to_lowercase()
        .replace(['_', '.'], "-");
    name == package
        || name
            .strip_prefix(package)
            .is_some_and(|rest| rest.starts_with('-'))
}

fn has_section(ini: &str, section: &str) -> bool {
    ini.lines()
        .any(|line| line.trim() == format!("[{section}]"))
}

/// The values of a setting in an INI file: what is on its line and on the indented lines below.
fn ini_values(ini: &str, section: &str, key: &str) -> Vec<String> {
    let mut values = Vec::new();
    let (mut inside, mut reading) = (false, false);
    for line in ini.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            (inside, reading) = (trimmed == format!("[{section}]"), false);
        } else if inside && line.starts_with([' ', '\t']) {
            if reading && !trimmed.is_empty() && !trimmed.starts_with('#') {
                values.push(trimmed.to_owned());
            }
        } else if inside {
            let setting = trimmed
                .split_once('=')
                .filter(|(name, _)| name.trim() == key);
            reading = setting.is_some();
            let value = setting.map(|(_, value)| value.trim());
            values.extend(value.filter(|value| !value.is_empty()).map(str::to_owned));
        }
    }
    values
}
