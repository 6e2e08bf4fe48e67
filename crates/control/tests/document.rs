//! `docs/control-api.md` tells of everything that is said over the socket.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot look has to fail"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where each type is told of: the beginning of a heading. Types without one have no names of their own in
/// JSON: parameters of routes are in these.
const PLACES: &[(&str, &str)] = &[
    ("RefusalCode", "# The control socket"),
    ("Refusal", "# The control socket"),
    ("Status", "### `GET /v1/status`"),
    ("TestsInfo", "### `GET /v1/status`"),
    ("OutdatedTest", "### `GET /v1/status`"),
    ("Health", "### `GET /v1/status`"),
    ("DaemonInfo", "### `GET /v1/status`"),
    ("RootInfo", "### `GET /v1/status`"),
    ("CallsInfo", "### `GET /v1/status`"),
    ("ProviderInfo", "### `GET /v1/status`"),
    ("FallbackInfo", "### `GET /v1/status`"),
    ("LastError", "### `GET /v1/status`"),
    ("RunningJob", "### `GET /v1/status`"),
    ("JobPhase", "### `GET /v1/status`"),
    ("OpenCall", "### `GET /v1/status`"),
    ("CallStage", "### `GET /v1/status`"),
    ("QueueInfo", "### `GET /v1/status`"),
    ("Spent", "### `GET /v1/status`"),
    ("Warning", "### `GET /v1/status`"),
    ("CacheInfo", "### `GET /v1/cache`"),
    ("JobKind", "### `GET /v1/jobs"),
    ("Jobs", "### `GET /v1/jobs"),
    ("JobInfo", "### `GET /v1/jobs"),
    ("FileStory", "### `GET /v1/file"),
    ("Ignored", "### `GET /v1/file"),
    ("LedgerMember", "### `GET /v1/file"),
    ("Story", "### `GET /v1/file"),
    ("Told", "### `GET /v1/file"),
    ("Step", "### `GET /v1/file"),
    ("CacheEntries", "### `GET /v1/cache/entries"),
    ("CacheEntry", "### `GET /v1/cache/entries"),
    ("CachedBody", "### `GET /v1/cache/entries"),
    ("Imported", "### `/v1/cache/entries`"),
    ("UsageInfo", "### `GET /v1/usage`"),
    ("UsedInfo", "### `GET /v1/usage`"),
    ("BudgetUse", "### `GET /v1/usage`"),
    ("LiftedBudget", "### `GET /v1/usage`"),
    ("Stamped", "### `GET /v1/events`"),
    ("Event", "### `GET /v1/events`"),
    ("HeldBack", "### `GET /v1/events`"),
    ("JobEnded", "### `GET /v1/events`"),
    ("EnqueueRequest", "### `/v1/enqueue`"),
    ("Selection", "### `/v1/enqueue`"),
    ("Enqueued", "### `/v1/enqueue`"),
    ("EnqueuedJob", "### `/v1/enqueue`"),
    ("Selected", "### `/v1/select` and"),
    ("PreviewRequest", "### `/v1/select` and"),
    ("Preview", "### `/v1/select` and"),
    ("FileRequest", "### `/v1/retry` and"),
    ("Retried", "### `/v1/retry` and"),
    ("Cancelled", "### `/v1/retry` and"),
    ("Paused", "### `/v1/pause` and"),
    ("OverBudget", "### `/v1/resume-over-budget`"),
    ("Reloaded", "### `/v1/reload`"),
    ("Gc", "### `/v1/gc`"),
    ("Cleared", "### `/v1/clear`"),
    ("Stopping", "### `/v1/stop`"),
    ("ReviewRequest", "### `/v1/review`"),
    ("ReviewReply", "### `/v1/review`"),
    ("FindingReport", "### `/v1/review`"),
    ("Finding", "### `/v1/review`"),
    ("FindingState", "### `/v1/review`"),
    ("Judgement", "### `/v1/review`"),
    ("Wrong", "### `/v1/review`"),
    ("QuarantineReport", "### `/v1/review`"),
    ("Verdict", "### `/v1/review`"),
    ("ProposalReport", "### `/v1/review`"),
    ("Settled", "### `/v1/review`"),
    ("BlockChange", "### `/v1/review`"),
];

/// Parameters of routes, which are in their headings.
const PARAMETERS: [&str; 3] = ["JobsQuery", "FileQuery", "EntriesQuery"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A type that is said over the socket, and the names that it has there.
struct Said {
    name: String,
    words: Vec<String>,
}

/// The types of a source text and their fields and variants, as rustfmt lays them out.
fn types(source: &str) -> Vec<Said> {
    let mut types: Vec<Said> = Vec::new();
    let (mut is_open, mut is_flat, mut is_other) = (false, false, false);
    for line in source.lines() {
        let begun = ["pub struct ", "pub enum "]
            .iter()
            .find_map(|start| line.strip_prefix(start)?.strip_suffix(" {"));
        if let Some(name) = begun {
            is_open = true;
            types.push(Said {
                name: name.to_owned(),
                words: Vec::new(),
            });
        }
        is_open &= line != "}";
        let word = line.trim_start().trim_start_matches("pub ");
        if begun.is_some() || !is_open || word.starts_with("///") {
            continue;
        }
        if word.starts_with('#') {
            is_flat |= word.contains("flatten");
            is_other |= word.contains("serde(other)");
            continue;
        }
        let end = word.find(|c: char| !c.is_alphanumeric() && c != '_');
        let word = &word[..end.unwrap_or(word.len())];
        if !word.is_empty() && !is_flat && !is_other {
            types.last_mut().unwrap().words.push(snake(word));
        }
        (is_flat, is_other) = (false, false);
    }
    types
}

fn snake(word: &str) -> String {
    let mut snake = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// The part of the page below a heading.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let at = page.find(&format!("\n{heading}")).map(|at| at + 1);
    let at = at.or_else(|| page.starts_with(heading).then_some(0));
    let rest = &page[at.unwrap_or_else(|| panic!("there is no `{heading}`"))..];
    let end = rest[1..]
        .find("\n## ")
        .into_iter()
        .chain(rest[1..].find("\n### "));
    &rest[..end.min().map_or(rest.len(), |end| end + 1)]
}

#[test]
fn every_word_that_is_said_is_told_of_where_it_belongs() {
    let page = read("../../docs/control-api.md");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocol");
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        all.extend(types(&fs::read_to_string(entry.unwrap().path()).unwrap()));
    }
    let placed: BTreeSet<&str> = PLACES.iter().map(|(name, _)| *name).collect();
    let known = |name: &str| placed.contains(name) || PARAMETERS.contains(&name);
    for said in &all {
        assert!(known(&said.name), "where is `{}` told of?", said.name);
    }
    // What the protocol takes from there.
    for file in ["story", "ledger", "cache", "run"] {
        all.extend(types(&read(&format!("../domain/src/{file}.rs"))));
    }
    let mut missing = Vec::new();
    for (name, heading) in PLACES {
        let said = all.iter().find(|said| said.name == *name);
        let said = said.unwrap_or_else(|| panic!("there is no type `{name}`"));
        assert!(!said.words.is_empty(), "{name}");
        let text = section(&page, heading);
        // Both kinds of names are there: `not_found`, and `timed-out`.
        let is_told = |word: &str| {
            text.contains(&format!("`{word}`")) || text.contains(&format!("\"{word}\""))
        };
        let told = |word: &&String| is_told(word) || is_told(&word.replace('_', "-"));
        let lacking = said.words.iter().filter(|word| !told(word));
        missing.extend(lacking.map(|word| format!("{heading}: `{word}` of {name}")));
    }
    assert!(
        missing.is_empty(),
        "the page lacks:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_route_and_every_warning_is_told_of() {
    let page = read("../../docs/control-api.md");
    let routes = read("src/routes.rs");
    let mut count = 0;
    for route in routes.split(".route(").skip(1) {
        let route = route.split('"').nth(1).unwrap();
        count += 1;
        assert!(page.contains(route), "{route}");
    }
    assert!(count > 20, "{count}");
    let status = read("../daemon/src/control/status.rs");
    let codes = section(&page, "### `GET /v1/status`");
    let mut count = 0;
    for warning in status.split("(warning(\n").skip(1) {
        let code = warning.split('"').nth(1).unwrap();
        count += 1;
        assert!(codes.contains(&format!("`{code}`")), "{code}");
    }
    assert!(count > 8, "{count}");
}
