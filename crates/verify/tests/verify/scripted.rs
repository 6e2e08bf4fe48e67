//! What is run when, with runs that are made up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use testsmith_domain::BoxFuture;
use testsmith_domain::Verdict::{Blocked, DoesNotCompile, Fails, Passed, TimedOut, Unverified};
use testsmith_verify::{
    CommandSpec, Executor, MemoryVerdicts, Obstacle, RunOutput, SandboxError, SandboxSpec, Verifier,
};

use crate::node::found;
use crate::sample::{Sample, settings, verdicts};

/// Node's runner as it might be: each `it` of the file passes, but for what its title says.
#[derive(Debug, Default)]
pub(crate) struct MadeUp {
    /// The tests of each run.
    runs: Mutex<Vec<BTreeSet<String>>>,
    now: AtomicUsize,
    most: AtomicUsize,
    refuse: bool,
    /// The launcher dies in each run.
    dies: bool,
    /// What each run is told to have tried, whatever is in it.
    always_tries: Option<String>,
}

impl Executor for MadeUp {
    fn run<'a>(
        &'a self,
        spec: &'a SandboxSpec,
        _command: &'a CommandSpec,
    ) -> BoxFuture<'a, Result<RunOutput, SandboxError>> {
        Box::pin(async move {
            if self.refuse {
                return Err(SandboxError::Missing {
                    wall: "network".to_owned(),
                    reason: "no namespaces".to_owned(),
                    remedy: "allow them".to_owned(),
                });
            }
            if self.dies {
                return Err(SandboxError::Launcher {
                    reason: "it said nothing".to_owned(),
                });
            }
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(self.output(spec))
        })
    }
}

impl MadeUp {
    fn output(&self, spec: &SandboxSpec) -> RunOutput {
        let (path, text) = &spec.overlay[0];
        let text = String::from_utf8(text.clone()).unwrap();
        let titles: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("it('")?.split('\'').next())
            .collect();
        let run = titles.iter().map(|title| (*title).to_owned()).collect();
        self.runs.lock().unwrap().push(run);
        let any = |word: &str| titles.iter().any(|title| title.contains(word));
        let mut output = RunOutput {
            status: Some(0),
            ..RunOutput::default()
        };
        output.blocked.extend(self.always_tries.clone());
        if any("edits") {
            output
                .blocked
                .push("changed `m.js` of the project".to_owned());
        }
        let first = self.runs.lock().unwrap().len() == 1;
        if any("unplaced") || first && any("meanwhile") {
            output.status = Some(1);
            output.stderr = b"it does not load".to_vec();
            return output;
        }
        if any("spins") {
            output.status = None;
            output.timed_out = true;
            return output;
        }
        if any("eats") {
            output.status = None;
            output.memory_exceeded = true;
            return output;
        }
        let mut report = String::new();
        for title in titles {
            let member = title.split(' ').next().unwrap();
            let outcome = if title.contains("fails") {
                "failed"
            } else {
                "passed"
            };
            let event = format!(
                "{{\"event\":\"end\",\"titles\":[\"{member}\",\"{title}\"],\"file\":\"{}\",\"outcome\":\"{outcome}\",\"assertion\":true,\"text\":\"no\"}}\n",
                path.display()
            );
            report.push_str(&event);
        }
        std::fs::write(spec.scratch.join("report.jsonl"), report).unwrap();
        output
    }
}

pub(crate) fn sample() -> Sample {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let source: String = names
        .map(|name| format!("export function {name}() {{ return 1; }}\n"))
        .concat();
    Sample::new(&[
        ("package.json", "{\"type\":\"module\"}\n"),
        ("m.js", &source),
    ])
}

fn body(member: &str, what: &str) -> String {
    format!(
        "describe('{member}', () => {{\n  it('{member} {what}', () => {{ {member}(); }});\n}});\n"
    )
}

pub(crate) fn candidate(sample: &Sample, bodies: &[(&str, &str)]) -> testsmith_verify::Candidate {
    let bodies: Vec<(&str, String)> = bodies.iter().map(|(m, w)| (*m, body(m, w))).collect();
    let bodies: Vec<(&str, &str)> = bodies.iter().map(|(m, b)| (*m, b.as_str())).collect();
    sample.candidate("m.js", &bodies)
}

fn verifier(executor: &Arc<MadeUp>, jobs: usize) -> Verifier {
    let mut settings = settings(Duration::from_secs(1));
    settings.jobs = jobs;
    let executor: Arc<dyn Executor> = executor.clone();
    Verifier::with_executor(settings, Arc::new(MemoryVerdicts::default()), executor)
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_placed_is_halved() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let bodies = [
        ("a", "passes"),
        ("b", "passes"),
        ("c", "passes"),
        ("d", "passes"),
        ("e", "passes"),
        ("f", "unplaced"),
        ("g", "passes"),
        ("h", "passes"),
    ];
    let executor = Arc::new(MadeUp::default());
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &bodies))
        .await;
    let bad: Vec<_> = verdicts(&verification)
        .into_iter()
        .filter(|(_, verdict)| *verdict != Passed)
        .collect();
    assert_eq!(bad, [("f", DoesNotCompile)]);
    // All, without any, two of each of the three halvings, the one once more, and what is left as it
    // would be written.
    assert_eq!(verification.runs, 10);
    let last = executor.runs.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last.len(), 7);
}

/// Another file did not build, and was mended before the run that would have told.
#[tokio::test(start_paused = true)]
async fn what_somebody_has_mended_meanwhile_is_blamed_on_nobody() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let executor = Arc::new(MadeUp::default());
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &[("a", "passes meanwhile")]))
        .await;
    assert_eq!(verdicts(&verification), [("a", Passed)]);
}

#[tokio::test(start_paused = true)]
async fn who_edits_the_code_and_passes_is_found_by_halves() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let bodies = [
        ("a", "passes"),
        ("b", "passes"),
        ("c", "edits"),
        ("d", "fails"),
    ];
    let executor = Arc::new(MadeUp::default());
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &bodies))
        .await;
    assert_eq!(
        verdicts(&verification),
        [("a", Passed), ("b", Passed), ("c", Blocked), ("d", Fails)]
    );
    let edits = &verification.members[2];
    assert!(edits.holds.is_none() && !edits.is_finding);
    assert!(edits.output.contains("changed `m.js`"), "{}", edits.output);
    assert!(verification.members[3].is_finding);
}

#[tokio::test(start_paused = true)]
async fn what_the_tests_around_try_as_well_is_not_held_against_a_body() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let executor = Arc::new(MadeUp {
        always_tries: Some("network outside the sandbox".to_owned()),
        ..MadeUp::default()
    });
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &[("a", "passes"), ("b", "edits")]))
        .await;
    assert_eq!(verdicts(&verification), [("a", Passed), ("b", Blocked)]);
}

#[tokio::test(start_paused = true)]
async fn who_ends_a_run_without_a_word_is_found_alone() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let bodies = [
        ("a", "passes"),
        ("b", "spins"),
        ("c", "eats"),
        ("d", "fails"),
    ];
    let executor = Arc::new(MadeUp::default());
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &bodies))
        .await;
    assert_eq!(
        verdicts(&verification),
        [("a", Passed), ("b", TimedOut), ("c", Blocked), ("d", Fails)]
    );
    assert!(verification.members[3].is_finding);
    assert_eq!(verification.accepted.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_candidates_run_at_once_than_allowed() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let executor = Arc::new(MadeUp::default());
    let verifier = verifier(&executor, 2);
    let candidates = ["a", "b", "c", "d", "e"].map(|name| candidate(&sample, &[(name, "passes")]));
    let all = candidates.map(|candidate| verifier.verify(candidate));
    for verification in join_all(all).await {
        assert_eq!(verification.members[0].verdict, Passed);
    }
    assert_eq!(executor.most.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_sandbox_that_is_required_nothing_is_said() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let executor = Arc::new(MadeUp {
        refuse: true,
        ..MadeUp::default()
    });
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &[("a", "passes")]))
        .await;
    assert_eq!(verdicts(&verification), [("a", Unverified)]);
    assert!(verification.members[0].output.contains("no namespaces"));
    assert!(verification.text.is_none() && verification.accepted.is_empty());
}

/// It is no word about the toolchain: the body must not be written as one that had none.
#[tokio::test(start_paused = true)]
async fn trouble_with_the_sandbox_is_no_missing_toolchain() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let executor = Arc::new(MadeUp {
        dies: true,
        ..MadeUp::default()
    });
    let verification = verifier(&executor, 1)
        .verify(candidate(&sample, &[("a", "passes")]))
        .await;
    assert_eq!(verdicts(&verification), [("a", Unverified)]);
    assert!(matches!(verification.obstacle, Some(Obstacle::Run(_))));

    // Nowhere to put what a run needs: the scratch folder's place is taken by a file.
    let mut settings = settings(Duration::from_secs(1));
    settings.scratch_dir = sample.root().join("m.js");
    let verifier = Verifier::new(settings, Arc::new(MemoryVerdicts::default()));
    let verification = verifier
        .verify(candidate(&sample, &[("a", "passes")]))
        .await;
    assert_eq!(verdicts(&verification), [("a", Unverified)]);
    assert!(matches!(verification.obstacle, Some(Obstacle::Run(_))));
}

#[tokio::test(start_paused = true)]
async fn more_runs_are_made_when_more_are_asked_for() {
    if !found("node") {
        return;
    }
    let sample = sample();
    let executor = Arc::new(MadeUp::default());
    let mut settings = settings(Duration::from_secs(1));
    settings.runs = 4;
    let made_up: Arc<dyn Executor> = executor.clone();
    let verifier = Verifier::with_executor(settings, Arc::new(MemoryVerdicts::default()), made_up);
    let verification = verifier
        .verify(candidate(&sample, &[("a", "passes")]))
        .await;
    assert_eq!(verdicts(&verification), [("a", Passed)]);
    assert_eq!(verification.runs, 4);
}
