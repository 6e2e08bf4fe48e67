//! A language of one line: shared with the benchmarks.

use std::sync::Arc;

use testsmith_domain::{
    Analysis, Block, BodyProblem, ComposeError, ComposeRequest, Composed, ContentHash, Framework,
    Language, LanguageDriver, Member, MemberImport, MemberKind, MemberName, NotSource, Project,
    PromptContext, RelPath, SourceFile, SyntaxProblem,
};
use testsmith_generate::FileRequest;

/// Code is usable if it begins with `func Test` and ends with `}`.
#[derive(Debug, Default)]
pub(crate) struct FakeDriver {
    pub(crate) no_batch: bool,
    pub(crate) context: PromptContext,
}

impl LanguageDriver for FakeDriver {
    fn languages(&self) -> &'static [Language] {
        &[Language::Go]
    }

    fn claims(&self, path: &RelPath) -> bool {
        path.extension() == "go"
    }

    fn owns(&self, path: &RelPath) -> bool {
        path.as_str().ends_with("_testsmith_test.go")
    }

    fn analyze(&self, _: &Project, _: &RelPath, _: &str) -> Analysis {
        Analysis::NotSource(NotSource::Declarations)
    }

    fn instructions(&self, _: &SourceFile) -> String {
        "Write Go.".to_owned()
    }

    fn prompt_context(&self, _: &Project, _: &SourceFile, _: &str) -> PromptContext {
        self.context.clone()
    }

    fn supports_batch(&self) -> bool {
        !self.no_batch
    }

    fn prepare_body(&self, _: &SourceFile, _: &Member, code: &str) -> Result<String, BodyProblem> {
        let code = code.trim();
        if !code.starts_with("func Test") {
            return Err(BodyProblem::NoTest);
        }
        if !code.ends_with('}') {
            return Err(BodyProblem::Syntax(SyntaxProblem { line: 1, column: 1 }));
        }
        Ok(code.to_owned())
    }

    fn scaffold(&self, _: &SourceFile, member: &Member) -> String {
        format!("func Test{}(t *testing.T) {{ t.Skip() }}", member.name)
    }

    fn test_names(&self, _: &SourceFile, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn blocks(&self, _: &RelPath, _: &str) -> Result<Vec<Block>, ComposeError> {
        Ok(Vec::new())
    }

    fn body_sum(&self, _: &RelPath, body: &str) -> ContentHash {
        ContentHash::of(body.as_bytes())
    }

    fn without_marks(&self, _: &RelPath, text: &str) -> Result<String, ComposeError> {
        Ok(text.to_owned())
    }

    fn compose(&self, _: &ComposeRequest<'_>) -> Result<Composed, ComposeError> {
        Ok(Composed {
            text: None,
            rejected: Vec::new(),
        })
    }
}

pub(crate) fn member(name: &str) -> Member {
    let text = format!("func {name}() int {{ return helper() }}");
    Member {
        name: MemberName::from(name),
        kind: MemberKind::Function,
        signature: format!("func {name}() int"),
        doc: None,
        receiver: None,
        is_async: false,
        digest: ContentHash::of(text.as_bytes()),
        text,
        uses: vec!["func helper() int { return 1 }".to_owned()],
        lines: (1, 1),
        import: MemberImport::SamePackage,
    }
}

pub(crate) fn file_request(names: &[&str], driver: FakeDriver) -> FileRequest {
    let members: Vec<Member> = names.iter().map(|name| member(name)).collect();
    let source: String = members.iter().map(|m| m.text.clone() + "\n").collect();
    FileRequest {
        project: Project::at("/project"),
        file: Arc::new(SourceFile {
            path: RelPath::new("shop/cart.go").unwrap(),
            language: Language::Go,
            framework: Framework("go-testing".to_owned()),
            module: "cart".to_owned(),
            test_path: RelPath::new("shop/cart_testsmith_test.go").unwrap(),
            members,
            problems: Vec::new(),
        }),
        source: source.into(),
        driver: Arc::new(driver),
        blocks: Vec::new(),
        ledger: None,
        guidance: None,
    }
}
