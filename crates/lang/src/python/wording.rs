//! What is said to models, and written in their place.

use testsmith_domain::{Member, MemberImport, MemberKind, SourceFile};

use super::framework::{PYTEST_MOCK, is_unittest};
use super::rename::{camel_case, snake_case};

/// Rules for tests; the same text for every file of one framework.
pub(super) fn instructions(framework: &str) -> String {
    let style = match framework {
        "unittest" => UNITTEST_RULES,
        PYTEST_MOCK => PYTEST_MOCK_RULES,
        _ => PYTEST_RULES,
    };
    format!("{style}{COMMON_RULES}")
}

const PYTEST_RULES: &str = "\
Write Python 3 tests for pytest.
- Plain functions named `test_<member>_<what is checked>`, or a class `Test<Member>` without constructor. For the member `Cart.total`: `test_cart_total_of_empty_cart_is_zero`, `TestCartTotal`.
- Compare with plain `assert`; errors with `pytest.raises(Error, match=...)`; floats with `pytest.approx`; cases of one behaviour with `@pytest.mark.parametrize`.
- Use `tmp_path`, `monkeypatch` and `capsys` in place of real files, environment and output. No `autouse` fixtures, no `pytestmark`.
- Test coroutines from a plain function with `asyncio.run(...)`.
";

const PYTEST_MOCK_RULES: &str = "\
Write Python 3 tests for pytest, with the `mocker` fixture of pytest-mock where something has to be replaced.
- Plain functions named `test_<member>_<what is checked>`, or a class `Test<Member>` without constructor. For the member `Cart.total`: `test_cart_total_of_empty_cart_is_zero`, `TestCartTotal`.
- Compare with plain `assert`; errors with `pytest.raises(Error, match=...)`; floats with `pytest.approx`; cases of one behaviour with `@pytest.mark.parametrize`.
- Use `tmp_path`, `monkeypatch` and `capsys` in place of real files, environment and output. No `autouse` fixtures, no `pytestmark`.
- Test coroutines from a plain function with `asyncio.run(...)`.
";

const UNITTEST_RULES: &str = "\
Write Python 3 tests for the standard library's unittest; pytest is not installed.
- One class `Test<Member>(unittest.TestCase)` with methods `test_<what is checked>`. For the member `Cart.total`: `class TestCartTotal(unittest.TestCase)`.
- Compare with `self.assertEqual`, errors with `self.assertRaises`, floats with `self.assertAlmostEqual`, cases of one behaviour with `self.subTest`.
- Test coroutines in a `unittest.IsolatedAsyncioTestCase`.
";

const COMMON_RULES: &str = "\
- The code of each member stands alone: it holds the imports, helpers and fixtures that it uses, even if another member's code has the same.
- Names of the module under test are there already: use `Cart` and `total`, do not import them, do not copy their code. To replace something in the module under test, patch `module_under_test`, which is there as well: `monkeypatch.setattr(module_under_test, \"fetch\", fake)`, `patch.object(module_under_test, \"fetch\")`.
- Check what the documentation and the code promise: the usual case, the limits, the errors. Use exact expected values, worked out by hand. Do not repeat the implementation.
- No network, no sleeping, no dependence on the current time, on random numbers or on the order of tests.
- Only packages that the project already uses.
";

/// A test that compiles and is skipped.
pub(super) fn scaffold(file: &SourceFile, member: &Member) -> String {
    let snake = snake_case(member.name.as_str());
    let class = match &member.import {
        MemberImport::Named(name) => name.as_str(),
        MemberImport::SamePackage | MemberImport::Default(_) => member.name.as_str(),
    };
    let target = match member.kind {
        MemberKind::Method => member.name.as_str(),
        MemberKind::Function | MemberKind::Type => class,
    };
    if is_unittest(&file.framework) {
        let signature = commented(&member.signature, "        ");
        format!(
            "import unittest\n\n\n\
             class Test{camel}(unittest.TestCase):\n    \
                 @unittest.skip(\"{REASON}\")\n    \
                 def test_{snake}(self):\n\
             {signature}        self.assertIsNotNone({target})\n",
            camel = camel_case(member.name.as_str()),
        )
    } else {
        let signature = commented(&member.signature, "    ");
        format!(
            "import pytest\n\n\n\
             @pytest.mark.skip(reason=\"{REASON}\")\n\
             def test_{snake}():\n\
             {signature}    assert {target} is not None\n"
        )
    }
}

const REASON: &str = "testsmith: waiting for a model";

fn commented(signature: &str, indent: &str) -> String {
    let lines = signature
        .lines()
        .map(|line| format!("{indent}# {}\n", line.trim_end()));
    lines.collect()
}
