//! Decides what happens to a request: the script, and how far it has been played.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use testsmith_domain::ContentHash;

use crate::ask::Ask;
use crate::chance::Chance;
use crate::script::{BadBody, Fault, Rule, Script};

/// A script being played.
#[derive(Debug)]
pub(crate) struct Director {
    script: Arc<Script>,
    counts: Vec<Count>,
    /// How often each question was asked. Chance is drawn from the question and this number, not
    /// from the order of arrival, which differs from run to run.
    asked: HashMap<ContentHash, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    matched: u64,
    played: u64,
}

/// What happens to one request.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The fault of the whole reply.
    pub fault: Option<Fault>,
    /// How long the answer takes.
    pub delay: Duration,
    /// Members whose code is to be bad.
    pub bad: BTreeMap<String, BadBody>,
    /// Chance for whatever else is to be drawn.
    pub chance: Chance,
}

impl Director {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            counts: vec![Count::default(); script.rules.len()],
            asked: HashMap::new(),
            script: Arc::new(script),
        }
    }

    pub(crate) fn script(&self) -> Arc<Script> {
        Arc::clone(&self.script)
    }

    /// Decides; counts the request.
    pub(crate) fn decide(&mut self, ask: &Ask) -> Plan {
        let question = ContentHash::of(ask.text.as_bytes());
        let times = self.asked.entry(question).or_default();
        *times += 1;
        let seeded = Chance::new(self.script.seed);
        let chance = seeded.about(question.as_bytes()).about(times.to_be_bytes());
        let mut plan = Plan {
            fault: None,
            delay: self.script.latency.draw(&chance),
            bad: BTreeMap::new(),
            chance: seeded.about(question.as_bytes()),
        };
        for (index, (rule, count)) in self.script.rules.iter().zip(&mut self.counts).enumerate() {
            if !rule.when.matches(ask) {
                continue;
            }
            count.matched += 1;
            if !rule.when.counts(count.matched, count.played) {
                continue;
            }
            let name = format!("rule {index}");
            if let Fault::Body { bad, heals } = rule.fault {
                if ask.prompt.repair && heals {
                    continue;
                }
                let spoilt = spoil(rule, ask, &seeded.about(&name));
                count.played += u64::from(!spoilt.is_empty());
                for member in spoilt {
                    plan.bad.entry(member).or_insert(bad);
                }
            } else if plan.fault.is_none()
                && rule.when.probability.is_none_or(|p| chance.unit(&name) < p)
            {
                count.played += 1;
                plan.fault = Some(rule.fault.clone());
            }
        }
        plan
    }
}

/// The members that a rule gives bad code.
fn spoil(rule: &Rule, ask: &Ask, chance: &Chance) -> Vec<String> {
    let path = ask.prompt.path.as_deref().unwrap_or_default();
    ask.prompt
        .members
        .iter()
        .filter(|member| {
            rule.when.member.as_ref().is_none_or(|only| only == *member)
                && rule
                    .when
                    .probability
                    .is_none_or(|p| chance.about(path).unit(member) < p)
        })
        .cloned()
        .collect()
}
