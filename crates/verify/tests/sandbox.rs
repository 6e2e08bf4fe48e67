//! The walls of the sandbox, each tried by a candidate that wants through: as this user and, where this user is root, as
//! an ordinary one; with namespaces, and without.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed step fails the test; a skipped one says so"
)]

#[path = "sandbox/setup.rs"]
mod setup;

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use setup::{Case, Setup, cases, found, spec, wait_until};
use testsmith_verify::{RunOutput, SandboxError, SandboxMode, Staging};

/// Runs `script` in every case, and checks what holds for each of them.
fn in_every_case(script: &str, check: impl Fn(&Setup, &RunOutput)) {
    for case in cases() {
        let setup = Setup::new(case);
        let output = run_in(&setup, script);
        check(&setup, &output);
    }
}

fn in_one_case(case: Case, script: &str) -> RunOutput {
    run_in(&Setup::new(case), script)
}

/// Nothing outside changed, nothing runs on, and it does not take long.
fn run_in(setup: &Setup, script: &str) -> RunOutput {
    let before = setup.outside();
    let output = setup.run(script);
    let told = format!("{:?}: {}", setup.case, setup::told(&output));
    println!("{told}");
    assert_eq!(setup.outside(), before, "outside was changed");
    assert_eq!(setup.still_running(), [""; 0], "left running");
    assert!(output.elapsed < Duration::from_secs(10), "{told}");
    output
}

fn stdout(output: &RunOutput) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn did_not_pass(output: &RunOutput) -> bool {
    output.status != Some(0) || !output.blocked.is_empty()
}

#[test]
fn a_plain_command_runs_at_the_projects_own_path_with_the_candidate_in_place() {
    in_every_case(
        "pwd; cat src/candidate.txt; echo made > new.txt; cat new.txt; echo kept > \"$HOME/kept\"; exit 3",
        |setup, output| {
            assert_eq!(output.status, Some(3));
            let expected = format!("{}\nthe candidate\nmade\n", setup.project.display());
            assert_eq!(stdout(output), expected);
            assert_eq!(output.blocked, ["made `new.txt` in the project"]);
            assert_eq!(fs::read(setup.scratch.join("kept")).unwrap(), b"kept\n");
        },
    );
}

#[test]
fn a_build_cache_is_kept_between_runs() {
    in_every_case(
        "cat \"$CACHE/entry\" 2>/dev/null; echo cached > \"$CACHE/entry\"",
        |setup, output| {
            assert_eq!(output.status, Some(0));
            assert_eq!(stdout(output), "");
            assert_eq!(stdout(&setup.run("cat \"$CACHE/entry\"")), "cached\n");
        },
    );
}

#[test]
fn keys_in_the_environment_are_out_of_reach() {
    in_every_case(
        "env; cat /proc/1/environ /proc/*/environ /proc/self/environ 2>/dev/null | tr '\\0' '\\n'; true",
        |_, output| {
            assert!(stdout(output).contains("TERM=dumb"));
            assert!(
                !stdout(output).contains(setup::SECRET),
                "{}",
                stdout(output)
            );
        },
    );
}

#[test]
fn keys_in_the_home_directory_are_out_of_reach() {
    in_every_case(
        "cat \"$REAL_HOME/.ssh/id_ed25519\" \"$REAL_HOME/.config/token\" \"$REAL_HOME/.netrc\" \"$STATE/ledger\"",
        |_, output| {
            assert!(!stdout(output).contains(setup::SECRET));
            assert_eq!(output.stdout, b"");
        },
    );
}

#[test]
fn secrets_in_the_project_are_out_of_reach_and_their_files_empty() {
    in_every_case(
        "test -f .env && test -f deep/server.pem && test ! -s .env && cat deep/plain.txt; \
         there=\"$OUTSIDE/../home\"; \
         cat .env deep/server.pem deep/.aws/config deep/.env.local \"$there/elsewhere.txt\" \
           \"$there/project/.env\" \"$there/project/deep/server.pem\" \"$there/project/deep/.aws/config\" \
           /proc/self/cwd/.env; \
         ln .env hard; cat hard; mv .env moved; cat moved; mv deep other; cat other/server.pem other/.aws/config; \
         rm -rf .env deep; cat .env deep/server.pem; true",
        |_, output| {
            assert!(
                !stdout(output).contains(setup::SECRET),
                "{}",
                stdout(output)
            );
            assert!(stdout(output).starts_with("plain\n"), "{}", stdout(output));
        },
    );
}

#[test]
fn a_listener_of_the_host_is_out_of_reach() {
    let Some(python) = found("python3") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "exec {python} -c \"import socket; socket.create_connection(('127.0.0.1', {port}), 2)\""
    );
    in_every_case(&script, |_, output| {
        assert!(did_not_pass(output));
        let nobody = listener.accept().map(drop).unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    });
}

#[test]
fn an_address_elsewhere_has_no_route_and_the_attempt_is_told() {
    let Some(python) = found("python3") else {
        return;
    };
    // An address of the block for documentation: nobody answers there even without a sandbox.
    let script = format!(
        "exec {python} -c \"import socket; socket.create_connection(('192.0.2.1', 9), 2)\""
    );
    in_every_case(&script, |setup, output| {
        assert!(did_not_pass(output));
        if setup.case.namespaces() {
            assert_eq!(output.blocked, ["network outside the sandbox"]);
        }
    });
}

#[test]
fn a_server_of_the_tests_own_can_be_reached() {
    let Some(python) = found("python3") else {
        return;
    };
    let script = format!(
        "exec {python} -c \"import socket as s; l = s.create_server(('127.0.0.1', 0)); c = s.create_connection(l.getsockname(), 2); print('reached')\""
    );
    in_every_case(&script, |setup, output| {
        if setup.case.namespaces() {
            assert_eq!(stdout(output), "reached\n");
            assert!(output.blocked.is_empty());
        }
    });
}

#[test]
fn nothing_outside_the_scratch_folder_can_be_written() {
    in_every_case(
        "echo x > \"$OUTSIDE/file\"; echo x > \"$OUTSIDE/new\"; rm -rf \"$OUTSIDE\"; mkdir \"$REAL_HOME/new\"; \
         echo x >> \"$REAL_HOME/.bashrc\"; echo x > /etc/testsmith-was-here; mv \"$OUTSIDE\" \"$HOME/moved\"; \
         ! [ -e /etc/testsmith-was-here ]",
        |_, output| assert!(!output.stderr.is_empty()),
    );
    assert!(!std::path::Path::new("/etc/testsmith-was-here").exists());
}

#[test]
fn an_edit_of_the_source_under_test_stays_in_the_run_and_is_told() {
    in_every_case(
        "echo 'def f(): return 1' > src/source.py; exit 0",
        |_, output| {
            assert_eq!(output.blocked, ["changed `src/source.py` of the project"]);
        },
    );
    in_every_case("rm -rf src; true", |_, output| {
        assert!(did_not_pass(output));
    });
    in_every_case("rm -rf src; mkdir src; true", |_, output| {
        assert!(did_not_pass(output));
    });
    in_every_case(
        "cp src/source.py \"$HOME/s\"; echo x > src/source.py; cat \"$HOME/s\" > src/source.py",
        |_, output| assert_eq!(output.blocked, ["changed `src/source.py` of the project"]),
    );
    in_every_case("echo other > src/candidate.txt", |_, output| {
        assert_eq!(
            output.blocked,
            ["changed `src/candidate.txt` of the project"]
        );
    });
}

#[test]
fn a_file_left_in_the_project_and_a_hook_of_gits_are_told() {
    in_every_case(
        "mkdir -p .git/hooks .husky; echo x > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; \
         echo x > .husky/pre-push; echo x > gone; rm gone; ln -s /etc src/link",
        |_, output| {
            let mut told = output.blocked.clone();
            told.sort();
            let expected = [
                "made `.git/hooks/pre-commit` in the project",
                "made `.husky/pre-push` in the project",
                "made `src/link` in the project",
            ];
            assert_eq!(told, expected);
        },
    );
}

#[test]
fn an_edit_of_gits_settings_is_told_and_its_index_is_not() {
    // A copy has nothing of git's; and what is made here is this user's.
    let overlaid = |case: &Case| case.namespaces() && !case.ordinary_user;
    for case in cases().into_iter().filter(overlaid) {
        let setup = Setup::new(case);
        fs::create_dir(setup.project.join(".git")).unwrap();
        fs::write(setup.project.join(".git/config"), "[core]\n").unwrap();
        fs::write(setup.project.join(".git/index"), "old").unwrap();
        let output = run_in(&setup, "rm -f .git/index; echo x > .git/index.lock");
        assert!(output.blocked.is_empty(), "{:?}", output.blocked);
        let script = "cat .git/config > \"$HOME/c\"; rm -f .git/config; cp \"$HOME/c\" .git/config";
        let output = run_in(&setup, script);
        assert!(!output.blocked.is_empty(), "{}", setup::told(&output));
    }
}

#[test]
fn what_tools_keep_in_the_project_is_no_tampering() {
    in_every_case(
        "mkdir -p .pytest_cache src/__pycache__ node_modules/.vite; echo x > .pytest_cache/lastfailed; \
         echo x > src/__pycache__/a.pyc; echo x > node_modules/.vite/r.json; echo x > .coverage",
        |_, output| {
            assert_eq!(output.status, Some(0));
            assert!(output.blocked.is_empty(), "{:?}", output.blocked);
        },
    );
}

#[test]
fn forking_without_end_ends() {
    // Root without namespaces is exempt from the kernel's limit: a bomb would hurt the machine the test runs on.
    let cases = cases().into_iter();
    for case in cases.filter(|case| !case.is_root_without_namespaces()) {
        let output = in_one_case(case, "b() { b | b & }; b; sleep 600");
        assert!(did_not_pass(&output), "{}", setup::told(&output));
    }
}

#[test]
fn eating_memory_ends() {
    let Some(python) = found("python3") else {
        return;
    };
    let script = format!(
        "exec {python} -c \"import time\nkept = []\nwhile True: kept.append(b'x' * (4 << 20)); time.sleep(0.002)\""
    );
    in_every_case(&script, |_, output| {
        assert!(output.memory_exceeded);
        assert!(!output.timed_out);
    });
}

#[test]
fn files_in_memory_and_large_files_end() {
    in_every_case(
        "head -c 2000000000 /dev/zero > \"$HOME/large\"; head -c 2000000000 /dev/zero > large; exit 1",
        |setup, output| {
            assert_eq!(output.status, Some(1));
            let large = fs::metadata(setup.scratch.join("large")).unwrap().len();
            assert!(large <= setup::FILE_SIZE, "{large}");
        },
    );
}

#[test]
fn printing_without_end_ends() {
    in_every_case("yes", |_, output| {
        assert!(output.output_cut);
        assert!(!output.timed_out);
        assert_eq!(output.stdout.len(), usize::try_from(setup::OUTPUT).unwrap());
    });
}

#[test]
fn hanging_ends() {
    in_every_case(
        "trap '' TERM INT HUP; while :; do sleep 600; done",
        |_, output| {
            assert!(output.timed_out);
            assert_eq!(output.status, None);
        },
    );
}

#[test]
fn background_processes_end_with_the_run() {
    in_every_case(
        "setsid sh -c 'trap \"\" TERM HUP; sleep 600; sleep 600' & (setsid sleep 600 &); nohup sleep 600 & exit 0",
        |_, output| {
            assert_eq!(output.status, Some(0));
            assert!(!output.timed_out);
            assert_eq!(output.blocked, ["left a process behind"]);
        },
    );
}

#[test]
fn a_helper_that_ends_right_after_the_run_was_not_left_behind() {
    in_every_case("(setsid sleep 0.05 &); exit 0", |_, output| {
        assert_eq!(output.status, Some(0));
        assert!(output.blocked.is_empty(), "{:?}", output.blocked);
    });
}

#[test]
fn links_do_not_lead_out() {
    in_every_case(
        "ln -s \"$OUTSIDE\" \"$HOME/link\"; echo x > \"$HOME/link/file\"; echo x > out/file; \
         ln \"$OUTSIDE/file\" \"$HOME/hard\" && echo x > \"$HOME/hard\"; \
         cat /proc/1/root$REAL_HOME/.ssh/id_ed25519 /proc/self/root$REAL_HOME/.ssh/id_ed25519; exit 1",
        |_, output| {
            assert_eq!(output.status, Some(1));
            assert!(!stdout(output).contains(setup::SECRET));
        },
    );
}

#[test]
fn processes_of_the_host_cannot_be_signalled() {
    in_every_case("kill -9 $OUTER; kill -9 -1; echo here", |_, output| {
        // `-1` may end the candidate itself, but never the helper that waits for it.
        assert!(output.status == Some(0) || output.signal == Some(9));
    });
}

#[test]
fn privileges_cannot_be_gained_and_mounts_not_undone() {
    in_every_case(
        "grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr -d '\\t'; mount -t tmpfs none src; umount src; \
         umount \"$REAL_HOME/.ssh\"; mount -o remount,rw /; unshare -Urm true && echo nested; \
         echo x > /proc/sys/kernel/core_pattern; exit 0",
        |_, output| {
            assert_eq!(stdout(output), "CapEff:0000000000000000\nNoNewPrivs:1\n",);
        },
    );
}

#[test]
fn a_candidate_file_cannot_be_placed_through_a_link_out_of_the_project() {
    for case in cases() {
        let setup = Setup::new(case);
        let before = setup.outside();
        let mut spec = spec(&setup);
        spec.overlay = vec![(setup.project.join("out/evil.txt"), b"x".to_vec())];
        let refused = setup.refused(&spec, "true");
        assert!(refused.contains("below the project"), "{refused}");
        assert_eq!(setup.outside(), before);
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_its_own() {
    for case in cases() {
        let setup = Setup::new(case);
        let mut command = setup.command("true");
        command.program = "/none/such".into();
        let refused = setup.refused_command(&spec(&setup), &command);
        assert!(
            refused.contains("could not start `/none/such`"),
            "{refused}"
        );
    }
}

#[test]
fn a_required_wall_that_is_missing_is_named_with_its_remedy() {
    for case in cases() {
        let setup = Setup::new(case);
        let mut spec = spec(&setup);
        spec.mode = SandboxMode::Required;
        if case.namespaces() {
            let output = setup.run_with(&spec, &setup.command("true"));
            assert_eq!(output.status, Some(0), "{}", setup::told(&output));
        } else {
            let refused = setup.refused(&spec, "touch \"$HOME/ran\"");
            assert!(refused.contains("namespaces"), "{refused}");
            assert!(refused.contains("user.max_user_namespaces"), "{refused}");
            assert!(!setup.scratch.join("ran").exists());
        }
    }
}

#[test]
fn without_walls_the_tree_and_the_limits_hold() {
    for case in cases() {
        let setup = Setup::new(case);
        let before = setup.outside();
        let mut spec = spec(&setup);
        spec.mode = SandboxMode::Off;
        let script = "cat src/candidate.txt; echo x > new.txt; env; sleep 600 & exit 0";
        let output = setup.run_with(&spec, &setup.command(script));
        assert_eq!(output.status, Some(0), "{}", setup::told(&output));
        assert!(stdout(&output).starts_with("the candidate\n"));
        assert!(!stdout(&output).contains(setup::SECRET));
        assert_eq!(setup.outside(), before);
        assert!(setup.still_running().is_empty());
    }
}

#[test]
fn the_report_names_what_stands() {
    testsmith_verify::use_launcher(setup::launcher());
    let report = testsmith_verify::walls(SandboxMode::BestEffort);
    assert_eq!(
        report.missing,
        [],
        "on a system without one of them, this test fails"
    );
    assert_eq!(report.standing, ["namespaces", "Landlock", "seccomp"]);
    assert_eq!(report.staging, Staging::Overlay);
    assert!(report.is_enough());
}

#[tokio::test]
async fn dropping_a_run_ends_all_of_it() -> Result<(), SandboxError> {
    testsmith_verify::use_launcher(setup::launcher());
    let setup = Setup::new(Case::THIS_USER);
    let command = setup.command("setsid sleep 600 & : > \"$HOME/started\"; sleep 600");
    let spec = spec(&setup);
    let started = setup.scratch.join("started");
    let run = testsmith_verify::run(&spec, &command);
    tokio::select! {
        output = run => panic!("ended by itself: {output:?}"),
        () = wait_until(|| started.exists()) => {}
    }
    wait_until(|| setup.still_running().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn a_run_does_not_outlive_the_program_that_asked_for_it() {
    for case in cases() {
        let setup = Setup::new(case);
        let script = "setsid sleep 600 & : > \"$HOME/started\"; sleep 600";
        let mut helper = setup.start(&spec(&setup), &setup.command(script));
        let started = setup.scratch.join("started");
        wait_until(|| started.exists()).await;
        assert!(!setup.still_running().is_empty());
        helper.kill().unwrap();
        helper.wait().unwrap();
        wait_until(|| setup.still_running().is_empty()).await;
    }
}
