//! Every fault that the simulator can play, for each language, batched and fanned out, rare and
//! frequent: each job ends as done, waiting or parked with a true reason, within its attempts.
//!
//! The daemon's own code runs in this process, against simulators on loopback. `cargo test --test
//! faults -- --nocapture` prints the table that `docs/providers.md` keeps.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has to fail"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use testsmith_config::{Settings, Sources};
use testsmith_daemon::{JobReport, Mode, Outcome, Progress, Selection, ServiceOptions};
use testsmith_simulator::{
    BadBody, Cut, Fault, Preset, RequestRecord, ResetPoint, RetryAfter, Rule, Script, Simulator,
    UsageFault,
};
use tokio::task::JoinSet;

const SEED: u64 = 20_261_128;
const RATES: [f64; 3] = [0.05, 0.3, 0.7];
/// Files of each language.
const FILES: usize = 2;
/// Members of each file.
const MEMBERS: usize = 2;
const LANGUAGES: [&str; 3] = ["go", "py", "ts"];
const PERMITS: usize = 5;
const ATTEMPTS: u32 = 3;
/// Runs at once: more would only queue for the cores.
const AT_ONCE: usize = 3;

/// A fault, and words of which the reason of a job must have one if the fault kept it from its end.
/// None: no job may fail.
struct Case {
    name: &'static str,
    fault: Fault,
    says: &'static [&'static str],
}

fn case(name: &'static str, fault: Fault, says: &'static [&'static str]) -> Case {
    Case { name, fault, says }
}

/// All faults. A new one does not compile until it is in `kind`, and fails until it is in the list.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let cut = &["broke", "no whole JSON", "no JSON"];
    // An answer without a member is empty where it was asked for alone, in plain text.
    let unreadable = &["no usable test for", "the answer is empty"];
    let mut cases = vec![
        case("429", Fault::preset(Preset::RateLimit), &["429"]),
        case(
            "429, wait 3 ms",
            Fault::preset(Preset::RateLimit).retry_after(RetryAfter::Ms(3)),
            &["429"],
        ),
        case(
            "429, wait 2 min",
            Fault::preset(Preset::RateLimit).retry_after(RetryAfter::Seconds(120.0)),
            &["429", "left alone"],
        ),
        case(
            "429, no money",
            Fault::preset(Preset::InsufficientQuota),
            &["429"],
        ),
        case("529", Fault::preset(Preset::Overloaded), &["529"]),
        case("401", Fault::preset(Preset::InvalidKey), &["401"]),
        case(
            "400, filter",
            Fault::preset(Preset::ContentFilter),
            &["400"],
        ),
        case(
            "400, too long",
            Fault::preset(Preset::ContextLengthExceeded),
            &["400"],
        ),
        case(
            "400, no response_format",
            Fault::preset(Preset::ResponseFormatRejected),
            &["400"],
        ),
        case(
            "400, no max_tokens",
            Fault::preset(Preset::MaxTokensRejected),
            &["400"],
        ),
        case(
            "400, no temperature",
            Fault::preset(Preset::TemperatureRejected),
            &["400"],
        ),
        case("502, a page", Fault::preset(Preset::Html), &["502"]),
        case("500, nothing", Fault::preset(Preset::Empty), &["500"]),
        case(
            "500, text",
            Fault::preset(Preset::Text("out of order".to_owned())),
            &["500"],
        ),
        case("500", Fault::status(500), &["500"]),
        case("503", Fault::status(503), &["503"]),
        case("408", Fault::status(408), &["408"]),
        case("404", Fault::status(404), &["404"]),
        case("422", Fault::status(422), &["422"]),
        case("hang", Fault::Hang, &["no reply within"]),
        case(
            "reset before headers",
            Fault::Reset {
                at: ResetPoint::BeforeHeaders,
            },
            &["broke", "connect"],
        ),
        case(
            "reset after headers",
            Fault::Reset {
                at: ResetPoint::AfterHeaders,
            },
            &["broke"],
        ),
        case("cut after 20 bytes", Fault::Cut { at: Cut::Bytes(20) }, cut),
        case(
            "cut in the middle",
            Fault::Cut {
                at: Cut::Fraction(0.5),
            },
            cut,
        ),
        case("error at 200", Fault::ErrorAt200, &["200", "500", "error"]),
        case(
            "error in the stream",
            Fault::StreamError,
            &["200", "500", "error"],
        ),
        case("no choices", Fault::NoChoices, &["no answer"]),
        case("garbage", Fault::Garbage, &["no JSON", "no whole JSON"]),
        case("content filter", Fault::ContentFilter, &["filter"]),
        case("refusal", Fault::Refusal, &["refuses"]),
        case("all tokens thought", Fault::BudgetSpent, &["tokens"]),
        case("empty content", Fault::EmptyContent, &["empty"]),
        case("white space", Fault::WhitespaceContent, &["empty"]),
        case("null content", Fault::NullContent, &["empty"]),
        case("malformed JSON", Fault::MalformedJson, unreadable),
        case("fenced", Fault::Fenced, &[]),
        case("prose", Fault::Prose, &[]),
        case("thoughts first", Fault::Think, &[]),
        case("delimiter form", Fault::Delimiter, &[]),
        case(
            "truncated at half",
            Fault::Truncated { fraction: 0.5 },
            unreadable,
        ),
        case("a member missing", Fault::Missing { count: 1 }, unreadable),
        case("a member renamed", Fault::Renamed { count: 1 }, unreadable),
        case("a member twice", Fault::Duplicate { count: 1 }, unreadable),
        case("a member too many", Fault::Extra { count: 1 }, &[]),
        case("raw newlines", Fault::RawNewlines, unreadable),
        case("bare quotes", Fault::UnescapedQuotes, unreadable),
        case("trailing commas", Fault::TrailingComma, &[]),
        case("two objects", Fault::TwoObjects, unreadable),
        case("other keys", Fault::Aliases, unreadable),
        case("rubbish", Fault::Rubbish, unreadable),
        case("code: syntax", Fault::body(BadBody::Syntax), unreadable),
        case("code: no test", Fault::body(BadBody::NoTest), unreadable),
    ];
    for (name, usage) in [
        ("no usage", UsageFault::Missing),
        ("usage null", UsageFault::Null),
        ("usage huge", UsageFault::Huge),
        ("usage zero", UsageFault::Zero),
    ] {
        cases.push(case(name, Fault::Usage { usage }, &[]));
    }
    cases
}

/// The fault's kind. Exhaustive, so that a new one is not forgotten here.
fn kind(fault: &Fault) -> usize {
    match fault {
        Fault::Status { .. } => 0,
        Fault::Hang => 1,
        Fault::Reset { .. } => 2,
        Fault::Cut { .. } => 3,
        Fault::ErrorAt200 => 4,
        Fault::StreamError => 5,
        Fault::NoChoices => 6,
        Fault::Garbage => 7,
        Fault::Usage { .. } => 8,
        Fault::ContentFilter => 9,
        Fault::Refusal => 10,
        Fault::BudgetSpent => 11,
        Fault::EmptyContent => 12,
        Fault::WhitespaceContent => 13,
        Fault::NullContent => 14,
        Fault::MalformedJson => 15,
        Fault::Fenced => 16,
        Fault::Prose => 17,
        Fault::Think => 18,
        Fault::Delimiter => 19,
        Fault::Truncated { .. } => 20,
        Fault::Missing { .. } => 21,
        Fault::Renamed { .. } => 22,
        Fault::Duplicate { .. } => 23,
        Fault::Extra { .. } => 24,
        Fault::RawNewlines => 25,
        Fault::UnescapedQuotes => 26,
        Fault::TrailingComma => 27,
        Fault::TwoObjects => 28,
        Fault::Aliases => 29,
        Fault::Rubbish => 30,
        // What becomes of code that does not hold when it is run is looked at where it is run.
        Fault::Body { .. } => 31,
    }
}

const KINDS: usize = 32;

/// One run: all files of all languages under one fault.
#[derive(Debug, Clone)]
struct Run {
    number: usize,
    case: usize,
    rate: f64,
    batch: bool,
}

/// How many jobs of one language ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    done: usize,
    waiting: usize,
    parked: usize,
}

fn source(language: &str, file: usize) -> (String, String) {
    let member = |number: usize| {
        let name = format!("f{file}m{number}");
        let value = file * 10 + number;
        match language {
            "go" => {
                format!("// F{name} adds.\nfunc F{name}(a int) int {{\n\treturn a + {value}\n}}\n")
            }
            "py" => format!("def {name}(a: int) -> int:\n    return a + {value}\n"),
            _ => {
                format!("export function {name}(a: number): number {{\n  return a + {value};\n}}\n")
            }
        }
    };
    let head = if language == "go" {
        "package shop\n\n"
    } else {
        ""
    };
    let members: Vec<String> = (0..MEMBERS).map(member).collect();
    let text = format!("{head}{}", members.join("\n\n"));
    (format!("part{file}.{language}"), text)
}

fn write_project(root: &Path) {
    std::fs::create_dir_all(root).unwrap();
    std::fs::write(root.join("go.mod"), "module example.com/shop\n\ngo 1.19\n").unwrap();
    let package = r#"{"name": "shop", "type": "module", "devDependencies": {"vitest": "1"}}"#;
    std::fs::write(root.join("package.json"), package).unwrap();
    for language in LANGUAGES {
        for file in 0..FILES {
            let (name, text) = source(language, file);
            std::fs::write(root.join(name), text).unwrap();
        }
    }
}

fn settings(run: &Run, url: &str, hangs: bool) -> Settings {
    let model = format!("m{}", run.number);
    let batch = run.batch.to_string();
    let attempt = if hangs { "400ms" } else { "60s" };
    let flags = [
        ("llm.provider", "openai"),
        ("llm.base_url", url),
        // What is learned of a server is remembered by address and model, and addresses come again.
        ("llm.model", &model),
        ("llm.retry.base_delay", "1ms"),
        ("llm.timeouts.attempt", attempt),
        ("llm.max_concurrent_calls", "5"),
        ("batch.enabled", &batch),
        ("verify.mode", "off"),
    ];
    let flags = flags.map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned()));
    let sources = Sources {
        flags: flags.into(),
        ..Sources::default()
    };
    Settings::load(&sources).unwrap().settings
}

/// Memory, where there is some to write to: this is about calls, not about disks.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

async fn play(case: &Case, run: &Run) -> (Vec<JobReport>, Vec<RequestRecord>) {
    let rule = Rule::from(case.fault.clone()).probability(run.rate);
    let script = Script::default().seed(SEED + run.number as u64).rule(rule);
    let simulator = Simulator::start(script).await.unwrap();
    let dir = scratch();
    let root = dir.path().join("project");
    write_project(&root);
    let options = ServiceOptions {
        roots: vec![root.canonicalize().unwrap()],
        state_dir: dir.path().join("state"),
        cache_dir: dir.path().join("cache"),
        settings: settings(run, &simulator.openai_base_url(), case.fault == Fault::Hang),
        restores: true,
        prefers: false,
    };
    let mut reports = Vec::new();
    let observe = |progress| {
        if let Progress::Ended(report) = progress {
            reports.push(*report);
        }
    };
    testsmith_daemon::generate(options, Selection::All, Mode::Write, observe)
        .await
        .unwrap();
    assert!(simulator.max_open() <= PERMITS || case.fault == Fault::Hang);
    (reports, simulator.shutdown().await)
}

/// Holds the run against what is promised, and counts its ends by language.
fn check(
    case: &Case,
    run: &Run,
    reports: &[JobReport],
    log: &[RequestRecord],
) -> BTreeMap<String, Ends> {
    let context = format!("{}, {run:?}", case.name);
    assert_eq!(reports.len(), LANGUAGES.len() * FILES, "{context}");
    let mut ends: BTreeMap<String, Ends> = BTreeMap::new();
    for report in reports {
        let context = format!("{context}, {}: {:?}", report.path, report.outcome);
        let (_, language) = report.path.as_str().rsplit_once('.').unwrap();
        let ends = ends.entry(language.to_owned()).or_default();
        match &report.outcome {
            Outcome::Written { .. } => ends.done += 1,
            Outcome::Waiting { .. } => ends.waiting += 1,
            Outcome::Parked { .. } => ends.parked += 1,
            _ => panic!("{context}"),
        }
        if let Some(reason) = report.outcome.reason() {
            assert!(!case.says.is_empty(), "{context}");
            let is_true = case.says.iter().any(|words| reason.contains(words));
            assert!(is_true, "{context}");
        }
        check_attempts(case, report, log, &context);
    }
    ends
}

/// The witness's count is ours, and within what is allowed.
fn check_attempts(case: &Case, report: &JobReport, log: &[RequestRecord], context: &str) {
    let of_file = |record: &&RequestRecord| record.path.as_deref() == Some(report.path.as_str());
    let seen = log.iter().filter(of_file).count();
    let effort = &report.effort;
    let sent = effort.attempts as usize;
    // On a busy machine a short time limit can end before the simulator has read the request.
    let is_witnessed = seen == sent || case.fault == Fault::Hang && seen < sent;
    assert!(is_witnessed, "{seen} of {sent} seen: {context}");
    let most_calls = u32::try_from(2 * MEMBERS + 4).unwrap();
    assert!(effort.calls <= most_calls * 2, "{context}");
    // Beside the attempts, each of a server's wants is learned once by each call that meets it.
    let adaptations = 4 * effort.calls;
    assert!(
        effort.attempts <= ATTEMPTS * effort.calls + adaptations,
        "{context}"
    );
    let adapts = log.iter().any(|record| record.status == Some(400));
    let thinks = log
        .iter()
        .any(|record| record.fault.as_deref() == Some("budget_spent"));
    if !adapts && !thinks {
        assert!(effort.attempts <= ATTEMPTS * effort.calls, "{context}");
    }
}

fn runs(cases: &[Case]) -> Vec<Run> {
    let mut runs = Vec::new();
    for case in 0..cases.len() {
        for batch in [true, false] {
            for rate in RATES {
                runs.push(Run {
                    number: runs.len(),
                    case,
                    rate,
                    batch,
                });
            }
        }
    }
    runs
}

type Table = BTreeMap<(usize, String), Vec<(usize, Ends)>>;

fn show(cases: &[Case], table: &Table) -> String {
    let mut text = String::from(
        "| Fault | | batch 5 % | 30 % | 70 % | fan-out 5 % | 30 % | 70 % |\n|---|---|---|---|---|---|---|---|\n",
    );
    for ((case, language), cells) in table {
        let mut cells = cells.clone();
        cells.sort_by_key(|(number, _)| *number);
        write!(text, "| {} | {language} |", cases[*case].name).unwrap();
        for (
            _,
            Ends {
                done,
                waiting,
                parked,
            },
        ) in cells
        {
            write!(text, " {done}/{waiting}/{parked} |").unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_fault_ends_well_in_every_language_and_mode() {
    let cases = cases();
    let mut kinds: Vec<usize> = cases.iter().map(|case| kind(&case.fault)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (0..KINDS).collect::<Vec<_>>(), "all are played");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cases = std::sync::Arc::new(cases);
    let mut table = Table::new();
    // All of them, since each run tells of another fault.
    let mut failures: Vec<String> = Vec::new();
    runtime.block_on(async {
        let mut waiting = runs(&cases).into_iter();
        let mut playing = JoinSet::new();
        loop {
            while playing.len() < AT_ONCE
                && let Some(run) = waiting.next()
            {
                let cases = cases.clone();
                playing.spawn(async move {
                    let case = &cases[run.case];
                    let (reports, log) = play(case, &run).await;
                    (check(case, &run, &reports, &log), run)
                });
            }
            let Some(done) = playing.join_next().await else {
                break;
            };
            let (ends, run) = match done {
                Ok(done) => done,
                Err(failed) => {
                    failures.push(failed.to_string());
                    continue;
                }
            };
            for (language, ends) in ends {
                let row = table.entry((run.case, language)).or_default();
                row.push((run.number, ends));
            }
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(table.len(), cases.len() * LANGUAGES.len());
    assert!(table.values().all(|row| row.len() == RATES.len() * 2));
    println!("{}", show(&cases, &table));
    // The faults were played: at 70 % nearly nothing goes through where nothing helps.
    let refused = |name: &str| {
        let case = cases.iter().position(|case| case.name == name).unwrap();
        let rows = table.iter().filter(|((of, _), _)| *of == case);
        let cells = rows.flat_map(|(_, row)| row);
        cells
            .map(|(_, ends)| ends.parked + ends.waiting)
            .sum::<usize>()
    };
    assert!(
        refused("401") > 6 && refused("503") > 3,
        "faults are played"
    );
}
