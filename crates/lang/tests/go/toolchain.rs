//! What is composed, as the real Go sees it.

use std::path::PathBuf;
use std::process::Command;

use testsmith_domain::LanguageDriver;
use testsmith_lang::GoDriver;

use crate::sample::{CART, Shop, member, put, remove, try_compose_in};

/// Runs `go`, or `gofmt`, in the shop. `None` if there is none on this machine.
pub(crate) fn run(shop: &Shop, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-build");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(shop.root())
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("GOCACHE", cache)
        .output();
    match output {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            ))
        }
        Err(error) => {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "`{program}`: {error}"
            );
            eprintln!("skipped: {program} not found");
            None
        }
    }
}

fn shop() -> Shop {
    Shop::new(&[
        ("go.mod", "module example.com/shop\n\ngo 1.21\n"),
        ("cart/cart.go", CART),
        (
            "cart/cart_test.go",
            "package cart\n\nimport \"testing\"\n\nfunc TestMine(t *testing.T) { _ = t }\n",
        ),
    ])
}

const TOTAL: &str = r#"```go
package cart_test

import (
	"errors"
	"testing"

	"example.com/shop/cart"
)

func TestCart_Total(t *testing.T) {
	tests := []struct {
		name    string
		cart    cart.Cart
		want    int
		wantErr error
	}{
		{name: "empty", wantErr: cart.ErrEmpty},
		{name: "book", cart: cart.Cart{Items: []cart.Item{{Name: "x", Price: 100, Kind: cart.Book}}}, want: 107},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.cart.Total()
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("Total() = %v, %v", got, err)
			}
		})
	}
}
```"#;

const EUROS: &str = "func TestEuros(t *testing.T) {\n\tif got := Euros(1234); !strings.HasPrefix(got, \"12.\") {\n\t\tt.Error(got)\n\t}\n}\n";

#[test]
fn composed_files_are_formatted_vetted_and_pass() {
    let shop = shop();
    let file = shop.analyze("cart/cart.go");
    let prepared = |name: &str, code: &str| {
        let body = GoDriver
            .prepare_body(&file, member(&file, name), code)
            .unwrap();
        put(name, 1, &body)
    };
    let edits = [prepared("Cart.Total", TOTAL), prepared("Euros", EUROS)];
    let steps = [
        edits.to_vec(),
        vec![put(
            "Shout",
            1,
            &GoDriver.scaffold(&file, member(&file, "Shout")),
        )],
        vec![remove("Cart.Total")],
    ];
    let mut text: Option<String> = None;
    for edits in steps {
        let composed = try_compose_in(&shop.project, &file, text.as_deref(), &edits).unwrap();
        assert_eq!(composed.rejected, []);
        text = composed.text;
        shop.write(file.test_path.as_str(), text.as_deref().unwrap());
        let Some((_, listed)) = run(&shop, "gofmt", &["-l", "."]) else {
            return;
        };
        assert_eq!(listed, "", "gofmt finds nothing to do in:\n{text:?}");
        let Some((fine, said)) = run(&shop, "go", &["vet", "./..."]) else {
            return;
        };
        assert!(fine, "{said}\n{}", text.unwrap());
    }
    let (fine, said) = run(&shop, "go", &["test", "-v", "./..."]).unwrap();
    assert!(fine, "{said}");
    assert!(said.contains("--- PASS: TestEuros"), "{said}");
    assert!(
        said.contains("--- SKIP: TestShout") && said.contains("waiting for a model"),
        "{said}"
    );
    assert!(!said.contains("TestCart_Total"), "{said}");
}

#[test]
fn scaffolds_compile_for_every_member() {
    let shop = shop();
    shop.write(
        "cart/only_windows.go",
        "//go:build amd64 || arm64\n\npackage cart\n\n// Win is elsewhere.\nfunc Win() {}\n",
    );
    for source in ["cart/cart.go", "cart/only_windows.go"] {
        let file = shop.analyze(source);
        let edits: Vec<_> = file
            .members
            .iter()
            .map(|member| put(member.name.as_str(), 7, &GoDriver.scaffold(&file, member)))
            .collect();
        let composed = try_compose_in(&shop.project, &file, None, &edits).unwrap();
        assert_eq!(composed.rejected, []);
        shop.write(file.test_path.as_str(), &composed.text.unwrap());
    }
    let Some((fine, said)) = run(&shop, "go", &["vet", "./..."]) else {
        return;
    };
    assert!(fine, "{said}");
    let (_, listed) = run(&shop, "gofmt", &["-l", "."]).unwrap();
    assert_eq!(listed, "");
}

#[test]
fn gofmt_does_not_change_a_sum() {
    let shop = shop();
    let file = shop.analyze("cart/cart.go");
    let ugly = "func TestEuros( t *testing.T ){\n// a  comment\nvar xs=[]Item{Item{Price:0X1F},\nItem{ Price: 2 } }\n\
        if (len(xs)==2) { t.Log(xs);t.Log( (1+2)*3 ) }\nfor i:=0;i<1;i++ {}\n\n\n\nswitch {\ncase true : t.Log(`x\n  y`)}\n}\n";
    let body = GoDriver
        .prepare_body(&file, member(&file, "Euros"), ugly)
        .unwrap();
    let text = try_compose_in(&shop.project, &file, None, &[put("Euros", 1, &body)])
        .unwrap()
        .text
        .unwrap();
    shop.write(file.test_path.as_str(), &text);
    let Some((fine, said)) = run(&shop, "gofmt", &["-s", "-w", "cart"]) else {
        return;
    };
    assert!(fine, "{said}");
    let formatted = shop.read(file.test_path.as_str());
    assert_ne!(formatted, text, "gofmt had something to do");
    let blocks = GoDriver.blocks(&file.test_path, &formatted).unwrap();
    assert_eq!(
        blocks[0].state,
        testsmith_domain::BlockState::Pristine,
        "{formatted}"
    );
    let file = shop.analyze("cart/cart.go");
    let again = try_compose_in(
        &shop.project,
        &file,
        Some(&formatted),
        &[put("Euros", 1, &body)],
    );
    assert_eq!(again.unwrap().text, Some(formatted));
}
