//! Which members are found, and what is told of them.

use pretty_assertions::assert_eq;
use testsmith_domain::{Analysis, LanguageDriver, MemberImport, MemberKind, NotSource, Project};

use super::{file, member, names, rel};
use crate::python::PythonDriver;

const MEMBERS: &[(&str, &[&str])] = &[
    (
        "def total(xs):\n    return sum(xs)\n\ndef _round(x):\n    return x\n",
        &["total"],
    ),
    ("async def fetch(u):\n    return await u\n", &["fetch"]),
    (
        "class Cart:\n    def __init__(self):\n        self.xs = []\n\n    def total(self):\n        \
             return 1\n\n    def _sum(self):\n        return 2\n",
        &["Cart.total"],
    ),
    (
        "class _Cart:\n    def total(self):\n        return 1\n",
        &[],
    ),
    // `__all__` decides, for better or worse, in all its forms.
    (
        "__all__ = ['_a']\ndef _a():\n    return 1\ndef b():\n    return 2\n",
        &["_a"],
    ),
    (
        "__all__ = ('a',)\n__all__ += ['b']\n__all__.extend(['c'])\n__all__.append('d')\n\
             def a():\n    return 1\ndef b():\n    return 1\ndef c():\n    return 1\n\
             def d():\n    return 1\ndef e():\n    return 1\n",
        &["a", "b", "c", "d"],
    ),
    (
        "__all__: list[str] = ['a'] + other.__all__\ndef a():\n    return 1\n",
        &["a"],
    ),
    (
        "__all__ = [n for n in dir()]\ndef a():\n    return 1\ndef _b():\n    return 1\n",
        &["a"],
    ),
    ("from .x import total\nfrom .y import *\n", &[]),
    (
        "def outer():\n    def inner():\n        return 1\n    return inner\n",
        &["outer"],
    ),
    (
        "class A:\n    class B:\n        def deep(self):\n            return 1\n    def f(self):\n        return 1\n",
        &["A.f"],
    ),
    (
        "try:\n    from fast import total\nexcept ImportError:\n    def total(x):\n        return x\n\
             else:\n    def other():\n        return 1\n",
        &["total", "other"],
    ),
    (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    def a(): return 1\nelse:\n    def b(): return 1\n",
        &["b"],
    ),
    (
        "if sys.version_info > (3, 9):\n    def a():\n        return 1\nelse:\n    def a():\n        return 2\n",
        &["a"],
    ),
    (
        "def f():\n    return 1\nif __name__ == \"__main__\":\n    def main():\n        return 1\n",
        &["f"],
    ),
    // Nothing to test yet, or never.
    (
        "def f(): ...\ndef g():\n    \"\"\"Doc.\"\"\"\n    raise NotImplementedError\ndef h():\n    pass\n",
        &[],
    ),
    (
        "@overload\ndef f(x: int) -> int: ...\n@typing.overload\ndef f(x: str) -> str: ...\ndef f(x):\n    return x\n",
        &["f"],
    ),
    (
        "class A(ABC):\n    @abstractmethod\n    def f(self):\n        return 1\n    def g(self):\n        return 1\n",
        &["A.g"],
    ),
    (
        "class P(Protocol):\n    def f(self):\n        return 1\n",
        &[],
    ),
    (
        "@pytest.fixture\ndef f():\n    return 1\n@pytest.fixture()\ndef g():\n    return 1\n",
        &[],
    ),
    (
        "class C:\n    @property\n    def p(self):\n        return 1\n    @p.setter\n    def p(self, v):\n        self._p = v\n\
             \n    @staticmethod\n    def s():\n        return 1\n    @classmethod\n    async def c(cls):\n        return 1\n",
        &["C.p", "C.s", "C.c"],
    ),
    // Classes that are members themselves.
    ("@dataclass\nclass D:\n    a: int\n    b: int = 0\n", &[]),
    ("class E(Enum):\n    A = 1\n", &[]),
    (
        "class N(NamedTuple):\n    a: int\n    def both(self):\n        return self.a\n",
        &["N.both"],
    ),
    (
        "@dataclass\nclass D:\n    a: int\n    def __post_init__(self):\n        if self.a < 0:\n            raise ValueError\n",
        &["D"],
    ),
    (
        "class M:\n    def __init__(self, a):\n        self.a = a\n    def __eq__(self, o):\n        return self.a == o.a\n    def f(self):\n        return 1\n",
        &["M", "M.f"],
    ),
    (
        "class R:\n    def __repr__(self):\n        return 'R'\n",
        &[],
    ),
];

#[test]
fn members_by_source() {
    for (source, expected) in MEMBERS {
        assert_eq!(names(&file(source)), *expected, "of\n{source}");
    }
}

#[test]
fn what_python_would_not_take_has_no_members() {
    let table = [
        ("def f(:\n    return 1\n", 1),
        ("def g():\n    return 1\n\ndef f(x):\n", 4),
        ("def g():\n    return 1\n\nclass A:\n    # soon\n", 4),
        ("def f():\n    print 'x'\n", 2),
        ("def f():\n    return 1\nx = foo.\n", 3),
        ("def f():\n    if x:\n\n    return 1\n", 2),
    ];
    for (source, line) in table {
        let file = file(source);
        assert_eq!(names(&file), [""; 0], "of\n{source}");
        assert!(!file.problems.is_empty(), "of\n{source}");
        let first = file.problems[0].line;
        assert!(
            first.abs_diff(line) <= 1,
            "line {first}, not {line} of\n{source}"
        );
    }
}

#[test]
fn deep_nesting_is_a_problem_and_no_crash() {
    let deep = format!("x = {}1{}\n", "(".repeat(50_000), ")".repeat(50_000));
    assert!(!file(&deep).problems.is_empty());
    let sum = format!("def f():\n    return {}1\n", "1 + ".repeat(200));
    assert_eq!(names(&file(&sum)), ["f"]);
}

#[test]
fn a_member_is_told_in_full() {
    let file = file(
        "LIMIT = 3\n\n\ndef helper(x):\n    return x * LIMIT\n\n\nclass Cart(Base[T]):\n    \
         \"\"\"A cart.\"\"\"\n\n    rate: float = 0.5\n\n    @property\n    async def total(self, *, a: int = 1) -> int:\n        \
         \"\"\"The total.\n\n        In cents.\n        \"\"\"\n        return helper(self._sum())\n\n    \
         def _sum(self):\n        return 1\n\n    def other(self):\n        return 2\n",
    );
    let total = member(&file, "Cart.total");
    assert_eq!(total.kind, MemberKind::Method);
    assert_eq!(
        total.signature,
        "@property\nasync def total(self, *, a: int = 1) -> int"
    );
    assert_eq!(total.doc.as_deref(), Some("The total.\n\nIn cents."));
    assert_eq!(total.receiver.as_deref(), Some("Cart"));
    assert_eq!(total.import, MemberImport::Named("Cart".into()));
    assert!(total.is_async);
    assert_eq!(total.lines, (13, 19));
    assert!(
        total.text.starts_with("@property\nasync def total("),
        "{}",
        total.text
    );
    assert!(
        total.text.ends_with("\n    return helper(self._sum())"),
        "{}",
        total.text
    );
    assert_eq!(
        total.uses,
        [
            "LIMIT = 3",
            "def helper(x):\n    return x * LIMIT",
            "class Cart(Base[T]):\n    \"\"\"A cart.\"\"\"\n\n    rate: float = 0.5",
            "def _sum(self):\n        return 1",
        ]
    );
}

#[test]
fn what_is_no_source() {
    let driver = PythonDriver;
    let of =
        |path: &str, source: &str| driver.analyze(&Project::at("/nowhere"), &rel(path), source);
    let table = [
        ("shop/test_cart.py", "", NotSource::Test),
        ("shop/cart_test.py", "", NotSource::Test),
        ("shop/conftest.py", "", NotSource::Test),
        ("shop/tests.py", "", NotSource::Test),
        ("tests/helpers.py", "", NotSource::Test),
        ("tests/testsmith/test_shop_cart.py", "", NotSource::Test),
        (
            ".venv/lib/python3.11/site-packages/x.py",
            "",
            NotSource::Vendored,
        ),
        ("pip/_vendor/six.py", "", NotSource::Vendored),
        ("shop/cart_pb2.py", "", NotSource::Generated),
        (
            "shop/a.py",
            "# Code generated by protoc. DO NOT EDIT.\n",
            NotSource::Generated,
        ),
        (
            "shop/a.py",
            "\"\"\"@generated\"\"\"\n",
            NotSource::Generated,
        ),
        (
            "shop/a.py",
            "#!/usr/bin/env python\n# Generated by x\n",
            NotSource::Generated,
        ),
    ];
    for (path, source, reason) in table {
        assert_eq!(of(path, source), Analysis::NotSource(reason), "{path}");
    }
    for (path, source) in [
        ("shop/a.py", "\"\"\"Reports generated by the cart.\"\"\"\n"),
        ("shop/testing.py", ""),
        ("shop/attest.py", ""),
    ] {
        assert!(matches!(of(path, source), Analysis::Source(_)), "{path}");
    }
    assert!(driver.claims(&rel("a/b.py")) && !driver.claims(&rel("a/b.pyi")));
    assert!(driver.owns(&rel("x/tests/testsmith/test_a.py")));
    assert!(!driver.owns(&rel("tests/test_a.py")) && !driver.owns(&rel("tests/testsmith/a.py")));
}

#[test]
fn scripts_have_no_members() {
    let source = "def main():\n    return 1\n";
    for path in [
        "setup.py",
        "shop/__main__.py",
        "my-tool.py",
        "shop/0001_initial.py",
    ] {
        let file = super::analyze(std::path::Path::new("/nowhere"), path, source);
        assert_eq!(names(&file), [""; 0], "{path}");
    }
    let migration = "revision = 'a'\ndown_revision = None\ndef upgrade():\n    run()\n";
    assert_eq!(names(&file(migration)), [""; 0]);
}
