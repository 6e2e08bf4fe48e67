use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::testing::{Canned, Server};
use crate::{Stack, build};

/// An address where nobody answers.
const NOBODY: &str = "127.0.0.1:9";

async fn build_with(
    settings: &StackSettings,
    variables: &[(&str, &str)],
) -> Result<Stack, BuildError> {
    let mut env: HashMap<&str, &str> = variables.iter().copied().collect();
    env.entry("OLLAMA_HOST").or_insert(NOBODY);
    build(
        settings,
        &|name| env.get(name).map(|value| (*value).to_owned()),
        None,
    )
    .await
}

async fn describe(settings: &StackSettings, variables: &[(&str, &str)]) -> String {
    build_with(settings, variables).await.unwrap().description
}

async fn fail(settings: &StackSettings, variables: &[(&str, &str)]) -> String {
    build_with(settings, variables)
        .await
        .unwrap_err()
        .to_string()
}

/// The usual addresses use TLS, for which a machine needs certificates; what is chosen does not.
async fn chosen(settings: &StackSettings, variables: &[(&str, &str)]) -> (String, String, String) {
    let env: HashMap<&str, &str> = variables.iter().copied().collect();
    let env = |name: &str| env.get(name).map(|value| (*value).to_owned());
    match choose(settings, &env).await.unwrap() {
        Choice::Model(target) => (target.protocol.name().into(), target.model, target.why),
        Choice::Offline(why) => ("offline".into(), String::new(), why),
    }
}

fn auto() -> StackSettings {
    StackSettings::default()
}

fn of(provider: ProviderChoice) -> StackSettings {
    StackSettings { provider, ..auto() }
}

fn three<'a>(a: &'a str, b: &'a str, c: &'a str) -> (String, String, String) {
    (a.into(), b.into(), c.into())
}

#[tokio::test]
async fn keys_in_the_environment_decide() {
    let openai = ("OPENAI_API_KEY", "sk-1");
    let anthropic = ("ANTHROPIC_API_KEY", "sk-2");
    assert_eq!(
        chosen(&auto(), &[openai, anthropic]).await,
        three("openai", OPENAI_MODEL, "key from `OPENAI_API_KEY`")
    );
    assert_eq!(
        chosen(&auto(), &[anthropic, ("OPENAI_API_KEY", " \n")]).await,
        three("anthropic", ANTHROPIC_MODEL, "key from `ANTHROPIC_API_KEY`")
    );
    let named = StackSettings {
        api_key_env: Some("MINE".into()),
        model: Some("x".into()),
        ..auto()
    };
    assert_eq!(
        chosen(&named, &[("MINE", "sk-ant-1"), openai]).await,
        three("anthropic", "x", "key from `MINE`")
    );
    assert_eq!(
        chosen(&named, &[("MINE", "sk-1")]).await,
        three("openai", "x", "key from `MINE`")
    );
}

#[tokio::test]
async fn an_address_decides_before_keys() {
    let settings = StackSettings {
        base_url: Some("http://127.0.0.1:1234/v1?secret=canary".into()),
        ..auto()
    };
    let text = fail(&settings, &[("ANTHROPIC_API_KEY", "sk-2")]).await;
    assert_eq!(
        text,
        "no model for the server at `http://127.0.0.1:1234/v1`; set `llm.model`"
    );
    let settings = StackSettings {
        model: Some("qwen".into()),
        ..settings
    };
    assert_eq!(
        describe(&settings, &[]).await,
        "openai, model `qwen` at `http://127.0.0.1:1234/v1`: without a key"
    );
    let base_url = Some("https://api.anthropic.com".into());
    let settings = StackSettings { base_url, ..auto() };
    let variables = [("ANTHROPIC_API_KEY", "sk-2")];
    assert_eq!(chosen(&settings, &variables).await.0, "anthropic");
}

#[tokio::test]
async fn bad_addresses_are_told_without_their_secrets() {
    for (url, expected) in [
        (
            "ftp://u:canary@h/",
            "`llm.base_url` (`ftp://h/`) is no valid address: it must begin \
            with `https://` or `http://`",
        ),
        (
            "api.openai.com canary",
            "`llm.base_url` (`(not a URL)`) is no valid address: relative \
            URL without a base",
        ),
    ] {
        let settings = StackSettings {
            base_url: Some(url.into()),
            ..auto()
        };
        assert_eq!(fail(&settings, &[]).await, expected);
    }
    let headers = vec![("bad name".to_owned(), "v".to_owned())];
    let base_url = Some("http://127.0.0.1:1/v1".into());
    let settings = StackSettings {
        headers,
        base_url,
        model: Some("m".into()),
        ..auto()
    };
    assert_eq!(
        fail(&settings, &[]).await,
        "`bad name` in `llm.headers` is no valid header"
    );
}

#[tokio::test]
async fn without_a_key_the_variable_is_named() {
    let text = fail(
        &of(ProviderChoice::OpenAi),
        &[("ANTHROPIC_API_KEY", "sk-2")],
    )
    .await;
    assert!(
        text.starts_with("no key for provider `openai`; set `OPENAI_API_KEY`"),
        "{text}"
    );
    // One provider's key is never sent to another.
    let text = fail(
        &of(ProviderChoice::Anthropic),
        &[("OPENAI_API_KEY", "sk-1")],
    )
    .await;
    assert!(
        text.starts_with("no key for provider `anthropic`; set `ANTHROPIC_API_KEY`"),
        "{text}"
    );
}

#[tokio::test]
async fn local_ollama_serves_when_there_is_no_key() {
    let tags = json!({"models": [{"name": "nomic-embed-text"}, {"name": "qwen:7b"}]});
    let server = Server::start([Canned::json(200, &tags)]).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let port = address.strip_prefix("127.0.0.1").unwrap();
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    for host in [address, &server.url, port, &everywhere] {
        let expected = three("ollama", "qwen:7b", "it answers on this machine");
        assert_eq!(
            chosen(&auto(), &[("OLLAMA_HOST", host)]).await,
            expected,
            "{host}"
        );
    }
    let model = StackSettings {
        model: Some("mine".into()),
        ..auto()
    };
    assert_eq!(chosen(&model, &[("OLLAMA_HOST", address)]).await.1, "mine");
    let stack = build_with(&auto(), &[("OLLAMA_HOST", address)])
        .await
        .unwrap();
    assert_eq!(stack.provider.unwrap().identity().provider, "ollama");
    assert!(
        server
            .received()
            .iter()
            .all(|received| received.path == "/api/tags")
    );

    let empty = Server::start([Canned::json(200, &json!({"models": []}))]).await;
    let text = describe(&auto(), &[("OLLAMA_HOST", &empty.url)]).await;
    assert!(
        text.ends_with("Ollama has no model: run `ollama pull qwen2.5-coder:7b`"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_else_is_asked_for_models() {
    // Not loopback: nothing is sent, so that nothing can be waited for.
    let text = describe(&auto(), &[("OLLAMA_HOST", "192.0.2.1:11434")]).await;
    let expected = "offline: no key in `OPENAI_API_KEY` or `ANTHROPIC_API_KEY`, and no Ollama \
        answers on this machine";
    assert_eq!(text, expected);
    let stack = build_with(&auto(), &[]).await.unwrap();
    assert!(stack.provider.is_none());
    assert_eq!(stack.description, expected);
    assert_eq!(
        describe(&of(ProviderChoice::Offline), &[]).await,
        "offline: as configured"
    );
}

#[tokio::test]
async fn ollama_as_configured_needs_no_server_at_the_start() {
    let ollama = of(ProviderChoice::Ollama);
    assert_eq!(
        describe(&ollama, &[("OPENAI_API_KEY", "sk-1")]).await,
        format!("ollama, model `{OLLAMA_MODEL}` at `http://127.0.0.1:9/`: as configured")
    );
    let env = |_: &str| None;
    let Choice::Model(target) = choose(&ollama, &env).await.unwrap() else {
        panic!("configured");
    };
    assert_eq!(target.base.as_str(), "http://127.0.0.1:11434/");
    assert!(target.key.is_none());
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn key_files() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    let settings = StackSettings {
        api_key_file: Some(file.clone()),
        ..auto()
    };
    let shown = file.display();

    let text = fail(&settings, &[]).await;
    assert_eq!(text, format!("cannot read the key in `{shown}`"));
    write(&file, "sk-ant-1\n", 0o640);
    let text = fail(&settings, &[]).await;
    assert_eq!(
        text,
        format!("others can read the key in `{shown}` (mode 640); run `chmod 600 {shown}`")
    );
    write(&file, "sk-ant-1\n", 0o600);
    let expected = three("anthropic", ANTHROPIC_MODEL, &format!("key from `{shown}`"));
    assert_eq!(chosen(&settings, &[]).await, expected);
    write(&file, "\n", 0o600);
    let text = fail(&settings, &[]).await;
    assert_eq!(
        text,
        format!("the key in `{shown}` is empty or has characters that no key has")
    );

    // systemd's comes before the file, the environment before both.
    let credential = directory.path().join("api_key");
    write(&credential, "sk-3", 0o440);
    let variable = ("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap());
    let (provider, _, why) = chosen(&settings, &[variable]).await;
    assert_eq!(
        (provider, why),
        (
            "openai".into(),
            format!("key from `{}`", credential.display())
        )
    );
    let (_, _, why) = chosen(&settings, &[variable, ("OPENAI_API_KEY", "sk-4")]).await;
    assert_eq!(why, "key from `OPENAI_API_KEY`");
}

#[test]
fn addresses_of_requests() {
    use Protocol::{Anthropic, Ollama, OpenAi};
    for (protocol, base, expected) in [
        (OpenAi, "https://h/v1", "https://h/v1/chat/completions"),
        (OpenAi, "https://h/v1/", "https://h/v1/chat/completions"),
        (
            OpenAi,
            "https://h/v1/chat/completions",
            "https://h/v1/chat/completions",
        ),
        (OpenAi, "https://h", "https://h/chat/completions"),
        (
            OpenAi,
            "https://h/a%20b/v1?x=1",
            "https://h/a%20b/v1/chat/completions?x=1",
        ),
        (Anthropic, "https://h", "https://h/v1/messages"),
        (Anthropic, "https://h/v1", "https://h/v1/messages"),
        (
            Anthropic,
            "https://h/proxy/v1/messages",
            "https://h/proxy/v1/messages",
        ),
        (Ollama, "http://h:1", "http://h:1/api/chat"),
        (Ollama, "http://h:1/v1", "http://h:1/api/chat"),
        (Ollama, "http://h:1/sub/api/", "http://h:1/sub/api/chat"),
    ] {
        let base = base.parse().unwrap();
        assert_eq!(request_url(protocol, &base).as_str(), expected);
    }
}
