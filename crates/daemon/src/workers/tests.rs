use std::path::Path;

use testsmith_config::{Settings, Sources};
use testsmith_domain::{
    Analysis, Block, BlockState, BodyProblem, ComposeError, ComposeRequest, Composed, ContentHash,
    JobCause, JobState, Lane, Language, LanguageDriver, Member, Project, PromptContext, RelPath,
    SourceFile,
};
use testsmith_queue::{Intake, NewJob};
use testsmith_simulator::{Fault, Preset, Rule, Script, Simulator};

use super::*;
use crate::service::{ServiceOptions, root_name};
use crate::supervisor::{Ended, Supervisor};

/// A driver that has a bug: files named `bad` make it panic.
#[derive(Debug)]
struct Buggy(Arc<dyn LanguageDriver>);

impl LanguageDriver for Buggy {
    fn languages(&self) -> &'static [Language] {
        self.0.languages()
    }
    fn claims(&self, path: &RelPath) -> bool {
        self.0.claims(path)
    }
    fn owns(&self, path: &RelPath) -> bool {
        self.0.owns(path)
    }
    fn analyze(&self, project: &Project, path: &RelPath, source: &str) -> Analysis {
        assert!(path.stem() != "bad", "a bug in the driver");
        self.0.analyze(project, path, source)
    }
    fn instructions(&self, file: &SourceFile) -> String {
        self.0.instructions(file)
    }
    fn prompt_context(&self, project: &Project, file: &SourceFile, source: &str) -> PromptContext {
        self.0.prompt_context(project, file, source)
    }
    fn prepare_body(
        &self,
        file: &SourceFile,
        member: &Member,
        code: &str,
    ) -> Result<String, BodyProblem> {
        self.0.prepare_body(file, member, code)
    }
    fn scaffold(&self, file: &SourceFile, member: &Member) -> String {
        self.0.scaffold(file, member)
    }
    fn test_names(&self, file: &SourceFile, body: &str) -> Vec<String> {
        self.0.test_names(file, body)
    }
    fn blocks(&self, path: &RelPath, text: &str) -> Result<Vec<Block>, ComposeError> {
        self.0.blocks(path, text)
    }
    fn body_sum(&self, path: &RelPath, body: &str) -> ContentHash {
        self.0.body_sum(path, body)
    }
    fn compose(&self, request: &ComposeRequest<'_>) -> Result<Composed, ComposeError> {
        self.0.compose(request)
    }
    fn without_marks(&self, path: &RelPath, text: &str) -> Result<String, ComposeError> {
        self.0.without_marks(path, text)
    }
}

async fn offline(dir: &Path) -> Arc<Service> {
    let mut service = service(dir, &[("llm.provider", "offline")]).await;
    let inner = Arc::get_mut(&mut service).unwrap();
    let buggy = |driver| -> Arc<dyn LanguageDriver> { Arc::new(Buggy(driver)) };
    inner.drivers = std::mem::take(&mut inner.drivers)
        .into_iter()
        .map(buggy)
        .collect();
    service
}

/// A service with an empty Go project.
pub(crate) async fn service(dir: &Path, settings: &[(&str, &str)]) -> Arc<Service> {
    let flags = settings.iter();
    let flags = flags
        .map(|(key, value)| ("--set".into(), (*key).into(), (*value).into()))
        .collect();
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let root = dir.join("project");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("go.mod"), "module m\n").unwrap();
    let options = ServiceOptions {
        roots: vec![root.canonicalize().unwrap()],
        state_dir: dir.join("state"),
        cache_dir: dir.join("cache"),
        settings: Settings::load(&sources).unwrap().settings,
        restores: false,
        prefers: false,
    };
    Service::open(options).await.unwrap()
}

async fn enqueue(service: &Service, name: &str, text: &str) {
    let root = &service.projects[0].root;
    std::fs::write(root.join(name), text).unwrap();
    let job = NewJob {
        path: RelPath::new(name).unwrap(),
        content: Some(ContentHash::of(text.as_bytes())),
        lane: Lane::Interactive,
        cause: JobCause::Changed,
    };
    let intake = Intake {
        root: root_name(root),
        jobs: vec![job],
        ..Intake::default()
    };
    service.queue.commit(intake).await.unwrap();
}

#[tokio::test]
async fn a_job_that_panics_is_tried_once_more_then_parked_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let service = offline(dir.path()).await;
    enqueue(&service, "bad.go", "package m\n\nfunc Bad() {}\n").await;
    let stop = Stop::default();
    let mut tasks = Supervisor::new();
    tasks.spawn("worker", work(Arc::clone(&service), stop.clone()));
    service.queue.wait_idle().await;
    let jobs = service.queue.list();
    assert!(matches!(jobs[0].state, JobState::Parked { .. }), "{jobs:?}");
    assert_eq!(jobs[0].panics, 2);
    enqueue(
        &service,
        "good.go",
        "package m\n\nfunc Good() int { return 1 }\n",
    )
    .await;
    service.queue.wait_idle().await;
    assert!(
        service.projects[0]
            .root
            .join("good_testsmith_test.go")
            .exists()
    );
    stop.claiming.cancel();
    assert!(matches!(tasks.next().await, Some((_, Ended::Clean))));
    service.close().await.unwrap();
}

#[tokio::test]
async fn a_block_stays_the_user_s_across_runs() {
    let dir = tempfile::tempdir().unwrap();
    let service = offline(dir.path()).await;
    let source = "package m\n\nfunc Good() int { return 1 }\n";
    let stop = Stop::default();
    let mut tasks = Supervisor::new();
    tasks.spawn("worker", work(Arc::clone(&service), stop.clone()));
    enqueue(&service, "good.go", source).await;
    service.queue.wait_idle().await;
    let tests = service.projects[0].root.join("good_testsmith_test.go");
    let written = std::fs::read_to_string(&tests).unwrap();
    let driver = service
        .driver_for(&RelPath::new("good.go").unwrap())
        .unwrap();
    let path = RelPath::new("good_testsmith_test.go").unwrap();
    assert_eq!(
        driver.blocks(&path, &written).unwrap()[0].state,
        BlockState::Pristine
    );

    // The whole file is deleted by hand: it stays away for this content.
    std::fs::remove_file(&tests).unwrap();
    enqueue(&service, "good.go", &format!("{source}\n// again\n")).await;
    service.queue.wait_idle().await;
    assert!(!tests.exists());
    // New code, new key: a test is wanted again.
    enqueue(&service, "good.go", &source.replace("return 1", "return 2")).await;
    service.queue.wait_idle().await;
    assert!(tests.exists());
    stop.claiming.cancel();
    assert!(matches!(tasks.next().await, Some((_, Ended::Clean))));
    service.close().await.unwrap();
}

#[tokio::test]
async fn after_ten_minutes_one_refused_job_asks_and_the_others_follow() {
    let dir = tempfile::tempdir().unwrap();
    let wrong_key = Rule::from(Fault::preset(Preset::InvalidKey));
    let script = Script::default().rule(wrong_key.first(2));
    let simulator = Simulator::start(script).await.unwrap();
    let url = simulator.openai_base_url();
    let settings = [
        ("llm.provider", "openai"),
        ("llm.base_url", &*url),
        ("llm.model", "m"),
        ("verify.mode", "off"),
    ];
    let service = service(dir.path(), &settings).await;
    let stop = Stop::default();
    let mut tasks = Supervisor::new();
    tasks.spawn("worker", work(Arc::clone(&service), stop.clone()));
    let minding = mind_refusals(Arc::clone(&service), stop.claiming.clone());
    tasks.spawn("refusals", minding);
    for name in ["One", "Two"] {
        service.gauge().breaker().reset();
        let text = format!("package m\n\nfunc {name}() int {{ return 1 }}\n");
        enqueue(&service, &format!("{name}.go"), &text).await;
        service.queue.wait_idle().await;
    }
    assert_eq!(service.queue.counts().parked, 2);

    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(10)).await;
    tokio::time::resume();
    let root = &service.projects[0].root;
    let exists = |name: &str| root.join(format!("{name}_testsmith_test.go")).exists();
    let done = async {
        while !(exists("One") && exists("Two")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let patience = Duration::from_mins(1);
    tokio::time::timeout(patience, done).await.unwrap();
    assert_eq!(simulator.log().len(), 4);
    stop.claiming.cancel();
    while let Some((task, ended)) = tasks.next().await {
        assert!(matches!(ended, Ended::Clean), "{task}");
    }
    service.close().await.unwrap();
}
