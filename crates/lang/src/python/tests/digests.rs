//! What changes a digest, and what does not.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{file, member};

/// The digest of the member `f`, or `C.f`.
fn digest(source: &str) -> String {
    let file = file(source);
    assert!(file.problems.is_empty(), "{:?} in\n{source}", file.problems);
    let name = if source.contains("class C") {
        "C.f"
    } else {
        "f"
    };
    member(&file, name).digest.to_string()
}

const SAME: &[(&str, &str)] = &[
    (
        "def f(a, b):\n    return a\n",
        "def f(\n    a,\n    b,\n):\n\n    return a  # why\n",
    ),
    ("def f(): return 1\n", "def f():\n    return 1\n"),
    (
        "def f():\n  x = 1; y = 2\n  return x\n",
        "def f():\n    x = 1\n    y = 2\n    return x\n",
    ),
    (
        "def f():\n    return 'a' + \"b\"\n",
        "def f():\n    return \"a\" + 'b'\n",
    ),
    (
        "def f():\n    return 'it\\'s'\n",
        "def f():\n    return \"it's\"\n",
    ),
    (
        "def f():\n    return u'a', F'{x}', 0XAB, 1E5\n",
        "def f():\n    return \"a\", f\"{x}\", 0xab, 1e5\n",
    ),
    (
        "def f():\n    return ('a' 'b')\n",
        "def f():\n    return (\n        \"a\"\n        \"b\"\n    )\n",
    ),
    (
        "def f():\n    return ('a' 'b')\n",
        "def f():\n    return 'ab'\n",
    ),
    (
        "def f():\n    return r'\\\"', '\\xAB', 1.5E+3, .5\n",
        "def f():\n    return r\"\\\"\", \"\\xab\", 1.5e3, 0.5\n",
    ),
    (
        "def f():\n    return f'{a[\"k\"]} {{b' r'\\d'\n",
        "def f():\n    return f\"{a['k']} {{b\\\\d\"\n",
    ),
    (
        "def f(a):\n    return (a + b)\n",
        "def f(a):\n    return a + b\n",
    ),
    (
        "def f(a):\n    if (a and b):\n        return 1\n",
        "def f(a):\n    if (\n        a\n        and b\n    ):\n        return 1\n",
    ),
    (
        "def f(a):\n    for (x, y) in a:\n        g()\n",
        "def f(a):\n    for x, y in a:\n        g()\n",
    ),
    ("def f(a):\n    del (a, b)\n", "def f(a):\n    del a, b\n"),
    (
        "def f(a):\n    with open(a) as x, open(b) as y:\n        g()\n",
        "def f(a):\n    with (\n        open(a) as x,\n        open(b) as y,\n    ):\n        g()\n",
    ),
    (
        "def f():\n    from x import a, b\n    a()\n",
        "def f():\n    from x import (\n        a,\n        b,\n    )\n    a()\n",
    ),
    (
        "def f(a):\n    x = a \\\n        + b\n    return x\n",
        "def f(a):\n    x = a + b\n    return x\n",
    ),
    (
        "def f():\n    '''Doc.\n\n      More.\n    '''\n    return 1\n",
        "def f():\n    \"\"\"Doc.\n\n    More.\"\"\"\n    return 1\n",
    ),
    (
        "class C():\n    def f(self):\n        return 1\n",
        "class C:\n\n    def f(self):\n        return 1\n",
    ),
    (
        "def f(a):\n    print((yield))\n    return a[1:2], not a, a is not b\n",
        "def f(a):\n    print((yield))\n    return a[1 : 2], not a, a is  not b\n",
    ),
    // Elsewhere in the file, or in another order.
    (
        "def f():\n    return 1\n",
        "import os\n\ndef g():\n    return 2\n\ndef f():\n    return 1\n",
    ),
    (
        "def g():\n    return 2\ndef f():\n    return g()\n",
        "def f():\n    return g()\ndef g():\n    return 2\n",
    ),
    (
        "from x import a, b\ndef f():\n    return a\n",
        "from x import c, a\ndef f():\n    return a\n",
    ),
    // A parameter hides a function of its name.
    (
        "def g():\n    return 1\ndef f(g):\n    return g\n",
        "def g():\n    return 2\ndef f(g):\n    return g\n",
    ),
    (
        "def g():\n    return 1\ndef f():\n    return [g for g in x]\n",
        "def g():\n    return 2\ndef f():\n    return [g for g in x]\n",
    ),
    // Methods that are not called.
    (
        "class C:\n    def f(self):\n        return 1\n    def g(self):\n        return 1\n",
        "class C:\n    def f(self):\n        return 1\n    def g(self):\n        return 2\n",
    ),
    (
        "def f():\n    return 1\nif __name__ == '__main__':\n    f()\n",
        "def f():\n    return 1\n",
    ),
];

#[test]
fn layout_does_not_count() {
    for (one, other) in SAME {
        assert_eq!(digest(one), digest(other), "\n{one}---\n{other}");
    }
}

const DIFFERENT: &[(&str, &str)] = &[
    // A statement moves out of its block, the leaves being equal.
    (
        "def f():\n    if x:\n        a()\n        b()\n",
        "def f():\n    if x:\n        a()\n    b()\n",
    ),
    (
        "def f():\n    for x in y:\n        a()\n    else:\n        b()\n        c()\n",
        "def f():\n    for x in y:\n        a()\n    else:\n        b()\n    c()\n",
    ),
    (
        "def f():\n    return (a + b) * c\n",
        "def f():\n    return a + b * c\n",
    ),
    (
        "def f():\n    return not (a and b)\n",
        "def f():\n    return (not a) and b\n",
    ),
    ("def f():\n    return (a,)\n", "def f():\n    return (a)\n"),
    (
        "def f():\n    return a[1,]\n",
        "def f():\n    return a[1]\n",
    ),
    (
        "def f():\n    return g((a, b))\n",
        "def f():\n    return g(a, b)\n",
    ),
    (
        "def f():\n    return (a, b), c\n",
        "def f():\n    return a, (b, c)\n",
    ),
    (
        "def f():\n    return 'a b'\n",
        "def f():\n    return 'a  b'\n",
    ),
    ("def f():\n    return b'a'\n", "def f():\n    return 'a'\n"),
    (
        "def f():\n    return r'\\''\n",
        "def f():\n    return '\\''\n",
    ),
    (
        "def f():\n    return '\\n'\n",
        "def f():\n    return r'\\n'\n",
    ),
    (
        "def f():\n    return f'{a}'\n",
        "def f():\n    return '{a}'\n",
    ),
    (
        "def f():\n    return f'{a!r}'\n",
        "def f():\n    return f'{a!s}'\n",
    ),
    (
        "def f():\n    return f'{a:>3}'\n",
        "def f():\n    return f'{a:>4}'\n",
    ),
    (
        "def f():\n    return 'a', 'b'\n",
        "def f():\n    return 'a' 'b'\n",
    ),
    ("def f():\n    return 1\n", "async def f():\n    return 1\n"),
    (
        "def f():\n    return 1\n",
        "@cache\ndef f():\n    return 1\n",
    ),
    (
        "def f():\n    'One.'\n    return 1\n",
        "def f():\n    'Two.'\n    return 1\n",
    ),
    (
        "def f():\n    return a < b\n",
        "def f():\n    return a <= b\n",
    ),
    (
        "def f(a, /, b):\n    return 1\n",
        "def f(a, b, /):\n    return 1\n",
    ),
    // What it uses.
    (
        "def g():\n    return 1\ndef f():\n    return g()\n",
        "def g():\n    return 2\ndef f():\n    return g()\n",
    ),
    (
        "K = 1\ndef g():\n    return K\ndef f():\n    return g()\n",
        "K = 2\ndef g():\n    return K\ndef f():\n    return g()\n",
    ),
    (
        "from x import a\ndef f():\n    return a\n",
        "from y import a\ndef f():\n    return a\n",
    ),
    (
        "import a\ndef f():\n    return a.b\n",
        "import c as a\ndef f():\n    return a.b\n",
    ),
    (
        "from x import *\ndef f():\n    return a\n",
        "from y import *\ndef f():\n    return a\n",
    ),
    (
        "R = {}\nR['a'] = 1\ndef f():\n    return R\n",
        "R = {}\nR['a'] = 2\ndef f():\n    return R\n",
    ),
    (
        "if D:\n    K = 1\nelse:\n    K = 2\ndef f():\n    return K\n",
        "if E:\n    K = 1\nelse:\n    K = 2\ndef f():\n    return K\n",
    ),
    (
        "class C:\n    def f(self):\n        return self.g()\n    def g(self):\n        return 1\n",
        "class C:\n    def f(self):\n        return self.g()\n    def g(self):\n        return 2\n",
    ),
    (
        "class C:\n    a = 1\n    def f(self):\n        return 1\n",
        "class C:\n    a = 2\n    def f(self):\n        return 1\n",
    ),
    (
        "class B:\n    def g(self):\n        return 1\nclass C(B):\n    def f(self):\n        return self.g()\n",
        "class B:\n    def g(self):\n        return 2\nclass C(B):\n    def f(self):\n        return self.g()\n",
    ),
    (
        "class C:\n    @property\n    def f(self):\n        return 1\n    @f.setter\n    def f(self, v):\n        self.a = v\n",
        "class C:\n    @property\n    def f(self):\n        return 1\n    @f.setter\n    def f(self, v):\n        self.b = v\n",
    ),
    (
        "@singledispatch\ndef f(x):\n    return 1\n@f.register\ndef _(x: int):\n    return 2\n",
        "@singledispatch\ndef f(x):\n    return 1\n@f.register\ndef _(x: int):\n    return 3\n",
    ),
    (
        "def g():\n    return 1\ndef f(x=g()):\n    return x\n",
        "def g():\n    return 2\ndef f(x=g()):\n    return x\n",
    ),
    (
        "def g():\n    return 1\ndef f(x):\n    match x:\n        case g.a:\n            return 1\n",
        "def g():\n    return 2\ndef f(x):\n    match x:\n        case g.a:\n            return 1\n",
    ),
];

#[test]
fn meaning_counts() {
    for (one, other) in DIFFERENT {
        assert_ne!(digest(one), digest(other), "\n{one}---\n{other}");
    }
}

/// Formatters are rarely installed where this runs; where black is, it has the last word.
#[test]
fn black_changes_no_digest() {
    let source = include_str!("sample.py.txt");
    let mut command = Command::new("python3");
    command.args(["-m", "black", "--quiet", "-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: python3 not found");
        return;
    };
    // A python3 without black ends before it has read anything.
    let _ = child.stdin.take().unwrap().write_all(source.as_bytes());
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        println!("skipped: black not found");
        return;
    }
    let formatted = String::from_utf8(output.stdout).unwrap();
    assert_ne!(source, formatted);
    let (one, other) = (file(source), file(&formatted));
    assert!(one.members.len() > 5, "{:?}", super::names(&one));
    for member in &one.members {
        let same = super::member(&other, member.name.as_str());
        assert_eq!(member.digest, same.digest, "{}", member.name);
    }
}
