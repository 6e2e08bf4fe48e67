//! Asks a simulator as testsmith does.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// What testsmith's generator puts into a prompt.
pub(crate) struct Question {
    text: String,
}

impl Question {
    pub(crate) fn new(
        language: &str,
        framework: &str,
        module: &str,
        path: &str,
        source: &str,
        members: &[&str],
    ) -> Self {
        let members = serde_json::to_string(members).unwrap();
        Self {
            text: format!(
                "Language: {language}\nFramework: {framework}\nModule: {module}\nMembers: \
                 {members}\n\nSource file `{path}`:\n`````\n{source}\n`````\n"
            ),
        }
    }

    pub(crate) fn body(&self) -> Value {
        json!({
            "model": "sim-1",
            "max_tokens": 100_000,
            "temperature": 0.0,
            "response_format": {"type": "json_object"},
            "messages": [
                {"role": "system", "content": "Answer with one JSON object."},
                {"role": "user", "content": self.text},
            ],
        })
    }
}

/// A client. One for all tests, since making one reads the system's certificates; it keeps no
/// connection, since each test has a runtime of its own.
pub(crate) fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0);
        builder.build().unwrap()
    });
    &CLIENT
}

/// The tests of a good answer, by member.
pub(crate) async fn ask(base_url: &str, question: &Question) -> Vec<(String, String)> {
    let reply = client()
        .post(format!("{base_url}/chat/completions"))
        .body(question.body().to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let reply: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let content = reply["choices"][0]["message"]["content"].as_str().unwrap();
    let content: Value = serde_json::from_str(content).unwrap();
    content["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| {
            let text = |key: &str| test[key].as_str().unwrap().to_owned();
            (text("name"), text("code"))
        })
        .collect()
}
