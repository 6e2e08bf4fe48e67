//! Repair by rule, from what the real compiler says.

use std::fs;

use pretty_assertions::assert_eq;
use testsmith_domain::{LanguageDriver, SourceFile};
use testsmith_lang::GoDriver;

use crate::sample::{Shop, member, put, try_compose_in};
use crate::toolchain::run;

const SOURCE: &str = "package cart\n\nfunc Total(n int) int { return n }\n\ntype Cart struct{}\n\nfunc (Cart) Len() int { return 0 }\n";
const USER: &str = "package cart\n\nimport \"testing\"\n\nfunc TestUser(t *testing.T) {}\n\ntype fake struct{}\n\nfunc (fake) Do() {}\n";

fn shop() -> (Shop, SourceFile) {
    let shop = Shop::new(&[
        ("go.mod", "module example.com/shop\n\ngo 1.21\n"),
        ("cart/cart.go", SOURCE),
    ]);
    let file = shop.analyze("cart/cart.go");
    (shop, file)
}

/// What the driver makes of `body` after `said`, prepared again.
fn mend(file: &SourceFile, body: &str, said: &str) -> Option<String> {
    let member = member(file, "Total");
    let mended = GoDriver.mend(file, member, body, said)?;
    Some(GoDriver.prepare_body(file, member, &mended).unwrap())
}

/// Bodies as they are prepared, some words of the compiler's error, and what the repaired body holds.
const CASES: [(&str, &str, &str); 8] = [
    (
        "import \"testing\"\n\nfunc TestTotal(t *testing.T) {\n\tif Total(rand.Intn(3)) > 3 {\n\t\tt.Error(base64.StdEncoding)\n\t}\n}\n",
        "undefined: rand",
        "import (\n\t\"encoding/base64\"\n\t\"math/rand\"\n\t\"testing\"\n)\n",
    ),
    (
        "import \"testing\"\n\nfunc TestTotal(t *testing.T) {\n\tvar c cart.Cart\n\tif cart.Total(3) != 3 || c.Len() != 0 {\n\t\tt.Error()\n\t}\n}\n",
        "undefined: cart",
        "\tvar c Cart\n\tif Total(3) != 3 || c.Len() != 0 {",
    ),
    (
        "import (\n\t\"strings\"\n\t\"testing\"\n)\n\ntype box struct{ n int }\n\nfunc TestTotal(t *testing.T) {\n\tstrings := box{3}\n\tif Total(strings.n) != 3 {\n\t\tt.Error()\n\t}\n}\n",
        "\"strings\" imported and not used",
        "import \"testing\"\n",
    ),
    (
        "import (\n\tyaml \"strings\"\n\t\"testing\"\n)\n\ntype box struct{ n int }\n\nfunc TestTotal(t *testing.T) {\n\tyaml := box{3}\n\tif Total(yaml.n) != 3 {\n\t\tt.Error()\n\t}\n}\n",
        "\"strings\" imported as yaml and not used",
        "import \"testing\"\n",
    ),
    (
        "import \"testing\"\n\nfunc TestTotal(t *testing.T) { Total(1) }\n\nfunc TestTotal(t *testing.T) { Total(2) }\n",
        "TestTotal redeclared in this block",
        "func TestTotal(t *testing.T) { Total(1) }\n\nfunc TestTotal2(t *testing.T) { Total(2) }",
    ),
    (
        "import \"testing\"\n\nfunc two() int { return 2 }\n\nfunc TestTotal(t *testing.T) { Total(two()) }\n\nfunc two() int { return 2 }\n",
        "two redeclared in this block",
        "func two() int { return 2 }\n\nfunc TestTotal(t *testing.T) { Total(two()) }\n",
    ),
    (
        "import \"testing\"\n\nfunc TestUser(t *testing.T) { Total(1) }\n",
        "TestUser redeclared in this block",
        "func TestTotal_User(t *testing.T) { Total(1) }",
    ),
    (
        "import \"testing\"\n\ntype fake struct{ n int }\n\nfunc (f fake) Do() int { return f.n }\n\nfunc TestTotal(t *testing.T) { Total(fake{n: 1}.Do()) }\n",
        "method fake.Do already declared",
        "type fakeForTotal struct{ n int }\n\nfunc (f fakeForTotal) Do() int { return f.n }\n\nfunc TestTotal(t *testing.T) { Total(fakeForTotal{n: 1}.Do()) }\n",
    ),
];

#[test]
fn what_the_compiler_says_is_mended_until_it_compiles() {
    let (shop, file) = shop();
    shop.write("cart/cart_test.go", USER);
    for (body, words, expected) in CASES {
        // As it would have been written without a look at other files' names.
        let text = format!("package cart\n\n{body}");
        shop.write(file.test_path.as_str(), &text);
        let Some((fine, said)) = run(&shop, "go", &["test", "-run", "^$", "./..."]) else {
            return;
        };
        assert!(!fine && said.contains(words), "{said}\n{text}");
        let mended = mend(&file, body, &said).unwrap_or_else(|| panic!("no rule: {said}"));
        assert!(mended.contains(expected), "{expected}\n---\n{mended}");

        fs::remove_file(file.test_path.under(shop.root())).unwrap();
        let edits = [put("Total", 1, &mended)];
        let composed = try_compose_in(&shop.project, &file, None, &edits).unwrap();
        assert_eq!(composed.rejected, []);
        let text = composed.text.unwrap();
        shop.write(file.test_path.as_str(), &text);
        let (fine, said) = run(&shop, "go", &["test", "./..."]).unwrap();
        assert!(fine, "{said}\n{text}");
    }
}

#[test]
fn a_name_that_compose_refuses_is_given_the_member_s() {
    let (shop, file) = shop();
    shop.write(
        "cart/cart_test.go",
        "package cart\n\nimport \"testing\"\n\nfunc TestTotal(t *testing.T) {}\n",
    );
    let body = "import \"testing\"\n\nfunc TestTotal(t *testing.T) { Total(1) }\n";
    let refused = |body: &str| {
        let composed = try_compose_in(&shop.project, &file, None, &[put("Total", 1, body)]);
        composed.unwrap().rejected
    };
    let [(_, why)] = refused(body).try_into().unwrap();
    let mended = mend(&file, body, &why.to_string()).unwrap();
    assert!(mended.contains("func TestTotal2("), "{mended}");
    assert_eq!(refused(&mended), []);

    // Two packages of one name, of which another block has the other one.
    let body = "import (\n\t\"crypto/rand\"\n\t\"testing\"\n)\n\nfunc TestTotal2(t *testing.T) { rand.Int(nil, nil) }\n";
    let said = "`rand` is already defined in `cart/cart_testsmith_test.go`";
    let mended = mend(&file, body, said).unwrap();
    assert!(
        mended.contains("\tcryptorand \"crypto/rand\"\n"),
        "{mended}"
    );
    assert!(mended.contains("{ cryptorand.Int("), "{mended}");
}

#[test]
fn testify_is_added_where_the_project_has_it() {
    let require = "require github.com/stretchr/testify v1.9.0\n";
    let module = format!("module example.com/shop\n\ngo 1.21\n\n{require}");
    let shop = Shop::new(&[("go.mod", module.as_str()), ("cart/cart.go", SOURCE)]);
    let file = shop.analyze("cart/cart.go");
    let body = "func TestTotal(t *testing.T) { suite.Run(t, nil) }\n";
    let mended = mend(&file, body, "./a_test.go:1:1: undefined: suite\n").unwrap();
    assert!(mended.contains("\"github.com/stretchr/testify/suite\""));
}

#[test]
fn where_no_rule_helps_nothing_is_said_to_be_mended() {
    let (_shop, file) = shop();
    let body = "import \"testing\"\n\nfunc TestTotal(t *testing.T) { t.Error(Total(two())) }\n";
    for said in [
        "",
        "undefined: two",
        "undefined: rand",
        "\"os\" imported and not used",
        "TestOther redeclared in this block",
        "    cart_test.go:5: 1",
    ] {
        assert_eq!(mend(&file, body, said), None, "{said}");
    }
}
