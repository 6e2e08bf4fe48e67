//! What a model sees beside the file.

use pretty_assertions::assert_eq;
use testsmith_domain::LanguageDriver;
use testsmith_lang::GoDriver;

use crate::sample::Shop;

const ORDER: &str = r#"package order

import (
	"fmt"

	"example.com/shop/cart"
)

// Place places an order.
func Place(c cart.Cart) (Receipt, error) { fmt.Println(limit); return newReceipt(c), nil }
"#;

const CART: &str = r"package cart

// Cart holds items.
type Cart struct {
	Items []string
}

// Add adds an item.
func (c *Cart) Add(item string) {
	c.Items = append(c.Items, item)
}

func (c *Cart) reset() { c.Items = nil }

// Max is the most items.
const Max = 10

var secret = 1
";

fn shop() -> Shop {
    Shop::new(&[
        ("go.mod", "module example.com/shop\n"),
        ("order/order.go", ORDER),
        (
            "order/receipt.go",
            "package order\n\nimport \"example.com/shop/cart\"\n\n// Receipt is given to the customer.\ntype Receipt struct {\n\tTotal int\n}\n\nvar (\n\t// limit is a limit.\n\tlimit = 3\n\tother = 4\n)\n\nfunc newReceipt(c cart.Cart) Receipt {\n\treturn Receipt{}\n}\n\nfunc unrelated() {}\n",
        ),
        (
            "order/order_test.go",
            "package order\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Args\n\nfunc helper() {}\n\nfunc TestLong(t *testing.T) {\n\tt.Log(1)\n\tt.Log(2)\n\tt.Log(3)\n}\n\n// TestShort is short.\nfunc TestShort(t *testing.T) {\n\tt.Log(1)\n}\n",
        ),
        (
            "order/order_testsmith_test.go",
            "package order\n\nfunc TestOurs(t *testing.T) {\n\t_ = 1\n}\n",
        ),
        ("cart/cart.go", CART),
    ])
}

#[test]
fn declarations_of_the_project_are_shown_without_bodies() {
    let shop = shop();
    let file = shop.analyze("order/order.go");
    let context = GoDriver.prompt_context(&shop.project, &file, ORDER);
    let related: Vec<(&str, &str)> = context
        .related
        .iter()
        .map(|excerpt| (excerpt.path.as_str(), excerpt.text.as_str()))
        .collect();
    assert_eq!(
        related,
        [
            (
                "order/receipt.go",
                "package order\n\n// Receipt is given to the customer.\ntype Receipt struct {\n\tTotal int\n}\n\n// limit is a limit.\nvar limit = 3\n\nfunc newReceipt(c cart.Cart) Receipt\n"
            ),
            (
                "cart/cart.go",
                "package cart\n\n// Cart holds items.\ntype Cart struct {\n\tItems []string\n}\n\n// Add adds an item.\nfunc (c *Cart) Add(item string)\n"
            ),
            (
                "cart/cart.go",
                "package cart\n\n// Max is the most items.\nconst Max = 10\n"
            ),
            (
                "order/order_test.go",
                "// Defines, so these names are taken: TestLong, TestShort, helper\n"
            ),
        ]
    );
}

#[test]
fn the_style_example_is_one_short_test_of_a_person() {
    let shop = shop();
    let file = shop.analyze("order/order.go");
    let example = GoDriver
        .prompt_context(&shop.project, &file, ORDER)
        .style_example
        .unwrap();
    assert_eq!(example.path.as_str(), "order/order_test.go");
    assert_eq!(
        example.text,
        "import \"testing\"\n\n// TestShort is short.\nfunc TestShort(t *testing.T) {\n\tt.Log(1)\n}\n"
    );
    let cart = shop.analyze("cart/cart.go");
    assert_eq!(
        GoDriver
            .prompt_context(&shop.project, &cart, CART)
            .style_example,
        None
    );
}

#[test]
fn the_budget_holds() {
    let many: String = (0..400)
        .map(|i| format!("// F{i} does something.\nfunc F{i}(a, b int) int {{ return a }}\n\n"))
        .collect();
    let shop = Shop::new(&[
        ("go.mod", "module m\n"),
        (
            "a/a.go",
            "package a\n\nimport \"m/b\"\n\nfunc A() { b.F399() }\n",
        ),
        ("b/b.go", &format!("package b\n\n{many}")),
    ]);
    let file = shop.analyze("a/a.go");
    let related = GoDriver
        .prompt_context(&shop.project, &file, &shop.read("a/a.go"))
        .related;
    let size: usize = related.iter().map(|excerpt| excerpt.text.len()).sum();
    assert!((5 * 1024..7 * 1024).contains(&size), "{size}");
    assert!(
        related[0].text.contains("F399("),
        "what the file names comes first"
    );
}
