//! What is a source file, what its members are, and when they change.

use pretty_assertions::assert_eq;
use testsmith_domain::{
    Analysis, Framework, Language, LanguageDriver, MemberImport, MemberKind, NotSource, Project,
    SyntaxProblem,
};
use testsmith_lang::GoDriver;

use crate::sample::{CART, Shop, analyze, analyze_in, member, names, nowhere, path};

fn reason(at: &str, source: &str) -> Option<NotSource> {
    match GoDriver.analyze(&nowhere(), &path(at), source) {
        Analysis::Source(_) => None,
        Analysis::NotSource(reason) => Some(reason),
    }
}

#[test]
fn members_are_the_exported_functions_and_methods() {
    let file = analyze(CART);
    assert_eq!(
        names(&file),
        [
            "Cart.Total",
            "Euros",
            "Shout",
            "Cart.Lines",
            "Map",
            "List.Len"
        ]
    );
    assert_eq!(file.module, "cart");
    assert_eq!(file.problems, []);
    assert_eq!(file.test_path.as_str(), "cart/cart_testsmith_test.go");

    let total = member(&file, "Cart.Total");
    assert_eq!(total.kind, MemberKind::Method);
    assert_eq!(total.receiver.as_deref(), Some("Cart"));
    assert_eq!(total.signature, "func (c *Cart) Total() (int, error)");
    assert_eq!(total.doc.as_deref(), Some("Total adds up all prices."));
    assert_eq!(total.import, MemberImport::SamePackage);
    assert_eq!(
        CART.lines().nth(total.lines.0 as usize - 1),
        Some("// Total adds up all prices.")
    );
    assert_eq!(CART.lines().nth(total.lines.1 as usize - 1), Some("}"));
    assert!(total.text.starts_with("// Total adds"));
    assert!(total.text.ends_with("return sum, nil\n}"));

    let map = member(&file, "Map");
    assert_eq!(map.kind, MemberKind::Function);
    assert_eq!(
        map.signature,
        "func Map[T, U any](list []T, f func(T) U) []U"
    );
    assert_eq!(map.uses, [""; 0]);
    assert_eq!(member(&file, "List.Len").receiver.as_deref(), Some("List"));
}

#[test]
fn a_member_is_shown_with_what_it_uses() {
    let file = analyze(CART);
    assert_eq!(
        member(&file, "Cart.Total").uses,
        [
            "// ErrEmpty says that there is nothing to pay for.\nvar ErrEmpty = errors.New(\"empty cart\")",
            "// Kind tells items apart.\ntype Kind int",
            "const (\n\tFood Kind = iota\n\tBook\n)",
            "// Item is something to buy.\ntype Item struct {\n\tName  string\n\tPrice int // in cents\n\tKind  Kind\n}",
            "// Cart holds items.\ntype Cart struct {\n\tItems []Item\n}",
            "// taxed adds the tax.\nfunc taxed(item Item) int {\n\treturn item.Price + item.Price*rate(item.Kind)/100\n}",
            "func rate(kind Kind) int {\n\tswitch kind {\n\tcase Book:\n\t\treturn 7\n\t}\n\treturn 19\n}",
        ]
    );
    // One line of a group, with what the group's line needs to stand alone.
    assert_eq!(
        member(&file, "Euros").uses,
        [
            "// cent is the smallest coin.\nconst cent = 1",
            "const euro = 100 * cent"
        ]
    );
    assert!(
        member(&file, "Cart.Lines")
            .uses
            .contains(&"func (c Cart) lines() []string { return nil }".to_owned())
    );
    assert_eq!(member(&file, "Shout").uses, [""; 0]);
}

/// The members whose digest differs after each of `edits` to the sample.
fn changed(edits: &[(&str, &str)]) -> Vec<String> {
    let mut source = CART.to_owned();
    for (from, to) in edits {
        assert!(source.contains(from), "the sample holds `{from}`");
        source = source.replace(from, to);
    }
    let (before, after) = (analyze(CART), analyze(&source));
    assert_eq!(names(&before), names(&after));
    let pairs = before.members.iter().zip(&after.members);
    pairs
        .filter(|(one, other)| one.digest != other.digest)
        .map(|(one, _)| one.name.to_string())
        .collect()
}

#[test]
fn what_a_member_depends_on_changes_its_digest() {
    let none: [&str; 0] = [];
    for (from, to, expected) in [
        // Its own text; nobody else's.
        ("str.ToUpper(text)", "str.ToLower(text)", vec!["Shout"]),
        ("return sum, nil", "return sum + 1, nil", vec!["Cart.Total"]),
        // A helper, a helper's helper, constants one by one and in a group, types, variables.
        ("item.Price*rate", "2*item.Price*rate", vec!["Cart.Total"]),
        ("return 19", "return 20", vec!["Cart.Total"]),
        ("cent = 1\n", "cent = 2\n", vec!["Euros"]),
        (
            "Food Kind = iota",
            "Food Kind = iota + 1",
            vec!["Cart.Total"],
        ),
        (
            "Items []Item",
            "Items []*Item",
            vec!["Cart.Total", "Cart.Lines"],
        ),
        ("\"empty cart\"", "\"nothing here\"", vec!["Cart.Total"]),
        ("return nil }", "return []string{} }", vec!["Cart.Lines"]),
        // The imports among them.
        (
            "str \"strings\"",
            "str \"example.com/strings\"",
            vec!["Shout"],
        ),
        // Doc comments, own and of what is used; also of a field.
        (
            "// Euros formats an amount.",
            "// Euros formats cents.",
            vec!["Euros"],
        ),
        (
            "// taxed adds the tax.",
            "// taxed adds a tax.",
            vec!["Cart.Total"],
        ),
        (
            "// in cents",
            "// in pennies",
            vec!["Cart.Total", "Cart.Lines"],
        ),
        // Ordinary comments, and what nobody uses.
        ("// one by one", "// all", none.to_vec()),
        (
            "func init() { _ = cent }",
            "func init() { _ = euro }",
            none.to_vec(),
        ),
        ("package cart\n", "package cart // really\n", none.to_vec()),
    ] {
        assert_eq!(changed(&[(from, to)]), expected, "`{from}` becomes `{to}`");
    }
}

#[test]
fn layout_does_not_change_digests() {
    let squeezed = [
        ("\tsum := 0\n", "\n\n    sum   := 0 ;\n"),
        ("[]T, f func(T) U) []U", "[]T,\n\tf func(T) U,\n) []U"),
        ("if len(c.Items) == 0 {", "if (len(c.Items) == 0) {"),
        (
            "// Total adds up all prices.",
            "// Total  adds up\n// all prices.",
        ),
    ];
    assert_eq!(changed(&squeezed), [""; 0]);
    // Parentheses count where they group.
    let grouped = [(
        "item.Price + item.Price*rate",
        "(item.Price + item.Price)*rate",
    )];
    assert_eq!(changed(&grouped), ["Cart.Total"]);

    let crlf = analyze(&CART.replace('\n', "\r\n"));
    let plain = analyze(CART);
    let digests = |file: &testsmith_domain::SourceFile| -> Vec<_> {
        file.members.iter().map(|member| member.digest).collect()
    };
    assert_eq!(digests(&crlf), digests(&plain));
}

#[test]
fn neither_order_nor_file_name_change_digests() {
    let (head, tail) = CART.split_once("// Euros formats").unwrap();
    let (types, functions) = head.split_once("// Total adds").unwrap();
    let (clause, types) = types.split_once("// ErrEmpty").unwrap();
    let moved =
        format!("{clause}// Total adds{functions}// Euros formats{tail}\n// ErrEmpty{types}");
    let moved = analyze_in(&nowhere(), "other/name.go", &moved);
    let file = analyze(CART);
    assert_eq!(names(&moved), names(&file));
    for member in &file.members {
        let other = moved
            .members
            .iter()
            .find(|m| m.name == member.name)
            .unwrap();
        assert_eq!(other.digest, member.digest, "{}", member.name);
    }
}

#[test]
fn definitions_that_use_each_other_end() {
    let file = analyze("package p\n\nfunc A() { b() }\n\nfunc b() { A(); b() }\n");
    assert_eq!(member(&file, "A").uses, ["func b() { A(); b() }"]);
}

#[test]
fn a_half_typed_file_has_problems_and_no_members() {
    let file = analyze("package cart\n\nfunc Fine() {}\n\nfunc Total(x int {\n\treturn\n");
    assert_eq!(names(&file), [""; 0]);
    assert_eq!(file.problems.first().map(|problem| problem.line), Some(5));

    let stray = analyze("package cart\n\nx := 1\n");
    assert_eq!(stray.problems, [SyntaxProblem { line: 3, column: 1 }]);
    assert_eq!(analyze("func F() {}\n").problems.len(), 1);
    assert_eq!(analyze("").problems.len(), 1);
    assert_eq!(
        analyze("package p\n\nfunc F() {}\n\nimport \"fmt\"\n")
            .problems
            .len(),
        1
    );
}

#[test]
fn files_that_are_no_source_say_why() {
    let plain = "package p\n\nfunc F() {}\n";
    let generated = format!("// Code generated by stringer. DO NOT EDIT.\n\n{plain}");
    let late = "package p\n\n// Code generated by hand. DO NOT EDIT.\nfunc F() {}\n";
    for (at, source, expected) in [
        ("p/f.go", plain, None),
        ("p/f_test.go", plain, Some(NotSource::Test)),
        ("p/f_testsmith_test.go", plain, Some(NotSource::Test)),
        ("vendor/x/f.go", plain, Some(NotSource::Vendored)),
        ("p/testdata/f.go", plain, Some(NotSource::Vendored)),
        ("_old/f.go", plain, Some(NotSource::Excluded)),
        ("p/_f.go", plain, Some(NotSource::Excluded)),
        ("p/f.go", &generated, Some(NotSource::Generated)),
        (
            "p/f.go",
            &generated.replace('\n', "\r\n"),
            Some(NotSource::Generated),
        ),
        ("p/f.go", late, None),
        (
            "p/f.go",
            "// @generated by x\npackage p\n",
            Some(NotSource::Generated),
        ),
        (
            "p/f.go",
            "//go:build ignore\n\npackage main\n",
            Some(NotSource::Excluded),
        ),
        ("p/f.go", "//go:build linux\n\npackage main\n", None),
    ] {
        assert_eq!(reason(at, source), expected, "`{at}`: {source}");
    }
    assert!(GoDriver.claims(&path("p/f_test.go")));
    assert!(!GoDriver.claims(&path("p/f.rs")));
    assert!(GoDriver.owns(&path("p/f_testsmith_test.go")));
    assert!(!GoDriver.owns(&path("p/f_test.go")));
    assert!(!GoDriver.owns(&path("p/_testsmith_test.go")));
}

#[test]
fn helpers_for_tests_and_the_entry_point_are_no_members() {
    let file =
        analyze("package main\n\nfunc main() {}\n\nfunc TestDouble() {}\n\nfunc Testify() {}\n");
    assert_eq!(names(&file), ["Testify"]);
    assert_eq!(file.module, "main");
}

#[test]
fn the_framework_is_found_in_the_nearest_go_mod() {
    let shop = Shop::new(&[
        (
            "go.mod",
            "module example.com/shop\n\nrequire github.com/stretchr/testify v1.9.0\n",
        ),
        ("cart/cart.go", CART),
        (
            "tools/go.mod",
            "module example.com/tools\n\nrequire (\n\tgo.uber.org/mock v0.5.0\n)\n",
        ),
        ("tools/x/x.go", "package x\n"),
        (
            "plain/go.mod",
            "module p\n\nrequire github.com/stretchr/testify v1.9.0 // indirect\n",
        ),
        ("plain/p.go", "package p\n"),
    ]);
    assert_eq!(shop.analyze("cart/cart.go").framework.0, "testify");
    assert_eq!(shop.analyze("tools/x/x.go").framework.0, "gomock");
    assert_eq!(shop.analyze("plain/p.go").framework.0, "go-testing");

    let mut set = Project::at(shop.root());
    set.frameworks = vec![(Language::Go, Framework("go-testing".into()))];
    assert_eq!(
        analyze_in(&set, "cart/cart.go", CART).framework.0,
        "go-testing"
    );
}
