//! Tables: sources and what is made of them.

mod bodies;
mod digests;
mod members;

use testsmith_domain::{Analysis, LanguageDriver, Member, Project, RelPath, SourceFile};

use super::TypeScriptDriver;

/// Reads a file of a project that holds nothing else.
fn read(path: &str, source: &str) -> SourceFile {
    read_in(&Project::at("/nowhere"), path, source)
}

fn read_in(project: &Project, path: &str, source: &str) -> SourceFile {
    let path = RelPath::new(path).unwrap();
    match TypeScriptDriver.analyze(project, &path, source) {
        Analysis::Source(file) => file,
        Analysis::NotSource(reason) => panic!("{path} is {reason}"),
    }
}

fn member<'f>(file: &'f SourceFile, name: &str) -> &'f Member {
    let mut members = file.members.iter();
    members.find(|member| member.name.as_str() == name).unwrap()
}

fn names(file: &SourceFile) -> Vec<&str> {
    let members = file.members.iter();
    members.map(|member| member.name.as_str()).collect()
}

/// A folder with these files in it.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for (at, text) in files {
        let file = root.join(at);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    (dir, Project::at(root))
}
