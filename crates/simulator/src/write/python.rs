//! Python, with pytest or unittest.

mod declaration;
mod inputs;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use declaration::{Class, Function, class, function};
use inputs::Inputs;

use super::interpret::{Outcome, interpret};
use super::scan::{Dialect, Source};
use super::split_member;
use super::value::{Input, Pick, Value, quoted};
use crate::chance::Chance;
use crate::prompt::Prompt;
pub(super) use text::test_file;
use text::{builtin_error, literal};

/// What must not be run in a test: it may not end, end the process, or differ from run to run.
const RISKY: [&str; 29] = [
    "time.",
    "random",
    "datetime.now",
    "now(",
    "today(",
    "os.",
    "sys.",
    "exit(",
    "quit(",
    "subprocess",
    "socket",
    "requests",
    "httpx",
    "urllib",
    "open(",
    "input(",
    "threading",
    "while True",
    "while 1",
    "uuid",
    "secrets",
    "shutil",
    "multiprocessing",
    "signal",
    "sleep(",
    "id(",
    "hash(",
    "urandom",
    "aiohttp",
];

/// The test of one member.
pub(super) fn write(prompt: &Prompt, member: &str, chance: &Chance) -> String {
    let source = Source::new(&prompt.source, Dialect::Python);
    let (owner, name) = split_member(member);
    let whole = 0..source.text.len();
    let holder = owner.and_then(|owner| {
        owner.split('.').try_fold(None::<Class>, |scope, part| {
            let scope = scope.map_or(whole.clone(), |class| class.body);
            class(&source, scope, part).map(Some)
        })?
    });
    let scope = holder
        .as_ref()
        .map_or(whole.clone(), |class| class.body.clone());
    // A member shown without its class stands alone.
    let found = function(&source, scope, name).or_else(|| function(&source, whole.clone(), name));
    let writer = Writer {
        source: &source,
        inputs: Inputs::new(&source),
        module: &prompt.module,
        member,
        owner,
        name,
        holder,
        unittest: prompt.framework.contains("unittest"),
        start: chance.index("inputs", 5),
    };
    match (found, class(&source, whole.clone(), name)) {
        (Some(function), _) => writer.function(&function),
        (None, Some(class)) if owner.is_none() => writer.class(&class),
        _ => writer.exists(),
    }
}

/// The fields that a constructor sets, if it does no more than that.
fn known_fields(
    source: &Source<'_>,
    init: &Function,
    inputs: Vec<Input>,
) -> Option<BTreeMap<String, Value>> {
    if init.params.iter().any(|param| param.default.is_some()) {
        return None;
    }
    let mut names: BTreeMap<_, _> = init
        .params
        .iter()
        .zip(inputs)
        .map(|(param, input)| Some((param.name.clone(), input.value?)))
        .collect::<Option<_>>()?;
    names.insert("self".into(), Value::Record(BTreeMap::new()));
    super::interpret::fields_set(source, Dialect::Python, init.body.clone(), names, "self")
}

struct Writer<'a> {
    source: &'a Source<'a>,
    inputs: Inputs<'a>,
    module: &'a str,
    member: &'a str,
    owner: Option<&'a str>,
    name: &'a str,
    holder: Option<Class>,
    unittest: bool,
    start: usize,
}

/// The lines of a test, and the modules it needs.
#[derive(Default)]
struct Body {
    lines: Vec<String>,
    imports: BTreeSet<&'static str>,
}

impl Writer<'_> {
    fn function(&self, found: &Function) -> String {
        let init = self
            .holder
            .as_ref()
            .and_then(|class| function(self.source, class.body.clone(), "__init__"));
        let risky = self.risky(&found.body)
            || init.is_some_and(|init| self.risky(&init.body))
            || found.has_decorator(&[
                "fixture",
                "contextmanager",
                "asynccontextmanager",
                "command",
                "route",
            ]);
        if risky {
            return self.exists();
        }
        self.asserted(found).unwrap_or_else(|| self.twice(found))
    }

    /// A test that what is asked for is there, for what must not be run.
    fn exists(&self) -> String {
        let line = match self.owner {
            Some(owner) => format!("hasattr({owner}, {})", quoted(self.name)),
            None => format!("callable({})", self.name),
        };
        self.note_subject();
        let line = if self.unittest {
            format!("self.assertTrue({line})")
        } else {
            format!("assert {line}")
        };
        self.file(Body {
            lines: vec![line],
            ..Body::default()
        })
    }

    /// A test that two instances made alike look alike.
    fn class(&self, class: &Class) -> String {
        let init = function(self.source, class.body.clone(), "__init__");
        if init.is_some_and(|init| self.risky(&init.body)) || self.risky(&class.body) {
            return self.exists();
        }
        let made = self.inputs.instance(self.name, class, Pick(self.start), 0);
        self.outcome_twice(&made.expression, None)
    }

    /// A test that two equal calls have the same outcome.
    fn twice(&self, found: &Function) -> String {
        let (receiver, call, _) = self.call(found, 0);
        let generator = self.source.holds_any(found.body.clone(), &["yield"]);
        let call = if found.is_async && !generator {
            format!("asyncio.run({call})")
        } else if generator && !found.is_async {
            format!("list(itertools.islice({call}, 5))")
        } else {
            call
        };
        self.outcome_twice(&call, receiver.map(|input| input.expression))
    }

    fn outcome_twice(&self, call: &str, receiver: Option<String>) -> String {
        let mut body = Body::default();
        body.imports.insert("re");
        for module in ["asyncio", "itertools"] {
            if call.contains(&format!("{module}.")) {
                body.imports.insert(module);
            }
        }
        let mut lines = vec!["def outcome():".to_owned(), "    try:".into()];
        if let Some(receiver) = receiver {
            lines.push(format!("        subject = {receiver}"));
        }
        lines.push(format!("        text = repr({call})"));
        lines.push("    except (Exception, SystemExit) as error:".into());
        lines.push("        text = f\"{type(error).__name__}: {error}\"".into());
        lines.push("    return re.sub(r\"0x[0-9a-fA-F]+\", \"0x\", text)".into());
        lines.push(String::new());
        lines.push(if self.unittest {
            "self.assertEqual(outcome(), outcome())".into()
        } else {
            "assert outcome() == outcome()".into()
        });
        body.lines = lines;
        self.file(body)
    }

    /// A test of what calls give, if the body is simple enough to know.
    fn asserted(&self, found: &Function) -> Option<String> {
        if self.source.holds_any(found.body.clone(), &["yield"])
            || found.decorators.iter().any(|name| {
                !["staticmethod", "property", "cached_property"].contains(&name.as_str())
            })
        {
            return None;
        }
        let rows = if found.params.is_empty() { 1 } else { 3 };
        let mut body = Body::default();
        for row in 0..rows {
            let (receiver, mut call, inputs) = self.call(found, row);
            let names = Self::names(found, receiver.as_ref(), inputs)?;
            if found.is_async {
                body.imports.insert("asyncio");
                call = format!("asyncio.run({call})");
            }
            if let Some(receiver) = receiver {
                call = match call.strip_prefix("subject.") {
                    Some(rest) => format!("{}.{rest}", receiver.expression),
                    None => call.replace("subject.", &format!("{}.", receiver.expression)),
                };
            }
            let outcome = interpret(self.source, Dialect::Python, found.body.clone(), names)?;
            let line = self.assertion(&call, &outcome, &mut body)?;
            if !body.lines.contains(&line) {
                body.lines.push(line);
            }
        }
        Some(self.file(body))
    }

    fn assertion(&self, call: &str, outcome: &Outcome, body: &mut Body) -> Option<String> {
        Some(match outcome {
            // `Exception` is no parent of these.
            Outcome::Raised(Some(error))
                if [
                    "SystemExit",
                    "KeyboardInterrupt",
                    "GeneratorExit",
                    "BaseException",
                ]
                .contains(&error.as_str()) =>
            {
                return None;
            }
            Outcome::Raised(error) => {
                let error = builtin_error(error.as_deref());
                if self.unittest {
                    format!("with self.assertRaises({error}):\n    {call}")
                } else {
                    body.imports.insert("pytest");
                    format!("with pytest.raises({error}):\n    {call}")
                }
            }
            Outcome::Returned(values) => {
                let [value] = values.as_slice() else {
                    return None;
                };
                let expected = literal(value)?;
                match (self.unittest, value) {
                    (true, Value::Bool(_) | Value::Null) => {
                        format!("self.assertIs({call}, {expected})")
                    }
                    (true, _) => format!("self.assertEqual({call}, {expected})"),
                    (false, Value::Bool(_) | Value::Null) => format!("assert {call} is {expected}"),
                    (false, _) => format!("assert {call} == {expected}"),
                }
            }
        })
    }

    /// What the parameters are called with, defaults included.
    fn names(
        found: &Function,
        receiver: Option<&Input>,
        inputs: Vec<Input>,
    ) -> Option<BTreeMap<String, Value>> {
        let mut inputs = inputs.into_iter();
        let mut names = BTreeMap::new();
        for param in &found.params {
            let value = match &param.default {
                None => inputs.next()?.value?,
                Some(default) => super::interpret::constant(default, Dialect::Python)?,
            };
            names.insert(param.name.clone(), value);
        }
        if let Some(receiver) = receiver {
            names.insert("self".into(), receiver.value.clone()?);
        }
        Some(names)
    }

    /// The receiver, the call on `subject`, and the arguments.
    fn call(&self, found: &Function, row: usize) -> (Option<Input>, String, Vec<Input>) {
        let pick = Pick(self.start + row * 3);
        let (text, inputs) = self.inputs.arguments(&found.params, &found.body, pick, 0);
        self.note_subject();
        let arguments = if found.is_property() {
            String::new()
        } else {
            format!("({text})")
        };
        let name = self.name;
        match (self.owner, &self.holder) {
            (None, _) => (None, format!("{name}{arguments}"), inputs),
            (Some(owner), _) if found.is_static() => {
                (None, format!("{owner}.{name}{arguments}"), inputs)
            }
            (Some(owner), holder) => {
                let made = match holder {
                    Some(class) => self.inputs.instance(owner, class, pick.next(1), 0),
                    None => Input::opaque(format!("{owner}()")),
                };
                (Some(made), format!("subject.{name}{arguments}"), inputs)
            }
        }
    }

    /// Whether the code, or a function or class of the file that it calls, must not be run.
    fn risky(&self, body: &Range<usize>) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![body.clone()];
        while let Some(body) = next.pop() {
            if self.source.holds_any(body.clone(), &RISKY) {
                return true;
            }
            let code = &self.source.blank[body];
            for called in calls(code) {
                if !seen.insert(called.to_owned()) {
                    continue;
                }
                let whole = 0..self.source.text.len();
                next.extend(function(self.source, whole.clone(), called).map(|f| f.body));
                next.extend(class(self.source, whole, called).map(|class| class.body));
                if let Some(holder) = &self.holder {
                    next.extend(function(self.source, holder.body.clone(), called).map(|f| f.body));
                }
            }
        }
        false
    }

    fn note_subject(&self) {
        let top = self.member.split('.').next().unwrap_or(self.member);
        self.inputs.note(top);
    }

    fn file(&self, body: Body) -> String {
        let mut text = String::new();
        let mut imports = body.imports;
        if self.unittest {
            imports.insert("unittest");
        }
        for module in imports.iter().filter(|module| **module != "pytest") {
            let _ = writeln!(text, "import {module}");
        }
        if imports.contains("pytest") {
            text += if text.is_empty() {
                "import pytest\n"
            } else {
                "\nimport pytest\n"
            };
        }
        let names: Vec<_> = self.inputs.names().into_iter().collect();
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(
            text,
            "from {} import {}\n\n\n",
            self.module,
            names.join(", ")
        );
        text + &test_file("", "", self.member, self.unittest, &body.lines)
    }
}

/// The names that are called in `code`.
fn calls(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices('(').filter_map(|(at, _)| {
        let before = &code[..at];
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |at| at + 1);
        (start < at).then(|| &before[start..])
    })
}
