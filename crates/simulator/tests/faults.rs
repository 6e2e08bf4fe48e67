//! Every fault as an HTTP client sees it.

#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

#[path = "support/client.rs"]
mod client;

use std::time::Duration;

use client::{Question, ask, client};
use serde_json::{Value, json};
use testsmith_simulator::{
    BadBody, Cut, Endpoint, Fault, Latency, Parameter, Preset, ResetPoint, RetryAfter, Rule,
    Script, Simulator, UsageFault,
};

const SOURCE: &str = "package shop\n\nfunc Add(a, b int) int { return a + b }\n\nfunc Twice(s \
                      string) string { return s + \"\\t\" + s }\n\nfunc Neg(a int) int { return -a }\n";

fn question() -> Question {
    let members = ["Add", "Twice", "Neg"];
    Question::new("go", "go-testing", "shop", "shop.go", SOURCE, &members)
}

/// A reply: status, headers, text.
type Reply = (u16, reqwest::header::HeaderMap, String);

async fn send(url: &str, body: &Value) -> reqwest::Result<Reply> {
    let request = client()
        .post(url)
        .header("anthropic-version", "2023-06-01")
        .header("x-api-key", "key")
        .body(body.to_string());
    let reply = request.send().await?;
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    Ok((status, headers, reply.text().await?))
}

async fn openai(sim: &Simulator, body: &Value) -> reqwest::Result<Reply> {
    send(&format!("{}/chat/completions", sim.openai_base_url()), body).await
}

/// The reply to the usual question under a script.
async fn played(script: impl Into<Script>) -> reqwest::Result<Reply> {
    let sim = Simulator::start(script).await.unwrap();
    openai(&sim, &question().body()).await
}

/// The reply as JSON.
async fn reply(script: impl Into<Script>) -> Value {
    let (status, _, text) = played(script).await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The answer's text under a fault.
async fn content(fault: Fault) -> String {
    let reply = reply(fault).await;
    reply["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The names of the tests in an answer that is JSON.
fn names(content: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(content).unwrap();
    let tests = answer["tests"].as_array().unwrap();
    tests
        .iter()
        .map(|test| test["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn statuses_say_what_real_servers_say() {
    let table = [
        (Fault::status(503), 503, "server_error"),
        (Fault::preset(Preset::RateLimit), 429, "rate_limit_exceeded"),
        (
            Fault::preset(Preset::InsufficientQuota),
            429,
            "insufficient_quota",
        ),
        (Fault::preset(Preset::Overloaded), 529, "overloaded_error"),
        (Fault::preset(Preset::InvalidKey), 401, "invalid_api_key"),
        (Fault::preset(Preset::ContentFilter), 400, "content_filter"),
        (
            Fault::preset(Preset::ContextLengthExceeded),
            400,
            "context_length_exceeded",
        ),
        (
            Fault::preset(Preset::ResponseFormatRejected),
            400,
            "response_format",
        ),
        (
            Fault::preset(Preset::MaxTokensRejected),
            400,
            "max_completion_tokens",
        ),
        (
            Fault::preset(Preset::TemperatureRejected),
            400,
            "unsupported_value",
        ),
        (Fault::preset(Preset::Html), 502, "<html>"),
        (Fault::preset(Preset::Empty), 500, ""),
        (Fault::preset(Preset::Text("oops".into())), 500, "oops"),
    ];
    for (fault, status, words) in table {
        let (seen, _, text) = played(fault).await.unwrap();
        assert_eq!(seen, status, "{words}");
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn waits_are_asked_for_in_each_form() {
    let table = [
        (RetryAfter::Seconds(2.0), "retry-after", "2"),
        (RetryAfter::Seconds(0.25), "retry-after", "0.25"),
        (RetryAfter::Ms(1500), "retry-after-ms", "1500"),
        (RetryAfter::DateIn(3600), "retry-after", " GMT"),
        (RetryAfter::DateIn(-60), "retry-after", " GMT"),
        (RetryAfter::Raw("soon".into()), "retry-after", "soon"),
    ];
    for (wait, header, value) in table {
        let (_, headers, _) = played(Fault::status(429).retry_after(wait)).await.unwrap();
        let seen = headers[header].to_str().unwrap();
        assert!(seen.ends_with(value), "{seen}");
    }
}

#[tokio::test]
async fn a_hang_ends_when_the_client_leaves() {
    let sim = Simulator::start(Fault::Hang).await.unwrap();
    let body = question().body();
    tokio::select! {
        _ = openai(&sim, &body) => panic!("there was a reply"),
        () = sim.until(|counts| counts.open == 1) => {}
    }
    sim.until(|counts| counts.open == 0).await;
    let log = sim.log();
    assert_eq!(
        (log.len(), log[0].client_gone, log[0].finished),
        (1, true, false)
    );
    assert_eq!(log[0].fault.as_deref(), Some("hang"));
    assert!(log[0].ended_ms.unwrap() >= log[0].arrived_ms);
}

#[tokio::test]
async fn connections_break_where_the_script_says() {
    let at = ResetPoint::BeforeHeaders;
    let error = played(Fault::Reset { at }).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    for fault in [
        Fault::Reset {
            at: ResetPoint::AfterHeaders,
        },
        Fault::Cut { at: Cut::Bytes(10) },
        Fault::Cut { at: Cut::Bytes(0) },
        Fault::Cut {
            at: Cut::Fraction(0.9),
        },
    ] {
        let sim = Simulator::start(fault.clone()).await.unwrap();
        let error = openai(&sim, &question().body()).await.unwrap_err();
        assert!(
            error.is_body() || error.is_decode() || error.is_request(),
            "{fault:?}: {error:?}"
        );
        sim.until(|counts| counts.open == 0).await;
        let record = sim.log().remove(0);
        assert!(!record.finished && !record.client_gone, "{record:?}");
        // The next call, by another connection, is well.
        sim.set_script(Script::default());
        assert_eq!(ask(&sim.openai_base_url(), &question()).await.len(), 3);
    }
}

#[tokio::test]
async fn envelopes_can_be_wrong() {
    let reply = reply;
    assert!(reply(Fault::ErrorAt200).await["error"]["message"].is_string());
    assert_eq!(reply(Fault::NoChoices).await["choices"], json!([]));
    let (status, _, text) = played(Fault::Garbage).await.unwrap();
    assert_eq!(
        (status, serde_json::from_str::<Value>(&text).is_err()),
        (200, true)
    );
    let usage = |usage| reply(Fault::Usage { usage });
    assert!(usage(UsageFault::Missing).await.get("usage").is_none());
    assert!(usage(UsageFault::Null).await["usage"].is_null());
    assert_eq!(usage(UsageFault::Zero).await["usage"]["total_tokens"], 0);
    assert!(usage(UsageFault::Huge).await["usage"]["prompt_tokens"].as_u64() > Some(1_000_000));
    let choice = |reply: Value| reply["choices"][0].clone();
    let filtered = choice(reply(Fault::ContentFilter).await);
    assert_eq!(filtered["finish_reason"], "content_filter");
    assert!(filtered["message"]["content"].is_null());
    let refused = choice(reply(Fault::Refusal).await);
    assert!(
        refused["message"]["refusal"]
            .as_str()
            .unwrap()
            .contains("can't help")
    );
    assert!(choice(reply(Fault::NullContent).await)["message"]["content"].is_null());
    assert_eq!(
        choice(reply(Fault::BudgetSpent).await)["finish_reason"],
        "length"
    );
}

#[tokio::test]
async fn answers_can_be_misshapen() {
    let good = content(Fault::Usage {
        usage: UsageFault::Null,
    })
    .await;
    assert_eq!(names(&good), ["Add", "Twice", "Neg"]);
    assert_eq!(content(Fault::EmptyContent).await, "");
    assert!(content(Fault::WhitespaceContent).await.trim().is_empty());
    let fenced = content(Fault::Fenced).await;
    assert_eq!(fenced, format!("```json\n{good}\n```"));
    let prose = content(Fault::Prose).await;
    assert!(prose.contains(&good) && prose.starts_with("Sure!"));
    assert!(
        content(Fault::Think)
            .await
            .ends_with(&format!("</think>\n{good}"))
    );
    let delimited = content(Fault::Delimiter).await;
    assert!(delimited.starts_with("<<<TS:0:Add>>>\n"), "{delimited}");
    let two = content(Fault::TwoObjects).await;
    assert!(two.starts_with(&good) && two.len() > 2 * good.len());
    let aliases: Value = serde_json::from_str(&content(Fault::Aliases).await).unwrap();
    assert!(aliases["results"][0]["content"].is_string());
    for fault in [
        Fault::MalformedJson,
        Fault::RawNewlines,
        Fault::UnescapedQuotes,
        Fault::TrailingComma,
        Fault::Rubbish,
    ] {
        let text = content(fault.clone()).await;
        assert!(
            serde_json::from_str::<Value>(&text).is_err(),
            "{fault:?}: {text}"
        );
        assert_eq!(text, content(fault).await, "the same each time");
    }
}

#[tokio::test]
async fn members_can_be_missing_renamed_doubled_and_added() {
    let of = async |fault| names(&content(fault).await);
    assert_eq!(of(Fault::Missing { count: 1 }).await, ["Add", "Twice"]);
    assert_eq!(of(Fault::Missing { count: 9 }).await, [""; 0]);
    assert_eq!(
        of(Fault::Renamed { count: 1 }).await,
        ["Add", "Twice", "test for Neg()"]
    );
    assert_eq!(
        of(Fault::Duplicate { count: 1 }).await,
        ["Add", "Twice", "Neg", "Add"]
    );
    assert_eq!(of(Fault::Extra { count: 1 }).await[3], "NobodyAskedFor1");
}

#[tokio::test]
async fn answers_are_cut_for_want_of_tokens() {
    let good = content(Fault::Extra { count: 0 }).await;
    let cut = reply(Fault::Truncated { fraction: 0.5 }).await["choices"][0].clone();
    assert_eq!(cut["finish_reason"], "length");
    let text = cut["message"]["content"].as_str().unwrap();
    assert!(good.starts_with(text) && text.len() * 2 <= good.len() && !text.is_empty());
    let sim = Simulator::start(Script::default()).await.unwrap();
    let mut body = question().body();
    body["max_tokens"] = json!(20);
    let (_, _, text) = openai(&sim, &body).await.unwrap();
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    assert_eq!(reply["usage"]["completion_tokens"], 20);
}

#[tokio::test]
async fn the_delimiter_form_is_given_when_asked_for() {
    let sim = Simulator::start(Script::default()).await.unwrap();
    let mut body = question().body();
    let text = body["messages"][1]["content"].as_str().unwrap().to_owned();
    body["messages"][1]["content"] = json!(format!("{text}\nDelimiter: n0nce\n"));
    let (_, _, reply) = openai(&sim, &body).await.unwrap();
    let reply: Value = serde_json::from_str(&reply).unwrap();
    let content = reply["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        content.starts_with("<<<TS:n0nce:Add>>>\nimport \"testing\"\n"),
        "{content}"
    );
    assert_eq!(content.matches("\n<<<END:n0nce>>>\n").count(), 3);
    assert_eq!(sim.log()[0].format.as_deref(), Some("delimiter"));
}

/// The data of a stream's events.
fn events(stream: &str) -> Vec<&str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect()
}

#[tokio::test]
async fn openai_streams() {
    let mut body = question().body();
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let sim = Simulator::start(Script::default()).await.unwrap();
    let (_, headers, text) = openai(&sim, &body).await.unwrap();
    assert_eq!(headers["content-type"], "text/event-stream");
    let events = events(&text);
    assert_eq!(events.last(), Some(&"[DONE]"));
    let frames: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|e| serde_json::from_str(e).unwrap())
        .collect();
    let content: String = frames
        .iter()
        .filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(names(&content), ["Add", "Twice", "Neg"]);
    assert!(frames.last().unwrap()["usage"]["total_tokens"].is_u64());

    sim.set_script(Fault::StreamError);
    let (_, _, text) = openai(&sim, &body).await.unwrap();
    assert!(
        text.contains("\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );
    sim.set_script(Fault::Cut {
        at: Cut::Fraction(0.5),
    });
    assert!(openai(&sim, &body).await.is_err());
}

#[tokio::test]
async fn anthropic_answers_plain_and_streamed() {
    let sim = Simulator::start(Script::default().api_key("key"))
        .await
        .unwrap();
    let url = format!("{}/v1/messages", sim.anthropic_base_url());
    let mut body = question().body();
    body["system"] = json!([{"type": "text", "text": "Answer in JSON."}]);
    body["messages"] = json!([body["messages"][1]]);
    let (status, _, text) = send(&url, &body).await.unwrap();
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &reply["stop_reason"]), (200, &json!("end_turn")));
    assert_eq!(
        names(reply["content"][0]["text"].as_str().unwrap()).len(),
        3
    );
    assert!(reply["usage"]["input_tokens"].as_u64() > Some(10));

    body["stream"] = json!(true);
    let (_, _, text) = send(&url, &body).await.unwrap();
    let content: String = events(&text)
        .iter()
        .map(|event| serde_json::from_str::<Value>(event).unwrap())
        .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(names(&content).len(), 3);
    assert!(text.contains("event: message_stop"));

    sim.set_script(Fault::preset(Preset::InsufficientQuota));
    let (status, _, text) = send(&url, &body).await.unwrap();
    assert!(
        status == 429 && text.contains("enforced_spend_limit_reached"),
        "{text}"
    );
    body["max_tokens"] = Value::Null;
    assert_eq!(send(&url, &body).await.unwrap().0, 400);
    assert_eq!(sim.log()[0].endpoint, Endpoint::Anthropic);
}

#[tokio::test]
async fn ollama_answers() {
    let sim = Simulator::start(Script::default()).await.unwrap();
    let url = format!("{}/api/chat", sim.ollama_base_url());
    let mut body = question().body();
    body["stream"] = json!(false);
    body["format"] = json!("json");
    let (_, _, text) = send(&url, &body).await.unwrap();
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        names(reply["message"]["content"].as_str().unwrap()).len(),
        3
    );
    sim.set_script(Script {
        models: vec!["llama".into()],
        ..Script::default()
    });
    let (status, _, text) = send(&url, &body).await.unwrap();
    assert_eq!(status, 404, "{text}");
    let tags = client().get(format!("{}/api/tags", sim.ollama_base_url()));
    assert!(
        tags.send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("\"llama\"")
    );
}

#[tokio::test]
async fn requests_are_checked_as_by_real_servers() {
    let script = Script {
        models: vec!["sim-1".into()],
        context_tokens: Some(200),
        max_output_tokens: Some(1000),
        ..Script::default()
    };
    let sim = Simulator::start(script).await.unwrap();
    let good = json!({"model": "sim-1", "messages": [{"role": "user", "content": "hello"}]});
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let long = json!([{"role": "user", "content": "x".repeat(2_000)}]);
    let object = json!({"type": "json_object"});
    let table = [
        (good.clone(), 200, "nothing here"),
        (with("model", Value::Null), 400, "model"),
        (with("messages", json!([])), 400, "messages"),
        (with("model", json!("other")), 404, "model_not_found"),
        (
            with("response_format", object),
            400,
            "must contain the word 'json'",
        ),
        (with("messages", long), 400, "context_length_exceeded"),
        (
            with("max_tokens", json!(2_000)),
            400,
            "max_tokens is too large",
        ),
    ];
    for (body, status, words) in table {
        let (seen, _, text) = openai(&sim, &body).await.unwrap();
        assert_eq!(seen, status, "{text}");
        assert!(text.contains(words), "{text}");
    }
    sim.set_script(Script::default().api_key("secret"));
    assert_eq!(openai(&sim, &good).await.unwrap().0, 401);
    assert_eq!(
        sim.log().last().unwrap().rejected.as_deref(),
        Some("incorrect API key provided")
    );
    let models = client().get(format!("{}/models", sim.openai_base_url()));
    assert!(
        models
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("sim-1")
    );
}

#[tokio::test]
async fn rules_choose_their_requests() {
    let script = Script::default()
        .rule(Rule::from(Fault::status(500)).nth(2))
        .rule(Rule::from(Fault::status(503)).every(3))
        .rule(Rule::from(Fault::status(529)).path("other.go"))
        .rule(Rule::from(Fault::status(429)).member("Twice").times(1))
        .rule(
            Rule::from(Fault::status(400))
                .carrying(Parameter::JsonObject)
                .model("none"),
        );
    let sim = Simulator::start(script).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(openai(&sim, &question().body()).await.unwrap().0);
    }
    assert_eq!(seen, [429, 500, 503, 200, 200, 503]);
    sim.set_script(Script::default().rule(Rule::from(Fault::status(500)).first(2)));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(openai(&sim, &question().body()).await.unwrap().0);
    }
    assert_eq!(seen, [500, 500, 200]);
}

#[tokio::test]
async fn chance_is_the_same_in_any_order() {
    let script = Script::default()
        .seed(7)
        .rule(Rule::from(Fault::status(500)).probability(0.3));
    let run = async |order: Vec<usize>| {
        let sim = Simulator::start(script.clone()).await.unwrap();
        let mut failed = Vec::new();
        for n in order {
            let message = json!([{"role": "user", "content": format!("question {n}")}]);
            let body = json!({"model": "m", "messages": message});
            if openai(&sim, &body).await.unwrap().0 == 500 {
                failed.push(n);
            }
        }
        failed.sort_unstable();
        failed
    };
    let failed = run((0..100).collect()).await;
    assert!((15..45).contains(&failed.len()), "{failed:?}");
    assert_eq!(run((0..100).rev().collect()).await, failed);
}

#[tokio::test]
async fn bad_bodies_are_chosen_for_good_and_heal_if_they_may() {
    let bad = |heals| Fault::Body {
        bad: BadBody::Fails,
        heals,
    };
    let script = Script::default()
        .rule(Rule::from(bad(true)).member("Add"))
        .rule(Rule::from(bad(false)).member("Neg"));
    let sim = Simulator::start(script).await.unwrap();
    let first = ask(&sim.openai_base_url(), &question()).await;
    let second = ask(&sim.openai_base_url(), &question()).await;
    assert_eq!(first, second);
    let bad: Vec<_> = first
        .iter()
        .map(|(_, code)| code.contains("1+1, 3"))
        .collect();
    assert_eq!(bad, [true, false, true]);
    let mut body = question().body();
    let text = body["messages"][1]["content"].as_str().unwrap().to_owned();
    body["messages"][1]["content"] = json!(format!("{text}\nFailures: got 2, want 3\n"));
    openai(&sim, &body).await.unwrap();
    let log = sim.log();
    assert_eq!(log[0].bad_bodies.keys().collect::<Vec<_>>(), ["Add", "Neg"]);
    assert_eq!(log[2].bad_bodies.keys().collect::<Vec<_>>(), ["Neg"]);
    assert!(log[2].repair);
}

#[tokio::test]
async fn delays_are_of_their_distribution_and_repeatable() {
    let sim = Simulator::start(Script::default()).await.unwrap();
    let delay = async |latency| {
        sim.set_script(Script::default().seed(3).latency(latency));
        sim.clear_log();
        openai(&sim, &question().body()).await.unwrap();
        let record = sim.log().remove(0);
        record.ended_ms.unwrap() - record.arrived_ms
    };
    assert!(delay(Latency::fixed(Duration::from_millis(30))).await >= 30.0);
    let uniform = Latency::Uniform {
        min_ms: 10.0,
        max_ms: 30.0,
    };
    assert!(delay(uniform).await >= 10.0);
    let normal = Latency::LogNormal {
        median_ms: 10.0,
        sigma: 0.2,
    };
    assert!(delay(normal).await >= 3.0);
}

#[tokio::test]
async fn open_requests_are_counted() {
    let sim = Simulator::start(Fault::Hang).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = format!("{}/chat/completions", sim.openai_base_url());
        asking.spawn(async move { send(&url, &question().body()).await });
    }
    sim.until(|counts| counts.open == 8).await;
    assert_eq!((sim.max_open(), sim.finished()), (8, 0));
    let mut open: Vec<_> = sim.log().iter().map(|record| record.open).collect();
    open.sort_unstable();
    assert_eq!(open, [1, 2, 3, 4, 5, 6, 7, 8]);
    asking.shutdown().await;
    sim.until(|counts| counts.open == 0).await;
    assert!(sim.log().iter().all(|record| record.client_gone));
    sim.clear_log();
    sim.set_script(Script::default());
    openai(&sim, &question().body()).await.unwrap();
    assert_eq!((sim.max_open(), sim.finished(), sim.log().len()), (1, 1, 1));
    let record = sim.log().remove(0);
    assert_eq!(record.members, ["Add", "Twice", "Neg"]);
    assert_eq!(record.path.as_deref(), Some("shop.go"));
    assert_eq!(
        (record.max_tokens, record.status),
        (Some(100_000), Some(200))
    );
    assert_eq!(record.format.as_deref(), Some("json_object"));
    assert!(record.tokens_in > 50 && record.tokens_out > 50 && record.finished);
}

#[tokio::test]
async fn a_server_that_went_down_comes_up_at_the_same_address() {
    let sim = Simulator::start(Fault::Hang).await.unwrap();
    let (address, url) = (sim.address(), sim.openai_base_url());
    let mut asking = tokio::task::JoinSet::new();
    let target = format!("{url}/chat/completions");
    asking.spawn(async move { send(&target, &question().body()).await.map(drop) });
    sim.until(|counts| counts.open == 1).await;
    let log = sim.shutdown().await;
    assert!(!log[0].client_gone && !log[0].finished, "{log:?}");
    assert!(asking.join_next().await.unwrap().unwrap().is_err());
    let down = send(&format!("{url}/chat/completions"), &question().body())
        .await
        .unwrap_err();
    assert!(down.is_connect(), "{down:?}");
    let sim = Simulator::bind(address, Script::default()).await.unwrap();
    assert_eq!(ask(&url, &question()).await.len(), 3);
    let taken = Simulator::bind(address, Script::default())
        .await
        .unwrap_err();
    assert!(taken.to_string().contains(&address.to_string()));
    sim.shutdown().await;
}

#[tokio::test]
async fn scripts_and_the_log_are_served() {
    let sim = Simulator::start(Script::default().log_bodies())
        .await
        .unwrap();
    let base = format!("http://{}", sim.address());
    openai(&sim, &question().body()).await.unwrap();
    let get = client().get(format!("{base}/log")).send().await.unwrap();
    let log: Value = serde_json::from_str(&get.text().await.unwrap()).unwrap();
    assert_eq!(log["requests"][0]["body"]["model"], "sim-1");
    assert_eq!(log["counts"]["finished"], 1);
    let script = "seed = 1\n[latency]\nkind = \"uniform\"\nmin_ms = 1\nmax_ms = 2\n[[rules]]\nwhen = \
                  { first = 1 }\nfault = { kind = \"status\", body = \"rate_limit\", retry_after = \
                  { seconds = 2 } }\n";
    let post = |kind: &'static str, body: String| {
        let request = client()
            .post(format!("{base}/script"))
            .header("content-type", kind);
        request.body(body).send()
    };
    assert_eq!(
        post("application/toml", script.into())
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(openai(&sim, &question().body()).await.unwrap().0, 429);
    let now = client().get(format!("{base}/script")).send().await.unwrap();
    let now = now.text().await.unwrap();
    assert_eq!(
        Script::from_json(now.as_bytes()).unwrap(),
        Script::from_toml(script).unwrap()
    );
    assert_eq!(post("application/json", now).await.unwrap().status(), 204);
    for wrong in [
        "{\"sede\":1}",
        "{\"rules\":[{\"fault\":{\"kind\":\"truncated\",\"fraction\":2}}]}",
    ] {
        assert_eq!(
            post("application/json", wrong.into())
                .await
                .unwrap()
                .status(),
            400
        );
    }
    let cleared = client().delete(format!("{base}/log")).send().await.unwrap();
    assert_eq!((cleared.status().as_u16(), sim.log().len()), (204, 0));
}

#[test]
fn the_scripts_of_the_documentation_are_read() {
    let text = include_str!("../../../docs/simulator.md");
    let blocks: Vec<_> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        Script::from_toml(block).unwrap_or_else(|error| panic!("{block}\n{error:?}"));
    }
}
