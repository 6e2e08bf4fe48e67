//! Python 3, on tree-sitter's grammar.
//!
//! Members are found by [`members`], test files composed by the shared parts for [`dialect`], and
//! where things belong is settled by [`layout`].
//!
//! A file that has no name an import statement could take (`my-script.py`), and one that is there to
//! be run (`__main__.py`, `setup.py`), is source without members.
//!
//! A test file has a name of its own in `tests/testsmith`, which is no package: pytest's and
//! unittest's ways to import test files both work then, whatever the project's set-up.

mod bindings;
mod class_parts;
mod classify;
mod context;
mod dialect;
mod environment;
mod found_tests;
mod framework;
mod imports;
mod known_names;
mod layout;
mod members;
mod mend;
mod module_use;
mod names;
mod outline;
mod prepare;
mod project_files;
mod rename;
mod runner;
mod strings;
mod test_file;
/// What the shared parts ask of a test file's language.
#[cfg(any(test, fuzzing))]
pub(crate) fn dialect_of(_test_path: &RelPath) -> Box<dyn crate::dialect::Dialect> {
    Box::new(Python)
}

/// Where our statement for the import path stands.
#[cfg(any(test, fuzzing))]
pub(crate) fn path_line(file: &crate::syntax::Parsed<'_>) -> Option<std::ops::Range<usize>> {
    test_file::path_statement(file).map(|statement| statement.byte_range())
}

#[cfg(test)]
mod tests;
mod wording;

use testsmith_domain::{
    Analysis, Block, BodyProblem, ComposeError, ComposeRequest, Composed, ContentHash, Language,
    LanguageDriver, Member, Project, PromptContext, RelPath, RunPlan, RunReport, RunRequest,
    RunTranscript, RunUnavailable, SourceFile,
};

use self::dialect::Python;
use self::layout::Layout;
use crate::compose::{body_sum, compose};
use crate::dialect::Dialect;
use crate::marks::{blocks, without_marks};

/// The driver of Python.
#[derive(Debug, Clone, Copy, Default)]
pub struct PythonDriver;

impl LanguageDriver for PythonDriver {
    fn languages(&self) -> &'static [Language] {
        &[Language::Python]
    }

    fn claims(&self, path: &RelPath) -> bool {
        path.extension() == "py"
    }

    fn owns(&self, path: &RelPath) -> bool {
        layout::is_own(path)
    }

    fn analyze(&self, project: &Project, path: &RelPath, source: &str) -> Analysis {
        let file = Python.parse(source);
        if let Some(reason) = classify::not_source(&file, path) {
            return Analysis::NotSource(reason);
        }
        let layout = Layout::of(&project.root, path);
        let framework = framework::detect(project, &layout);
        let problems = dialect::problems(&file);
        let members = match &layout.module {
            Some(_) if problems.is_empty() && !classify::is_script(&file, path) => {
                members::members(&file)
            }
            _ => Vec::new(),
        };
        Analysis::Source(SourceFile {
            path: path.clone(),
            language: Language::Python,
            framework,
            module: layout.module.unwrap_or_default(),
            test_path: layout.test_path,
            members,
            problems,
        })
    }

    fn instructions(&self, file: &SourceFile) -> String {
        wording::instructions(&file.framework.0)
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
        prepare::prepare_body(file, member, code)
    }

    fn scaffold(&self, file: &SourceFile, member: &Member) -> String {
        wording::scaffold(file, member)
    }

    fn test_names(&self, file: &SourceFile, body: &str) -> Vec<String> {
        found_tests::tests(&Python.parse(body), framework::is_unittest(&file.framework))
    }

    fn blocks(&self, _test_path: &RelPath, test_source: &str) -> Result<Vec<Block>, ComposeError> {
        blocks(&Python, test_source)
    }

    fn body_sum(&self, _test_path: &RelPath, body: &str) -> ContentHash {
        body_sum(&Python, body)
    }

    fn compose(&self, request: &ComposeRequest<'_>) -> Result<Composed, ComposeError> {
        compose(&Python, request)
    }

    fn without_marks(&self, _test_path: &RelPath, text: &str) -> Result<String, ComposeError> {
        without_marks(&Python, text)
    }

    fn mend(&self, file: &SourceFile, member: &Member, body: &str, said: &str) -> Option<String> {
        mend::mend(file, member, body, said)
    }

    fn keep_tests(&self, file: &SourceFile, body: &str, keep: &[String]) -> Option<String> {
        runner::keep_tests(body, keep, framework::is_unittest(&file.framework))
    }

    fn empty_tests(&self, file: &SourceFile, body: &str) -> Vec<String> {
        found_tests::empty_tests(&Python.parse(body), framework::is_unittest(&file.framework))
    }

    fn run_plan(&self, request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
        runner::plan(request)
    }

    fn read_run(&self, request: &RunRequest<'_>, transcript: &RunTranscript<'_>) -> RunReport {
        runner::read(request, transcript)
    }
}
