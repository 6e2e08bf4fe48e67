//! What the log says of the settings already: a reload repeats nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use testsmith_usage::UsageMeter;

use crate::model::Model;

/// What a line of the log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// The models that are asked.
    Models,
    /// Models whose price is not known, though money is limited.
    Prices,
    /// Walls of the sandbox that do not stand.
    Walls,
    /// Parts of the configuration that are not used.
    Warnings,
    /// Settings that wait for a restart.
    Restart,
}

/// What was told last of each topic.
#[derive(Debug, Default)]
pub(crate) struct SaidOfSettings(Mutex<BTreeMap<Topic, Vec<String>>>);

impl SaidOfSettings {
    /// Notes this, and gives whether it differs from what was told of the topic last. Of nothing there
    /// is nothing to tell.
    pub(crate) fn note_if_new(&self, topic: Topic, now: &[String]) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.insert(topic, now.to_vec());
        !now.is_empty() && before.as_deref() != Some(now)
    }

    /// Notes what was told elsewhere.
    pub(crate) fn assume(&self, topic: Topic, now: &[String]) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(topic, now.to_vec());
    }

    /// Says which models are asked, and why.
    pub(crate) fn models(&self, model: &Model) {
        let others = model.links.iter().skip(1);
        let others: Vec<String> = others.map(|link| link.description.clone()).collect();
        let mut all = vec![model.description.clone()];
        all.extend_from_slice(&others);
        if !self.note_if_new(Topic::Models, &all) {
            return;
        }
        tracing::info!(provider = model.description, "model");
        for provider in others {
            tracing::info!(provider, "fallback model");
        }
    }

    /// Says so if money is limited and nobody knows what a model costs.
    pub(crate) fn prices(&self, meter: &UsageMeter, model: &Model) {
        let providers = model.links.iter().map(|link| &link.provider);
        let unpriced = providers.filter(|p| meter.cannot_price(p.identity(), p.is_free()));
        let unpriced: Vec<String> = unpriced.map(|p| p.identity().model.clone()).collect();
        if !self.note_if_new(Topic::Prices, &unpriced) {
            return;
        }
        for model in unpriced {
            tracing::warn!(
                model,
                remedy = "set `input` and `output` in its [prices.\"…\"], or a budget of calls or \
                          tokens",
                "a budget in dollars cannot be kept, since the model's price is not known"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_it_was_is_no_news() {
        let told = SaidOfSettings::default();
        let (one, two) = (["one".to_owned()], ["two".to_owned()]);
        assert!(!told.note_if_new(Topic::Prices, &[]), "nothing to tell");
        assert!(told.note_if_new(Topic::Prices, &one));
        assert!(!told.note_if_new(Topic::Prices, &one));
        assert!(told.note_if_new(Topic::Models, &one), "another topic");
        assert!(told.note_if_new(Topic::Prices, &two));
        assert!(!told.note_if_new(Topic::Prices, &[]));
        assert!(
            told.note_if_new(Topic::Prices, &two),
            "it was over meanwhile"
        );
    }
}
