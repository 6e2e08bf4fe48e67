//! Who is wrong: the test, or the code.

use serde::Deserialize;
use testsmith_domain::{
    BodyRequest, BodySink, CompletionRequest, Effort, GenerateError, Judgement, Judgements,
    MemberName, Message, ResponseFormat, Role, Wrong,
};

use super::ModelGenerator;
use super::gate::NoAnswer;
use crate::prompt;

/// Tokens for one member's judgement.
const TOKENS_EACH: u32 = 300;

/// Characters of a reason that are kept.
const LONGEST_REASON: usize = 600;

impl ModelGenerator {
    /// One call for all of the request's failed bodies. An answer that cannot be read judges nothing.
    pub(super) async fn ask_who_is_wrong(
        &self,
        request: &BodyRequest,
        sink: &dyn BodySink,
    ) -> Result<Judgements, GenerateError> {
        let mut screened = self.gate.screen(request, request.members.len());
        screened.leave_out_withheld();
        let request = &screened.request;
        if request.failed.is_empty() {
            return Ok((0, Vec::new()));
        }
        let budget = self.settings.prompt_token_budget;
        let prompt = prompt::judge(request, screened.whole_file, budget);
        let count = u32::try_from(request.failed.len()).unwrap_or(u32::MAX);
        let completion = CompletionRequest {
            system: prompt.system,
            messages: vec![Message {
                role: Role::User,
                content: prompt.user,
            }],
            max_tokens: TOKENS_EACH
                .saturating_mul(count)
                .min(self.gate.max_output_tokens()),
            format: ResponseFormat::JsonObject,
        };
        let response = match self.gate.complete(&screened, &completion).await {
            Ok(response) => response,
            Err(NoAnswer::Withheld(reason)) => {
                let path = request.file.path.as_str();
                tracing::info!(path, reason, "no judgement is asked for");
                return Ok((0, Vec::new()));
            }
            Err(NoAnswer::Failed(error)) => {
                sink.spent(Effort::of_failed(&error));
                return Err(error.into());
            }
        };
        sink.spent(Effort {
            calls: 1,
            attempts: response.attempts,
            usage: response.usage,
        });
        let judgements = read(request, &response.content, &response.model);
        Ok((response.link, judgements))
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    judgements: Vec<Element>,
}

#[derive(Debug, Deserialize)]
struct Element {
    name: String,
    wrong: Wrong,
    #[serde(default)]
    reason: String,
}

/// The judgements of an answer, for members that were asked about. What stands around the JSON
/// object is passed over.
fn read(request: &BodyRequest, text: &str, model: &str) -> Vec<(MemberName, Judgement)> {
    let object = text.find('{').zip(text.rfind('}'));
    let object = object.and_then(|(start, end)| text.get(start..=end));
    let Some(answer) = object.and_then(|object| serde_json::from_str::<Answer>(object).ok()) else {
        tracing::debug!("the judgement could not be read");
        return Vec::new();
    };
    let asked = request.failed.iter();
    asked
        .filter_map(|failed| {
            let name = failed.member.as_str();
            let element = answer.judgements.iter().find(|e| e.name == name)?;
            let reason: String = element.reason.chars().take(LONGEST_REASON).collect();
            let judgement = Judgement {
                wrong: element.wrong,
                reason,
                model: model.to_owned(),
            };
            Some((failed.member.clone(), judgement))
        })
        .collect()
}
