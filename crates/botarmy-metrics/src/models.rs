//! Tokens and cost by provider and model. Workers name both as they like, so the number of series and the
//! length of a name are limited; the models of the settings have series of their own in any case.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use botarmy_domain::Usage;

use crate::read::Take;

/// Name of all models that have no series of their own.
const OTHER: &str = "other";
/// Name of a provider or a model that an attempt did not name.
const UNKNOWN: &str = "unknown";
/// Largest length of a name, in characters.
const MAX_NAME: usize = 64;

/// Provider and model.
type Name = (String, String);

/// The usage by model. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Models {
    used: Arc<Mutex<BTreeMap<Name, Used>>>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Used {
    input_tokens: u64,
    output_tokens: u64,
    cost_micro_usd: u64,
}

impl Models {
    /// Creates the series of these models; at most `limit` others get one.
    pub(crate) fn new(known: impl IntoIterator<Item = Name>, limit: usize) -> Self {
        let known = known.into_iter().map(|name| (name, Used::default()));
        let used: BTreeMap<_, _> = known.collect();
        // `other` is one of them.
        let limit = used.len() + limit;
        Self { used: Arc::new(Mutex::new(used)), limit }
    }

    /// Counts the usage of an attempt. Attempts take longer than a lock.
    pub(crate) fn count(&self, usage: &Usage) {
        if usage.is_free() {
            return;
        }
        let name = (shortened(usage.provider.as_deref()), shortened(usage.model.as_deref()));
        let mut models = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let has_place = models.len() < self.limit || models.contains_key(&name);
        let name = if has_place { name } else { (OTHER.to_owned(), OTHER.to_owned()) };
        let used = models.entry(name).or_default();
        used.input_tokens = used.input_tokens.saturating_add(usage.input_tokens);
        used.output_tokens = used.output_tokens.saturating_add(usage.output_tokens);
        let cost = usage.cost_micro_usd.unwrap_or(0);
        used.cost_micro_usd = used.cost_micro_usd.saturating_add(cost);
    }

    /// Reads the tokens.
    pub(crate) fn tokens(&self, take: Take<'_>) {
        for ((provider, model), used) in &*self.used.lock().unwrap_or_else(PoisonError::into_inner)
        {
            for (direction, count) in [("input", used.input_tokens), ("output", used.output_tokens)]
            {
                let labels = [("provider", provider), ("model", model)];
                let labels = labels.map(|(name, value)| (name, value.as_str()));
                take(&[labels[0], labels[1], ("direction", direction)], count as f64);
            }
        }
    }

    /// Reads the cost in US dollars.
    pub(crate) fn cost(&self, take: Take<'_>) {
        for ((provider, model), used) in &*self.used.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let cost = used.cost_micro_usd as f64 / 1e6;
            take(&[("provider", provider), ("model", model)], cost);
        }
    }
}

/// Returns a name without control characters that is not too long.
fn shortened(name: Option<&str>) -> String {
    let name: String =
        name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    if name.is_empty() { UNKNOWN.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(provider: &str, model: &str) -> Usage {
        let (provider, model) = (Some(provider.to_owned()), Some(model.to_owned()));
        Usage { provider, model, input_tokens: 2, output_tokens: 1, cost_micro_usd: Some(500_000) }
    }

    #[test]
    fn models_that_a_worker_invents_share_one_series_beyond_the_limit() {
        let models = Models::new([("anthropic".to_owned(), "sonnet".to_owned())], 10);
        for n in 0..1000 {
            models.count(&usage(&format!("{n}{}", "x".repeat(1000)), "m\n"));
        }
        models.count(&usage("anthropic", "sonnet"));
        models.count(&Usage { provider: Some("noop".to_owned()), ..Usage::default() });
        let mut costs = BTreeMap::new();
        models.cost(&mut |labels, cost| {
            assert!(labels[0].1.chars().count() <= MAX_NAME && !labels[1].1.contains('\n'));
            costs.insert(labels[0].1.to_owned(), cost);
        });
        assert_eq!(costs.len(), 12);
        assert_eq!((costs["anthropic"], costs[OTHER]), (0.5, 495.0));
        let mut tokens = 0.0;
        models.tokens(&mut |_, count| tokens += count);
        assert_eq!(tokens, 3003.0);
    }
}
