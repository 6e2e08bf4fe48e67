//! Settings as the other crates take them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use testsmith_cache::CacheSettings;
use testsmith_config::{AnswerFormat, FallbackSettings, Hidden, Jitter, ProviderKind, Settings};
use testsmith_generate::GeneratorSettings;
use testsmith_llm::{LinkSettings, ProviderChoice, Rates, RetrySettings, StackSettings, Timeouts};
use testsmith_secrets::Scanner;
use testsmith_watch::WatchSettings;

pub(crate) fn stack(settings: &Settings) -> StackSettings {
    let llm = &settings.llm;
    StackSettings {
        provider: choice(llm.provider),
        model: llm.model.clone(),
        base_url: llm.base_url.clone(),
        api_key_env: llm.api_key_env.clone(),
        api_key_file: llm.api_key_file.clone(),
        takes_credential: true,
        headers: revealed(&llm.headers),
        temperature: llm.temperature,
        max_output_tokens: llm.max_output_tokens.map(NonZeroU32::get),
        max_concurrent_calls: llm.max_concurrent_calls.get(),
        adaptive_concurrency: llm.adaptive_concurrency,
        rates: rates(settings.limits.rpm, settings.limits.tpm),
        retry: RetrySettings {
            max_attempts: llm.retry.max_attempts.get(),
            base_delay: llm.retry.base_delay.get(),
            max_delay: llm.retry.max_delay.get(),
            jitter: match llm.retry.jitter {
                Jitter::None => testsmith_llm::Jitter::None,
                Jitter::Full => testsmith_llm::Jitter::Full,
            },
        },
        timeouts: Timeouts {
            connect: llm.timeouts.connect.get(),
            attempt: llm.timeouts.attempt.get(),
            call: llm.timeouts.call.get(),
        },
        fallback: llm
            .fallback
            .iter()
            .map(|link| self::link(settings, link))
            .collect(),
        max_inline_wait: llm.retry.max_inline_wait.get(),
    }
}

fn link(settings: &Settings, link: &FallbackSettings) -> LinkSettings {
    let limits = &settings.limits;
    LinkSettings {
        provider: link.provider.map(choice),
        model: link.model.clone(),
        base_url: link.base_url.clone(),
        api_key_env: link.api_key_env.clone(),
        api_key_file: link.api_key_file.clone(),
        headers: revealed(&link.headers),
        max_output_tokens: link.max_output_tokens.map(NonZeroU32::get),
        rates: rates(link.rpm.or(limits.rpm), link.tpm.or(limits.tpm)),
    }
}

fn choice(provider: ProviderKind) -> ProviderChoice {
    match provider {
        ProviderKind::Auto => ProviderChoice::Auto,
        ProviderKind::OpenAi => ProviderChoice::OpenAi,
        ProviderKind::Anthropic => ProviderChoice::Anthropic,
        ProviderKind::Ollama => ProviderChoice::Ollama,
        ProviderKind::Offline => ProviderChoice::Offline,
    }
}

fn revealed(headers: &BTreeMap<String, Hidden>) -> Vec<(String, String)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
        .collect()
}

fn rates(rpm: Option<NonZeroU32>, tpm: Option<NonZeroU32>) -> Rates {
    Rates {
        rpm: rpm.map(NonZeroU32::get),
        tpm: tpm.map(NonZeroU32::get),
    }
}

pub(crate) fn generator(settings: &Settings) -> GeneratorSettings {
    GeneratorSettings {
        max_tokens_per_member: settings.llm.max_tokens_per_member.get(),
        prompt_token_budget: settings.llm.prompt_token_budget.get(),
        format: match settings.llm.answer_format {
            AnswerFormat::JsonObject => testsmith_generate::AnswerFormat::JsonObject,
            AnswerFormat::JsonSchema => testsmith_generate::AnswerFormat::JsonSchema,
            AnswerFormat::Delimiter => testsmith_generate::AnswerFormat::Delimiter,
        },
    }
}

/// What the search for secrets lets pass. The entries were checked when they were read; nothing
/// passes if they cannot be used all the same.
pub(crate) fn scanner(settings: &Settings) -> Scanner {
    Scanner::new(&settings.secrets.allow).unwrap_or_default()
}

pub(crate) fn cache(settings: &Settings) -> CacheSettings {
    CacheSettings {
        max_size: settings.cache.max_size.get(),
        max_age: settings.cache.max_age.get(),
        max_entries: settings.cache.max_entries,
    }
}

pub(crate) fn watch(settings: &Settings) -> WatchSettings {
    let watch = &settings.watch;
    WatchSettings {
        debounce: watch.debounce.get(),
        max_wait: watch.max_wait.get(),
        bulk_threshold: watch.bulk_threshold.get(),
        exclude: watch.exclude.clone(),
        rescan_every: Some(watch.rescan_every.get()).filter(|every| !every.is_zero()),
        ..WatchSettings::default()
    }
}
