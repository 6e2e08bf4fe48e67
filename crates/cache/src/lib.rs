//! Content-addressed answers that survive restarts.
//!
//! [`Cache`] implements the domain's [`BodyCache`](testsmith_domain::BodyCache): an answer is
//! durable when [`store`](testsmith_domain::BodyCache::store) returns, and is found by its
//! [`CacheKey`](testsmith_domain::CacheKey) from then on, by any later process as well.
//!
//! ```
//! use testsmith_cache::{Cache, CacheSettings};
//! use testsmith_domain::{BodyCache, CacheKey, CachedBody, ContentHash, Lookup};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let (cache, _) = Cache::open(&dir.path().join("cache.sled"), CacheSettings::default())?;
//! let key = CacheKey::from(ContentHash::of(b"what was asked"));
//! let body = CachedBody { code: "func TestTotal…".into(), model: "gpt-x".into() };
//! cache.store(vec![(key, body.clone())]).await?;
//! assert_eq!(cache.lookup(&[key]).await, [Lookup::Hit(body)]);
//! cache.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Theory of operation
//!
//! Every answer has two records, written in one batch: its body, and a small index record with its
//! age, size and last use. The index is in memory while the cache is open, so bounds are checked
//! and misses are answered without reading the disk. Last uses are counted by a clock of the
//! cache's own that ticks with every access: it never runs backwards. They are written along with
//! later answers, or in batches, or on closing; a killed process loses some of them.
//!
//! The index in memory may name an entry that is gone, never miss one that is there for long: a
//! lookup believes the disk.
//!
//! Beyond its bounds the cache removes what was used least recently, down to 90 % of them, so that
//! this happens seldom. sled does not give space back, so when the files outgrow their content
//! fourfold the database is copied into a fresh directory.
//!
//! Trouble is a miss. A lookup that takes longer than [`LOOKUP_LIMIT`], finds the store out of
//! order or reads a damaged entry says why it missed, and the answer is asked for anew. On a full
//! disk answers pass through without being kept.
//!
//! Answers go from one cache to another in pages, in the order of their keys, and are taken in with
//! the time at which they were given, but as used least recently of all: what comes from elsewhere
//! pushes out nothing that was used here.
//!
//! Answers to equal questions asked at once are paid once: [`claim`](
//! testsmith_domain::BodyCache::claim) gives the lead to one caller; the others wait until its
//! flight is dropped and look the answer up.
//!
//! # Records, format 1
//!
//! | Key | Value |
//! |---|---|
//! | `e` + key (32 bytes) | the body as JSON: `code`, `model` |
//! | `i` + key | created (Unix seconds, 8 bytes), last use (tick, 8 bytes), size (4 bytes), all big-endian |
//! | `s` | hits and misses of all time, 8 bytes each, big-endian |

mod added;
mod cache;
mod flight;
mod index;
mod keep;
mod notes;
mod settings;
mod transfer;

pub use cache::{Cache, CacheReport, LOOKUP_LIMIT};
pub use keep::KeepError;
pub use settings::CacheSettings;
