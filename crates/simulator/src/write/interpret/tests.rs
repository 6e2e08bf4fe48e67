use super::*;

fn run(dialect: Dialect, body: &str, names: &[(&str, Value)]) -> Option<Outcome> {
    let source = Source::new(body, dialect);
    let names = names
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    interpret(&source, dialect, 0..body.len(), names)
}

fn one(value: Value) -> Outcome {
    Outcome::Returned(vec![value])
}

fn ints(values: &[i64]) -> Value {
    Value::List(values.iter().map(|value| Value::Int(*value)).collect())
}

fn raised(name: &str) -> Outcome {
    Outcome::Raised(Some(name.into()))
}

#[test]
fn go_bodies_are_run() {
    let go = |body: &str, names: &[(&str, Value)]| run(Dialect::Go, body, names);
    let (a, b) = (("a", Value::Int(7)), ("b", Value::Int(-2)));
    assert_eq!(
        go("return a + b*3", &[a.clone(), b.clone()]),
        Some(one(Value::Int(1)))
    );
    assert_eq!(
        go("return a / b", &[a.clone(), b.clone()]),
        Some(one(Value::Int(-3)))
    );
    assert_eq!(
        go("return -a % 4 == -3 && !(a < b)", &[a.clone(), b]),
        Some(one(Value::Bool(true)))
    );
    let body = "total := 0\nfor _, x := range xs {\n\ttotal += x // more\n}\nreturn total";
    assert_eq!(
        go(body, &[("xs", ints(&[1, 2, 3]))]),
        Some(one(Value::Int(6)))
    );
    let body = "if a == 0 {\n\treturn 0, errors.New(\"zero\")\n} else if a > 5 {\n\treturn a, nil\n}\n\
                return 1, nil";
    let expected = Outcome::Returned(vec![Value::Int(7), Value::Null]);
    assert_eq!(go(body, &[a]), Some(expected));
    let expected = Outcome::Returned(vec![Value::Int(0), Value::Error]);
    assert_eq!(go(body, &[("a", Value::Int(0))]), Some(expected));
    let body = "n := 1\nfor i := 0; i < 4; i++ {\n\tn = n * 2\n}\nreturn n";
    assert_eq!(go(body, &[]), Some(one(Value::Int(16))));
    let body = "switch {\ncase a < 0:\n\treturn \"-\"\ncase a == 1, a == 2:\n\treturn \"few\"\n\
                default:\n\treturn fmt.Sprintf(\"%d!\", a)\n}";
    assert_eq!(
        go(body, &[("a", Value::Int(2))]),
        Some(one(Value::Str("few".into())))
    );
    assert_eq!(
        go(body, &[("a", Value::Int(9))]),
        Some(one(Value::Str("9!".into())))
    );
}

#[test]
fn python_bodies_are_run() {
    let python = |body: &str, names: &[(&str, Value)]| run(Dialect::Python, body, names);
    let n = |value| [("n", Value::Int(value))];
    let body = "\n    \"\"\"Doc.\"\"\"\n    if n < 0:\n        raise ValueError(\"no\")\n    elif n \
                == 0:\n        return 0\n    total = 0\n    for i in range(1, n + 1):\n        if i % \
                2: continue\n        total += i\n    return total\n";
    assert_eq!(python(body, &n(6)), Some(one(Value::Int(12))));
    assert_eq!(python(body, &n(-1)), Some(raised("ValueError")));
    assert_eq!(
        python(" return n // 2 if n else None", &n(-3)),
        Some(one(Value::Int(-2)))
    );
    assert_eq!(python(" return n % 5", &n(-3)), Some(one(Value::Int(2))));
    assert_eq!(python(" return 7 / n", &n(2)), Some(one(Value::Float(3.5))));
    assert_eq!(
        python(" return 7 / n", &n(0)),
        Some(raised("ZeroDivisionError"))
    );
    assert_eq!(
        python(" return f\"<{n}>\".upper()", &n(2)),
        Some(one(Value::Str("<2>".into())))
    );
    assert_eq!(
        python(" return sum(x * n for x in [1, 2, 3] if x != 2)", &n(2)),
        Some(one(Value::Int(8)))
    );
    assert_eq!(
        python(" return n is not None and not n in [2]", &n(2)),
        Some(one(Value::Bool(false)))
    );
    assert_eq!(python(" return 1 < n < 3", &n(2)), None);
    assert_eq!(python(" return other(n)", &n(2)), None);
    assert_eq!(python("\n    pass\n", &[]), Some(one(Value::Null)));
}

#[test]
fn script_bodies_are_run() {
    let script = |body: &str, names: &[(&str, Value)]| run(Dialect::Script, body, names);
    let x = [("x", Value::Float(5.0))];
    assert_eq!(
        script("return `${x}!` + x / 2;", &x),
        Some(one(Value::Str("5!2.5".into())))
    );
    assert_eq!(
        script("if (x > 3) return x;\nelse { throw new Error('no'); }", &x),
        Some(one(Value::Float(5.0)))
    );
    let body = "let sum: number = 0\nfor (const y of [1, 2, x]) {\n  sum += y\n}\nfor (let i = 0; i < \
                2; i++) { sum++ }\nreturn sum";
    assert_eq!(script(body, &x), Some(one(Value::Float(10.0))));
    assert_eq!(
        script(
            "return [1, x].map((y) => y * 2).reduce((a, b) => a + b, 0)",
            &x
        ),
        Some(one(Value::Float(12.0)))
    );
    assert_eq!(
        script("throw new RangeError('x')", &x),
        Some(raised("RangeError"))
    );
    assert_eq!(
        script("return x === 5 ? 'a' : 'b'", &x),
        Some(one(Value::Str("a".into())))
    );
    assert_eq!(script("return x * -0", &x), None);
}

#[test]
fn endless_and_deep_code_is_given_up() {
    assert_eq!(run(Dialect::Python, "\n while 1 < 2:\n  pass\n", &[]), None);
    let deep = format!("return {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(run(Dialect::Go, &deep, &[]), None);
}
