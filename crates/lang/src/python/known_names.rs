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

/// The import for a name of which Python said that it is not defined: what is ambiguous elsewhere
/// can then only be the import that was forgotten.
pub(super) fn told(name: &str) -> Option<Import> {
    if let Some(import) = import(name) {
        return Some(import);
    }
    let of = TOLD
        .iter()
        .find(|(_, names)| names.split_whitespace().any(|known| known == name));
    let (module, item) = match of {
        Some((module, _)) => (*module, Item::Name(name.to_owned())),
        None if is_standard(name) => (name, Item::Module),
        None => return None,
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

/// What is added only once it was missed.
const TOLD: &[(&str, &str)] = &[
    ("abc", "ABC abstractmethod"),
    (
        "base64",
        "b64decode b64encode urlsafe_b64decode urlsafe_b64encode",
    ),
    ("collections", "ChainMap UserDict UserList"),
    (
        "concurrent.futures",
        "ProcessPoolExecutor ThreadPoolExecutor",
    ),
    (
        "contextlib",
        "ExitStack asynccontextmanager closing redirect_stderr",
    ),
    ("copy", "copy"),
    ("dataclasses", "field fields is_dataclass"),
    ("datetime", "UTC time tzinfo"),
    (
        "decimal",
        "DivisionByZero InvalidOperation ROUND_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP \
         getcontext localcontext",
    ),
    ("enum", "Flag IntFlag auto"),
    ("functools", "cache lru_cache reduce wraps"),
    ("hashlib", "md5 sha1 sha256 sha512"),
    ("inspect", "iscoroutinefunction signature"),
    ("io", "TextIOWrapper"),
    (
        "itertools",
        "accumulate chain combinations count cycle islice permutations product repeat \
         zip_longest",
    ),
    ("json", "JSONDecodeError dumps loads"),
    (
        "math",
        "ceil cos exp floor gcd inf isclose isfinite isinf isnan log nan pi prod sin sqrt",
    ),
    ("operator", "attrgetter itemgetter"),
    ("os", "environ"),
    (
        "pathlib",
        "PosixPath PurePosixPath PureWindowsPath WindowsPath",
    ),
    (
        "pytest",
        "approx fixture importorskip mark param raises skip warns",
    ),
    ("random", "choice randint shuffle"),
    ("statistics", "mean median stdev"),
    ("string", "ascii_letters ascii_lowercase digits"),
    ("tempfile", "NamedTemporaryFile TemporaryDirectory mkdtemp"),
    ("threading", "Event Lock Thread"),
    ("time", "monotonic perf_counter sleep"),
    ("types", "MappingProxyType ModuleType"),
    (
        "typing",
        "AsyncIterator Awaitable Dict Generator Generic Mapping MutableMapping Protocol Sequence \
         Set Tuple Type TypeVar TypedDict Union cast",
    ),
    ("unittest", "main skip skipIf"),
    (
        "urllib.parse",
        "parse_qs parse_qsl quote unquote urlencode urljoin urlparse urlsplit",
    ),
    ("uuid", "uuid1 uuid5"),
];
