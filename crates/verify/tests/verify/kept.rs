//! When a verdict from before counts, and where build caches are.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::{Language, RunRequest, RunScope};
use testsmith_verify::{Executor, MemoryVerdicts, SandboxMode, Verifier, VerifySettings};

use crate::node::found;
use crate::sample::{Sample, settings};
use crate::scripted::{MadeUp, candidate, sample};

/// Runs for the same body, with verdicts that are kept.
struct Kept(Arc<MemoryVerdicts>);

impl Kept {
    async fn runs(&self, sample: &Sample, settings: VerifySettings) -> u32 {
        let executor: Arc<dyn Executor> = Arc::new(MadeUp::default());
        let verdicts = Arc::<MemoryVerdicts>::clone(&self.0);
        let verifier = Verifier::with_executor(settings, verdicts, executor);
        let verification = verifier.verify(candidate(sample, &[("a", "passes")])).await;
        verification.runs
    }

    async fn is_known(&self, sample: &Sample) -> bool {
        self.runs(sample, short()).await == 0
    }
}

fn short() -> VerifySettings {
    settings(Duration::from_secs(1))
}

#[tokio::test(start_paused = true)]
async fn a_verdict_holds_until_a_manifest_or_what_is_installed_changes() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let kept = Kept(Arc::default());
    assert!(!kept.is_known(&sample).await);
    assert!(kept.is_known(&sample).await);
    let manifest = sample.root().join("package.json");
    let before = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{\"type\":\"module\",\"dependencies\":{}}\n").unwrap();
    assert!(!kept.is_known(&sample).await);
    // Back, as by a switch of branches: with another time, and the same text.
    fs::write(&manifest, before).unwrap();
    assert!(kept.is_known(&sample).await);
    // As npm does when a package is installed that the manifest had all along.
    let packages = sample.root().join("node_modules");
    fs::create_dir(&packages).unwrap();
    fs::write(packages.join(".package-lock.json"), "{}").unwrap();
    assert!(!kept.is_known(&sample).await);
    assert!(kept.is_known(&sample).await);
    fs::write(packages.join(".package-lock.json"), "{\"packages\":{}}").unwrap();
    assert!(!kept.is_known(&sample).await);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_one_project_s_and_one_set_of_settings() {
    if !found("node") {
        return;
    }
    let (one, other) = (sample(), sample());
    let kept = Kept(Arc::default());
    assert!(!kept.is_known(&one).await);
    assert!(!kept.is_known(&other).await);
    let changes: [fn(&mut VerifySettings); 6] = [
        |settings| settings.runs = 3,
        |settings| settings.limits.wall = Duration::from_secs(2),
        |settings| settings.limits.memory += 1,
        |settings| settings.sandbox = SandboxMode::Required,
        |settings| settings.env = vec![("A".into(), "b".into())],
        |settings| settings.commands = vec![(Language::JavaScript, vec!["node".to_owned()])],
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut settings = short();
        change(&mut settings);
        assert_ne!(
            kept.runs(&one, settings.clone()).await,
            0,
            "change {number}"
        );
        assert_eq!(kept.runs(&one, settings).await, 0, "change {number}");
    }
    let mut settings = short();
    settings.jobs = 7;
    assert_eq!(kept.runs(&one, settings).await, 0);
}

/// The files that decide beside source and test, by their paths below the root.
fn settled_by(sample: &Sample, source: &str, member: &str, body: &str) -> Vec<String> {
    let candidate = sample.candidate(source, &[(member, body)]);
    let settings = short();
    let plan = candidate.driver.run_plan(&RunRequest {
        project: &candidate.project,
        file: &candidate.file,
        tests: &[],
        scope: RunScope::Tests,
        command: None,
        search_path: &settings.search_path,
        scratch: &settings.scratch_dir,
        cache: &settings.cache_dir,
        time_limit: Duration::from_secs(1),
    });
    let root = sample.root();
    let files = plan.unwrap().settled_by.into_iter();
    files
        .map(|file| file.strip_prefix(&root).unwrap().display().to_string())
        .collect()
}

#[test]
fn manifests_and_settings_of_runners_decide() {
    if go_is_found() {
        let sample = Sample::new(&[
            ("go.mod", "module m\n\ngo 1.21\n"),
            ("go.sum", ""),
            ("in/m.go", "package in\n\nfunc A() int { return 1 }\n"),
        ]);
        let body = "func TestA(t *testing.T) {\n\tA()\n}\n";
        let found = settled_by(&sample, "in/m.go", "A", body);
        assert_eq!(found, ["go.mod", "go.sum", "vendor/modules.txt"]);
    }
    if found("python3") {
        let sample = Sample::new(&[
            ("pyproject.toml", "[tool.pytest.ini_options]\n"),
            ("requirements-dev.txt", ""),
            ("tests/conftest.py", ""),
            ("notes.txt", ""),
            ("m.py", "def a():\n    return 1\n"),
        ]);
        let body = "def test_a():\n    assert a() == 1\n";
        let found = settled_by(&sample, "m.py", "a", body);
        let expected = [
            "pyproject.toml",
            "requirements-dev.txt",
            "tests/conftest.py",
        ];
        assert_eq!(found, expected);
    }
}

#[test]
fn two_projects_share_no_build_cache() {
    let settings = short();
    let (one, other) = (sample().root(), sample().root());
    assert_ne!(settings.cache_of(&one), settings.cache_of(&other));
    assert_eq!(settings.cache_of(&one), settings.cache_of(&one));
    assert!(settings.cache_of(&one).starts_with(&settings.cache_dir));
}

/// It knows no `--version`.
fn go_is_found() -> bool {
    let ran = std::process::Command::new("go").arg("version").output();
    ran.is_ok_and(|ran| ran.status.success())
}
