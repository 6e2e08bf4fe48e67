//! Writing test files.

use pretty_assertions::assert_eq;
use testsmith_domain::{BlockState, ComposeError, LanguageDriver, MemberName, Rejection, RelPath};
use testsmith_lang::GoDriver;

use crate::sample::{
    CART, Shop, analyze, body, compose, path, put, remove, try_compose, try_compose_in,
};

fn blocks(text: &str) -> Vec<(String, BlockState)> {
    let found = GoDriver
        .blocks(&path("cart/cart_testsmith_test.go"), text)
        .unwrap();
    found
        .into_iter()
        .map(|block| (block.member.to_string(), block.state))
        .collect()
}

fn duplicate(name: &str, at: &str) -> Rejection {
    Rejection::DuplicateName {
        name: name.to_owned(),
        path: RelPath::new(at).unwrap(),
    }
}

const TEST_PATH: &str = "cart/cart_testsmith_test.go";

#[test]
fn a_fresh_file_has_header_imports_and_blocks_in_the_members_order() {
    let text = compose(
        None,
        &[
            put("Euros", 2, &body("TestEuros", &["fmt"])),
            put("Cart.Total", 1, &body("TestCart_Total", &["errors"])),
        ],
    );
    let sums: Vec<String> = [("TestCart_Total", "errors"), ("TestEuros", "fmt")]
        .iter()
        .map(|(test, import)| {
            GoDriver
                .body_sum(&path(TEST_PATH), &body(test, &[import]))
                .short()
        })
        .collect();
    assert_eq!(
        text,
        format!(
            "// Tests kept by testsmith. Blocks you edit or delete are yours.\n\npackage cart\n\n\
             import (\n\t\"errors\"\n\t\"fmt\"\n\t\"testing\"\n)\n\n\
             // testsmith:begin Cart.Total key=00000001 sum={}\n\
             func TestCart_Total(t *testing.T) {{\n\t_ = errors.X\n}}\n\n\
             // testsmith:end Cart.Total\n\n\
             // testsmith:begin Euros key=00000002 sum={}\n\
             func TestEuros(t *testing.T) {{\n\t_ = fmt.X\n}}\n\n\
             // testsmith:end Euros\n",
            sums[0], sums[1]
        )
    );
    let pristine = BlockState::Pristine;
    assert_eq!(
        blocks(&text),
        [("Cart.Total".into(), pristine), ("Euros".into(), pristine)]
    );
}

#[test]
fn composing_the_same_again_changes_nothing() {
    let edits = [put("Euros", 2, &body("TestEuros", &["fmt"]))];
    let once = compose(None, &edits);
    assert_eq!(compose(Some(&once), &edits), once);
    // Formatted by somebody else, it is still what it was.
    let formatted = once.replace("\t_ = fmt.X", "\n\t_   =   fmt.X");
    assert_eq!(compose(Some(&formatted), &edits), formatted);
}

#[test]
fn new_blocks_find_their_place_among_those_there() {
    let first = compose(
        None,
        &[
            put("Cart.Total", 1, &body("TestCart_Total", &[])),
            put("List.Len", 1, &body("TestList_Len", &[])),
        ],
    );
    let text = compose(
        Some(&first),
        &[
            put("Shout", 1, &body("TestShout", &[])),
            put("Euros", 1, &body("TestEuros", &[])),
        ],
    );
    let order: Vec<String> = blocks(&text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(order, ["Cart.Total", "Euros", "Shout", "List.Len"]);
    assert!(!text.contains("\n\n\n"), "{text}");

    // The order somebody gave the blocks stays.
    let (head, tail) = first.split_once("// testsmith:begin Cart.Total").unwrap();
    let (total, len) = tail.split_once("// testsmith:begin List.Len").unwrap();
    let swapped =
        format!("{head}// testsmith:begin List.Len{len}\n// testsmith:begin Cart.Total{total}");
    let text = compose(Some(&swapped), &[put("Euros", 1, &body("TestEuros", &[]))]);
    let order: Vec<String> = blocks(&text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(order, ["List.Len", "Cart.Total", "Euros"]);
    let before_all = compose(
        Some(&compose(None, &[put("Euros", 1, &body("TestEuros", &[]))])),
        &[put("Cart.Total", 1, &body("TestCart_Total", &[]))],
    );
    let order: Vec<String> = blocks(&before_all)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(order, ["Cart.Total", "Euros"]);
}

#[test]
fn an_edited_block_is_left_alone() {
    let text = compose(
        None,
        &[
            put("Cart.Total", 1, &body("TestCart_Total", &["errors"])),
            put("Euros", 1, &body("TestEuros", &["fmt"])),
        ],
    );
    for edited in [
        text.replace("_ = errors.X", "_ = errors.Y"),
        text.replace("_ = errors.X", "_ = errors.X // I know"),
    ] {
        assert_eq!(
            blocks(&edited)[0],
            ("Cart.Total".into(), BlockState::Edited)
        );
        let composed = try_compose(
            Some(&edited),
            &[
                put("Cart.Total", 2, &body("TestCart_Total", &[])),
                put("Euros", 2, &body("TestEuros", &[])),
            ],
        )
        .unwrap();
        assert_eq!(
            composed.rejected,
            [(MemberName::from("Cart.Total"), Rejection::Edited)]
        );
        let new = composed.text.unwrap();
        let block = |text: &str| {
            let start = text.find("// testsmith:begin Cart.Total").unwrap();
            let end = text.find("// testsmith:end Cart.Total").unwrap();
            text[start..end].to_owned()
        };
        assert_eq!(block(&new), block(&edited));
        assert!(
            new.contains("\"errors\"") && !new.contains("\"fmt\""),
            "{new}"
        );

        let removed = try_compose(Some(&edited), &[remove("Cart.Total")]).unwrap();
        assert_eq!(
            removed.rejected,
            [(MemberName::from("Cart.Total"), Rejection::Edited)]
        );
        assert_eq!(removed.text.as_deref(), Some(edited.as_str()));
    }
}

#[test]
fn imports_come_and_go_with_the_blocks_that_use_them() {
    let one = compose(
        None,
        &[put("Cart.Total", 1, &body("TestCart_Total", &["errors"]))],
    );
    let replaced = compose(
        Some(&one),
        &[put("Cart.Total", 2, &body("TestCart_Total", &["fmt"]))],
    );
    assert!(
        replaced.contains("import (\n\t\"fmt\"\n\t\"testing\"\n)\n"),
        "{replaced}"
    );

    let two = compose(
        Some(&replaced),
        &[put("Euros", 1, &body("TestEuros", &["example.com/money"]))],
    );
    assert!(
        two.contains("import (\n\t\"fmt\"\n\t\"testing\"\n\n\t\"example.com/money\"\n)\n"),
        "{two}"
    );
    let less = compose(Some(&two), &[remove("Cart.Total")]);
    assert!(
        less.contains("import (\n\t\"testing\"\n\n\t\"example.com/money\"\n)\n"),
        "{less}"
    );
    let none = try_compose(Some(&less), &[remove("Euros")]).unwrap();
    assert_eq!(none.text, None);
}

#[test]
fn an_import_somebody_added_stays() {
    let text = compose(
        None,
        &[put("Cart.Total", 1, &body("TestCart_Total", &["errors"]))],
    );
    let own = "\t\"errors\"\n\t\"os\" // soon\n\t_ \"embed\"\n";
    let text = text.replace("\t\"errors\"\n", own)
        + "\nfunc helper() error { return errors.New(\"mine\") }\n";
    let new = compose(
        Some(&text),
        &[put("Cart.Total", 2, &body("TestCart_Total", &["fmt"]))],
    );
    assert!(new.contains(own), "{new}");
    assert!(new.contains("\n\t\"fmt\"\n"), "{new}");
    let gone = compose(Some(&new), &[remove("Cart.Total")]);
    assert!(gone.contains(own) && !gone.contains("\"fmt\""), "{gone}");
}

#[test]
fn a_single_import_grows_into_a_declaration() {
    let text = compose(None, &[put("Cart.Total", 1, &body("TestCart_Total", &[]))]);
    assert!(text.contains("\nimport \"testing\"\n"), "{text}");
    let text = compose(
        Some(&text),
        &[put("Euros", 1, &body("TestEuros", &["fmt"]))],
    );
    assert!(
        text.contains("\nimport (\n\t\"fmt\"\n\t\"testing\"\n)\n"),
        "{text}"
    );
}

#[test]
fn names_are_defined_once_in_a_package() {
    let shop = Shop::new(&[
        ("go.mod", "module example.com/shop\n"),
        ("cart/cart.go", CART),
        (
            "cart/cart_test.go",
            "package cart\n\nfunc TestEuros(t *testing.T) {}\n",
        ),
        (
            "cart/outer_test.go",
            "package cart_test\n\nfunc TestShout(t *testing.T) {}\n",
        ),
    ]);
    let file = shop.analyze("cart/cart.go");
    let helper = "func rate() {}\n".to_owned() + &body("TestCart_Lines", &[]);
    let composed = try_compose_in(
        &shop.project,
        &file,
        None,
        &[
            put("Euros", 1, &body("TestEuros", &[])),
            put("Shout", 1, &body("TestShout", &[])),
            put("Cart.Lines", 1, &helper),
            put("Cart.Total", 1, &body("TestTwice", &[])),
            put("Map", 1, &body("TestTwice", &[])),
        ],
    )
    .unwrap();
    let mut rejected = composed.rejected.clone();
    rejected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        rejected,
        [
            (
                MemberName::from("Cart.Lines"),
                duplicate("rate", "cart/cart.go")
            ),
            (
                MemberName::from("Euros"),
                duplicate("TestEuros", "cart/cart_test.go")
            ),
            (MemberName::from("Map"), duplicate("TestTwice", TEST_PATH)),
        ]
    );
    let names: Vec<String> = blocks(&composed.text.unwrap())
        .into_iter()
        .map(|b| b.0)
        .collect();
    assert_eq!(names, ["Cart.Total", "Shout"]);
}

#[test]
fn a_name_freed_in_the_same_request_may_be_taken() {
    let text = compose(
        None,
        &[
            put("Cart.Total", 1, &body("TestA", &[])),
            put("Euros", 1, &body("TestB", &[])),
        ],
    );
    let swapped = compose(
        Some(&text),
        &[
            put("Cart.Total", 2, &body("TestB", &[])),
            put("Euros", 2, &body("TestA", &[])),
        ],
    );
    assert!(swapped.find("func TestB").unwrap() < swapped.find("func TestA").unwrap());

    // A refused edit keeps its names, and these refuse the next.
    let kept = text.clone() + "\nfunc TestC(t *testing.T) {}\n";
    let composed = try_compose(
        Some(&kept),
        &[
            put("Cart.Total", 2, &body("TestB", &[])),
            put("Euros", 2, &body("TestC", &[])),
        ],
    )
    .unwrap();
    assert_eq!(
        composed.rejected,
        [
            (MemberName::from("Euros"), duplicate("TestC", TEST_PATH)),
            (
                MemberName::from("Cart.Total"),
                duplicate("TestB", TEST_PATH)
            ),
        ]
    );
    assert_eq!(composed.text.as_deref(), Some(kept.as_str()));
}

#[test]
fn one_name_for_two_packages_is_a_clash() {
    let text = compose(
        None,
        &[put(
            "Cart.Total",
            1,
            &body("TestCart_Total", &["math/rand"]),
        )],
    );
    let composed = try_compose(
        Some(&text),
        &[put("Euros", 1, &body("TestEuros", &["crypto/rand"]))],
    );
    assert_eq!(
        composed.unwrap().rejected,
        [(MemberName::from("Euros"), duplicate("rand", TEST_PATH))]
    );
    // Unless the other goes with its block.
    let new = compose(
        Some(&text),
        &[put(
            "Cart.Total",
            2,
            &body("TestCart_Total", &["crypto/rand"]),
        )],
    );
    assert!(
        new.contains("\"crypto/rand\"") && !new.contains("\"math/rand\""),
        "{new}"
    );
}

#[test]
fn line_ends_and_the_end_of_the_file_stay() {
    let unix = compose(
        None,
        &[
            put("Cart.Total", 1, &body("TestCart_Total", &["errors"])),
            put("Euros", 1, &body("TestEuros", &[])),
        ],
    );
    let edits = [
        put("Cart.Total", 2, &body("TestCart_Total", &["fmt"])),
        put("Shout", 1, &body("TestShout", &["os"])),
    ];
    let expected = compose(Some(&unix), &edits);
    let crlf = compose(Some(&unix.replace('\n', "\r\n")), &edits);
    assert_eq!(crlf, expected.replace('\n', "\r\n"));

    let open = compose(
        Some(unix.trim_end()),
        &[put("Euros", 2, &body("TestEuros", &["os"]))],
    );
    assert!(open.ends_with("// testsmith:end Euros"), "{open}");
    let longer = compose(Some(unix.trim_end()), &edits);
    assert_eq!(longer, expected);
}

#[test]
fn marks_are_comments_that_have_their_line() {
    let text = compose(None, &[put("Euros", 1, &body("TestEuros", &[]))]);
    let in_string = text.clone()
        + "\nvar doc = `\n// testsmith:begin X key=00000000 sum=00000000\n`\n\
        \nvar x = 1 // testsmith:end Y\n";
    assert_eq!(blocks(&in_string).len(), 1);
    let indented = text.replace("// testsmith", "  //testsmith");
    assert_eq!(blocks(&indented), [("Euros".into(), BlockState::Pristine)]);
}

#[test]
fn marks_that_do_not_pair_are_refused() {
    let text = compose(None, &[put("Euros", 1, &body("TestEuros", &[]))]);
    let begin = text
        .lines()
        .find(|line| line.contains("testsmith:begin"))
        .unwrap();
    let line_of = |text: &str, wanted: &str, nth: usize| {
        let mut found = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains(wanted));
        u32::try_from(found.nth(nth).unwrap().0).unwrap() + 1
    };
    let cases = [
        (
            text.replace("// testsmith:end Euros\n", ""),
            ("testsmith:begin", 0),
        ),
        (
            text.replace(&format!("{begin}\n"), ""),
            ("testsmith:end", 0),
        ),
        (
            text.replace(begin, &format!("{begin}\n{begin}")),
            ("testsmith:begin", 1),
        ),
        (
            format!(
                "{text}{}",
                &text[text.find(begin).unwrap()..].replace("TestEuros", "TestB")
            ),
            ("testsmith:begin", 1),
        ),
        (text.replace("end Euros", "end Other"), ("testsmith:end", 0)),
        (
            text.replace("key=00000001", "key=1"),
            ("testsmith:begin", 0),
        ),
        (text.replace(" sum=", " "), ("testsmith:begin", 0)),
    ];
    for (broken, (wanted, nth)) in cases {
        let line = line_of(&broken, wanted, nth);
        let refused = Err(ComposeError::BadMarks { line });
        let composed = try_compose(Some(&broken), &[remove("Euros")]);
        assert_eq!(composed.map(|_| ()), refused, "{broken}");
        assert!(GoDriver.blocks(&path(TEST_PATH), &broken).is_err());
    }
}

#[test]
fn what_does_not_parse_is_not_touched() {
    let existing = "package cart\n\nfunc TestX(t *testing.T) {\n";
    let composed = try_compose(Some(existing), &[put("Euros", 1, &body("TestEuros", &[]))]);
    assert!(
        matches!(composed, Err(ComposeError::ExistingBroken(_))),
        "{composed:?}"
    );
    let broken = try_compose(None, &[put("Euros", 1, "func TestEuros(t *testing.T) {\n")]);
    assert!(
        matches!(broken, Err(ComposeError::ResultBroken(_))),
        "{broken:?}"
    );
}

#[test]
fn a_file_without_our_blocks_is_its_owner_s() {
    let own = "package cart\n\nimport \"testing\"\n\nfunc TestMine(t *testing.T) {}\n";
    assert_eq!(compose(Some(own), &[]), own);
    let with = compose(Some(own), &[put("Euros", 1, &body("TestEuros", &[]))]);
    assert_eq!(compose(Some(&with), &[remove("Euros")]), own);
    assert_eq!(try_compose(None, &[]).unwrap().text, None);
    assert_eq!(try_compose(None, &[remove("Euros")]).unwrap().text, None);
}

#[test]
fn the_header_follows_package_and_build_constraint() {
    let shop = Shop::new(&[
        (
            "cart/cart_linux.go",
            "//go:build cgo || purego\n\npackage cart\n\nfunc F() {}\n",
        ),
        ("cart/plain.go", "package cart\n\nfunc G() {}\n"),
    ]);
    let file = shop.analyze("cart/cart_linux.go");
    assert_eq!(file.test_path.as_str(), "cart/cart_linux_testsmith_test.go");
    let edits = [put("F", 1, &body("TestF", &[]))];
    let composed = try_compose_in(&shop.project, &file, None, &edits).unwrap();
    let text = composed.text.unwrap();
    assert!(
        text.starts_with("//go:build linux && (cgo || purego)\n\n// Tests kept by testsmith."),
        "{text}"
    );
    let emptied = try_compose_in(&shop.project, &file, Some(&text), &[remove("F")]).unwrap();
    assert_eq!(emptied.text, None);

    shop.write(
        "cart/cart_linux.go",
        "//go:build cgo\n\npackage store\n\nfunc F() {}\n",
    );
    let file = shop.analyze("cart/cart_linux.go");
    let again = try_compose_in(&shop.project, &file, Some(&text), &edits)
        .unwrap()
        .text
        .unwrap();
    let expected = text
        .replace("linux && (cgo || purego)", "linux && cgo")
        .replace("package cart", "package store");
    assert_eq!(again, expected);
    // What somebody adds to a constraint is theirs.
    let narrowed = expected.replace("linux && cgo", "linux && cgo && !race");
    let composed = try_compose_in(&shop.project, &file, Some(&narrowed), &edits).unwrap();
    assert_eq!(composed.text, Some(narrowed));
    assert_eq!(analyze(CART).module, "cart");
}

#[test]
fn our_own_files_do_not_look_generated() {
    let text = compose(None, &[put("Euros", 1, &body("TestEuros", &[]))]);
    assert!(!text.contains("generated") && !text.contains("DO NOT EDIT"));
}

#[test]
fn a_block_whose_name_the_user_has_taken_makes_room() {
    let shop = Shop::new(&[("cart/cart.go", CART)]);
    let file = shop.analyze("cart/cart.go");
    let body = |test: &str| {
        format!(
            "import (\n\t\"errors\"\n\t\"testing\"\n)\n\nfunc {test}(t *testing.T) {{ t.Log(errors.New(\"x\")) }}\n"
        )
    };
    let (total, euros) = (
        body("TestTotal"),
        body("TestEuros").replace("errors.New", "Euros"),
    );
    let compose = |existing: Option<&str>, edits: &[_]| {
        let composed = try_compose_in(&shop.project, &file, existing, edits).unwrap();
        (composed.text.unwrap(), composed.rejected)
    };
    let (text, _) = compose(
        None,
        &[put("Cart.Total", 1, &total), put("Euros", 1, &euros)],
    );
    let untouched = compose(Some(&text), &[]);
    assert_eq!(untouched, (text.clone(), Vec::new()));

    shop.write(
        "cart/cart_test.go",
        "package cart\n\nimport \"testing\"\n\nfunc TestTotal(t *testing.T) {}\n",
    );
    let (without, rejected) = compose(Some(&text), &[]);
    assert_eq!(rejected, []);
    assert!(
        !without.contains("TestTotal") && without.contains("TestEuros"),
        "{without}"
    );
    assert!(!without.contains("\"errors\""), "{without}");
    // Written anew under its old name, it is refused, and makes room all the same.
    let (again, rejected) = compose(Some(&text), &[put("Cart.Total", 2, &total)]);
    assert_eq!(again, without);
    assert!(matches!(
        rejected.as_slice(),
        [(_, Rejection::DuplicateName { .. })]
    ));
    // Under another name it stays.
    let renamed = total.replace("TestTotal", "TestTotal2");
    let (renamed, rejected) = compose(Some(&text), &[put("Cart.Total", 2, &renamed)]);
    assert_eq!(rejected, []);
    assert!(renamed.contains("func TestTotal2("));
    // For another system only, it may be no clash.
    let mine = shop.read("cart/cart_test.go");
    shop.write("cart/cart_test.go", &format!("//go:build plan9\n\n{mine}"));
    assert_eq!(compose(Some(&text), &[]).0, text);
    shop.write("cart/cart_test.go", &mine);
    // What the user edited is theirs, clash or not.
    let edited = text.replace("errors.New", "errors.Unwrap");
    assert_eq!(compose(Some(&edited), &[]).0, edited);
}
