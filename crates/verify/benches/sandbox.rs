//! What the sandbox costs: one run of `true` between all walls, with a candidate of ordinary size, over a plain start.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should stop"
)]

use std::path::PathBuf;
use std::time::Duration;

use testsmith_verify::{CommandSpec, Limits, SandboxMode, SandboxSpec};

fn main() {
    testsmith_verify::use_launcher(PathBuf::from(env!("CARGO_BIN_EXE_testsmith-sandbox")));
    divan::main();
}

#[divan::bench(sample_count = 50, sample_size = 1)]
fn plain_start(bencher: divan::Bencher<'_, '_>) {
    bencher.bench_local(|| std::process::Command::new("true").status());
}

#[divan::bench(sample_count = 50, sample_size = 1)]
fn between_all_walls(bencher: divan::Bencher<'_, '_>) {
    in_mode(bencher, SandboxMode::BestEffort);
}

#[divan::bench(sample_count = 50, sample_size = 1)]
fn without_walls(bencher: divan::Bencher<'_, '_>) {
    in_mode(bencher, SandboxMode::Off);
}

fn in_mode(bencher: divan::Bencher<'_, '_>, mode: SandboxMode) {
    let project = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let spec = SandboxSpec {
        mode,
        root: project.path().to_owned(),
        scratch: scratch.path().to_owned(),
        writable: Vec::new(),
        overlay: vec![(
            project.path().join("candidate_test.go"),
            vec![b'x'; 8 << 10],
        )],
        hidden: Vec::new(),
        limits: Limits {
            wall: Duration::from_secs(10),
            ..Limits::default()
        },
    };
    let command = CommandSpec {
        program: PathBuf::from("true"),
        args: Vec::new(),
        cwd: project.path().to_owned(),
        env: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    bencher.bench_local(|| {
        let output = runtime.block_on(testsmith_verify::run(&spec, &command));
        assert_eq!(output.unwrap().status, Some(0));
    });
}
