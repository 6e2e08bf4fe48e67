//! What models cost.

use std::collections::BTreeMap;

use crate::Price;

/// When the built-in prices were looked up.
pub const PRICES_DATE: &str = "2026-11-23";

/// Where the built-in prices are from.
pub const PRICES_SOURCE: &str = "list prices for standard calls with prompts of up to 272,000 tokens, from \
     developers.openai.com/api/docs/pricing and platform.claude.com/docs/en/about-claude/pricing";

/// US dollars per million tokens, in thousandths: prompt, prompt read from the server's cache,
/// prompt written to it, answer. Where sources differ, the higher figure.
#[rustfmt::skip]
const BUILT_IN: &[(&str, [u64; 4])] = &[
    ("claude-haiku-4-5",  [1_000,   100, 1_250,  5_000]),
    ("claude-opus-4-5",   [5_000,   500, 6_250, 25_000]),
    ("claude-opus-4-6",   [5_000,   500, 6_250, 25_000]),
    ("claude-opus-4-7",   [5_000,   500, 6_250, 25_000]),
    ("claude-opus-5",     [5_000,   500, 6_250, 25_000]),
    ("claude-opus-5-5",   [4_000,   200, 5_000, 20_000]),
    ("claude-sonnet-4",   [3_000,   300, 3_750, 15_000]),
    ("claude-sonnet-4-5", [3_000,   300, 3_750, 15_000]),
    ("claude-sonnet-4-6", [3_000,   300, 3_750, 15_000]),
    ("claude-sonnet-5",   [2_000,   200, 2_500, 10_000]),
    ("claude-sonnet-5-5", [2_000,   200, 2_500, 10_000]),
    ("gpt-4.1",           [2_000,   500, 2_000,  8_000]),
    ("gpt-4.1-mini",      [  400,   100,   400,  1_600]),
    ("gpt-4.1-nano",      [  100,    25,   100,    400]),
    ("gpt-4o",            [2_500, 1_250, 2_500, 10_000]),
    ("gpt-4o-mini",       [  150,    75,   150,    600]),
    ("gpt-5",             [1_250,   125, 1_250, 10_000]),
    ("gpt-5-mini",        [  250,    25,   250,  2_000]),
    ("gpt-5-nano",        [   50,     5,    50,    400]),
    ("gpt-5.1",           [1_250,   125, 1_250, 10_000]),
    ("gpt-5.6-luna",      [  200,    20,   250,  1_200]),
    ("gpt-5.6-terra",     [2_000,   200, 2_500, 12_000]),
    ("gpt-6-luna",        [  100,    10,   125,    500]),
    ("gpt-6-sol",         [2_000,   200, 2_500, 10_000]),
    ("gpt-6.1-sol",       [2_000,   100, 2_500, 10_000]),
    ("gpt-6.1-terra",     [1_000,    50, 1_250,  5_000]),
    ("o3",                [2_000,   500, 2_000,  8_000]),
    ("o4-mini",           [1_100,   275, 1_100,  4_400]),
];

/// The built-in prices, and the user's, which win.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    user: BTreeMap<String, Price>,
}

impl PriceTable {
    /// The built-in prices under these.
    pub fn new(user: impl IntoIterator<Item = (String, Price)>) -> Self {
        Self {
            user: user.into_iter().collect(),
        }
    }

    /// The model's price, by its name as configured; `None` if it is not known.
    ///
    /// A name with a date behind it (`gpt-4o-2024-08-06`) is the model itself. Any other ending is
    /// another model, which may cost ten times as much.
    pub fn price(&self, model: &str) -> Option<Price> {
        let names = [model, undated(model)];
        let user = names.iter().find_map(|name| self.user.get(*name));
        user.copied()
            .or_else(|| names.iter().find_map(|name| built_in(name)))
    }
}

fn built_in(model: &str) -> Option<Price> {
    let (_, [input, cached_input, cache_write, output]) =
        BUILT_IN.iter().find(|(name, _)| *name == model)?;
    Some(Price {
        input: input * 1000,
        cached_input: cached_input * 1000,
        cache_write: cache_write * 1000,
        output: output * 1000,
    })
}

/// The name without `-20250929`, `-2025-09-29` or `-latest` at its end.
fn undated(model: &str) -> &str {
    let is_date = |tail: &str, form: &[usize]| {
        let parts: Vec<&str> = tail.split('-').collect();
        parts.len() == form.len()
            && parts.iter().zip(form).all(|(part, length)| {
                part.len() == *length && part.bytes().all(|byte| byte.is_ascii_digit())
            })
    };
    model
        .match_indices('-')
        .find_map(|(at, _)| {
            let tail = &model[at + 1..];
            let dated = is_date(tail, &[8]) || is_date(tail, &[4, 2, 2]) || tail == "latest";
            dated.then(|| &model[..at])
        })
        .unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_itself_has_its_price() {
        let table = PriceTable::default();
        let input = |model: &str| table.price(model).map(|price| price.input);
        assert_eq!(input("gpt-4o"), Some(2_500_000));
        assert_eq!(input("gpt-4o-2024-08-06"), Some(2_500_000));
        assert_eq!(input("claude-sonnet-4-20250514"), Some(3_000_000));
        assert_eq!(input("claude-sonnet-5-latest"), Some(2_000_000));
        for unknown in ["gpt-5-pro", "gpt-4o-2024", "openai/gpt-4o", "my-own", ""] {
            assert_eq!(input(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_user_s_price_wins() {
        let mine = Price {
            input: 1,
            ..Price::FREE
        };
        let table = PriceTable::new([("gpt-4o".to_owned(), mine), ("own".to_owned(), mine)]);
        assert_eq!(table.price("gpt-4o-2024-08-06"), Some(mine));
        assert_eq!(table.price("own"), Some(mine));
        assert!(table.price("gpt-4o-mini").unwrap().input > 1);
    }

    #[test]
    fn the_table_is_in_order_and_makes_sense() {
        assert!(BUILT_IN.is_sorted_by(|a, b| a.0 < b.0));
        for (model, [input, cached, written, output]) in BUILT_IN {
            assert!(
                cached <= input && input <= written && written < output,
                "{model}"
            );
        }
    }
}
