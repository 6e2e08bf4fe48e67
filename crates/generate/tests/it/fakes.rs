//! A model that answers as a test tells it to, and a cache in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testsmith_domain::{
    BodyCache, BodySink, BoxFuture, CacheError, CacheKey, CacheStats, CacheStatsReporter,
    CachedBody, Claim, CompletionRequest, CompletionResponse, Effort, FinishReason, Flight, Lookup,
    MissReason, ModelIdentity, Provider, ProviderError, ProviderErrorKind, RateLimits, TestBody,
    Usage,
};
use tokio::sync::watch;

/// What the model does with one question.
pub(crate) enum Act {
    /// Answers well, in the form that was asked for.
    Well,
    Say(String),
    SayCut(String),
    Fail(ProviderErrorKind),
    /// Never answers.
    Hang,
    /// Does it after a while.
    After(Duration, Box<Act>),
}

/// One question as the model sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Counted from 0.
    pub(crate) number: usize,
    pub(crate) members: Vec<String>,
    pub(crate) delimiter: Option<String>,
    pub(crate) request: CompletionRequest,
}

impl Asked {
    pub(crate) fn user(&self) -> &str {
        &self.request.messages.last().unwrap().content
    }
}

type Script = Box<dyn Fn(&Asked) -> Act + Send + Sync>;

pub(crate) struct FakeModel {
    script: Script,
    identity: ModelIdentity,
    max_output_tokens: u32,
    log: Mutex<Vec<Asked>>,
    /// Calls that were dropped before they ended.
    dropped: AtomicUsize,
    /// Which model of its chain answers.
    link: AtomicUsize,
}

impl fmt::Debug for FakeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeModel").finish_non_exhaustive()
    }
}

pub(crate) fn identity() -> ModelIdentity {
    ModelIdentity {
        provider: "fake".to_owned(),
        model: "fake-1".to_owned(),
        temperature: 0.0,
    }
}

/// Good code for a member.
pub(crate) fn code(name: &str) -> String {
    format!("func Test{name}(t *testing.T) {{\n\tcheck(\"{name}\")\n}}")
}

/// A good answer in JSON.
pub(crate) fn json<S: AsRef<str>>(names: &[S]) -> String {
    let tests: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({"name": name.as_ref(), "code": code(name.as_ref())}))
        .collect();
    serde_json::json!({ "tests": tests }).to_string()
}

/// A good answer in the delimiter form.
pub(crate) fn delimited<S: AsRef<str>>(names: &[S], token: &str) -> String {
    let blocks: Vec<String> = names
        .iter()
        .map(|name| {
            let name = name.as_ref();
            let code = code(name);
            format!("<<<TS:{token}:{name}>>>\n{code}\n<<<END:{token}>>>\n")
        })
        .collect();
    blocks.concat()
}

impl FakeModel {
    pub(crate) fn new(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Self::with_limit(16_384, script)
    }

    pub(crate) fn with_limit(
        max_output_tokens: u32,
        script: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            identity: identity(),
            max_output_tokens,
            log: Mutex::default(),
            dropped: AtomicUsize::new(0),
            link: AtomicUsize::new(0),
        })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    /// The members of each call, in order.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        self.asked()
            .into_iter()
            .map(|asked| asked.members)
            .collect()
    }

    /// From now on the model at this place of its chain answers.
    pub(crate) fn answers_as(&self, link: usize) {
        self.link.store(link, Ordering::SeqCst);
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    fn note(&self, request: &CompletionRequest) -> Asked {
        let user = &request.messages.last().unwrap().content;
        let line = |key: &str| {
            let mut lines = user.lines().filter_map(|line| line.strip_prefix(key));
            let found = lines.next().map(str::to_owned);
            assert_eq!(lines.next(), None, "`{key}` is there once");
            found
        };
        let mut log = self.log.lock().unwrap();
        let asked = Asked {
            number: log.len(),
            members: serde_json::from_str(&line("Members: ").unwrap()).unwrap(),
            delimiter: line("Delimiter: "),
            request: request.clone(),
        };
        log.push(asked.clone());
        asked
    }
}

struct CountDrop<'a>(Option<&'a AtomicUsize>);

impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Provider for FakeModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn max_output_tokens(&self) -> u32 {
        self.max_output_tokens
    }

    fn complete<'a>(
        &'a self,
        request: &'a CompletionRequest,
    ) -> BoxFuture<'a, Result<CompletionResponse, ProviderError>> {
        Box::pin(async move {
            let asked = self.note(request);
            let mut act = (self.script)(&asked);
            let mut guard = CountDrop(Some(&self.dropped));
            while let Act::After(wait, next) = act {
                tokio::time::sleep(wait).await;
                act = *next;
            }
            let (content, finish) = match act {
                Act::Well => {
                    let content = match &asked.delimiter {
                        Some(token) => delimited(&asked.members, token),
                        None => json(&asked.members),
                    };
                    (content, FinishReason::Stop)
                }
                Act::Say(content) => (content, FinishReason::Stop),
                Act::SayCut(content) => (content, FinishReason::Length),
                Act::Fail(kind) => {
                    guard.0 = None;
                    return Err(ProviderError::new(kind, kind.as_str()));
                }
                Act::Hang => std::future::pending().await,
                Act::After(..) => unreachable!("unwrapped above"),
            };
            guard.0 = None;
            Ok(CompletionResponse {
                content,
                finish,
                usage: Usage {
                    input_tokens: Some(100),
                    cached_input_tokens: None,
                    cache_write_tokens: None,
                    output_tokens: Some(10),
                },
                model: "fake-1-2026".to_owned(),
                request_id: None,
                rate_limits: RateLimits::default(),
                attempts: 1,
                link: self.link.load(Ordering::SeqCst),
            })
        })
    }
}

/// A sink that remembers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) bodies: Mutex<Vec<TestBody>>,
    pub(crate) effort: Mutex<Effort>,
}

impl Kept {
    pub(crate) fn names(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| body.member.to_string()).collect()
    }
}

impl BodySink for Kept {
    fn keep<'a>(&'a self, _link: usize, bodies: &'a [TestBody]) -> BoxFuture<'a, ()> {
        self.bodies.lock().unwrap().extend_from_slice(bodies);
        Box::pin(std::future::ready(()))
    }

    fn spent(&self, effort: Effort) {
        self.effort.lock().unwrap().add(effort);
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemoryCache {
    entries: Mutex<HashMap<CacheKey, CachedBody>>,
    flights: Arc<Mutex<HashMap<CacheKey, watch::Sender<()>>>>,
    hits: AtomicU32,
    misses: AtomicU32,
    /// How long a lookup and a write take.
    slowness: Duration,
}

impl MemoryCache {
    pub(crate) fn slow(slowness: Duration) -> Self {
        Self {
            slowness,
            ..Self::default()
        }
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let mut codes: Vec<_> = entries.values().map(|body| body.code.clone()).collect();
        codes.sort();
        codes
    }

    pub(crate) fn open_flights(&self) -> usize {
        self.flights.lock().unwrap().len()
    }
}

impl CacheStatsReporter for MemoryCache {
    fn cache_stats(&self) -> Option<CacheStats> {
        Some(CacheStats {
            hits: self.hits.load(Ordering::SeqCst).into(),
            misses: self.misses.load(Ordering::SeqCst).into(),
            entries: self.entries.lock().unwrap().len() as u64,
        })
    }
}

impl BodyCache for MemoryCache {
    fn lookup_first<'a>(
        &'a self,
        wanted: &'a [Vec<CacheKey>],
    ) -> BoxFuture<'a, Vec<(usize, Lookup)>> {
        Box::pin(async move {
            tokio::time::sleep(self.slowness).await;
            let entries = self.entries.lock().unwrap();
            let found = wanted.iter().map(|keys| {
                let hit = |(at, key)| Some((at, Lookup::Hit(entries.get(key)?.clone())));
                if let Some(hit) = keys.iter().enumerate().find_map(hit) {
                    self.hits.fetch_add(1, Ordering::SeqCst);
                    hit
                } else {
                    self.misses.fetch_add(1, Ordering::SeqCst);
                    (0, Lookup::Miss(MissReason::Absent))
                }
            });
            found.collect()
        })
    }

    fn store(&self, entries: Vec<(CacheKey, CachedBody)>) -> BoxFuture<'_, Result<(), CacheError>> {
        self.entries.lock().unwrap().extend(entries);
        Box::pin(async {
            tokio::time::sleep(self.slowness).await;
            Ok(())
        })
    }

    fn claim(&self, key: CacheKey) -> Claim {
        let mut flights = self.flights.lock().unwrap();
        if let Some(sender) = flights.get(&key) {
            let mut receiver = sender.subscribe();
            return Claim::Follow(Box::pin(async move {
                let closed = receiver.changed().await;
                assert!(closed.is_err(), "nothing is sent, the flight only ends");
            }));
        }
        flights.insert(key, watch::Sender::new(()));
        Claim::Lead(Box::new(MemoryFlight {
            key,
            flights: Arc::clone(&self.flights),
        }))
    }
}

#[derive(Debug)]
struct MemoryFlight {
    key: CacheKey,
    flights: Arc<Mutex<HashMap<CacheKey, watch::Sender<()>>>>,
}

impl Flight for MemoryFlight {
    fn followers(&self) -> usize {
        let flights = self.flights.lock().unwrap();
        flights
            .get(&self.key)
            .map_or(0, watch::Sender::receiver_count)
    }
}

impl Drop for MemoryFlight {
    fn drop(&mut self) {
        self.flights.lock().unwrap().remove(&self.key);
    }
}
