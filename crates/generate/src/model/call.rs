//! One call: the request, the answer read and kept.

use std::sync::atomic::Ordering;

use testsmith_domain::{
    BodyRequest, BodySink, CompletionRequest, CompletionResponse, Effort, FinishReason, Member,
    MemberName, Message, ResponseFormat, Role, Step, TestBody, note, shortened,
};

use super::ask::{Ask, Reply};
use super::gate::{NoAnswer, Screened};
use super::{AnswerFormat, ModelGenerator};
use crate::parse::parse_answer;
use crate::prompt::{self, Prompt};

/// The schema of an answer.
const SCHEMA: &str = r#"{"type":"object","properties":{"tests":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"code":{"type":"string"}},"required":["name","code"],"additionalProperties":false}}},"required":["tests"],"additionalProperties":false}"#;

/// What one call came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) effort: Effort,
    /// Usable bodies, kept already.
    pub(super) bodies: Vec<TestBody>,
    pub(super) reply: Reply,
    /// The place in the chain of the model that answered.
    pub(super) link: usize,
}

impl ModelGenerator {
    /// Whether the question's prompt keeps to the budget, be it with the least context.
    pub(super) fn fits(&self, screened: &Screened, ask: &Ask) -> bool {
        self.prompt(screened, ask, None).tokens() <= self.settings.prompt_token_budget
    }

    fn prompt(&self, screened: &Screened, ask: &Ask, delimiter: Option<&str>) -> Prompt {
        let request = &screened.request;
        let members: Vec<&Member> = members_of(request, ask).map(|(_, member)| member).collect();
        let remarks: Vec<(&MemberName, &str)> = ask
            .remarks
            .iter()
            .filter_map(|(at, reason)| Some((&request.members.get(*at)?.name, reason.as_str())))
            .collect();
        prompt::build(&prompt::Question {
            request,
            members: &members,
            remarks: &remarks,
            delimiter,
            whole_file: screened.whole_file,
            budget: (!ask.lean).then_some(self.settings.prompt_token_budget),
        })
    }

    /// Asks once. Usable bodies are handed to the sink in the poll that received the answer.
    pub(super) async fn call(
        &self,
        screened: &Screened,
        ask: &Ask,
        sink: &dyn BodySink,
    ) -> Outcome {
        let delimiter = (ask.format == AnswerFormat::Delimiter)
            .then(|| format!("{:08x}", rand::random::<u32>()));
        let prompt = self.prompt(screened, ask, delimiter.as_deref());
        let estimate = prompt.tokens();
        let completion = CompletionRequest {
            system: prompt.system,
            messages: vec![Message {
                role: Role::User,
                content: prompt.user,
            }],
            max_tokens: ask.cap(self.limits()),
            format: match ask.format {
                AnswerFormat::JsonObject => ResponseFormat::JsonObject,
                AnswerFormat::JsonSchema => ResponseFormat::JsonSchema {
                    name: "tests",
                    schema: SCHEMA,
                },
                AnswerFormat::Delimiter => ResponseFormat::Text,
            },
        };
        let response = match self.gate.complete(screened, &completion).await {
            Ok(response) => response,
            Err(NoAnswer::Withheld(reason)) => {
                return Outcome {
                    effort: Effort::default(),
                    bodies: Vec::new(),
                    reply: Reply::Withheld(reason),
                    link: 0,
                };
            }
            Err(NoAnswer::Failed(error)) => {
                let effort = Effort::of_failed(&error);
                sink.spent(effort);
                return Outcome {
                    effort,
                    bodies: Vec::new(),
                    reply: Reply::Failed(error),
                    link: 0,
                };
            }
        };
        let effort = Effort {
            calls: 1,
            attempts: response.attempts,
            usage: response.usage,
        };
        sink.spent(effort);
        let (bodies, reply) = read(&screened.request, ask, &response, delimiter.as_deref());
        if !bodies.is_empty() {
            sink.keep(response.link, &bodies).await;
        }
        self.watch_for_cut_prompts(&response, estimate);
        Outcome {
            effort,
            bodies,
            reply,
            link: response.link,
        }
    }

    /// Some local servers silently drop the start of a prompt that is longer than their window.
    fn watch_for_cut_prompts(&self, response: &CompletionResponse, estimate: u32) {
        let Some(read) = response.usage.input_tokens.filter(|tokens| *tokens > 0) else {
            return;
        };
        // Tokenizers differ from the estimate by less than this factor on code.
        if read < u64::from(estimate) / 3 && !self.told_of_cut_prompts.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                tokens_in = read,
                estimate,
                "the server read much less than was sent: its context window may be too small \
                 (for Ollama, raise `OLLAMA_CONTEXT_LENGTH`)"
            );
        }
    }
}

fn members_of<'a>(
    request: &'a BodyRequest,
    ask: &'a Ask,
) -> impl Iterator<Item = (usize, &'a Member)> {
    ask.members
        .iter()
        .filter_map(|at| Some((*at, request.members.get(*at)?)))
}

/// The usable bodies of an answer, and what it says about the rest.
fn read(
    request: &BodyRequest,
    ask: &Ask,
    response: &CompletionResponse,
    delimiter: Option<&str>,
) -> (Vec<TestBody>, Reply) {
    let names: Vec<MemberName> = members_of(request, ask)
        .map(|(_, member)| member.name.clone())
        .collect();
    let mut parsed = parse_answer(&response.content, &names, delimiter);
    let mut bodies = Vec::new();
    let mut missing = Vec::new();
    for (at, member) in members_of(request, ask) {
        let found = parsed.bodies.iter().position(|b| b.member == member.name);
        if let Some(index) = found {
            let code = parsed.bodies.swap_remove(index).code;
            match request.driver.prepare_body(&request.file, member, &code) {
                Ok(code) => bodies.push(TestBody {
                    member: member.name.clone(),
                    code,
                    model: response.model.clone(),
                }),
                Err(problem) => missing.push((at, problem.to_string())),
            }
        } else {
            let problem = parsed
                .problems
                .iter()
                .find(|(name, _)| *name == member.name);
            let reason = problem.map_or_else(String::new, |(_, problem)| problem.to_string());
            missing.push((at, reason));
        }
    }
    note(|| Step::Parsed {
        asked: names.len() as u64,
        usable: bodies.len() as u64,
        problems: missing
            .iter()
            .filter_map(|(at, why)| {
                let member = request.members.get(*at)?;
                Some(shortened(&format!("{}: {why}", member.name)))
            })
            .collect(),
    });
    let reply = Reply::Answered {
        missing,
        readable: parsed.readable,
        cut: response.finish == FinishReason::Length,
    };
    (bodies, reply)
}
