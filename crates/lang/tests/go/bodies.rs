//! What becomes of a model's code before it is cached.

use pretty_assertions::assert_eq;
use testsmith_domain::{BodyProblem, Framework, LanguageDriver, SourceFile};
use testsmith_lang::GoDriver;

use crate::sample::{CART, analyze, body, member, path};

fn prepare_for(file: &SourceFile, code: &str) -> Result<String, BodyProblem> {
    GoDriver.prepare_body(file, member(file, "Cart.Total"), code)
}

fn prepare(code: &str) -> Result<String, BodyProblem> {
    prepare_for(&analyze(CART), code)
}

#[test]
fn a_whole_file_in_a_fence_becomes_a_body() {
    let code = "```go\npackage cart_test\n\nimport (\n\t\"errors\"\n\t\"testing\"\n\n\
        \t\"example.com/shop/cart\"\n\t\"os\"\n)\n\n\
        func TestCart_Total(t *testing.T) {\n\tvar c cart.Cart\n\
        \tif _, err := c.Total(); !errors.Is(err, cart.ErrEmpty) {\n\t\tt.Error(err)\n\t}\n}\n```\n";
    let expected = "import (\n\t\"errors\"\n\t\"testing\"\n)\n\n\
        func TestCart_Total(t *testing.T) {\n\tvar c Cart\n\
        \tif _, err := c.Total(); !errors.Is(err, ErrEmpty) {\n\t\tt.Error(err)\n\t}\n}\n";
    assert_eq!(prepare(code).unwrap(), expected);
    assert_eq!(prepare(&code.replace('\n', "\r\n")).unwrap(), expected);
    // What is prepared stays as it is.
    assert_eq!(prepare(expected).unwrap(), expected);
    assert_eq!(
        GoDriver.test_names(&analyze(CART), expected),
        ["TestCart_Total"]
    );
}

#[test]
fn forgotten_imports_are_added_by_rule() {
    let code = "func TestX(t *testing.T) {\n\tfmt.Println(strings.ToUpper(\"x\"))\n\
        \tassert.True(t, true)\n\tregistry.Get()\n}\n";
    assert!(
        prepare(code)
            .unwrap()
            .starts_with("import (\n\t\"fmt\"\n\t\"strings\"\n\t\"testing\"\n)\n\nfunc TestX")
    );
    let mut testify = analyze(CART);
    testify.framework = Framework("testify".into());
    assert!(prepare_for(&testify, code).unwrap().starts_with(
        "import (\n\t\"fmt\"\n\t\"strings\"\n\t\"testing\"\n\n\
         \t\"github.com/stretchr/testify/assert\"\n)\n\nfunc TestX"
    ));
    // A local variable is no package.
    let local = "func TestX(t *testing.T) {\n\ttime := clock{}\n\ttime.Tick()\n}\n";
    assert!(
        prepare(local)
            .unwrap()
            .starts_with("import \"testing\"\n\nfunc")
    );
}

#[test]
fn a_package_with_another_name_than_its_path_is_named() {
    let code = "import (\n\t\"testing\"\n\t\"gopkg.in/yaml.v3\"\n\t\"example.com/go-cmp-lib\"\n)\n\n\
        func TestX(t *testing.T) {\n\tyaml.Marshal(cmp.Diff())\n\tcmplib.X()\n}\n";
    let prepared = prepare(code).unwrap();
    assert!(prepared.contains("\t\"gopkg.in/yaml.v3\"\n"), "{prepared}");
    let code = code.replace("\tcmplib.X()\n", "");
    let prepared = prepare(&code).unwrap();
    assert!(
        prepared.contains("\tcmp \"example.com/go-cmp-lib\"\n"),
        "{prepared}"
    );
}

#[test]
fn what_cannot_be_used_is_refused() {
    for (code, expected) in [
        ("func helper() {}\n", BodyProblem::NoTest),
        ("func TestX(t *testing.B) {}\n", BodyProblem::NoTest),
        ("func Testing(t *testing.T) {}\n", BodyProblem::NoTest),
        ("", BodyProblem::NoTest),
    ] {
        assert_eq!(prepare(code), Err(expected), "{code}");
    }
    for code in [
        "func TestX(t *testing.T) {",
        "x := 1",
        "Here are the tests:\nfunc TestX(t *testing.T) {}",
    ] {
        let result = prepare(code);
        assert!(
            matches!(result, Err(BodyProblem::Syntax(_))),
            "{code}: {result:?}"
        );
    }
    for code in [
        "func TestX(t *testing.T) {}\n// testsmith:end Cart.Total\n",
        "func TestX(t *testing.T) {}\0",
        "func TestX(t *testing.T) {}\nfunc TestMain(m *testing.M) {}\n",
    ] {
        assert!(
            matches!(prepare(code), Err(BodyProblem::Forbidden(_))),
            "{code}"
        );
    }
}

#[test]
fn no_cut_body_passes_with_half_a_test() {
    let whole = body("TestCart_Total", &["errors", "fmt"]);
    for end in 0..whole.trim_end().len() {
        let cut = &whole[..end];
        assert!(prepare(cut).is_err(), "{cut}");
    }
}

#[test]
fn a_sum_is_over_tokens() {
    let at = path("cart/cart_testsmith_test.go");
    let sum = |body: &str| GoDriver.body_sum(&at, body);
    let code = "func TestX(t *testing.T) {\n\t// why\n\tgot := f(1, 2)\n\tfor i := range []T{T{1}} {\n\t\t_ = 0XFF + (i)\n\t}\n}\n";
    let same = "func TestX( t *testing.T ) {\n  //why\n\n  got := f(\n    1,\n    2,\n  )\n  for i := range []T{{1}} { _ = 0xff+i }\n}";
    assert_eq!(sum(code), sum(same));
    assert_eq!(sum(code), sum(&code.replace('\n', "\r\n")));
    let imported = format!("import \"testing\"\n\n{code}");
    assert_eq!(sum(code), sum(&imported));
    for (from, to) in [
        ("f(1, 2)", "f(1, 3)"),
        ("// why", "// because"),
        ("got :=", "want :="),
        ("0XFF + (i)", "0XFF - (i)"),
        ("}\n}\n", "}\n\tt.Fail()\n}\n"),
    ] {
        assert_ne!(sum(code), sum(&code.replace(from, to)), "{from}");
    }
}

#[test]
fn scaffolds_are_prepared_bodies_with_names_of_their_own() {
    let file =
        analyze("package p\n\ntype Cart int\n\nfunc (Cart) Total() {}\n\nfunc Cart_Total() {}\n");
    let mut tests = Vec::new();
    for member in &file.members {
        let scaffold = GoDriver.scaffold(&file, member);
        assert_eq!(
            GoDriver.prepare_body(&file, member, &scaffold),
            Ok(scaffold.clone())
        );
        tests.extend(GoDriver.test_names(&file, &scaffold));
        assert!(scaffold.contains("t.Skip(\"testsmith: waiting for a model\")"));
    }
    assert_eq!(tests, ["TestCart_Total", "TestCart_Total_Function"]);
}

#[test]
fn instructions_differ_by_framework_only() {
    let mut file = analyze(CART);
    let plain = GoDriver.instructions(&file);
    file.path = path("x/y.go");
    file.module = "y".into();
    assert_eq!(GoDriver.instructions(&file), plain);
    file.framework = Framework("testify".into());
    assert!(GoDriver.instructions(&file).contains("testify/assert"));
    assert!(!plain.contains("testify"));
}
