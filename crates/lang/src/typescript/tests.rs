//! Tables: sources and what is made of them.

mod bodies;
mod compose;
mod digests;
mod members;

use testsmith_domain::{Analysis, LanguageDriver, Member, Project, RelPath, SourceFile};

use super::TypeScriptDriver;

const CART: &str = "\
export const RATE = 0.2;
export interface Item { price: number }
export function total(items: Item[]) { return items.length }
export class Cart { size() { return 0 } }
const hidden = () => 1;
export default hidden;
";

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

/// Pieces of which most texts are broken, some nearly right.
const PIECES: [&str; 30] = [
    "export ",
    "default ",
    "function ",
    "class ",
    "a",
    "b",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "=>",
    "=",
    ";",
    ",",
    "\n",
    "'x'",
    "`${",
    "`",
    "/** d */",
    "// c\n",
    "async ",
    "module.exports",
    ".only",
    "it('t', ",
    "describe('d', ",
    "import a from './a'",
    "<",
    ">",
];

proptest::proptest! {
    /// Whatever the text, it is read without a panic, and what is made of a model's code parses.
    #[test]
    fn no_text_is_too_odd(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40),
        path in proptest::sample::select(&["a.ts", "a.tsx", "a.js"][..]),
    ) {
        let text = pieces.concat();
        read(path, &text);
        let file = read(path, "export function a() {}");
        if let Ok(body) = TypeScriptDriver.prepare_body(&file, member(&file, "a"), &text) {
            let again = TypeScriptDriver.prepare_body(&file, member(&file, "a"), &body);
            proptest::prop_assert_eq!(again.as_ref(), Ok(&body));
        }
    }
}
