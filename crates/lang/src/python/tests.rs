mod bodies;
mod compose;
mod digests;
mod files;
mod found;

use std::path::Path;

use testsmith_domain::{
    Analysis, Framework, Language, LanguageDriver, Member, Project, RelPath, SourceFile,
};

use super::PythonDriver;

/// A file of a project that is nowhere on disk.
fn file(source: &str) -> SourceFile {
    analyze(Path::new("/nowhere"), "shop/cart.py", source)
}

fn analyze(root: &Path, path: &str, source: &str) -> SourceFile {
    match PythonDriver.analyze(&Project::at(root), &rel(path), source) {
        Analysis::Source(file) => file,
        Analysis::NotSource(reason) => panic!("{path} is {reason}"),
    }
}

fn unittest_file(source: &str) -> SourceFile {
    let mut project = Project::at("/nowhere");
    project
        .frameworks
        .push((Language::Python, Framework("unittest".into())));
    match PythonDriver.analyze(&project, &rel("shop/cart.py"), source) {
        Analysis::Source(file) => file,
        Analysis::NotSource(reason) => panic!("{reason}"),
    }
}

fn rel(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn names(file: &SourceFile) -> Vec<&str> {
    file.members
        .iter()
        .map(|member| member.name.as_str())
        .collect()
}

fn member<'f>(file: &'f SourceFile, name: &str) -> &'f Member {
    file.members
        .iter()
        .find(|member| member.name.as_str() == name)
        .unwrap_or_else(|| panic!("no `{name}` among {:?}", names(file)))
}
