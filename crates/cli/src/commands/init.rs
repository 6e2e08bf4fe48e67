//! `testsmith init`: a commented testsmith.toml from what is found.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use testsmith_config::PROJECT_FILE;
use testsmith_daemon::Survey;

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
    let text = project_file(&context.root, &found, &|name| {
        std::env::var_os(name).is_some_and(|value| !value.is_empty())
    });
    if args.print {
        output::raw(&text)?;
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
    output::line(
        "Next: testsmith doctor, to see what is missing; testsmith watch, to begin.\n\
         Tests for what is there already: testsmith generate --all",
    )?;
    Ok(exit::OK)
}

/// The file's text. Every key is commented out: the defaults hold until somebody chooses otherwise.
fn project_file(root: &Path, found: &Survey, is_set: &dyn Fn(&str) -> bool) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!(
        "# testsmith's settings for {}. What is commented out is the default.\n\
         # All settings: testsmith config show. This file counts for everybody who works here; yours\n\
         # alone go into ~/.config/testsmith/config.toml. Never write a key in here.\n\n",
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
    text += &model(is_set);
    text += &watch(found);
    text += "[verify]\n\
             # Tests run in a sandbox before they are written: required | if-possible | off.\n\
             # mode = \"if-possible\"\n\n";
    text += &frameworks(found);
    text += "[budget.day]\n\
             # Nothing is asked beyond it; jobs wait for the next day.\n\
             # usd = 1.0\n";
    text
}

fn model(is_set: &dyn Fn(&str) -> bool) -> String {
    let (found, provider, model) = if is_set("OPENAI_API_KEY") {
        (
            "OPENAI_API_KEY is set: OpenAI is asked",
            "openai",
            "gpt-5-mini",
        )
    } else if is_set("ANTHROPIC_API_KEY") {
        (
            "ANTHROPIC_API_KEY is set: Anthropic is asked",
            "anthropic",
            "claude-sonnet-4-5",
        )
    } else if is_set("OLLAMA_HOST") {
        (
            "OLLAMA_HOST is set: Ollama is asked",
            "ollama",
            "qwen2.5-coder",
        )
    } else {
        (
            "no key was found: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama",
            "openai",
            "gpt-5-mini",
        )
    };
    format!(
        "[llm]\n# `auto`: {found}.\n# provider = \"{provider}\"\n# model = \"{model}\"\n\
         # Requests open at once.\n# max_concurrent_calls = 5\n\n"
    )
}

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
        "# Globs of what gets no tests, beside what git ignores.\n# exclude = [\"legacy/**\"]\n"
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
        .map(|(language, example, all)| format!("# {language} = \"{example}\"    # {all}\n"))
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

    use testsmith_config::{ProjectFile, Settings, Sources};

    use super::*;

    fn text(languages: &[&str]) -> String {
        let found = Survey {
            languages: languages
                .iter()
                .map(|name| ((*name).to_owned(), 3))
                .collect::<BTreeMap<_, _>>(),
            ..Survey::default()
        };
        project_file(Path::new("/src/shop"), &found, &|name| {
            name == "ANTHROPIC_API_KEY"
        })
    }

    /// As it is, and with every suggestion taken.
    #[test]
    fn what_is_written_is_a_configuration() {
        let plain = text(&["go", "python", "typescript", "javascript"]);
        let taken: Vec<String> = plain
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") && !rest.contains(':') => rest.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        assert!(
            taken.iter().filter(|line| line.contains(" = ")).count() >= 9,
            "{taken:#?}"
        );
        for text in [plain, taken.join("\n"), text(&[])] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(PROJECT_FILE);
            std::fs::write(&path, &text).unwrap();
            let sources = Sources {
                project_file: ProjectFile::Named(path),
                ..Sources::default()
            };
            let loaded = Settings::load(&sources);
            assert!(loaded.is_ok(), "{loaded:?}\n{text}");
        }
    }

    #[test]
    fn the_provider_is_the_one_whose_key_is_there() {
        let text = text(&["go"]);
        assert!(text.contains("# provider = \"anthropic\""), "{text}");
        assert!(text.contains("# Sources found: 3 of go."), "{text}");
        assert!(!text.contains("# python ="), "{text}");
    }
}
