//! `testsmith init`: a commented testsmith.toml from what is found.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use testsmith_config::PROJECT_FILE;
use testsmith_daemon::{DaemonError, ModelCheck, Survey};

use crate::args::{Global, InitArgs};
use crate::context::Context;
use crate::{block_on, exit, output};

/// Names of files that programs write, as far as they are sources by their names.
const GENERATED: [&str; 5] = [
    "_pb2.py",
    "_pb2_grpc.py",
    ".pb.go",
    "_gen.go",
    ".generated.ts",
];

pub(crate) fn run(global: &Global, args: &InitArgs) -> anyhow::Result<u8> {
    let context = Context::of(global, None)?;
    let path = context.root.join(PROJECT_FILE);
    let found = testsmith_daemon::survey(&context.root, &context.loaded.settings);
    let found = block_on(found)??;
    let text = project_file(&context.root, &found);
    let model = block_on(testsmith_daemon::check_model(
        &context.loaded.settings,
        false,
    ))?;
    if args.print {
        output::raw(&text)?;
        output::note(model_line(model));
        return Ok(exit::OK);
    }
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    match file {
        Ok(mut file) => file
            .write_all(text.as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("`{}` is there already, and stays as it is", path.display());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write `{}`", path.display()));
        }
    }
    output::line(format_args!("wrote {}", path.display()))?;
    output::line(model_line(model))?;
    output::line(
        "Next: testsmith doctor, to see what is missing; testsmith watch, to begin.\n\
         Tests for what is there already: testsmith generate --all",
    )?;
    Ok(exit::OK)
}

/// Which model would be asked as it is now. It is told and not written down: the file is everybody's.
fn model_line(checked: Result<ModelCheck, DaemonError>) -> String {
    let (said, is_there) = match checked {
        Ok(model) => (model.description, model.exists),
        Err(error) => (format!("{:#}", anyhow::Error::from(error)), true),
    };
    let remedy = if is_there {
        ""
    } else {
        "; set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama"
    };
    format!("model: {}{remedy}", output::escape(&said))
}

/// The file's text. Every key is commented out: the defaults hold until somebody chooses otherwise.
fn project_file(root: &Path, found: &Survey) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!(
        "# testsmith's settings for {}. What is commented out is the built-in value; what begins\n\
         # with \"e.g.\" is an example. All settings: testsmith config show. This file counts for\n\
         # everybody who works here; yours alone go into ~/.config/testsmith/config.toml. Never write a\n\
         # key in here.\n\n",
        output::escape(&name)
    );
    if found.languages.is_empty() {
        text +=
            "# No sources were found: testsmith knows Go, Python, TypeScript and JavaScript.\n\n";
    } else {
        let counts: Vec<String> = found
            .languages
            .iter()
            .map(|(language, count)| format!("{count} of {language}"))
            .collect();
        text += &format!("# Sources found: {}.\n\n", counts.join(", "));
    }
    text += MODEL;
    text += &watch(found);
    text += "[verify]\n\
             # Tests run in a sandbox before they are written: required | if-possible | off.\n\
             # mode = \"if-possible\"\n\n";
    text += &frameworks(found);
    text += "[budget.day]\n\
             # Nothing is asked beyond it; jobs wait for the next day.\n\
             # e.g. usd = 1.0\n";
    text
}

const MODEL: &str = "[llm]
# auto | openai | anthropic | ollama | offline. `auto` takes the key that it finds in the environment
# (OPENAI_API_KEY, then ANTHROPIC_API_KEY), else an Ollama that answers on this machine.
# provider = \"auto\"
# Without it, the provider's usual one.
# e.g. model = \"gpt-6-luna\"
# Requests open at once.
# max_concurrent_calls = 5

";

fn watch(found: &Survey) -> String {
    let globs: Vec<String> = GENERATED
        .iter()
        .filter(|suffix| {
            found
                .sources
                .iter()
                .any(|path| path.as_str().ends_with(*suffix))
        })
        .map(|suffix| format!("\"**/*{suffix}\""))
        .collect();
    let exclude = if globs.is_empty() {
        "# Globs of what gets no tests, beside what git ignores.\n# exclude = []\n\
         # e.g. exclude = [\"legacy/**\"]\n"
            .to_owned()
    } else {
        format!(
            "# Programs wrote these: they get no tests.\nexclude = [{}]\n",
            globs.join(", ")
        )
    };
    format!(
        "[watch]\n{exclude}# A file is looked at when it has been quiet for this long.\n# debounce = \"500ms\"\n\n"
    )
}

fn frameworks(found: &Survey) -> String {
    let known = [
        ("go", "testify", "go-testing | testify | gomock"),
        ("python", "pytest", "pytest | pytest+mock | unittest"),
        (
            "typescript",
            "vitest",
            "vitest | jest | mocha | mocha+chai | node",
        ),
        (
            "javascript",
            "vitest",
            "vitest | jest | mocha | mocha+chai | node",
        ),
    ];
    let lines: Vec<String> = known
        .iter()
        .filter(|(language, ..)| found.languages.contains_key(*language))
        .map(|(language, example, all)| format!("# e.g. {language} = \"{example}\"    # {all}\n"))
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "[frameworks]\n# Found in the project's own files unless it is set.\n{}\n",
        lines.concat()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use testsmith_config::{Loaded, ProjectFile, Settings, Sources};

    use super::*;

    fn text(languages: &[&str]) -> String {
        let found = Survey {
            languages: languages
                .iter()
                .map(|name| ((*name).to_owned(), 3))
                .collect::<BTreeMap<_, _>>(),
            ..Survey::default()
        };
        project_file(Path::new("/src/shop"), &found)
    }

    fn load(text: &str) -> Loaded {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(PROJECT_FILE);
        std::fs::write(&path, text).unwrap();
        let sources = Sources {
            project_file: ProjectFile::Named(path),
            ..Sources::default()
        };
        let loaded = Settings::load(&sources);
        loaded.unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The text with the settings taken in that are commented out like this, and their number.
    fn with(text: &str, mark: &str) -> (String, usize) {
        let mut taken = 0;
        let lines = text.lines().map(|line| {
            let setting = line.strip_prefix(mark).filter(|rest| {
                let key = rest.split(" = ").next().unwrap_or_default();
                key.len() < rest.len() && !key.contains(' ')
            });
            taken += usize::from(setting.is_some());
            setting.unwrap_or(line)
        });
        let lines: Vec<&str> = lines.collect();
        (lines.join("\n"), taken)
    }

    #[test]
    fn what_is_commented_out_is_the_built_in_value() {
        let built_in = Settings::load(&Sources::default()).unwrap().settings;
        for text in [
            text(&["go", "python", "typescript", "javascript"]),
            text(&[]),
        ] {
            assert_eq!(load(&text).settings, built_in);
            let (taken, count) = with(&text, "# ");
            assert_eq!(count, 5, "{taken}");
            assert_eq!(load(&taken).settings, built_in, "{taken}");
        }
    }

    #[test]
    fn what_is_an_example_can_be_taken_and_changes_something() {
        let text = text(&["go", "python", "typescript", "javascript"]);
        let (taken, count) = with(&text, "# e.g. ");
        assert_eq!(count, 7, "{taken}");
        let chosen = load(&taken);
        let built_in = Settings::load(&Sources::default()).unwrap();
        let known = built_in.annotated();
        let mine = chosen.annotated();
        let mine = mine
            .iter()
            .filter(|(_, _, origin)| origin.to_string().contains(PROJECT_FILE));
        let is_default =
            |key: &str, value: &str| known.iter().any(|(k, v, _)| k == key && v == value);
        let mut examples = 0;
        for (key, value, _) in mine {
            examples += 1;
            assert!(!is_default(key, value), "{key} = {value}");
        }
        assert_eq!(examples, count);
    }

    #[test]
    fn it_tells_what_was_found() {
        let text = text(&["go"]);
        assert!(text.contains("# Sources found: 3 of go."), "{text}");
        assert!(!text.contains("python ="), "{text}");
    }
}
