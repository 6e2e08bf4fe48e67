//! The one way to the provider: no text with a secret in it goes through.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use testsmith_domain::{
    BodyRequest, CompletionRequest, CompletionResponse, Excerpt, Member, PromptContext, Provider,
    ProviderError,
};
use testsmith_secrets::{ALLOW_COMMENT, Finding, Scanner};

/// Of so many things the user is told once; then it starts anew, so that nothing grows for ever.
const MOST_TOLD: usize = 1000;

/// Searches what is to be sent, and holds the provider, so that nothing can be sent around it.
#[derive(Debug)]
pub(super) struct Gate {
    provider: Arc<dyn Provider>,
    scanner: Scanner,
    told: Mutex<HashSet<String>>,
}

/// A request without what holds secrets.
#[derive(Debug)]
pub(super) struct Screened {
    /// Guidance and context with secrets are left out. The source still has all its text.
    pub(super) request: BodyRequest,
    /// Whether the whole source may be shown.
    pub(super) whole_file: bool,
    /// Members that are not asked for, as indices, and why.
    pub(super) withheld: Vec<(usize, String)>,
    /// What was found and the user lets pass.
    passing: Vec<String>,
}

impl Screened {
    /// Takes the withheld members out of the request, with their failed bodies.
    pub(super) fn leave_out_withheld(&mut self) {
        for (at, _) in self.withheld.drain(..).rev() {
            let member = self.request.members.remove(at).name;
            let failed = self.request.failed.iter();
            let failed = failed.filter(|failed| failed.member != member);
            self.request.failed = failed.cloned().collect();
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was sent, and this is why.
    Withheld(String),
    Failed(ProviderError),
}

impl Gate {
    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            scanner: Scanner::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn scan_with(&mut self, scanner: Scanner) {
        self.scanner = scanner;
    }

    pub(super) fn max_output_tokens(&self) -> u32 {
        self.provider.max_output_tokens().max(1)
    }

    /// Sends a question about a screened request, if no secret is in it that the user does not let
    /// pass, wherever it came from: a name, the runner's output, an earlier answer.
    pub(super) async fn complete(
        &self,
        screened: &Screened,
        completion: &CompletionRequest,
    ) -> Result<CompletionResponse, NoAnswer> {
        let texts = completion.messages.iter().map(|message| &message.content);
        for text in texts.chain([&completion.system]) {
            if let Some(found) = self.find(text, &screened.passing) {
                return Err(NoAnswer::Withheld(format!(
                    "not sent: rule {} in what would be sent with it",
                    found.rule
                )));
            }
        }
        let answer = self.provider.complete(completion).await;
        answer.map_err(NoAnswer::Failed)
    }

    /// Searches what a request would show. Members among the first `wanted` whose own text, or what
    /// they use, holds a secret are not to be asked for; if there is one anywhere in the file, the
    /// file is not to be shown whole.
    pub(super) fn screen(&self, request: &BodyRequest, wanted: usize) -> Screened {
        let path = request.file.path.as_str();
        let (mut passing, held) = self.sort(path, &request.source);
        let members = request.members.iter().take(wanted).enumerate();
        let withheld: Vec<(usize, String)> = members
            .filter_map(|(at, member)| {
                let found = held.iter().find(|f| is_in(f, &request.source, member))?;
                Some((at, reason(found)))
            })
            .collect();
        for (at, reason) in &withheld {
            let member = &request.members[*at].name;
            if self.is_news(&format!("{path}\n{member}\n{reason}")) {
                tracing::info!(path, %member, reason, "a member is not sent to the model");
            }
        }
        let mut request = request.clone();
        request.guidance = request
            .guidance
            .filter(|text| self.shows("TESTSMITH.md", text, &mut passing));
        request.context = self.context(&request.context, &mut passing);
        Screened {
            request,
            whole_file: held.is_empty(),
            withheld,
            passing,
        }
    }

    /// The context without the excerpts that hold secrets.
    fn context(
        &self,
        context: &Arc<PromptContext>,
        passing: &mut Vec<String>,
    ) -> Arc<PromptContext> {
        let mut shows =
            |excerpt: &Excerpt| self.shows(excerpt.path.as_str(), &excerpt.text, passing);
        Arc::new(PromptContext {
            related: context
                .related
                .iter()
                .filter(|e| shows(e))
                .cloned()
                .collect(),
            style_example: context.style_example.clone().filter(|e| shows(e)),
        })
    }

    /// Whether a piece of another file can be shown. If not, the user is told once.
    fn shows(&self, path: &str, text: &str, passing: &mut Vec<String>) -> bool {
        let (passes, held) = self.sort(path, text);
        passing.extend(passes);
        let Some(found) = held.first() else {
            return true;
        };
        if self.is_news(&format!("{path}\n{}", found.rule)) {
            tracing::warn!(
                path,
                rule = found.rule,
                "left out of the prompt, as it holds a secret"
            );
        }
        false
    }

    /// What is found in a file's text: the texts that pass, and the findings that do not.
    fn sort(&self, path: &str, text: &str) -> (Vec<String>, Vec<Finding>) {
        let all_pass = self.scanner.allows_path(path);
        let found = self.scanner.scan_all(text).into_iter();
        let (passes, held): (Vec<Finding>, Vec<Finding>) =
            found.partition(|finding| all_pass || finding.allowed);
        let text_of = |finding: Finding| Some(text.get(finding.bytes)?.to_owned());
        (passes.into_iter().filter_map(text_of).collect(), held)
    }

    fn find(&self, text: &str, passing: &[String]) -> Option<Finding> {
        // A comment lets a secret pass in a file, where somebody put it: what a test printed, or a model
        // answered, may hold one too.
        let found = self.scanner.scan_all(text).into_iter();
        let mut held = found.filter(|finding| !self.scanner.allows_rule(finding.rule));
        held.find(|finding| {
            let secret = &text[finding.bytes.clone()];
            !passing.iter().any(|passes| passes.contains(secret))
        })
    }

    fn is_news(&self, what: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST_TOLD {
            told.clear();
        }
        told.insert(what.to_owned())
    }
}

/// Whether a finding in the source is part of a member or of what it uses.
fn is_in(finding: &Finding, source: &str, member: &Member) -> bool {
    let (first, last) = member.lines;
    let secret = &source[finding.bytes.clone()];
    (first..=last).contains(&finding.line)
        || member.text.contains(secret)
        || member.uses.iter().any(|used| used.contains(secret))
}

fn reason(finding: &Finding) -> String {
    format!(
        "not sent: {finding}; take the secret out of the source or, if it is none, put a comment \
         `{ALLOW_COMMENT}` on that line"
    )
}
