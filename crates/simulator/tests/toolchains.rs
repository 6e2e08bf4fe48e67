//! The tests that the simulator writes, run by the real toolchains.

#[path = "support/client.rs"]
mod client;
#[path = "support/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::process::Command;

use client::{Question, ask};
use testsmith_simulator::{Script, Simulator};
use tool::{have, run};

const GO: &str = include_str!("samples/shop.go");

#[tokio::test]
async fn go_tests_pass() {
    if !have("go", "version") {
        return;
    }
    let members = [
        "Add",
        "Divide",
        "Greet",
        "Max",
        "Map",
        "Keys",
        "Reverse",
        "IsEven",
        "Sum",
        "Average",
        "Clamp",
        "Now",
        "Serve",
        "Parse",
        "WithContext",
        "Cart",
        "Money",
        "Cart.Total",
        "Cart.Add",
        "Cart.Find",
        "Money.Double",
        "Stack.Push",
        "Stack.Len",
        "FizzBuzz",
        "Apply",
        "Explode",
        "Item.Cost",
        "NewCart",
        "Upper",
        "Fields",
        "cart.hidden",
        "Tags",
        "Join",
    ];
    let sim = Simulator::start(Script::default()).await.unwrap();
    for seed in 0..2 {
        sim.set_script(Script::default().seed(seed));
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("go.mod"),
            "module example.com/shop\n\ngo 1.21\n",
        )
        .unwrap();
        fs::write(dir.path().join("shop.go"), GO).unwrap();
        let question = Question::new("go", "go-testing", "shop", "shop.go", GO, &members);
        let tests = ask(&sim.openai_base_url(), &question).await;
        assert_eq!(tests.len(), members.len());
        for (n, (_, code)) in tests.iter().enumerate() {
            let code = format!("package shop\n\n{code}");
            fs::write(dir.path().join(format!("t{n}_test.go")), code).unwrap();
        }
        go(dir.path(), members.len());
    }
}

fn go(dir: &Path, at_least: usize) {
    let mut command = Command::new("go");
    command
        .args(["test", "-count=1", "-v", "./..."])
        .current_dir(dir)
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off");
    let output = run(&mut command, dir);
    assert!(output.matches("--- PASS").count() >= at_least, "{output}");
}
