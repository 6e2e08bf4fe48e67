//! The stack as the daemon has it: cache around retry around semaphore around provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use testsmith_cache::{Cache, CacheSettings};
use testsmith_domain::{
    BodyCache, CacheKey, CachedBody, Claim, CompletionRequest, ContentHash, Lookup, Message,
    Provider, ResponseFormat, Role,
};
use testsmith_llm::{ProviderChoice, StackSettings};
use tokio::task::JoinSet;

use crate::{Figures, Order, Watch};

/// Workers beyond the permits, as `queue.workers` has it: while one keeps an answer, another asks.
const SPARE_WORKERS: usize = 2;

/// With `cached`, the cache is around it.
pub(crate) async fn run(order: Order, cached: bool) -> anyhow::Result<Figures> {
    let settings = StackSettings {
        provider: ProviderChoice::OpenAi,
        model: Some("simulated".into()),
        base_url: Some(order.base_url),
        max_concurrent_calls: order.permits,
        ..StackSettings::default()
    };
    let stack = testsmith_llm::build(&settings, &|_| None, None).await?;
    let provider = stack.provider.context("there is a model")?;
    let cache = if cached {
        Some(Cache::open(&order.dir.join("cache.sled"), CacheSettings::default())?.0)
    } else {
        None
    };
    let asks: Vec<Ask> = order
        .requests
        .iter()
        .map(Ask::read)
        .collect::<Result<_, _>>()?;
    let asks = Arc::new(asks);

    let watch = Watch::start();
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..order.permits + SPARE_WORKERS {
        let (asks, next) = (Arc::clone(&asks), Arc::clone(&next));
        let (provider, cache) = (Arc::clone(&provider), cache.clone());
        workers.spawn(async move {
            while let Some(ask) = asks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some(cache) = &cache else {
                    provider.complete(&ask.request).await?;
                    continue;
                };
                let asked = answer(ask, &*provider, &**cache).await?;
                ensure!(asked, "the cache was empty");
            }
            Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    let (wall, processor) = watch.stop();

    let mut again = Vec::new();
    if let Some(cache) = cache {
        for ask in &*asks {
            let begun = Instant::now();
            let asked = answer(ask, &*provider, &*cache).await?;
            again.push(begun.elapsed());
            ensure!(!asked, "each answer is in the cache");
        }
        cache.close().await?;
    }
    Ok(Figures {
        wall,
        processor,
        again,
    })
}

/// A question and what names its answer.
struct Ask {
    key_of: String,
    request: CompletionRequest,
}

impl Ask {
    fn read(body: &Value) -> anyhow::Result<Self> {
        let said = |role: &str| {
            let messages = body["messages"].as_array()?;
            let message = messages.iter().find(|message| message["role"] == role)?;
            message["content"].as_str().map(str::to_owned)
        };
        Ok(Self {
            key_of: body["messages"].to_string(),
            request: CompletionRequest {
                system: said("system").context("a system prompt")?,
                messages: vec![Message {
                    role: Role::User,
                    content: said("user").context("a question")?,
                }],
                max_tokens: body["max_tokens"].as_u64().context("a cap")?.try_into()?,
                format: ResponseFormat::JsonObject,
            },
        })
    }
}

/// Finds the answer, or asks for it and has it on disk; whether it was asked for.
async fn answer(ask: &Ask, provider: &dyn Provider, cache: &dyn BodyCache) -> anyhow::Result<bool> {
    let key = CacheKey::from(ContentHash::of(ask.key_of.as_bytes()));
    let flight = loop {
        match cache.claim(key) {
            Claim::Lead(flight) => break flight,
            Claim::Follow(wait) => wait.await,
        }
    };
    if let [Lookup::Hit(_)] = cache.lookup(&[key]).await[..] {
        return Ok(false);
    }
    let answer = provider.complete(&ask.request).await?;
    let body = CachedBody {
        code: answer.content,
        model: answer.model,
    };
    cache.store(vec![(key, body)]).await?;
    drop(flight);
    Ok(true)
}
