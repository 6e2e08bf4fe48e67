//! The seam to a programming language: all that is known of one.

use std::fmt;
use std::path::PathBuf;

use crate::{
    ContentHash, Framework, Language, Member, MemberName, RelPath, RunPlan, RunReport, RunRequest,
    RunTranscript, RunUnavailable,
};

/// A watched root, as drivers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Absolute, free of links.
    pub root: PathBuf,
    /// Frameworks the user set by configuration, in place of what would be found.
    pub frameworks: Vec<(Language, Framework)>,
}

impl Project {
    /// A project with nothing overridden.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            frameworks: Vec::new(),
        }
    }

    /// The framework the user set for `language`.
    pub fn framework_for(&self, language: Language) -> Option<&Framework> {
        self.frameworks
            .iter()
            .find(|(of, _)| *of == language)
            .map(|(_, framework)| framework)
    }
}

/// What a driver made of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Analysis {
    /// A source file, with its members (perhaps none).
    Source(SourceFile),
    /// Not a source file, and why.
    NotSource(NotSource),
}

/// Why a file of a known language is no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotSource {
    /// It says it is generated.
    Generated,
    /// It belongs to somebody else: `vendor/`, `node_modules/`, `site-packages/` …
    Vendored,
    /// It is minified.
    Minified,
    /// It is a test, or one of testsmith's own files.
    Test,
    /// It is a tool's configuration: run by the tool, and of no use to call.
    Configuration,
    /// It only declares types for others, or holds nothing that can run (`*.d.ts`).
    Declarations,
    /// Its language's tools pass over it: `//go:build ignore`, a folder named `_old`.
    Excluded,
}

impl fmt::Display for NotSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generated => "generated",
            Self::Vendored => "vendored",
            Self::Minified => "minified",
            Self::Test => "a test",
            Self::Configuration => "a tool's configuration",
            Self::Declarations => "only declarations",
            Self::Excluded => "left out by its language's tools",
        })
    }
}

/// One source file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: RelPath,
    /// Its language.
    pub language: Language,
    /// The framework its tests are written for.
    pub framework: Framework,
    /// How the language names it: Go's package name, Python's dotted module, the module specifier
    /// for TypeScript as the test file writes it.
    pub module: String,
    /// Where its tests go.
    pub test_path: RelPath,
    /// Its public members that can be read whole, in file order.
    pub members: Vec<Member>,
    /// Where it does not parse. If there is any problem, the members that it touches are not
    /// among `members`; a driver whose grammar is exact gives no members at all then.
    pub problems: Vec<SyntaxProblem>,
}

/// A place that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax error at line {line}, column {column}")]
pub struct SyntaxProblem {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

/// A piece of another file, for a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it comes from.
    pub path: RelPath,
    /// The text.
    pub text: String,
}

/// What the model is told beside the file itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromptContext {
    /// Signatures of the project's own code that the file imports.
    pub related: Vec<Excerpt>,
    /// One short test of the project's own, written by a person, as an example of style.
    pub style_example: Option<Excerpt>,
}

/// The first 8 hex digits of a [`crate::CacheKey`], as written in a block's mark.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct BlockKey(pub String);

impl fmt::Display for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a block is still as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockState {
    /// Its tokens are those that were written.
    Pristine,
    /// Somebody changed it: it is theirs.
    Edited,
}

/// A block found in a test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The member it tests.
    pub member: MemberName,
    /// The key it was written for.
    pub key: BlockKey,
    /// Whether it is still as it was written.
    pub state: BlockState,
    /// Whether it was run before it was written. False if its mark says `unverified`.
    pub verified: bool,
    /// The text between the marks.
    pub body: String,
}

/// One change to a test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockEdit {
    /// Write or replace the member's block. A block that is [`BlockState::Edited`] is left alone.
    Put {
        /// The member.
        member: MemberName,
        /// The key of the answer.
        key: BlockKey,
        /// The prepared body, as [`LanguageDriver::prepare_body`] gave it.
        body: String,
        /// Whether it was run. Where only this differs from the block that is there, only the
        /// block's mark is changed.
        verified: bool,
    },
    /// Remove the member's block, unless it was edited.
    Remove {
        /// The member.
        member: MemberName,
    },
    /// The user has taken the member's block out: imports go that only it used.
    Gone {
        /// The member.
        member: MemberName,
        /// The block's body, as it was written.
        body: String,
    },
}

impl BlockEdit {
    /// The member whose block it is.
    pub fn member(&self) -> &MemberName {
        let (Self::Put { member, .. } | Self::Remove { member } | Self::Gone { member, .. }) = self;
        member
    }
}

/// What [`LanguageDriver::compose`] works from.
#[derive(Debug, Clone, Copy)]
pub struct ComposeRequest<'a> {
    /// The project.
    pub project: &'a Project,
    /// The source file whose tests are written.
    pub file: &'a SourceFile,
    /// The test file as it is now; `None` if there is none.
    pub existing: Option<&'a str>,
    /// What to change. At most one edit for each member.
    pub edits: &'a [BlockEdit],
}

/// A composed test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The new text; `None` if nothing is left in it and the file should go.
    pub text: Option<String>,
    /// Edits that were not carried out, and why.
    pub rejected: Vec<(MemberName, Rejection)>,
}

/// Why one edit was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The block was edited by hand.
    #[error("the block was edited by hand")]
    Edited,
    /// A name it defines is defined by another test already.
    #[error("`{name}` is already defined in `{path}`")]
    DuplicateName {
        /// The name.
        name: String,
        /// The file that has it.
        path: RelPath,
    },
}

/// Why a test file could not be composed. Nothing is to be written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// The file does not parse as it is, so that its blocks cannot be told from the rest.
    #[error("the test file does not parse: {0}")]
    ExistingBroken(SyntaxProblem),
    /// The file's marks do not pair.
    #[error("the marks in the test file do not pair: line {line}")]
    BadMarks {
        /// Line of the first mark that does not fit, counted from 1.
        line: u32,
    },
    /// The file would not parse afterwards.
    #[error("the new test file would not parse: {0}")]
    ResultBroken(SyntaxProblem),
}

/// Why a model's code for one member cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyProblem {
    /// It does not parse.
    #[error("the code does not parse: {0}")]
    Syntax(SyntaxProblem),
    /// It holds no test that the framework would run.
    #[error("the code holds no test")]
    NoTest,
    /// It holds one of testsmith's own marks, or a character that is not seen.
    #[error("the code holds what no test may hold: {0}")]
    Forbidden(&'static str),
}

/// By these words in its body a scaffold is known, to be replaced once there is a model.
pub const SCAFFOLD_NOTE: &str = "waiting for a model";

/// All that is known of one language. Pure but for reading the project's files; may block.
pub trait LanguageDriver: Send + Sync + fmt::Debug {
    /// The languages it handles.
    fn languages(&self) -> &'static [Language];

    /// Whether `path` is a file of these languages, by name alone. True for tests as well.
    fn claims(&self, path: &RelPath) -> bool;

    /// Whether `path` has the name of one of testsmith's own test files.
    fn owns(&self, path: &RelPath) -> bool;

    /// Reads one file.
    fn analyze(&self, project: &Project, path: &RelPath, source: &str) -> Analysis;

    /// Rules for tests of this file, for the prompt: the same text for every file of the same
    /// language and framework, so that it can be part of the stable prefix.
    fn instructions(&self, file: &SourceFile) -> String;

    /// What the model should see beside the file itself.
    fn prompt_context(&self, project: &Project, file: &SourceFile, source: &str) -> PromptContext;

    /// Whether members of one file may be asked for in one call.
    fn supports_batch(&self) -> bool {
        true
    }

    /// Brings a model's code for one member into the form that is cached: line ends and fences
    /// cleaned, package lines and imports of the module under test dropped (they are added when
    /// the file is composed, so that a renamed file finds its answers again); checked to parse
    /// and to hold at least one test.
    fn prepare_body(
        &self,
        file: &SourceFile,
        member: &Member,
        code: &str,
    ) -> Result<String, BodyProblem>;

    /// A test that compiles, is marked as skipped and says that it is waiting for a model, in words
    /// that hold [`SCAFFOLD_NOTE`].
    fn scaffold(&self, file: &SourceFile, member: &Member) -> String;

    /// The names of the tests that `body` defines, as the framework's report names them.
    fn test_names(&self, file: &SourceFile, body: &str) -> Vec<String>;

    /// The blocks of a test file, in file order.
    fn blocks(&self, test_path: &RelPath, test_source: &str) -> Result<Vec<Block>, ComposeError>;

    /// The `sum` of a body: a digest of its tokens that no formatter changes.
    fn body_sum(&self, test_path: &RelPath, body: &str) -> ContentHash;

    /// The test file after `edits`: blocks in the members' order, imports merged, unused ones of
    /// ours dropped, every line outside the touched blocks and the import section as it was.
    fn compose(&self, request: &ComposeRequest<'_>) -> Result<Composed, ComposeError>;

    /// The test file without any of testsmith's marks, and without the line that says whose it is:
    /// its tests become the user's. Every other line stays byte for byte, but for the empty lines
    /// that stood before an end mark or behind the owner's line.
    fn without_marks(&self, test_path: &RelPath, text: &str) -> Result<String, ComposeError>;

    /// Repairs by rule, at no cost, what the compiler or runner said of `body`: a missing import, a
    /// name that is taken. `None` if no rule helps. What comes back has to pass
    /// [`LanguageDriver::prepare_body`] again.
    fn mend(&self, file: &SourceFile, member: &Member, body: &str, said: &str) -> Option<String> {
        let _ = (file, member, body, said);
        None
    }

    /// What of `body` is left if of its tests only those called `keep` stay: the others are cut
    /// out with their comments. `None` if no test is left, or one to be cut cannot be told apart.
    fn keep_tests(&self, file: &SourceFile, body: &str, keep: &[String]) -> Option<String> {
        let _ = (file, body, keep);
        None
    }

    /// Those of `body`'s tests that say nothing about any code, as far as their text alone shows: an empty
    /// function, one with remarks only, one that asserts that true is true. They would pass for ever.
    fn empty_tests(&self, file: &SourceFile, body: &str) -> Vec<String> {
        let _ = (file, body);
        Vec::new()
    }

    /// How tests of one file are run with the project's own toolchain.
    fn run_plan(&self, request: &RunRequest<'_>) -> Result<RunPlan, RunUnavailable> {
        let _ = request;
        Err(RunUnavailable("no test runner is known".to_owned()))
    }

    /// Reads what a run by [`LanguageDriver::run_plan`] left behind. Whatever the transcript
    /// holds was written beside the candidate's own code, so it is read with no trust in it.
    fn read_run(&self, request: &RunRequest<'_>, transcript: &RunTranscript<'_>) -> RunReport {
        let _ = (request, transcript);
        RunReport::default()
    }
}
