//! What was paid for, as the simulator saw it, and what the daemon said of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testsmith_simulator::RequestRecord;

use crate::source::versions;

/// A question: a member in one version.
pub type Question = (String, u64);

/// The figures of a run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Paid {
    /// Requests that arrived.
    pub requests: usize,
    /// Questions whose answers were handed over whole.
    pub answered: usize,
    /// Of these, questions that were asked again: their answer was cut off by a death before it
    /// was kept.
    pub again: usize,
}

/// Compares both logs.
#[derive(Debug, Default)]
pub struct Witness {
    pub paid: Paid,
    /// Questions whose answers the daemon said it has.
    pub acknowledged: BTreeSet<Question>,
    answered: BTreeSet<Question>,
}

impl Witness {
    /// Takes in one life of the daemon: what was asked in it and what it said. Gives what was paid
    /// twice.
    pub fn take_in(&mut self, requests: &[RequestRecord], said: &[String]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut asked: BTreeMap<String, Vec<Question>> = BTreeMap::new();
        for request in requests {
            self.paid.requests += 1;
            let questions = questions(request);
            for question in &questions {
                if self.acknowledged.contains(question) {
                    wrong.push(format!(
                        "request {} asks for {question:?} again, which was paid for and acknowledged",
                        request.id
                    ));
                }
                if request.finished && request.status == Some(200) {
                    self.paid.answered += 1;
                    let is_new = self.answered.insert(question.clone());
                    self.paid.again += usize::from(!is_new);
                }
            }
            asked.insert(format!("req-sim-{}", request.id), questions);
        }
        for question in acknowledged(&asked, said) {
            if !self.acknowledged.insert(question.clone()) {
                wrong.push(format!("{question:?} was paid for twice"));
            }
        }
        wrong
    }
}

/// What a request asks for.
fn questions(request: &RequestRecord) -> Vec<Question> {
    let messages = request.body.as_ref().map(|body| &body["messages"]);
    let last = messages.and_then(|messages| messages.as_array()?.last()?["content"].as_str());
    let versions = versions(last.unwrap_or_default());
    let members = request.members.iter();
    members
        .filter_map(|member| Some((member.clone(), *versions.get(member)?)))
        .collect()
}

/// The questions whose answers the daemon says it has kept: a job's `decided … asked` comes once an
/// answer is in the cache, and `attempt answered` before it tells which request that was.
fn acknowledged(asked: &BTreeMap<String, Vec<Question>>, said: &[String]) -> Vec<Question> {
    let mut found = Vec::new();
    let mut by_job: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for line in said {
        let line: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        let spans = line["spans"].as_array();
        let job = spans.and_then(|spans| spans.iter().find_map(|span| span["job_id"].as_str()));
        let Some(job) = job else { continue };
        let answers = by_job.entry(job.to_owned()).or_default();
        match line["message"].as_str() {
            Some("attempt answered") => {
                let request = line["request_id"].as_str().unwrap_or_default();
                answers.extend(asked.get(request).into_iter().flatten().cloned());
            }
            // It says that it has not kept it: nothing is promised then.
            Some("an answer could not be kept in the cache") => answers.clear(),
            Some("decided") if line["decision"] == "asked" => {
                let member = line["member"].as_str().unwrap_or_default();
                found.extend(answers.remove_entry(member));
            }
            _ => {}
        }
    }
    found
}
