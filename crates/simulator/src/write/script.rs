//! TypeScript and JavaScript, with vitest, jest, mocha or Node's own runner.

mod declaration;
mod inputs;
mod runner;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use testsmith_domain::Language;

use declaration::{Class, Export, Function, class, export, function, is_common_js, method};
use inputs::Inputs;
use runner::Runner;

use super::interpret::{Outcome, constant, interpret};
use super::scan::{Dialect, Source};
use super::split_member;
use super::value::{Input, Pick, Value, quoted};
use crate::chance::Chance;
use crate::prompt::Prompt;
use crate::script::BadBody;

/// What must not be run in a test: it may not end, end the process, or differ from run to run.
const RISKY: [&str; 22] = [
    "Date.now",
    "new Date()",
    "Math.random",
    "performance.",
    "crypto",
    "fetch",
    "setTimeout",
    "setInterval",
    "setImmediate",
    "process.",
    "fs.",
    "child_process",
    "http.",
    "https.",
    "net.",
    "listen(",
    "while (true)",
    "for (;;)",
    "XMLHttpRequest",
    "WebSocket",
    "document.",
    "window.",
];

/// What a nameless default export is called in a test.
const DEFAULT_LOCAL: &str = "defaultExport";

/// The test of one member.
pub(super) fn write(prompt: &Prompt, member: &str, chance: &Chance) -> String {
    let source = Source::new(&prompt.source, Dialect::Script);
    let (owner, name) = split_member(member);
    let (export, local) = export(&source, owner.unwrap_or(name));
    let outer = match owner.unwrap_or(name) {
        "default" => DEFAULT_LOCAL,
        name => name,
    };
    let holder = owner.and_then(|_| class(&source, &local));
    let found = match (&holder, owner) {
        (Some(class), _) => method(&source, class.body.clone(), name),
        (None, Some(_)) => None,
        (None, None) => function(&source, &local),
    };
    let writer = Writer {
        source: &source,
        inputs: Inputs::new(&source, prompt.language == Some(Language::TypeScript)),
        prompt,
        member,
        name,
        outer,
        export,
        runner: Runner::of(&prompt.framework),
        start: chance.index("inputs", 5),
    };
    match (found, holder, class(&source, &local)) {
        (Some(found), Some(holder), _) => writer.method(&found, &holder),
        (Some(found), None, _) => writer.function(&found),
        (None, None, Some(class)) if owner.is_none() => writer.class(&class),
        _ => writer.exists(None),
    }
}

struct Writer<'a> {
    source: &'a Source<'a>,
    inputs: Inputs<'a>,
    prompt: &'a Prompt,
    member: &'a str,
    name: &'a str,
    /// What the function or class is called in the test.
    outer: &'a str,
    export: Export,
    runner: Runner,
    start: usize,
}

/// A call as written, and what its names stand for.
struct Call {
    text: String,
    names: Option<BTreeMap<String, Value>>,
}

impl Writer<'_> {
    fn function(&self, found: &Function) -> String {
        if self.risky(&found.body) {
            return self.exists(None);
        }
        self.asserted(found, None)
            .unwrap_or_else(|| self.twice(found, None))
    }

    fn method(&self, found: &Function, holder: &Class) -> String {
        let constructor = method(self.source, holder.body.clone(), "constructor");
        let risky = self.risky(&found.body)
            || constructor.is_some_and(|constructor| self.risky(&constructor.body));
        if risky {
            return self.exists(Some(found));
        }
        self.asserted(found, Some(holder))
            .unwrap_or_else(|| self.twice(found, Some(holder)))
    }

    /// A test that what is asked for is there, for what must not be run.
    fn exists(&self, method: Option<&Function>) -> String {
        let line = match method {
            None => self
                .runner
                .equal(&format!("typeof {}", self.outer), "'function'"),
            Some(method) => {
                let on = if method.is_static { "" } else { ".prototype" };
                let check = format!("{} in {}{on}", quoted(self.name), self.outer);
                // A field that holds a function is there in instances only.
                let check = if method.is_expression { "true" } else { &check };
                self.runner.equal(check, "true")
            }
        };
        self.file("is there", &[line], false)
    }

    /// A test that two instances made alike look alike.
    fn class(&self, class: &Class) -> String {
        let constructor = method(self.source, class.body.clone(), "constructor");
        if constructor.is_some_and(|constructor| self.risky(&constructor.body)) {
            return self.exists(None);
        }
        let made = self.inputs.instance(self.outer, class, Pick(self.start), 0);
        self.outcome_twice(&made.expression, false)
    }

    /// A test that two equal calls have the same outcome.
    fn twice(&self, found: &Function, holder: Option<&Class>) -> String {
        let call = self.call(found, holder, 0).text;
        let call = if found.is_generator && !found.is_async {
            format!("{call}.next()")
        } else {
            call
        };
        self.outcome_twice(&call, found.is_async)
    }

    fn outcome_twice(&self, call: &str, is_async: bool) -> String {
        let (word, wait) = if is_async {
            ("async ", "await ")
        } else {
            ("", "")
        };
        let lines = [
            format!("const outcome = {word}() => {{"),
            "  try {".into(),
            format!("    return String(JSON.stringify({wait}{call}));"),
            "  } catch (error) {".into(),
            "    return `threw ${String(error)}`;".into(),
            "  }".into(),
            "};".into(),
            self.runner
                .equal(&format!("{wait}outcome()"), &format!("{wait}outcome()")),
        ];
        self.file("has the same outcome for the same input", &lines, is_async)
    }

    /// A test of what calls give, if the body is simple enough to know.
    fn asserted(&self, found: &Function, holder: Option<&Class>) -> Option<String> {
        if found.is_generator {
            return None;
        }
        let rows = if found.params.is_empty() { 1 } else { 3 };
        let mut lines = Vec::new();
        for row in 0..rows {
            let call = self.call(found, holder, row);
            let outcome = if found.is_expression {
                let code = format!("return {}", self.source.slice(found.body.clone()));
                let source = Source::new(&code, Dialect::Script);
                interpret(&source, Dialect::Script, 0..code.len(), call.names?)?
            } else {
                interpret(
                    self.source,
                    Dialect::Script,
                    found.body.clone(),
                    call.names?,
                )?
            };
            let text = if found.is_async {
                format!("await {}", call.text)
            } else {
                call.text
            };
            let line = match outcome {
                Outcome::Raised(_) if found.is_async => return None,
                Outcome::Raised(_) => self.runner.throws(&text),
                Outcome::Returned(values) => {
                    let [value] = values.as_slice() else {
                        return None;
                    };
                    self.runner.equal(&text, &literal(value)?)
                }
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        Some(self.file("gives what is expected", &lines, found.is_async))
    }

    fn call(&self, found: &Function, holder: Option<&Class>, row: usize) -> Call {
        let pick = Pick(self.start + row * 3);
        let (text, inputs) = self.inputs.arguments(&found.params, &found.body, pick, 0);
        let arguments = if found.is_getter {
            String::new()
        } else {
            format!("({text})")
        };
        let receiver = holder
            .filter(|_| !found.is_static)
            .map(|class| self.inputs.instance(self.outer, class, pick.next(1), 0));
        let text = match (&receiver, holder) {
            (Some(made), _) => format!("{}.{}{arguments}", made.expression, self.name),
            (None, Some(_)) => format!("{}.{}{arguments}", self.outer, self.name),
            (None, None) => format!("{}{arguments}", self.outer),
        };
        Call {
            text,
            names: names(found, receiver, inputs),
        }
    }

    /// Whether the code, or a function of the file that it calls, must not be run.
    fn risky(&self, body: &Range<usize>) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![body.clone()];
        while let Some(body) = next.pop() {
            if self.source.holds_any(body.clone(), &RISKY) {
                return true;
            }
            let code = &self.source.blank[body];
            for (at, _) in code.match_indices('(') {
                let before = &code[..at];
                let start = before
                    .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .map_or(0, |at| at + 1);
                let called = &before[start..];
                if !called.is_empty() && seen.insert(called) {
                    next.extend(function(self.source, called).map(|found| found.body));
                    let top = self.outer;
                    next.extend(
                        class(self.source, top)
                            .and_then(|class| method(self.source, class.body, called))
                            .map(|found| found.body),
                    );
                }
            }
        }
        false
    }

    fn file(&self, title: &str, lines: &[String], is_async: bool) -> String {
        let common_js = is_common_js(self.source);
        let mut imports = self.runner.imports(common_js);
        let module = &self.prompt.module;
        let mut names = self.inputs.names();
        let outer = self.outer;
        if self.export == Export::Named {
            names.insert(outer.to_owned());
        } else if common_js {
            imports.push(format!("const {outer} = require('{module}');"));
        } else {
            imports.push(format!("import {outer} from '{module}';"));
        }
        if self.export == Export::Default {
            names.remove(outer);
        }
        if !names.is_empty() {
            let names: Vec<_> = names.into_iter().collect();
            let names = names.join(", ");
            imports.push(if common_js {
                format!("const {{ {names} }} = require('{module}');")
            } else {
                format!("import {{ {names} }} from '{module}';")
            });
        }
        suite(&imports, self.member, title, lines, is_async)
    }
}

/// A file with one suite of one test.
fn suite(
    imports: &[String],
    member: &str,
    title: &str,
    lines: &[String],
    is_async: bool,
) -> String {
    let word = if is_async { "async " } else { "" };
    let mut text = imports.join("\n");
    let _ = write!(
        text,
        "\n\ndescribe('{member}', () => {{\n  it('{title}', {word}() => {{\n",
    );
    for line in lines {
        let _ = writeln!(text, "    {line}");
    }
    text.push_str("  });\n});\n");
    text
}

/// A bad test of these lines, with what they import as names and modules.
pub(super) fn bad_file(
    prompt: &Prompt,
    member: &str,
    imports: &[(String, String)],
    lines: &[String],
    kind: BadBody,
) -> String {
    let common_js = is_common_js(&Source::new(&prompt.source, Dialect::Script));
    let runner = Runner::of(&prompt.framework);
    let mut all = runner.imports(common_js);
    all.extend(imports.iter().map(|(names, from)| {
        if common_js {
            format!("const {{ {names} }} = require('{from}');")
        } else {
            format!("import {{ {names} }} from '{from}';")
        }
    }));
    let failing = [runner.equal("1 + 1", "3")];
    let lines = if lines.is_empty() { &failing } else { lines };
    let text = suite(&all, member, "works", lines, kind == BadBody::Network);
    if kind == BadBody::DoesNotCompile {
        // Types are not checked by most runners: this fails while tests are collected.
        return text.replace("  it('works'", "  noSuchFunction();\n  it('works'");
    }
    text
}

/// What the parameters are called with, defaults included.
fn names(
    found: &Function,
    receiver: Option<Input>,
    inputs: Vec<Input>,
) -> Option<BTreeMap<String, Value>> {
    let mut inputs = inputs.into_iter();
    let mut names = BTreeMap::new();
    for param in &found.params {
        let value = match (inputs.next(), &param.default) {
            (Some(input), _) => input.value?,
            (None, Some(default)) => constant(default, Dialect::Script)?,
            (None, None) if param.rest => Value::List(Vec::new()),
            (None, None) => Value::Null,
        };
        names.insert(param.name.clone(), value);
    }
    if let Some(receiver) = receiver {
        names.insert("this".into(), receiver.value.unwrap_or(Value::Null));
    }
    Some(names)
}

/// A value as JavaScript writes it.
fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "undefined".into(),
        Value::Bool(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Str(text) => quoted(text),
        Value::List(items) => {
            let items: Option<Vec<_>> = items.iter().map(literal).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Int(_) | Value::Record(_) | Value::Error => return None,
    })
}
