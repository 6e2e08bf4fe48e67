//! Reads the prompt that testsmith's generator writes.
//!
//! The last message of the user has header lines, then the source in fenced blocks:
//!
//! ~~~text
//! Language: go
//! Framework: go-testing
//! Module: cart
//! Members: ["Cart.Total","Add"]
//!
//! Source file `shop/cart.go`:
//! ````go
//! …
//! ````
//! ~~~
//!
//! Past a token budget there are sections ``Member `X` and what it uses:`` in place of the whole
//! file. A line `Delimiter: <nonce>` asks for the delimiter form, a line `Failures:` for mending,
//! a line `Judge:` for who is wrong.
//! What stands in other fenced blocks is of no concern here.

use std::fmt::Write as _;

use testsmith_domain::Language;

/// What a prompt asks for. Empty where it is not of our generator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Prompt {
    /// The source's language.
    pub language: Option<Language>,
    /// The test framework's name.
    pub framework: String,
    /// How a test names the module under test.
    pub module: String,
    /// The members asked for.
    pub members: Vec<String>,
    /// The source file's path.
    pub path: Option<String>,
    /// The source, or the parts of it that were given.
    pub source: String,
    /// The mark of the delimiter form, if that is asked for.
    pub delimiter: Option<String>,
    /// Whether failures are shown, to be mended.
    pub repair: bool,
    /// Whether failures are shown, to say who is wrong.
    pub judge: bool,
}

impl Prompt {
    /// Reads `text`, the last message of the user.
    pub(crate) fn read(text: &str) -> Self {
        let mut prompt = Self::default();
        let mut fence: Option<Fence> = None;
        let mut source_follows = false;
        for line in text.lines() {
            if let Some(open) = &mut fence {
                if open.closes(line) {
                    fence = None;
                } else if open.keep {
                    let _ = writeln!(prompt.source, "{line}");
                }
            } else if let Some(ticks) = opening(line) {
                fence = Some(Fence {
                    ticks,
                    keep: source_follows,
                });
                source_follows = false;
            } else {
                source_follows |= prompt.header(line);
            }
        }
        prompt
    }

    /// Reads one line outside of fences; whether the next fenced block is source.
    fn header(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("Source file `") {
            self.path = rest.split('`').next().map(str::to_owned);
            return true;
        }
        if let Some(rest) = line.strip_prefix("From the source file `") {
            self.path = rest.split('`').next().map(str::to_owned);
            return false;
        }
        if line.starts_with("Member `") {
            return true;
        }
        let Some((name, value)) = line.split_once(':') else {
            return false;
        };
        let value = value.trim();
        match name {
            "Language" if self.language.is_none() => self.language = language(value),
            "Framework" if self.framework.is_empty() => value.clone_into(&mut self.framework),
            "Module" if self.module.is_empty() => value.clone_into(&mut self.module),
            "Members" if self.members.is_empty() => {
                self.members = serde_json::from_str(value).unwrap_or_default();
            }
            "Path" if self.path.is_none() => self.path = Some(value.trim_matches('`').to_owned()),
            "Delimiter" => self.delimiter = Some(value.to_owned()),
            "Failures" => self.repair = true,
            "Judge" => self.judge = true,
            _ => {}
        }
        false
    }
}

/// An open fenced block.
struct Fence {
    ticks: usize,
    keep: bool,
}

impl Fence {
    fn closes(&self, line: &str) -> bool {
        line.len() == self.ticks && line.bytes().all(|byte| byte == b'`')
    }
}

/// The length of the fence that `line` opens.
fn opening(line: &str) -> Option<usize> {
    let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
    (ticks >= 3 && !line[ticks..].contains('`')).then_some(ticks)
}

fn language(name: &str) -> Option<Language> {
    [
        Language::Go,
        Language::Python,
        Language::TypeScript,
        Language::JavaScript,
    ]
    .into_iter()
    .find(|language| language.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_s_prompt_is_read() {
        let prompt = Prompt::read(
            "Language: go\nFramework: testify\nModule: cart\nMembers: [\"Cart.Total\",\"Add\"]\n\n\
             An example of style:\n```go\nLanguage: python\n```\n\
             Source file `shop/cart.go`:\n````go\npackage cart\n// ```\nModule: x\n````\n\
             Delimiter: n0nce\n",
        );
        assert_eq!(prompt.language, Some(Language::Go));
        assert_eq!((&*prompt.framework, &*prompt.module), ("testify", "cart"));
        assert_eq!(prompt.members, ["Cart.Total", "Add"]);
        assert_eq!(prompt.path.as_deref(), Some("shop/cart.go"));
        assert_eq!(prompt.source, "package cart\n// ```\nModule: x\n");
        assert_eq!(prompt.delimiter.as_deref(), Some("n0nce"));
        assert!(!prompt.repair);
    }

    #[test]
    fn member_sections_are_joined() {
        let prompt = Prompt::read(
            "Language: python\nMembers: [\"a\"]\nMember `a` and what it uses:\n```python\ndef a(): \
             pass\n```\nMember `b` and what it uses:\n```python\ndef b(): pass\n```\n\
             Failures: one\n",
        );
        assert_eq!(prompt.source, "def a(): pass\ndef b(): pass\n");
        assert!(prompt.repair);
    }

    #[test]
    fn a_stranger_s_prompt_asks_for_nothing() {
        assert_eq!(Prompt::read("Write a poem about JSON."), Prompt::default());
    }
}
