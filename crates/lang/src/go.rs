//! Go.
//!
//! Tests are internal tests: they live in the package they test, so a member needs no import and
//! all files of a folder share one name space. The grammar is exact: a file with a syntax error
//! gives no members.

mod build;
mod context;
mod dialect;
mod files;
mod imports;
mod layout;
mod mend;
mod names;
mod prepare;
mod rules;
mod runner;
mod source;

use testsmith_domain::{
    Analysis, Block, BodyProblem, ComposeError, ComposeRequest, Composed, ContentHash, Language,
    LanguageDriver, Member, Project, PromptContext, RelPath, RunPlan, RunReport, RunRequest,
    RunTranscript, RunUnavailable, SourceFile,
};

use crate::compose::{body_sum, compose};
use crate::dialect::Dialect;
use crate::marks::{blocks, without_marks};
pub(crate) use dialect::GoDialect;
use files::OWN_SUFFIX;

/// The driver for Go.
#[derive(Debug, Clone, Copy, Default)]
pub struct GoDriver;

impl LanguageDriver for GoDriver {
    fn languages(&self) -> &'static [Language] {
        &[Language::Go]
    }

    fn claims(&self, path: &RelPath) -> bool {
        path.extension() == "go"
    }

    fn owns(&self, path: &RelPath) -> bool {
        let stem = path.file_name().strip_suffix(OWN_SUFFIX);
        stem.is_some_and(|stem| !stem.is_empty())
    }

    fn analyze(&self, project: &Project, path: &RelPath, source: &str) -> Analysis {
        source::analyze(project, path, source)
    }

    fn instructions(&self, file: &SourceFile) -> String {
        rules::instructions(&file.framework)
    }

    fn prompt_context(&self, project: &Project, file: &SourceFile, source: &str) -> PromptContext {
        context::prompt_context(project, file, source)
    }

    fn prepare_body(
        &self,
        file: &SourceFile,
        _member: &Member,
        code: &str,
    ) -> Result<String, BodyProblem> {
        prepare::prepare(file, code)
    }

    fn scaffold(&self, file: &SourceFile, member: &Member) -> String {
        rules::scaffold(file, member)
    }

    fn test_names(&self, _file: &SourceFile, body: &str) -> Vec<String> {
        names::tests(&GoDialect.parse(body))
    }

    fn blocks(&self, _test_path: &RelPath, test_source: &str) -> Result<Vec<Block>, ComposeError> {
        blocks(&GoDialect, test_source)
    }

    fn body_sum(&self, _test_path: &RelPath, body: &str) -> ContentHash {
        body_sum(&GoDialect, body)
    }

    fn compose(&self, request: &ComposeRequest<'_>) -> Result<Composed, ComposeError> {
        compose(&GoDialect, request)
    }

    fn without_marks(&self, _test_path: &RelPath, text: &str) -> Result<String, ComposeError> {
        without_marks(&GoDialect, text)
    }

    fn mend(&self, file: &SourceFile, member: &Member, body: &str, said: &str) -> Option<String> {
        mend::mend(file, member, body, said)
    }

    fn keep_tests(&self, _file: &SourceFile, body: &str, keep: &[String]) -> Option<String> {
        runner::keep_tests(body, keep)
    }

    fn empty_tests(&self, _file: &SourceFile, body: &str) -> Vec<String> {
        names::empty_tests(&GoDialect.parse(body))
    }

    fn run_plan(&self, request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
        runner::plan(request)
    }

    fn read_run(&self, request: &RunRequest<'_>, transcript: &RunTranscript<'_>) -> RunReport {
        runner::read(request, transcript)
    }
}

/// What the shared parts ask of a test file's language.
#[cfg(any(test, fuzzing))]
pub(crate) fn dialect_of(_test_path: &RelPath) -> Box<dyn crate::dialect::Dialect> {
    Box::new(GoDialect)
}
