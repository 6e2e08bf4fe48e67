//! What each test framework wants: imports, words for the prompt, a test that waits.

use testsmith_domain::{Language, Member, SourceFile};

use super::manifest::{Manifests, Runner};
use crate::dialect::{Import, Item};

const VITEST: [&str; 15] = [
    "afterAll",
    "afterEach",
    "assert",
    "assertType",
    "beforeAll",
    "beforeEach",
    "describe",
    "expect",
    "expectTypeOf",
    "it",
    "onTestFailed",
    "onTestFinished",
    "suite",
    "test",
    "vi",
];
const JEST: [&str; 9] = [
    "afterAll",
    "afterEach",
    "beforeAll",
    "beforeEach",
    "describe",
    "expect",
    "it",
    "jest",
    "test",
];
const NODE: [&str; 9] = [
    "after",
    "afterEach",
    "before",
    "beforeEach",
    "describe",
    "it",
    "mock",
    "suite",
    "test",
];
const CHAI: [&str; 2] = ["assert", "expect"];

/// The modules from which models import test functions, whichever framework they have in mind.
const TEST_MODULES: [&str; 9] = [
    "vitest",
    "@jest/globals",
    "jest",
    "node:test",
    "test",
    "bun:test",
    "mocha",
    "chai",
    "@types/jest",
];

/// All that a framework gives to tests by import, whether the import must be written or not.
pub(super) fn functions(runner: Runner) -> Vec<Import> {
    match runner {
        Runner::Vitest => names("vitest", &VITEST),
        Runner::Jest => names("@jest/globals", &JEST),
        Runner::Mocha => vec![strict_assert()],
        Runner::MochaChai => names("chai", &CHAI),
        Runner::Node => {
            let mut all = names("node:test", &NODE);
            all.push(strict_assert());
            all
        }
    }
}

/// The imports that tests must have: jest's functions are global as a rule.
pub(super) fn needed(runner: Runner, manifests: &Manifests, language: Language) -> Vec<Import> {
    let mut all = functions(runner);
    if runner == Runner::Jest {
        let installed = manifests.dependency("@jest/globals").is_some();
        let untyped = language == Language::TypeScript
            && manifests.dependency("@types/jest").is_none()
            && manifests.dependency("jest").is_some();
        // In ES modules as Node has them, `jest` is the one name that is not global.
        let native = language == Language::JavaScript && manifests.is_esm();
        all.retain(|import| {
            installed || untyped || (native && import.local.as_deref() == Some("jest"))
        });
    }
    all
}

/// Whether a body need not import this itself, since the framework's rule does.
pub(super) fn is_given(runner: Runner, import: &Import) -> bool {
    let assert = matches!(
        import.module.as_str(),
        "assert" | "assert/strict" | "node:assert" | "node:assert/strict"
    );
    let test = TEST_MODULES.contains(&import.module.as_str());
    let by_rule = functions(runner).into_iter().any(|given| {
        given.local == import.local
            && match &import.item {
                Item::Name(_) => test && given.item == import.item,
                // `assert` stands for itself and for its strict form alike: one file has one.
                Item::Default | Item::Module => {
                    test || (assert && given.module == "node:assert/strict")
                }
                Item::All | Item::Nothing => false,
            }
    });
    by_rule || (test && (import.item == Item::Nothing || global(runner, import)))
}

/// Names that the framework has everywhere, and that no import may hide.
fn global(runner: Runner, import: &Import) -> bool {
    const MOCHA: [&str; 8] = [
        "describe",
        "context",
        "it",
        "specify",
        "before",
        "after",
        "beforeEach",
        "afterEach",
    ];
    let local = import.local.as_deref().unwrap_or_default();
    matches!(runner, Runner::Mocha | Runner::MochaChai) && MOCHA.contains(&local)
}

fn names(module: &str, names: &[&str]) -> Vec<Import> {
    let import = |name: &&str| Import {
        module: module.to_owned(),
        item: Item::Name((*name).to_owned()),
        local: Some((*name).to_owned()),
        type_only: false,
    };
    names.iter().map(import).collect()
}

fn strict_assert() -> Import {
    Import {
        module: "node:assert/strict".to_owned(),
        item: Item::Default,
        local: Some("assert".to_owned()),
        type_only: false,
    }
}

/// The rules for tests, for the prompt.
pub(super) fn instructions(file: &SourceFile) -> String {
    let runner = Runner::of(&file.framework);
    let language = match file.language {
        Language::TypeScript => "TypeScript, in strict mode: type what inference leaves `any`",
        _ => "JavaScript, without type annotations",
    };
    let (name, assertions, doubles) = match runner {
        Runner::Vitest => (
            "vitest",
            "`expect(…)`",
            "`vi.fn()`, `vi.spyOn(…)` and `vi.useFakeTimers()`",
        ),
        Runner::Jest => (
            file.framework.0.as_str(),
            "`expect(…)`",
            "`jest.fn()`, `jest.spyOn(…)` and `jest.useFakeTimers()`",
        ),
        Runner::Mocha => (
            "mocha",
            "`assert` of `node:assert/strict`",
            "plain functions as fakes",
        ),
        Runner::MochaChai => ("mocha", "chai's `expect(…)`", "plain functions as fakes"),
        Runner::Node => (
            "`node:test`, Node's own runner",
            "`assert` of `node:assert/strict`",
            "`mock.fn()`, `mock.method(…)` and `mock.timers`",
        ),
    };
    format!(
        "\
Write the tests in {language}, for {name}, with {assertions}.
- For each member write one `describe('NAME', () => {{ … }})`, NAME being the member's name as given, \
with several `it('…', …)` inside. Put helpers, fixtures and hooks inside that `describe` as well: \
nothing else may stand at the top level but imports.
- Do not import the module under test or the functions of the test framework: these imports are \
added. Use the module's exports by their names; a default export by the name of its declaration, \
or `{default}` if it has none. Anything else that you need, import at the top with ES `import` \
statements, from Node's own modules as `node:…`.
- Never copy code of the module under test into a test. Call it.
- For doubles use {doubles}; restore them in `afterEach`. Do not mock whole modules: other tests \
share the file.
- Await what is asynchronous; for a rejected promise assert the rejection. Use fake timers in place of waiting.
- No network, no real clock, no random numbers, no files outside of a temporary folder, no \
snapshots, no `.only`, no `.skip`.
- Test what the code promises: normal cases, edges (empty, zero, negative, missing, very large), \
and errors it throws. Derive each expected value from the source; do not guess.",
        default = super::members::DEFAULT_LOCAL,
    )
}

/// A test that compiles and says that it waits for a model.
pub(super) fn scaffold(runner: Runner, member: &Member) -> String {
    let name = &member.name;
    let title = format!("'{name}: testsmith is waiting for a model'");
    let pending = match runner {
        // Without a function, mocha reports a test as pending.
        Runner::Mocha | Runner::MochaChai => format!("it({title})"),
        Runner::Vitest | Runner::Jest | Runner::Node => format!("it.todo({title})"),
    };
    format!("describe('{name}', () => {{\n  {pending};\n}});\n")
}
