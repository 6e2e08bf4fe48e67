//! Names that models use without importing them, and where they come from.

use super::imports::is_standard;
use crate::dialect::{Import, Item};

/// The import for a name that is only ever one thing in a test; `None` for any other.
pub(super) fn import(name: &str) -> Option<Import> {
    let (module, item) = if let Some((_, module)) = ALIASES.iter().find(|(alias, _)| *alias == name)
    {
        (*module, Item::Module)
    } else if let Some(module) = module_of(name) {
        (module, Item::Name(name.to_owned()))
    } else if name == "pytest" || (is_standard(name) && !AMBIGUOUS.contains(&name)) {
        (name, Item::Module)
    } else {
        return None;
    };
    Some(Import {
        module: module.to_owned(),
        item,
        local: Some(name.to_owned()),
        type_only: false,
    })
}

const ALIASES: &[(&str, &str)] = &[("dt", "datetime"), ("np", "numpy"), ("pd", "pandas")];

/// Names of the standard library that are as often something else in a test.
const AMBIGUOUS: &[&str] = &[
    "array", "builtins", "calendar", "cmd", "code", "datetime", "email", "html", "http", "keyword",
    "locale", "numbers", "operator", "parser", "platform", "profile", "queue", "resource",
    "select", "signal", "site", "stat", "symbol", "test", "this", "token", "trace", "types", "xml",
];

fn module_of(name: &str) -> Option<&'static str> {
    let found = FROM
        .iter()
        .find(|(_, names)| names.split(' ').any(|known| known == name));
    found.map(|(module, _)| *module)
}

const FROM: &[(&str, &str)] = &[
    (
        "unittest.mock",
        "ANY AsyncMock DEFAULT MagicMock Mock NonCallableMock PropertyMock call create_autospec \
         mock_open patch sentinel",
    ),
    ("unittest", "IsolatedAsyncioTestCase TestCase mock"),
    (
        "collections",
        "Counter OrderedDict defaultdict deque namedtuple",
    ),
    (
        "contextlib",
        "contextmanager nullcontext redirect_stdout suppress",
    ),
    ("copy", "deepcopy"),
    (
        "dataclasses",
        "FrozenInstanceError asdict astuple dataclass replace",
    ),
    ("datetime", "date datetime timedelta timezone"),
    ("decimal", "Decimal"),
    ("enum", "Enum IntEnum"),
    ("fractions", "Fraction"),
    ("functools", "partial"),
    ("io", "BytesIO StringIO"),
    ("pathlib", "Path PurePath"),
    ("textwrap", "dedent"),
    ("types", "SimpleNamespace"),
    (
        "typing",
        "Any Callable Iterable Iterator List NamedTuple Optional",
    ),
    ("uuid", "UUID uuid4"),
    ("zoneinfo", "ZoneInfo"),
];
