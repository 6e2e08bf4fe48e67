//! A small shop, and short ways to ask the driver about it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use testsmith_domain::{
    Analysis, BlockEdit, BlockKey, ComposeError, ComposeRequest, Composed, LanguageDriver, Member,
    MemberName, Project, RelPath, SourceFile,
};
use testsmith_lang::GoDriver;

/// Two exported functions and methods of everything that members depend on.
pub(crate) const CART: &str = r#"// Package cart adds up what people buy.
package cart

import (
	"errors"
	"fmt"
	str "strings"
)

// ErrEmpty says that there is nothing to pay for.
var ErrEmpty = errors.New("empty cart")

const (
	// cent is the smallest coin.
	cent = 1
	euro = 100 * cent
)

// Kind tells items apart.
type Kind int

const (
	Food Kind = iota
	Book
)

// Item is something to buy.
type Item struct {
	Name  string
	Price int // in cents
	Kind  Kind
}

// Cart holds items.
type Cart struct {
	Items []Item
}

// Total adds up all prices.
//
//go:noinline
func (c *Cart) Total() (int, error) {
	if len(c.Items) == 0 {
		return 0, ErrEmpty
	}
	sum := 0
	for _, item := range c.Items {
		sum += taxed(item) // one by one
	}
	return sum, nil
}

// taxed adds the tax.
func taxed(item Item) int {
	return item.Price + item.Price*rate(item.Kind)/100
}

func rate(kind Kind) int {
	switch kind {
	case Book:
		return 7
	}
	return 19
}

// Euros formats an amount.
func Euros(cents int) string {
	return fmt.Sprintf("%d.%02d", cents/euro, cents%euro)
}

// Shout has nothing to do with the rest.
func Shout(text string) string { return str.ToUpper(text) }

func (c Cart) lines() []string { return nil }

// Lines lists the items.
func (c *Cart) Lines() []string { return c.lines() }

type hidden struct{}

// Visible cannot be called by name.
func (hidden) Visible() {}

// Map applies f.
func Map[T, U any](list []T, f func(T) U) []U {
	out := make([]U, 0, len(list))
	for _, x := range list {
		out = append(out, f(x))
	}
	return out
}

// List is generic.
type List[T any] struct{ items []T }

// Len counts.
func (l *List[T]) Len() int { return len(l.items) }

func init() { _ = cent }
"#;

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

pub(crate) fn nowhere() -> Project {
    Project::at("/nowhere")
}

pub(crate) fn analyze_in(project: &Project, at: &str, source: &str) -> SourceFile {
    match GoDriver.analyze(project, &path(at), source) {
        Analysis::Source(file) => file,
        Analysis::NotSource(reason) => panic!("`{at}` is no source: {reason}"),
    }
}

pub(crate) fn analyze(source: &str) -> SourceFile {
    analyze_in(&nowhere(), "cart/cart.go", source)
}

pub(crate) fn member<'f>(file: &'f SourceFile, name: &str) -> &'f Member {
    let mut all = file.members.iter();
    all.find(|member| member.name.as_str() == name)
        .unwrap_or_else(|| panic!("no member `{name}`"))
}

pub(crate) fn names(file: &SourceFile) -> Vec<&str> {
    file.members.iter().map(|m| m.name.as_str()).collect()
}

pub(crate) fn put(name: &str, key: u32, body: &str) -> BlockEdit {
    BlockEdit::Put {
        member: MemberName::from(name),
        key: BlockKey(format!("{key:08x}")),
        body: body.to_owned(),
        verified: true,
    }
}

pub(crate) fn remove(name: &str) -> BlockEdit {
    BlockEdit::Remove {
        member: MemberName::from(name),
    }
}

pub(crate) fn try_compose_in(
    project: &Project,
    file: &SourceFile,
    existing: Option<&str>,
    edits: &[BlockEdit],
) -> Result<Composed, ComposeError> {
    GoDriver.compose(&ComposeRequest {
        project,
        file,
        existing,
        edits,
    })
}

pub(crate) fn try_compose(
    existing: Option<&str>,
    edits: &[BlockEdit],
) -> Result<Composed, ComposeError> {
    try_compose_in(&nowhere(), &analyze(CART), existing, edits)
}

pub(crate) fn compose(existing: Option<&str>, edits: &[BlockEdit]) -> String {
    let composed = try_compose(existing, edits).unwrap();
    assert_eq!(composed.rejected, [], "no edit is refused");
    composed.text.expect("something is left")
}

/// A test of this name that needs `testing` and whatever `imports` names, and uses it.
pub(crate) fn body(test: &str, imports: &[&str]) -> String {
    let mut text = String::from("import (\n");
    for import in imports {
        text += &format!("\t\"{import}\"\n");
    }
    text += "\t\"testing\"\n)\n\n";
    text += &format!("func {test}(t *testing.T) {{\n");
    for import in imports {
        let package = import.rsplit('/').next().unwrap();
        text += &format!("\t_ = {package}.X\n");
    }
    text + "}\n"
}

/// A project on disk.
pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    pub(crate) project: Project,
}

impl Shop {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::at(folder.path().canonicalize().unwrap());
        let shop = Self { folder, project };
        for (name, text) in files {
            shop.write(name, text);
        }
        shop
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap()
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn analyze(&self, name: &str) -> SourceFile {
        analyze_in(&self.project, name, &self.read(name))
    }
}
