//! The seam to the cache: answers already paid for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, ContentHash, FieldHasher, Framework, Language, MemberName, ModelIdentity};

/// Names one answer: SHA-256 over everything that shapes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey(ContentHash);

/// What a [`CacheKey`] is derived from.
#[derive(Debug, Clone, Copy)]
pub struct KeyInputs<'a> {
    /// The member's language.
    pub language: Language,
    /// The project's test framework.
    pub framework: &'a Framework,
    /// The member's name.
    pub member: &'a MemberName,
    /// The member's digest: all its tests depend on.
    pub source: &'a ContentHash,
    /// Who answers, and how it is asked.
    pub model: &'a ModelIdentity,
    /// The version of the prompt's wording and of the rules that read the answer.
    pub prompt_version: u32,
}

impl CacheKey {
    /// Version of the derivation below. Raise it when the fields or their order change: every
    /// older entry is then simply never found again, and evicted in time.
    pub const VERSION: u32 = 1;

    /// Derives the key.
    ///
    /// Inputs are taken apart without `..`, so that a new field cannot be forgotten here.
    pub fn derive(inputs: &KeyInputs<'_>) -> Self {
        let KeyInputs {
            language,
            framework,
            member,
            source,
            model,
            prompt_version,
        } = inputs;
        let ModelIdentity {
            provider,
            model,
            temperature,
        } = model;
        Self(
            FieldHasher::new()
                .field(Self::VERSION.to_be_bytes())
                .field(language.as_str())
                .field(&framework.0)
                .field(member.as_str())
                .field(source.as_bytes())
                .field(provider)
                .field(model)
                .field(temperature.to_bits().to_be_bytes())
                .field(prompt_version.to_be_bytes())
                .finish(),
        )
    }

    /// Names the answer to a further question about this one: which (`repair`, `judge`), and about
    /// which body.
    #[must_use]
    pub fn follow_up(&self, question: &str, body: &ContentHash) -> Self {
        Self(
            FieldHasher::new()
                .field(Self::VERSION.to_be_bytes())
                .field(question)
                .field(self.0.as_bytes())
                .field(body.as_bytes())
                .finish(),
        )
    }

    /// The key as a digest.
    pub const fn hash(&self) -> &ContentHash {
        &self.0
    }

    /// The key's first 8 hex digits, as written in a block's mark.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl From<ContentHash> for CacheKey {
    fn from(hash: ContentHash) -> Self {
        Self(hash)
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({})", self.short())
    }
}

/// One answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedBody {
    /// The test code, complete and checked by its language's parser.
    pub code: String,
    /// The model that gave it, as the server named it.
    pub model: String,
}

/// One answer as it goes from one cache to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// What it is found by.
    pub key: CacheKey,
    /// When it was given, in Unix seconds.
    pub created: u64,
    /// The answer.
    pub body: CachedBody,
}

/// What became of answers that came from another cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Kept from now on.
    pub added: u64,
    /// There already; these are as they were.
    pub present: u64,
    /// Too old to be used; these are not kept.
    pub expired: u64,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The answer.
    Hit(CachedBody),
    /// No answer, and why.
    Miss(MissReason),
}

/// Why a lookup found nothing. Trouble with the store is a miss, never a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissReason {
    /// Never asked, or evicted.
    Absent,
    /// Older than the configured age.
    Expired,
    /// The entry did not pass its checksum and was removed.
    Corrupt,
    /// The store could not be read in time, or at all.
    Unavailable,
}

impl MissReason {
    /// The reason's name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Expired => "expired",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The figures of a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Lookups that found an answer.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Answers kept now.
    pub entries: u64,
}

impl fmt::Display for CacheStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hits,
            misses,
            entries,
        } = self;
        write!(
            f,
            "LLM cache — hits: {hits} misses: {misses} entries: {entries}"
        )
    }
}

/// Something that can tell how its cache did.
pub trait CacheStatsReporter: Send + Sync {
    /// Figures of this run. `None` if there is no cache.
    fn cache_stats(&self) -> Option<CacheStats>;
}

/// Why an answer could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("the cache could not keep the answer")]
pub struct CacheError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The right, shared with nobody, to have one key answered. Dropping it lets the next claimant
/// lead: with the answer in the cache, or without, if this leader failed.
pub trait Flight: Send + Sync + fmt::Debug {
    /// How many others wait for this key now.
    fn followers(&self) -> usize;
}

/// What came of claiming a key.
pub enum Claim {
    /// Nobody else is asking for it: do it, and hold the flight until the answer is stored.
    Lead(Box<dyn Flight>),
    /// Somebody else is: wait for this, then look the key up again and, if it is still missing,
    /// claim again.
    Follow(BoxFuture<'static, ()>),
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lead(_) => "Lead",
            Self::Follow(_) => "Follow",
        })
    }
}

/// Answers kept across restarts, found by content.
pub trait BodyCache: CacheStatsReporter + fmt::Debug {
    /// Looks up several answers, each under one or more keys: the first key that is found counts. Each
    /// answer counts once, as hit or miss. Results are in the answers' order, with the place of the
    /// key that was found; a miss is told of the first key.
    fn lookup_first<'a>(
        &'a self,
        wanted: &'a [Vec<CacheKey>],
    ) -> BoxFuture<'a, Vec<(usize, Lookup)>>;

    /// Looks up several keys; each counts once as hit or miss. Results are in the keys' order.
    fn lookup<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Vec<Lookup>> {
        Box::pin(async move {
            let wanted: Vec<Vec<CacheKey>> = keys.iter().map(|key| vec![*key]).collect();
            let found = self.lookup_first(&wanted).await.into_iter();
            found.map(|(_, lookup)| lookup).collect()
        })
    }

    /// Keeps answers. When this returns, they are in the store and flushed; once called, dropping
    /// the future does not undo the write.
    fn store(&self, entries: Vec<(CacheKey, CachedBody)>) -> BoxFuture<'_, Result<(), CacheError>>;

    /// Claims a key, so that equal questions are asked once at a time.
    fn claim(&self, key: CacheKey) -> Claim;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(change: impl FnOnce(&mut Parts)) -> CacheKey {
        let mut parts = Parts {
            language: Language::Go,
            framework: Framework("go-testing".into()),
            member: MemberName::from("Cart.Total"),
            source: ContentHash::of(b"func (c Cart) Total() int { return 1 }"),
            model: ModelIdentity {
                provider: "openai".into(),
                model: "gpt-x".into(),
                temperature: 0.0,
            },
            prompt_version: 1,
        };
        change(&mut parts);
        CacheKey::derive(&KeyInputs {
            language: parts.language,
            framework: &parts.framework,
            member: &parts.member,
            source: &parts.source,
            model: &parts.model,
            prompt_version: parts.prompt_version,
        })
    }

    struct Parts {
        language: Language,
        framework: Framework,
        member: MemberName,
        source: ContentHash,
        model: ModelIdentity,
        prompt_version: u32,
    }

    /// Computed once with Python's hashlib over the same length-prefixed fields. If this fails,
    /// every user's cache has just been emptied: raise `CacheKey::VERSION` and say so in the
    /// changelog.
    #[test]
    fn the_key_is_golden() {
        assert_eq!(key(|_| {}).to_string(), GOLDEN);
    }

    const GOLDEN: &str = "53cd88334ef60edb20c861a9afa21ccd43ad7a35d0f3e2ffbe37628185026c4b";

    #[test]
    fn the_line_is_the_contract_s() {
        let stats = CacheStats {
            hits: 12,
            misses: 8,
            entries: 8,
        };
        assert_eq!(
            stats.to_string(),
            "LLM cache — hits: 12 misses: 8 entries: 8"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_changed_field_changes_the_key(
            text in ".{1,12}", number in 1u32.., which in 0usize..7
        ) {
            let changed = key(|p| match which {
                0 => p.language = Language::Python,
                1 => p.framework.0 += &text,
                2 => p.member.0 += &text,
                3 => p.source = ContentHash::of(text.as_bytes()),
                4 => p.model.provider += &text,
                5 => p.model.model += &text,
                _ => p.prompt_version += number % 1000 + 1,
            });
            proptest::prop_assert_ne!(changed, key(|_| {}));
            let warmer = key(|p| p.model.temperature = f64::from(number));
            proptest::prop_assert_ne!(warmer, key(|_| {}));
        }
    }
}
