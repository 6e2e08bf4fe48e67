//! Pictures of the screen.

use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};
use testsmith_control::{FileQuery, FileRequest, JobInfo, Stamped, Status, Timestamp};

use super::{Theme, draw};
use crate::commands::top::feed::{Ask, Update};
use crate::commands::top::input::Action;
use crate::commands::top::state::{Order, State};

/// 2026-11-23T12:00:00Z.
const NOON: u64 = 1_795_435_200;

fn at(seconds: u64) -> Timestamp {
    Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + seconds))
}

fn ended(id: u64, path: &str, outcome: &str, second: u64) -> Value {
    json!({
        "job_id": id, "root": "/home/me/shop", "path": path, "ended": at(second),
        "outcome": outcome, "reason": null, "failed": outcome == "parked", "until": null,
        "test_path": "cart_testsmith_test.go", "written": ["Cart.Total", "Cart.Add"],
        "members": 2, "cache_hits": 0, "cache_misses": 2, "calls": 1, "attempts": 1,
        "tokens_in": 900, "tokens_out": 200, "verified": 2, "held_back": [], "elapsed_ms": 812,
    })
}

/// A daemon at work; `hits` and `nano` are what it has counted so far.
fn status(hits: u64, nano: u64) -> Status {
    let used = json!({
        "calls": 8, "requests": 9, "retries": 1, "tokens_in": 9000, "tokens_out": 2000,
        "cost": "$0.0420", "cost_nano_usd": nano, "unpriced_requests": 0,
    });
    serde_json::from_value(json!({
        "version": "0.1.0", "state_dir": "/state", "health": "degraded",
        "daemon": {
            "pid": 4711, "started": at(0), "uptime_ms": 7_500_000, "paused": false,
            "stopping": false, "roots": [],
            "calls": {"open": 2, "permits": 5, "max_open": 5},
            "provider": {
                "description": "openai, model `gpt-5-mini`: OPENAI_API_KEY is set",
                "held_until": at(130), "last_error": null, "last_answer": at(95),
            },
            "running": [
                {"job_id": 3, "root": "/home/me/shop", "path": "src/cart/cart.go", "since": at(80)},
                {"job_id": 4, "root": "/home/me/shop", "path": "src/price.go", "since": at(99)},
            ],
            "open_calls": [
                {"job_id": 3, "attempt": 2, "stage": "sent", "since": at(88)},
            ],
        },
        "queue": {"pending": 1, "running": 2, "waiting": 1, "parked": 1, "oldest": {
            "job_id": 3, "root": "/home/me/shop", "path": "src/cart/cart.go", "state": "running",
            "lane": "interactive", "enqueued": at(70), "failures": 0, "until": null,
            "reason": null, "removed": false,
        }},
        "cache": {
            "hits": hits, "misses": 8, "entries": 8, "lifetime_hits": 20, "lifetime_misses": 9,
            "bytes": 10, "max_bytes": 100, "line": "",
        },
        "usage": {
            "day": "2026-11-23", "today": used, "this_month": used, "held_until": null,
            "lifted": [], "budgets": [
                {"window": "day", "measure": "money", "used": 42, "limit": 100},
            ],
        },
        "spent": {
            "since": at(0), "calls": 8, "requests": 9, "retries": 1, "tokens_in": 9000,
            "tokens_out": 2000,
        },
        "last": [ended(2, "src/stock.go", "written", 90), ended(1, "src/old.go", "parked", 60)],
        "warnings": [
            {"code": "held", "message": "the model's server wants to be left alone",
             "remedy": "nothing to do"},
            {"code": "parked_jobs", "message": "1 job is parked", "remedy": "testsmith retry"},
        ],
    }))
    .unwrap()
}

fn idle() -> Vec<JobInfo> {
    let job = |id: u64, path: &str, state: &str, reason: Value, until: Value| {
        json!({
            "job_id": id, "root": "/home/me/shop", "path": path, "state": state,
            "lane": "interactive", "enqueued": at(40), "failures": 1, "until": until,
            "reason": reason, "removed": false,
        })
    };
    serde_json::from_value(json!([
        job(
            5,
            "src/tax.go",
            "waiting",
            json!("model: 503\u{1b}[2J"),
            json!(at(128))
        ),
        job(
            6,
            "src/a/very/deep/folder/of/the/shop/with/a/file.go",
            "parked",
            json!("the file does not parse: line 3"),
            Value::Null
        ),
        job(7, "src/z.go", "pending", Value::Null, Value::Null),
    ]))
    .unwrap()
}

fn at_work() -> State {
    let mut state = State::new(status(6, 40), at(0));
    let event = |second: u64, event: Value| {
        let mut event = event;
        event["at"] = json!(at(second));
        Update::Event(Box::new(serde_json::from_value::<Stamped>(event).unwrap()))
    };
    for second in [2, 7, 8, 23, 40, 41, 42] {
        state.now = at(second);
        let mut done = ended(second, "src/stock.go", "written", second);
        done["event"] = json!("ended");
        state.apply(event(second, done));
        state.apply(Update::Status(Box::new(status(
            6 + second,
            40 + second * second,
        ))));
    }
    state.now = at(100);
    let queued = json!({
        "event": "queued", "job_id": 7, "root": "/home/me/shop", "path": "src/z.go",
        "lane": "interactive",
    });
    state.apply(event(99, queued));
    state.apply(event(100, json!({"event": "a_newer_one"})));
    state.apply(Update::Jobs(idle()));
    state.apply(Update::Status(Box::new(status(50, 1804))));
    state
}

fn picture(state: &mut State, width: u16, height: u16, theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut seen = state.seen;
    terminal
        .draw(|frame| seen = draw(frame, state, theme))
        .unwrap();
    state.seen = seen;
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let line = |y| {
        let line: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        format!("{}\n", line.trim_end())
    };
    (0..area.height).map(line).collect()
}

fn shown(state: &mut State, width: u16, height: u16) -> String {
    text(&picture(state, width, height, Theme::plain()))
}

fn story_query(path: &str) -> FileQuery {
    FileQuery {
        root: Some("/home/me/shop".into()),
        path: testsmith_domain::RelPath::new(path).unwrap(),
    }
}

#[test]
fn at_80_by_24() {
    let expected = "\
testsmith 0.1.0 · degraded · up 2 h 5 min · pid 4711                    12:01:40
queue  2 running  1 pending  1 waiting  1 parked  oldest 30s
calls  2 of 5 open  9 requests  1 sent again  9000 tokens in  2000 out
model  held for 30s; answered 5s ago; openai, model `gpt-5-mini`: OPENAI_API_KEY
cache  50 hits (86 %)  8 misses  8 entries  today $0.0420, 42 % of the day's mon
! the model's server wants to be left alone → nothing to do (1 of 2: testsmith …
jobs 0/min                 hit rate 100 %              cost $0.0420 today
     ▂      █                   ██  █   █           █              █
    ▅█  ▅   █                   ██  █   █           █          ▆   █
 jobs 5 ────────────────────────────────────────────────────────────────────────
running  20s  src/cart/cart.go  call open 12s, attempt 2
running   1s  src/price.go
waiting  60s  src/tax.go  again in 28s, failed 1×, model: 503\\u{1b}[2J
parked   60s  …older/of/the/shop/with/a/file.go  failed 1×, the file does not p…
pending  60s  src/z.go  failed 1×


 last events ───────────────────────────────────────────────────────────────────
12:01:40  ?
12:01:39  queued      src/z.go
12:00:42  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:41  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:40  written     src/stock.go  2 tests, 1 request, 812 ms
q quit  ? help  p pause  r retry  R retry all  Enter details  Tab other list
";
    assert_eq!(shown(&mut at_work(), 80, 24), expected);
}

#[test]
fn at_120_by_40() {
    let expected = "\
testsmith 0.1.0 · degraded · up 2 h 5 min · pid 4711                                                            12:01:40
queue  2 running  1 pending  1 waiting  1 parked  oldest 30s
calls  2 of 5 open  9 requests  1 sent again  9000 tokens in  2000 out
model  held for 30s; answered 5s ago; openai, model `gpt-5-mini`: OPENAI_API_KEY is set
cache  50 hits (86 %)  8 misses  8 entries  today $0.0420, 42 % of the day's money
! the model's server wants to be left alone → nothing to do (1 of 2: testsmith status)
jobs 0/min                               hit rate 100 %                          cost $0.0420 today
                   ▂      █                               ██  █   █           █                            █
                  ▅█  ▅   █                               ██  █   █           █                        ▆   █
 jobs 5 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
running  20s  src/cart/cart.go  call open 12s, attempt 2
running   1s  src/price.go
waiting  60s  src/tax.go  again in 28s, failed 1×, model: 503\\u{1b}[2J
parked   60s  src/a/very/deep/folder/of/the/shop/with/a/file.go  failed 1×, the file does not parse: line 3
pending  60s  src/z.go  failed 1×













 last events ───────────────────────────────────────────────────────────────────────────────────────────────────────────
12:01:40  ?
12:01:39  queued      src/z.go
12:00:42  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:41  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:40  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:23  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:08  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:07  written     src/stock.go  2 tests, 1 request, 812 ms
12:00:02  written     src/stock.go  2 tests, 1 request, 812 ms
12:01:30  written     src/stock.go  2 tests, 1 request, 812 ms
q quit  ? help  p pause  r retry  R retry all  Enter details  Tab other list
";
    assert_eq!(shown(&mut at_work(), 120, 40), expected);
}

#[test]
fn at_40_by_10() {
    let expected = "\
testsmith 0.1.0 · degraded · up 2 h 5 mi
queue  2 running  1 pending  1 waiting
calls  2 of 5 open  9 requests  1 sent a
 jobs 5 ────────────────────────────────
running  20s  …cart/cart.go  call open …
running   1s  src/price.go
waiting  60s  src/tax.go  again in 28s,…
parked   60s  …th/a/file.go  failed 1×,…
pending  60s  src/z.go  failed 1×
q quit  ? help  p pause  r retry
";
    assert_eq!(shown(&mut at_work(), 40, 10), expected);
}

#[test]
fn no_size_is_too_small_to_be_drawn() {
    let mut state = at_work();
    for overlay in [None, Some(Action::Help), Some(Action::Open)] {
        if let Some(action) = overlay {
            state.overlay = None;
            state.act(action);
        }
        for height in 1..30 {
            for width in [1, 3, 19, 20, 21, 33, 79, 200] {
                shown(&mut state, width, height);
            }
        }
    }
}

#[test]
fn what_steers_the_terminal_is_made_visible() {
    let drawn = shown(&mut at_work(), 80, 24);
    assert!(drawn.contains("model: 503\\u{1b}[2J"), "{drawn}");
}

#[test]
fn the_selection_stays_with_its_job() {
    let mut state = at_work();
    for _ in 0..3 {
        state.act(Action::Down);
    }
    assert_eq!(state.selected().0, 3);
    let wanted = FileRequest {
        paths: Vec::new(),
        job_id: Some(6),
    };
    assert_eq!(
        state.act(Action::Retry),
        Some(Order::Ask(Ask::Retry(wanted.clone())))
    );
    let mut jobs = idle();
    jobs.remove(0);
    state.apply(Update::Jobs(jobs));
    assert_eq!(state.selected().0, 2);
    assert_eq!(
        state.act(Action::Retry),
        Some(Order::Ask(Ask::Retry(wanted)))
    );
    state.apply(Update::Jobs(Vec::new()));
    assert_eq!(state.selected().0, 1, "the last of those that are left");
    state.act(Action::Last);
    state.act(Action::PageUp);
    state.act(Action::First);
    assert_eq!(state.selected().0, 0);
}

#[test]
fn a_story_is_opened_read_scrolled_and_closed() {
    let mut state = at_work();
    state.act(Action::Switch);
    for _ in 0..2 {
        state.act(Action::Down);
    }
    let asked = Order::Ask(Ask::Story(story_query("src/stock.go")));
    assert_eq!(state.act(Action::Open), Some(asked));
    assert!(shown(&mut state, 80, 24).contains("asking the daemon"));
    let history: Vec<Value> = (0..30)
        .map(|id| {
            json!({
                "job": id, "enqueued": at(id), "ended": at(id), "outcome": "written",
                "reason": "a\u{1b}]0;x\u{7}reason", "elapsed_ms": 3, "steps": [],
            })
        })
        .collect();
    let story = json!({
        "root": "/home/me/shop", "path": "src/stock.go", "live": true, "exists": true,
        "language": "Go", "is_own_test": false, "ignored": null, "seen_as_it_is": true,
        "job": null, "test_path": null, "members": [], "history": history,
    });
    state.apply(Update::Story(serde_json::from_value(story).unwrap()));
    let top = shown(&mut state, 60, 12);
    assert!(top.contains("a file of Go"), "{top}");
    assert!(top.contains("job #0 queued"), "{top}");
    state.act(Action::Last);
    let end = shown(&mut state, 60, 12);
    assert!(end.contains("a\\u{1b}]0;x\\u{7}reason"), "{end}");
    assert!(!end.contains("job #0 queued"), "{end}");
    state.act(Action::Up);
    assert!(shown(&mut state, 60, 12) != end, "the end is no trap");
    assert_eq!(state.act(Action::Back), None);
    assert_eq!(state.overlay, None);
    assert_eq!(state.act(Action::Back), Some(Order::Quit));
}

#[test]
fn pause_and_its_end_are_one_key() {
    let mut state = at_work();
    let ask = |paused| Some(Order::Ask(Ask::SetPaused(paused)));
    assert_eq!(state.act(Action::Pause), ask(true));
    let mut paused = status(0, 0);
    paused.daemon.as_mut().unwrap().paused = true;
    state.apply(Update::Status(Box::new(paused)));
    assert_eq!(state.act(Action::Pause), ask(false));
    let drawn = shown(&mut state, 80, 24);
    assert!(drawn.contains("degraded, paused"), "{drawn}");
    assert!(drawn.contains("p resume"), "{drawn}");
}

#[test]
fn what_became_of_an_order_is_told_for_a_while() {
    let mut state = at_work();
    state.apply(Update::Said("1 job tried\u{1b} again".to_owned()));
    let drawn = shown(&mut state, 80, 24);
    assert!(drawn.ends_with("1 job tried\\u{1b} again\n"), "{drawn}");
    state.now = at(110);
    assert!(shown(&mut state, 80, 24).contains("q quit"));
}

#[test]
fn a_daemon_that_is_gone_is_told_until_it_is_back() {
    let mut state = at_work();
    state.apply(Update::Lost("no daemon runs for `/state`".to_owned()));
    state.now = at(107);
    state.apply(Update::Lost("no daemon runs for `/state`".to_owned()));
    let drawn = shown(&mut state, 80, 24);
    assert!(
        drawn.starts_with("no daemon for 7s; looking for it"),
        "{drawn}"
    );
    state.apply(Update::Status(Box::new(status(0, 0))));
    assert!(shown(&mut state, 80, 24).starts_with("testsmith 0.1.0"));
}

#[test]
fn what_is_not_known_is_a_question_mark() {
    let mut state = at_work();
    let mut unknown = status(0, 0);
    unknown.usage = None;
    state.apply(Update::Status(Box::new(unknown)));
    let drawn = shown(&mut state, 80, 24);
    assert!(drawn.contains("today ?"), "{drawn}");
    assert!(drawn.contains("cost ? today"), "{drawn}");
}

#[test]
fn help_names_every_key() {
    let mut state = at_work();
    state.act(Action::Help);
    let drawn = shown(&mut state, 80, 24);
    for (key, what) in crate::commands::top::input::KEYS {
        assert!(
            drawn.contains(key) && drawn.contains(what),
            "{key}: {drawn}"
        );
    }
}

#[test]
fn colours_are_the_terminals_and_none_without() {
    let mut state = at_work();
    let backgrounds = |buffer: &Buffer| buffer.content.iter().all(|cell| cell.bg == Color::Reset);
    let coloured = picture(&mut state, 80, 24, Theme::coloured());
    assert!(backgrounds(&coloured));
    let named = |color: Color| {
        !matches!(
            color,
            Color::Rgb(..) | Color::Indexed(_) | Color::White | Color::Black
        )
    };
    assert!(coloured.content.iter().all(|cell| named(cell.fg)));
    assert!(coloured.content.iter().any(|cell| cell.fg == Color::Red));
    let plain = picture(&mut state, 80, 24, Theme::plain());
    assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset));
    let reversed = |cell: &&ratatui::buffer::Cell| cell.modifier.contains(Modifier::REVERSED);
    assert_eq!(
        plain.content.iter().filter(reversed).count(),
        80,
        "one line"
    );
}
