//! Text from outside made fit to show: no key, no prompt, no control characters, not long.

use std::fmt;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use testsmith_domain::CompletionRequest;

/// The most bytes of a reply that an error shows.
const SHOWN_BYTES: usize = 512;
/// The most bytes that are looked at to find them.
const SCANNED_BYTES: usize = 16 * 1024;
/// Shorter lines of a prompt are too common to be told from a server's own words.
const PROMPT_LINE_BYTES: usize = 16;
/// Shorter header values (`true`, `1`) are no secrets, and taking them out would spoil the text.
const SECRET_BYTES: usize = 6;

/// Takes what must not be shown out of a server's words.
#[derive(Default)]
pub(crate) struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    /// Adds a text that must never be shown.
    pub(crate) fn hide(&mut self, secret: &str) {
        if secret.len() >= SECRET_BYTES {
            self.secrets.push(SecretString::from(secret));
        }
    }

    /// A server's words, fit to show.
    pub(crate) fn clean(&self, text: &str, request: Option<&CompletionRequest>) -> String {
        let mut text = cut(text, SCANNED_BYTES).to_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), "[key]");
            }
        }
        if let Some(request) = request {
            let contents = request.messages.iter().map(|message| &message.content);
            for line in contents
                .chain([&request.system])
                .flat_map(|text| text.lines())
            {
                let line = line.trim();
                if line.len() >= PROMPT_LINE_BYTES && text.contains(line) {
                    text = text.replace(line, "[prompt]");
                }
            }
        }
        let shown = cut(text.trim(), SHOWN_BYTES);
        let mut clean: String = shown.chars().flat_map(escaped).collect();
        if shown.len() < text.trim().len() {
            clean.push('…');
        }
        clean
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

/// The character, or its escape if it could disturb a terminal or a log.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let disturbing = c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let (escape, plain) = if disturbing {
        (Some(c.escape_default()), None)
    } else {
        (None, Some(c))
    };
    escape.into_iter().flatten().chain(plain)
}

/// The longest prefix of at most this many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// An address without user, password, query and fragment, any of which may hold a secret.
pub(crate) fn shown_url(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "(not a URL)".to_owned(), |url| shown(&url))
}

/// As [`shown_url`], for a parsed address.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for addresses without a host, which have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use testsmith_domain::{Message, ResponseFormat, Role};

    use super::*;

    #[test]
    fn keys_prompts_and_control_characters_are_taken_out() {
        let mut redactor = Redactor::default();
        redactor.hide("sk-canary");
        let request = CompletionRequest {
            system: String::new(),
            messages: vec![Message {
                role: Role::User,
                content: "short\n  func Secret() int { return 42 }\n".into(),
            }],
            max_tokens: 1,
            format: ResponseFormat::Text,
        };
        let text = "bad sk-canary in\u{1b}[31m func Secret() int { return 42 }\nshort \u{202e}";
        assert_eq!(
            redactor.clean(text, Some(&request)),
            "bad [key] in\\u{1b}[31m [prompt]\\nshort \\u{202e}"
        );
        assert!(!format!("{redactor:?}").contains("canary"));
    }

    #[test]
    fn long_texts_are_cut_after_the_key_is_out() {
        let mut redactor = Redactor::default();
        redactor.hide("sk-canary");
        let text = format!("{}sk-canary", "é".repeat(253));
        let clean = redactor.clean(&text, None);
        assert!(!clean.contains("sk-c"), "{clean}");
        let long = redactor.clean(&"é".repeat(9_000), None);
        assert_eq!(long.len(), 512 + '…'.len_utf8());
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        assert_eq!(shown_url("https://u:p@h:8/v1?key=k#f"), "https://h:8/v1");
        assert_eq!(shown_url("nonsense"), "(not a URL)");
    }
}
