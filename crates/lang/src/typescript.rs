//! TypeScript and JavaScript.
//!
//! Tests live in a module of their own beside the source, which imports the members it tests.
//! Cached bodies hold no import of the module under test and none of the test framework: both are
//! added when a file is composed, in the way the project writes them (ES modules or CommonJS, with
//! or without extension), so that a file that moves finds its answers again.
//!
//! The TypeScript grammar is not exact: an error in one place costs the members it touches, and no
//! others.

mod cases;
mod classes;
mod classify;
mod context;
mod definitions;
mod exports;
mod frameworks;
mod grammar;
mod imports;
mod layout;
mod manifest;
mod members;
mod mend;
mod names;
mod prepare;
mod runner;
mod script;
mod tsconfig;

use testsmith_domain::{
    Analysis, Block, BodyProblem, ComposeError, ComposeRequest, Composed, ContentHash, Language,
    LanguageDriver, Member, Project, PromptContext, RelPath, RunPlan, RunReport, RunRequest,
    RunTranscript, RunUnavailable, SourceFile,
};

use crate::compose::{body_sum, compose};
use crate::dialect::{Dialect, Import, Item};
use crate::marks::{blocks, without_marks};
use crate::syntax::Parsed;
use manifest::{Manifests, Runner};
use script::Script;
use tsconfig::{Extension, TsConfig};

/// The driver for TypeScript and JavaScript.
#[derive(Debug, Clone, Copy, Default)]
pub struct TypeScriptDriver;

impl LanguageDriver for TypeScriptDriver {
    fn languages(&self) -> &'static [Language] {
        &[Language::TypeScript, Language::JavaScript]
    }

    fn claims(&self, path: &RelPath) -> bool {
        classify::language(path).is_some()
    }

    fn owns(&self, path: &RelPath) -> bool {
        classify::is_own(path)
    }

    fn analyze(&self, project: &Project, path: &RelPath, source: &str) -> Analysis {
        let no_source = classify::by_path(path).or_else(|| classify::by_text(source));
        match (no_source, classify::language(path)) {
            (Some(reason), _) => Analysis::NotSource(reason),
            (None, Some(language)) => Analysis::Source(read(project, path, language, source)),
            // Not a file this driver claims.
            (None, None) => Analysis::NotSource(testsmith_domain::NotSource::Declarations),
        }
    }

    fn instructions(&self, file: &SourceFile) -> String {
        frameworks::instructions(file)
    }

    fn prompt_context(&self, project: &Project, file: &SourceFile, source: &str) -> PromptContext {
        context::prompt_context(project, file, source)
    }

    fn prepare_body(
        &self,
        file: &SourceFile,
        member: &Member,
        code: &str,
    ) -> Result<String, BodyProblem> {
        prepare::prepare(file, member, code)
    }

    fn scaffold(&self, file: &SourceFile, member: &Member) -> String {
        frameworks::scaffold(Runner::of(&file.framework), member)
    }

    /// The titles of all groups around a test and its own, joined by single spaces: `fullName` in
    /// the JSON reports of vitest and jest, `fullTitle` in mocha's. Of a parameterised test
    /// (`it.each`), the title as it is written, placeholders and all.
    fn test_names(&self, file: &SourceFile, body: &str) -> Vec<String> {
        cases::names(&Script::reading(&file.test_path).parse(body))
    }

    fn blocks(&self, test_path: &RelPath, test_source: &str) -> Result<Vec<Block>, ComposeError> {
        blocks(&Script::reading(test_path), test_source)
    }

    fn body_sum(&self, test_path: &RelPath, body: &str) -> ContentHash {
        body_sum(&Script::reading(test_path), body)
    }

    fn compose(&self, request: &ComposeRequest<'_>) -> Result<Composed, ComposeError> {
        let file = request.file;
        let runner = Runner::of(&file.framework);
        let manifests = Manifests::above(request.project, &file.path);
        let mut implied = frameworks::needed(runner, &manifests, file.language);
        implied.extend(other_exports(request.project, file));
        let commonjs = writes_commonjs(file, runner);
        let script = Script::writing(&file.test_path, commonjs, &file.module, &implied);
        compose(&script, request)
    }

    fn without_marks(&self, test_path: &RelPath, text: &str) -> Result<String, ComposeError> {
        without_marks(&Script::reading(test_path), text)
    }

    fn mend(&self, file: &SourceFile, member: &Member, body: &str, said: &str) -> Option<String> {
        mend::mend(file, member, body, said)
    }

    fn keep_tests(&self, file: &SourceFile, body: &str, keep: &[String]) -> Option<String> {
        runner::keep_tests(&Script::reading(&file.test_path), body, keep)
    }

    fn empty_tests(&self, file: &SourceFile, body: &str) -> Vec<String> {
        cases::empty(&Script::reading(&file.test_path).parse(body))
    }

    fn run_plan(&self, request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
        runner::plan(request)
    }

    fn read_run(&self, request: &RunRequest<'_>, transcript: &RunTranscript<'_>) -> RunReport {
        runner::read(request, transcript)
    }
}

fn read(project: &Project, path: &RelPath, language: Language, source: &str) -> SourceFile {
    let script = Script::reading(path);
    let file = script.parse(source);
    let manifests = Manifests::above(project, path);
    let commonjs = is_commonjs(path, &manifests, &file);
    let framework = manifests.framework(project, language, commonjs);
    let components = ["@testing-library/react", "@testing-library/preact"]
        .iter()
        .any(|library| manifests.dependency(library).is_some());
    let runner = Runner::of(&framework);
    SourceFile {
        path: path.clone(),
        language,
        module: module(project, path, &manifests, (runner, commonjs)),
        framework,
        test_path: classify::test_path(path),
        members: members::members(&script, &file, components),
        problems: file.problems(),
    }
}

/// Whether a file is CommonJS. TypeScript is written as ES modules in any case.
fn is_commonjs(path: &RelPath, manifests: &Manifests, file: &Parsed<'_>) -> bool {
    match path.extension() {
        "cjs" => true,
        "js" | "jsx" => !manifests.is_esm() && exports::is_commonjs(file),
        _ => false,
    }
}

/// How the test file, which is beside the source, names it.
fn module(
    project: &Project,
    path: &RelPath,
    manifests: &Manifests,
    (runner, commonjs): (Runner, bool),
) -> String {
    let (stem, extension) = (path.stem(), path.extension());
    let built = match extension {
        "mts" | "mjs" => "mjs",
        "cts" | "cjs" => "cjs",
        _ => "js",
    };
    let typed = classify::language(path) == Some(Language::TypeScript);
    let style = if typed {
        typed_style(project, path, manifests, runner)
    } else if commonjs && !needs_extension(path) && runner != Runner::Vitest {
        Extension::None
    } else {
        Extension::Source
    };
    match style {
        Extension::None => format!("./{stem}"),
        Extension::Built => format!("./{stem}.{built}"),
        Extension::Source => format!("./{stem}.{extension}"),
    }
}

fn typed_style(
    project: &Project,
    path: &RelPath,
    manifests: &Manifests,
    runner: Runner,
) -> Extension {
    if runner == Runner::Node {
        // Node strips the types, and wants the file's own name.
        return Extension::Source;
    }
    match TsConfig::above(project, path).extension() {
        Extension::Source => Extension::Source,
        // ts-jest resolves as CommonJS does unless the package is one of ES modules.
        Extension::Built if runner == Runner::Jest && !manifests.is_esm() => Extension::None,
        Extension::Built => Extension::Built,
        // No resolver tries these by itself.
        Extension::None if needs_extension(path) => Extension::Built,
        Extension::None => Extension::None,
    }
}

fn needs_extension(path: &RelPath) -> bool {
    matches!(path.extension(), "mts" | "cts" | "mjs" | "cjs")
}

/// Whether the test file is CommonJS. A test for vitest is an ES module whatever it tests.
fn writes_commonjs(file: &SourceFile, runner: Runner) -> bool {
    let plain = match file.path.extension() {
        "cjs" => true,
        // See `module`: only CommonJS leaves the extension out.
        extension @ ("js" | "jsx") => !file.module.ends_with(&format!(".{extension}")),
        _ => false,
    };
    plain && runner != Runner::Vitest
}

/// What the module exports beside its members, types and constants: bodies may use them by name.
/// Read from the file as it is now; if it is gone, only members can be imported.
fn other_exports(project: &Project, file: &SourceFile) -> Vec<Import> {
    let Ok(source) = std::fs::read_to_string(file.path.under(&project.root)) else {
        return Vec::new();
    };
    let script = Script::reading(&file.path);
    let parsed = script.parse(&source);
    exports::exports(&parsed)
        .into_iter()
        .filter_map(|export| {
            let (item, local) = match export.target {
                exports::Target::Local(local) if export.name == definitions::DEFAULT => {
                    (Item::Default, local)
                }
                _ => (Item::Name(export.name.clone()), export.name),
            };
            exports::is_importable(&local).then(|| Import {
                module: file.module.clone(),
                type_only: export.type_only,
                local: Some(local),
                item,
            })
        })
        .collect()
}

/// What the shared parts ask of a test file's language.
#[cfg(any(test, fuzzing))]
pub(crate) fn dialect_of(test_path: &RelPath) -> Box<dyn crate::dialect::Dialect> {
    Box::new(Script::reading(test_path))
}

#[cfg(test)]
mod tests;
