//! Go, with `testing` or testify.

mod declaration;
mod inputs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use declaration::{Function, functions, type_named};
use inputs::Inputs;

use super::interpret::{Outcome, interpret};
use super::scan::{Dialect, Source};
use super::split_member;
use super::value::{Input, Pick, Value, float_text, quoted};
use crate::chance::Chance;
use crate::prompt::Prompt;

/// What must not be run in a test: it may not end, end the process, or differ from run to run.
const RISKY: [&str; 19] = [
    "chan",
    "<-",
    "select",
    "go func",
    "for {",
    "time.Sleep",
    "time.Now",
    "time.Since",
    "rand.",
    "os.",
    "exec.",
    "net.",
    "http.",
    "log.Fatal",
    "signal.",
    "syscall.",
    "sync.",
    "bufio.",
    "log.",
];

/// The test of one member.
pub(super) fn write(prompt: &Prompt, member: &str, chance: &Chance) -> String {
    let source = Source::new(&prompt.source, Dialect::Go);
    let (owner, name) = split_member(member);
    let all = functions(&source);
    let found = all.iter().find(|function| {
        function.name == name && function.receiver.as_ref().map(|r| r.of.as_str()) == owner
    });
    let testify = prompt.framework.contains("testify");
    let test = test_name(member);
    let Some(function) = found else {
        return declared_type(&source, member, &test, testify);
    };
    let writer = Writer {
        inputs: Inputs::new(&source, function),
        function,
        test,
        testify,
        start: chance.index("inputs", 5),
    };
    if runs_risk(&source, &all, function.body.clone()) {
        return writer.declaration();
    }
    writer.asserted(&source).unwrap_or_else(|| writer.twice())
}

/// `TestCart_Total`; what follows `Test` must not be a lower-case letter.
pub(super) fn test_name(member: &str) -> String {
    let name = member.replace('.', "_");
    if name.starts_with(char::is_lowercase) {
        format!("Test_{name}")
    } else {
        format!("Test{name}")
    }
}

/// A file's text: imports, then code.
pub(super) fn file(imports: &BTreeSet<String>, code: &str) -> String {
    let lines: Vec<_> = imports
        .iter()
        .map(|path| format!("\t{}", quoted(path)))
        .collect();
    if let [one] = &*lines {
        return format!("import {}\n\n{code}", one.trim());
    }
    format!("import (\n{}\n)\n\n{code}", lines.join("\n"))
}

/// Whether the code, or a function of the file that it names, holds what must not be run.
fn runs_risk(source: &Source<'_>, all: &[Function], body: Range<usize>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![body];
    while let Some(body) = next.pop() {
        if source.holds_any(body.clone(), &RISKY) {
            return true;
        }
        for function in all {
            if source.holds_any(body.clone(), &[&format!("{}(", function.name)])
                && seen.insert(function.body.start)
            {
                next.push(function.body.clone());
            }
        }
    }
    false
}

/// A test of a type: its zero value is usable.
fn declared_type(source: &Source<'_>, member: &str, test: &str, testify: bool) -> String {
    let arguments = type_named(source, member).map_or(0, |declared| declared.generics.len());
    let arguments = if arguments == 0 {
        String::new()
    } else {
        format!("[{}]", vec!["int"; arguments].join(", "))
    };
    let mut imports = BTreeSet::from(["testing".to_owned()]);
    let check = if testify {
        imports.insert("github.com/stretchr/testify/assert".into());
        "\tassert.Equal(t, first, second)\n"
    } else {
        imports.insert("reflect".into());
        "\tif !reflect.DeepEqual(first, second) {\n\t\tt.Errorf(\"two zero values differ: %v and \
         %v\", first, second)\n\t}\n"
    };
    let code = format!(
        "func {test}(t *testing.T) {{\n\tvar first, second {member}{arguments}\n{check}}}\n"
    );
    file(&imports, &code)
}

struct Writer<'a> {
    function: &'a Function,
    inputs: Inputs<'a>,
    test: String,
    testify: bool,
    /// Where in the pools the inputs start.
    start: usize,
}

/// One call: what comes before it, and the call.
struct Call {
    receiver: Option<Input>,
    arguments: Vec<Input>,
    text: String,
}

impl Writer<'_> {
    /// A test of what the declaration says, for what must not be run.
    fn declaration(&self) -> String {
        let Function {
            name,
            receiver,
            params,
            results,
            ..
        } = self.function;
        let (expression, more) = match receiver {
            Some(receiver) => {
                let args = self.inputs.instantiation(&receiver.type_args);
                (format!("(*{}{args}).{name}", receiver.of), 1)
            }
            None => (format!("{name}{}", self.type_arguments()), 0),
        };
        let count = params.len() + more;
        let results = results.len();
        let code = format!(
            "\tof := reflect.TypeOf({expression})\n\tif of.NumIn() != {count} || of.NumOut() != \
             {results} {{\n\t\tt.Errorf(\"{name} takes %d and gives %d values, want {count} and \
             {results}\", of.NumIn(), of.NumOut())\n\t}}\n"
        );
        self.test_function(&code, &["reflect"])
    }

    /// A test that two equal calls have the same outcome.
    fn twice(&self) -> String {
        let call = self.call(0);
        let mut lines = String::new();
        if let Some(receiver) = &call.receiver {
            let _ = writeln!(lines, "\t\treceiver := {}", receiver.expression);
        }
        let results = &self.function.results;
        if results.is_empty() {
            let _ = write!(lines, "\t\t{}\n\t\treturn \"done\"\n", call.text);
        } else {
            let names: Vec<_> = (0..results.len()).map(|n| format!("r{n}")).collect();
            let verbs: Vec<_> = results
                .iter()
                .map(|result| {
                    if self.inputs.printable(&result.of) {
                        "%v"
                    } else {
                        "%T"
                    }
                })
                .collect();
            let names = names.join(", ");
            let _ = writeln!(lines, "\t\t{names} := {}", call.text);
            let _ = writeln!(
                lines,
                "\t\treturn fmt.Sprintf(\"{}\", {names})",
                verbs.join(" ")
            );
        }
        let name = &self.function.name;
        let check = if self.testify {
            "\tassert.Equal(t, run(), run())\n".to_owned()
        } else {
            format!(
                "\tif first, second := run(), run(); first != second {{\n\t\tt.Errorf(\"{name} \
                 gave %s, then %s\", first, second)\n\t}}\n"
            )
        };
        let code = format!(
            "\trun := func() (outcome string) {{\n\t\tdefer func() {{\n\t\t\tif r := recover(); r \
             != nil {{\n\t\t\t\toutcome = fmt.Sprint(\"panic: \", r)\n\t\t\t}}\n\t\t}}()\n{lines}\
             \t}}\n{check}"
        );
        self.test_function(&code, &["fmt"])
    }

    /// A test of what calls give, if the body is simple enough to know.
    fn asserted(&self, source: &Source<'_>) -> Option<String> {
        let rows = if self.function.params.is_empty() {
            1
        } else {
            3
        };
        let mut checks: Vec<String> = Vec::new();
        for row in 0..rows {
            let call = self.call(row);
            let names = self.names(&call)?;
            let outcome = interpret(source, Dialect::Go, self.function.body.clone(), names)?;
            let Outcome::Returned(values) = outcome else {
                return None;
            };
            let values = match values.as_slice() {
                // A bare return: the named results, as they are then.
                [Value::Record(names)] => self
                    .function
                    .results
                    .iter()
                    .map(|result| names.get(&result.name).cloned())
                    .collect::<Option<_>>()?,
                _ => values,
            };
            let check = self.check(&self.written(&call)?, &values)?;
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        let code = checks.concat();
        let imports: &[&str] = if code.contains("reflect.") {
            &["reflect"]
        } else {
            &[]
        };
        Some(self.test_function(&code, imports))
    }

    /// What the body's names stand for.
    fn names(&self, call: &Call) -> Option<BTreeMap<String, Value>> {
        let mut names = BTreeMap::new();
        for (param, input) in self.function.params.iter().zip(&call.arguments) {
            names.insert(param.name.clone(), input.value.clone()?);
        }
        for result in self
            .function
            .results
            .iter()
            .filter(|result| !result.name.is_empty())
        {
            names.insert(result.name.clone(), self.inputs.zero(&result.of)?);
        }
        if let (Some(receiver), Some(input)) = (&self.function.receiver, &call.receiver) {
            names.insert(receiver.name.clone(), input.value.clone()?);
        }
        names.remove("_");
        Some(names)
    }

    /// The call in one expression.
    fn written(&self, call: &Call) -> Option<String> {
        let (Some(receiver), Some(input)) = (&self.function.receiver, &call.receiver) else {
            return Some(call.text.clone());
        };
        let made = &input.expression;
        let on = match &input.value {
            Some(Value::Record(_)) => format!("(&{made})"),
            _ if receiver.pointer => return None,
            _ => made.clone(),
        };
        Some(call.text.replacen("receiver", &on, 1))
    }

    /// The lines that check one call.
    fn check(&self, call: &str, values: &[Value]) -> Option<String> {
        let results = &self.function.results;
        if results.is_empty() || results.len() != values.len() {
            return None;
        }
        let failed = values.contains(&Value::Error);
        let mut names = Vec::new();
        let mut wrong = Vec::new();
        let mut wanted = Vec::new();
        for (n, (result, value)) in results.iter().zip(values).enumerate() {
            self.inputs.zero(&result.of)?;
            let is_error = result.of == "error";
            let name = match (is_error, results.len()) {
                (true, _) => "err".to_owned(),
                (false, 1) => "got".to_owned(),
                (false, _) => format!("got{n}"),
            };
            if failed && !is_error {
                names.push("_".to_owned());
                continue;
            }
            let want = literal(value, &self.inputs.concrete(&result.of))?;
            wrong.push(match value {
                Value::Bool(true) => format!("!{name}"),
                Value::Bool(false) => name.clone(),
                Value::List(_) => format!("!reflect.DeepEqual({name}, {want})"),
                Value::Error => format!("{name} == nil"),
                _ => format!("{name} != {want}"),
            });
            names.push(name);
            wanted.push(want);
        }
        if let (true, [want], false) = (self.testify, &*wanted, results[0].of == "error")
            && !matches!(values[0], Value::List(_))
        {
            return Some(format!("\tassert.EqualValues(t, {want}, {call})\n"));
        }
        let shown: Vec<_> = names.iter().filter(|name| *name != "_").cloned().collect();
        let verbs = vec!["%v"; shown.len()].join(", ");
        let message = quoted(&format!(
            "{} = {verbs}, want {}",
            call.replace('%', "%%"),
            wanted.join(", ").replace('%', "%%"),
        ));
        Some(format!(
            "\tif {} := {call}; {} {{\n\t\tt.Errorf({message}, {})\n\t}}\n",
            names.join(", "),
            wrong.join(" || "),
            shown.join(", "),
        ))
    }

    fn call(&self, row: usize) -> Call {
        let pick = |n: usize| Pick(self.start + row * 3 + n);
        let receiver = self.inputs.receiver(self.function, pick(0));
        let arguments: Vec<_> = self
            .function
            .params
            .iter()
            .enumerate()
            .map(|(n, param)| self.inputs.argument(&param.of, pick(n)))
            .collect();
        let list: Vec<_> = arguments
            .iter()
            .map(|input| input.expression.as_str())
            .collect();
        let on = if receiver.is_some() { "receiver." } else { "" };
        let text = format!(
            "{on}{}{}({})",
            self.function.name,
            self.type_arguments(),
            list.join(", ")
        );
        Call {
            receiver,
            arguments,
            text,
        }
    }

    fn type_arguments(&self) -> String {
        let names: Vec<_> = self
            .function
            .generics
            .iter()
            .map(|param| param.name.clone())
            .collect();
        self.inputs.instantiation(&names)
    }

    fn test_function(&self, code: &str, imports: &[&str]) -> String {
        let mut all = self.inputs.used();
        all.insert("testing".into());
        all.extend(imports.iter().map(|&path| path.to_owned()));
        if code.contains("assert.") {
            all.insert("github.com/stretchr/testify/assert".into());
        }
        file(
            &all,
            &format!("func {}(t *testing.T) {{\n{code}}}\n", self.test),
        )
    }
}

/// A value as Go writes it; a list as one of type `of`.
fn literal(value: &Value, of: &str) -> Option<String> {
    Some(match value {
        Value::Null => "nil".into(),
        Value::Error => "an error".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float_text(*value),
        Value::Str(text) => quoted(text),
        Value::List(items) => {
            let element = of.strip_prefix("[]")?;
            if items.is_empty() {
                return None;
            }
            let items: Option<Vec<_>> = items.iter().map(|item| literal(item, element)).collect();
            format!("{of}{{{}}}", items?.join(", "))
        }
        Value::Record(_) => return None,
    })
}
