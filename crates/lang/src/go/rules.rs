//! What a model is told about Go tests, and the tests for those without a model.

use testsmith_domain::{Framework, Member, SourceFile};

/// The rules for tests, the same for every file of a framework.
pub(super) fn instructions(framework: &Framework) -> String {
    let assertions = match framework.0.as_str() {
        "testify" => TESTIFY,
        "gomock" => GOMOCK,
        _ => TESTING,
    };
    format!("{COMMON}{assertions}")
}

const COMMON: &str = "\
Write Go tests for the `testing` package, run by `go test`. The tests are in the package of the \
code under test itself, so its unexported names are in reach and nothing of it is imported or \
qualified.

Form of the code for each member:
- Start with the imports that this code needs, as one `import ( … )` declaration; no `package` \
clause. Leave out what the code does not use: an unused import does not compile.
- Then top-level declarations only. At least one test, named for the member: `TestTotal` for the \
function `Total`, `TestCart_Total` for the method `Total` of `Cart`. More tests add a word: \
`TestCart_Total_Empty`.
- Any helper function, type, variable or constant starts with the name of the test that uses it, \
in lower case: `testCartTotalItems`. All tests of the package share one name space, so define no \
name that the package or its tests have already.
- No `TestMain`, no `init`.

What makes the tests good:
- Test what the code promises, through the member itself: ordinary cases, then limits: zero \
values, empty and nil slices and maps, one element, boundaries of conditions, overflow where it \
matters, unusual text, and each error that can come back.
- Where there are several cases use a table with a name for each case and `t.Run(tt.name, …)`; \
one case alone needs no table.
- Work out each expected value from the code and its documentation by hand, and write it as a \
literal: never compute it the way the code does.
- Compare errors by `errors.Is` or `errors.As` where the code has such errors, else test only \
that there is one. Compare floats with a tolerance, unless the result is exact.
- The same result on each run, in any order, on any machine: no network, no sleeping, no real \
clock, no random numbers without a fixed seed, no reliance on the order of a map. Files only \
below `t.TempDir()`, environment variables only by `t.Setenv`.
- Helpers call `t.Helper()`. Goroutines end before their test does.
- Set every field by name in struct literals. The code passes `gofmt` and `go vet`.
";

const TESTING: &str = "\
- Only the standard library. Report with `t.Errorf(\"Total() = %v, want %v\", got, want)`, and \
with `t.Fatalf` where going on makes no sense. Compare slices, maps and structs with \
`reflect.DeepEqual`.
- Where the code takes an interface, write a small fake for it.
";

const TESTIFY: &str = "\
- Assert with `github.com/stretchr/testify/require` where going on makes no sense and with \
`github.com/stretchr/testify/assert` elsewhere, the expected value first: \
`assert.Equal(t, want, got)`, `assert.ErrorIs`, `assert.InDelta`. No suites.
- Where the code takes an interface, write a small fake for it.
";

const GOMOCK: &str = "\
- Report with `t.Errorf(\"Total() = %v, want %v\", got, want)`, and with `t.Fatalf` where going \
on makes no sense. Compare slices, maps and structs with `reflect.DeepEqual`.
- Where the code takes an interface: the project has gomock; use a generated mock only if you \
were shown it, else write a small fake.
";

/// A test that is skipped until there is a model.
pub(super) fn scaffold(file: &SourceFile, member: &Member) -> String {
    let name = |member: &Member| format!("Test{}", member.name.as_str().replace('.', "_"));
    let own = name(member);
    // `Cart.Total` and a function `Cart_Total` would both have `TestCart_Total`.
    let mut before = file
        .members
        .iter()
        .take_while(|other| other.name != member.name);
    let taken = before.any(|other| name(other) == own);
    let own = if taken {
        format!("{own}_{}", suffix(member))
    } else {
        own
    };
    format!(
        "import \"testing\"\n\nfunc {own}(t *testing.T) {{\n\
         \tt.Skip(\"testsmith: waiting for a model\")\n}}\n"
    )
}

fn suffix(member: &Member) -> &'static str {
    if member.receiver.is_some() {
        "Method"
    } else {
        "Function"
    }
}
