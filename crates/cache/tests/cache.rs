//! The cache over real files, before and after restarts.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use testsmith_cache::{Cache, CacheSettings};
use testsmith_domain::{
    BodyCache as _, CacheKey, CacheStats, CacheStatsReporter as _, CachedBody, Claim, ContentHash,
    Lookup, MissReason,
};
use tokio::task::JoinSet;

fn key(number: u64) -> CacheKey {
    CacheKey::from(ContentHash::of(&number.to_be_bytes()))
}

fn body(number: u64) -> CachedBody {
    CachedBody {
        code: format!("test {number}"),
        model: "m".into(),
    }
}

fn open(dir: &Path, settings: CacheSettings) -> Arc<Cache> {
    let (cache, report) = Cache::open(&dir.join("cache.sled"), settings).unwrap();
    assert_eq!(report.store.repairs, []);
    cache
}

async fn store(cache: &Cache, numbers: impl IntoIterator<Item = u64>) {
    let entries = numbers.into_iter().map(|n| (key(n), body(n))).collect();
    cache.store(entries).await.unwrap();
}

async fn has(cache: &Cache, number: u64) -> bool {
    match &cache.lookup(&[key(number)]).await[..] {
        [Lookup::Hit(found)] => {
            assert_eq!(*found, body(number));
            true
        }
        [Lookup::Miss(MissReason::Absent)] => false,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_and_figures_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    store(&cache, 0..3).await;
    let found = cache.lookup(&[key(2), key(9), key(0)]).await;
    assert_eq!(
        found,
        [
            Lookup::Hit(body(2)),
            Lookup::Miss(MissReason::Absent),
            Lookup::Hit(body(0))
        ]
    );
    let stats = CacheStats {
        hits: 2,
        misses: 1,
        entries: 3,
    };
    assert_eq!(cache.cache_stats(), Some(stats));
    let size = cache.size_bytes();
    cache.close().await.unwrap();
    drop(cache);

    let (cache, report) =
        Cache::open(&dir.path().join("cache.sled"), CacheSettings::default()).unwrap();
    assert_eq!((report.entries, report.size_bytes), (3, size));
    assert!(has(&cache, 1).await);
    let run = cache.cache_stats().unwrap();
    assert_eq!((run.hits, run.misses, run.entries), (1, 0, 3));
    let all = cache.lifetime_stats();
    assert_eq!((all.hits, all.misses, all.entries), (3, 1, 3));
}

/// As a kill leaves it: nothing is closed.
#[tokio::test]
async fn an_answer_is_durable_once_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    let long = CachedBody {
        code: (0..40_000).map(|n: u64| key(n).to_string()).collect(),
        model: "m".into(),
    };
    assert!(long.code.len() > 2_000_000);
    cache.store(vec![(key(7), long.clone())]).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let cache = open(copy.path(), CacheSettings::default());
    assert_eq!(cache.lookup(&[key(7)]).await, [Lookup::Hit(long)]);
}

#[tokio::test]
async fn a_dropped_store_is_kept_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    drop(cache.store(vec![(key(1), body(1))]));
    // Closing waits for nothing by itself, but it is behind the write in the store.
    for _ in 0..1000 {
        if has(&cache, 1).await {
            return;
        }
        tokio::task::yield_now().await;
    }
    unreachable!("the write was given up");
}

#[tokio::test]
async fn the_least_recently_used_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let settings = CacheSettings {
        max_entries: 20,
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    for number in 0..20 {
        store(&cache, [number]).await;
    }
    assert!(has(&cache, 0).await);
    assert!(has(&cache, 5).await);
    // Last uses are remembered across a restart.
    cache.close().await.unwrap();
    drop(cache);
    let cache = open(dir.path(), settings);
    store(&cache, [20]).await;
    // 21 > 20: down to 18, and 0 and 5 were used after 1, 2 and 3.
    assert_eq!(cache.cache_stats().unwrap().entries, 18);
    for gone in [1, 2, 3] {
        assert!(!has(&cache, gone).await, "{gone} is there");
    }
    for kept in [0, 4, 5, 6, 19, 20] {
        assert!(has(&cache, kept).await, "{kept} is gone");
    }
}

#[tokio::test]
async fn the_size_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let settings = CacheSettings {
        max_size: 100_000,
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    for number in 0..60 {
        let body = CachedBody {
            code: "x".repeat(5_000),
            model: "m".into(),
        };
        cache.store(vec![(key(number), body)]).await.unwrap();
        assert!(cache.size_bytes() <= 100_000);
    }
    let entries = cache.cache_stats().unwrap().entries;
    assert!((17..20).contains(&entries), "{entries} entries");
    cache.close().await.unwrap();
    drop(cache);
    let cache = open(dir.path(), settings);
    assert_eq!(cache.cache_stats().unwrap().entries, entries);
}

#[tokio::test]
async fn an_old_answer_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    store(&cache, 0..3).await;
    cache.close().await.unwrap();
    drop(cache);
    let settings = CacheSettings {
        max_age: Duration::ZERO,
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    let expired = [Lookup::Miss(MissReason::Expired)];
    assert_eq!(cache.lookup(&[key(0)]).await, expired);
    assert!(!has(&cache, 0).await, "it is removed");
    assert_eq!(cache.cache_stats().unwrap().entries, 2);
    cache.close().await.unwrap(); // removes the others
    drop(cache);
    let cache = open(dir.path(), CacheSettings::default());
    assert_eq!(cache.cache_stats().unwrap().entries, 0);
}

#[tokio::test]
async fn a_damaged_answer_is_a_miss_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    store(&cache, 0..2).await;
    cache.close().await.unwrap();
    drop(cache);
    // Damage below the envelope is the store's; this is a record that is no answer.
    let options = testsmith_store::StoreOptions::new(1);
    let (raw, _) = testsmith_store::Store::open(&dir.path().join("cache.sled"), options).unwrap();
    let mut batch = testsmith_store::Batch::new();
    batch.put([b"e", &key(1).hash().as_bytes()[..]].concat(), "no answer");
    raw.commit(&batch).unwrap();
    raw.close().unwrap();

    let cache = open(dir.path(), CacheSettings::default());
    let corrupt = [Lookup::Miss(MissReason::Corrupt)];
    assert_eq!(cache.lookup(&[key(1)]).await, corrupt);
    assert!(!has(&cache, 1).await);
    assert!(has(&cache, 0).await);
    store(&cache, [1]).await;
    assert!(has(&cache, 1).await);
}

#[tokio::test]
async fn clearing_forgets_answers_but_not_figures() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    store(&cache, 0..600).await;
    assert!(has(&cache, 3).await);
    assert_eq!(cache.clear().await.unwrap(), 600);
    assert!(!has(&cache, 3).await);
    assert_eq!(cache.size_bytes(), 0);
    store(&cache, [3]).await;
    assert!(has(&cache, 3).await);
    cache.close().await.unwrap();
    drop(cache);
    let cache = open(dir.path(), CacheSettings::default());
    let all = cache.lifetime_stats();
    assert_eq!((all.hits, all.misses, all.entries), (2, 1, 1));
}

#[tokio::test]
async fn a_closed_cache_misses_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    store(&cache, [1]).await;
    cache.close().await.unwrap();
    let unavailable = [Lookup::Miss(MissReason::Unavailable)];
    assert_eq!(cache.lookup(&[key(1)]).await, unavailable);
    let error = cache.store(vec![(key(2), body(2))]).await.unwrap_err();
    assert_eq!(error.0.to_string(), "the store is closed");
}

/// Fifty ask the same three questions at once: each is answered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn equal_questions_are_paid_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..150u64 {
        let cache = Arc::clone(&cache);
        let calls = Arc::clone(&calls);
        tasks.spawn(async move {
            let number = task % 3;
            while !has(&cache, number).await {
                match cache.claim(key(number)) {
                    Claim::Follow(landing) => landing.await,
                    Claim::Lead(flight) => {
                        // Another may have led and landed since the lookup.
                        if !has(&cache, number).await {
                            calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            store(&cache, [number]).await;
                        }
                        drop(flight);
                    }
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 3);
}

#[tokio::test]
async fn turnover_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let settings = CacheSettings {
        max_size: 1 << 20,
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    for start in (0..4000u64).step_by(20) {
        let entries = (start..start + 20).map(|number| {
            // Hex digits of hashes: halved by compression at best.
            let code = (0..32).map(|n| key(number * 100 + n).to_string()).collect();
            let model = String::new();
            (key(number), CachedBody { code, model })
        });
        cache.store(entries.collect()).await.unwrap();
    }
    let on_disk = std::fs::metadata(dir.path().join("cache.sled/db"))
        .unwrap()
        .len();
    // 8 MB went through a cache of 1 MB.
    assert!(on_disk < 16 << 20, "{on_disk} bytes on disk");
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn notes_are_kept_beside_the_answers_and_counted_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let name = ContentHash::of(b"verdict");
    let cache = open(dir.path(), CacheSettings::default());
    assert_eq!(cache.note(name).await, None);
    cache.put_note(name, b"held".to_vec()).await;
    assert_eq!(cache.note(name).await.as_deref(), Some(&b"held"[..]));
    assert_eq!(cache.cache_stats(), Some(CacheStats::default()));
    cache.close().await.unwrap();
    drop(cache);
    let cache = open(dir.path(), CacheSettings::default());
    assert_eq!(cache.note(name).await.as_deref(), Some(&b"held"[..]));
    cache.clear().await.unwrap();
    assert_eq!(cache.note(name).await, None);
}

#[tokio::test]
async fn old_notes_are_gone_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let name = ContentHash::of(b"verdict");
    let cache = open(dir.path(), CacheSettings::default());
    cache.put_note(name, b"held".to_vec()).await;
    cache.close().await.unwrap();
    drop(cache);
    let settings = CacheSettings {
        max_age: Duration::ZERO,
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    assert_eq!(cache.note(name).await, None);
}
