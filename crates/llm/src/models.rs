//! What is known of models by their names. Figures from the vendors' model pages, November 2026.

/// For a model that is not in the table. Large enough for a batch, and what many servers allow.
const DEFAULT_MAX_OUTPUT_TOKENS: u32 = 16_384;

/// The most tokens of one answer, by the beginning of the model's name. The longest match counts.
const MAX_OUTPUT_TOKENS: &[(&str, u32)] = &[
    ("claude-", 64_000),
    ("claude-3-", 4_096),
    ("claude-3-5-", 8_192),
    ("claude-3-7-", 64_000),
    ("claude-opus-4-0", 32_000),
    ("claude-opus-4-1", 32_000),
    ("claude-opus-4-2", 32_000), // `claude-opus-4-20250514`
    ("deepseek-", 8_192),
    ("gemini-", 65_536),
    ("gemini-1", 8_192),
    ("gemini-2.0", 8_192),
    ("gpt-3.5", 4_096),
    ("gpt-4", 8_192),
    ("gpt-4-turbo", 4_096),
    ("gpt-4.1", 32_768),
    ("gpt-4o", 16_384),
    ("gpt-5", 128_000),
    ("gpt-6", 128_000),
    ("o1", 100_000),
    ("o3", 100_000),
    ("o4", 100_000),
];

/// The most tokens the model can write in one answer. A vendor's name before a slash, as
/// OpenRouter and LiteLLM have it, does not count.
pub(crate) fn max_output_tokens(model: &str) -> u32 {
    let name = model
        .rsplit('/')
        .next()
        .unwrap_or(model)
        .to_ascii_lowercase();
    MAX_OUTPUT_TOKENS
        .iter()
        .filter(|(prefix, _)| name.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(DEFAULT_MAX_OUTPUT_TOKENS, |(_, tokens)| *tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_prefix_counts() {
        let table = [
            ("gpt-4-0613", 8_192),
            ("gpt-4o-mini", 16_384),
            ("openai/GPT-4.1-mini", 32_768),
            ("gpt-6-luna", 128_000),
            ("claude-3-opus-20240229", 4_096),
            ("claude-opus-4-20250514", 32_000),
            ("claude-opus-4-7", 64_000),
            ("anthropic/claude-sonnet-5", 64_000),
            ("my-own-model", 16_384),
            ("", 16_384),
        ];
        for (model, tokens) in table {
            assert_eq!(max_output_tokens(model), tokens, "{model}");
        }
    }
}
