//! Answers from one cache to another, over real files.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testsmith_cache::{Cache, CacheSettings};
use testsmith_domain::{
    BodyCache as _, CacheEntry, CacheKey, CacheStats, CachedBody, ContentHash, Imported, Lookup,
};

const DAY: u64 = 24 * 60 * 60;

fn key(number: u64) -> CacheKey {
    CacheKey::from(ContentHash::of(&number.to_be_bytes()))
}

fn body(code: &str) -> CachedBody {
    CachedBody {
        code: code.to_owned(),
        model: "m".into(),
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

fn entry(number: u64, age: u64) -> CacheEntry {
    CacheEntry {
        key: key(number),
        created: now() - age,
        body: body(&format!("imported {number}")),
    }
}

fn open(dir: &Path, settings: CacheSettings) -> Arc<Cache> {
    let (cache, report) = Cache::open(&dir.join("cache.sled"), settings).unwrap();
    assert_eq!(report.store.repairs, []);
    cache
}

async fn close(cache: Arc<Cache>) {
    cache.close().await.unwrap();
    drop(cache);
}

async fn store(cache: &Cache, number: u64, code: &str) {
    let entries = vec![(key(number), body(code))];
    cache.store(entries).await.unwrap();
}

/// All pages, each as many as were asked for at the most.
async fn pages(cache: &Cache, limit: usize) -> Vec<Vec<CacheEntry>> {
    let mut pages: Vec<Vec<CacheEntry>> = Vec::new();
    for _ in 0..10_000 {
        let last = pages.last().and_then(|page| page.last());
        let page = cache.page(last.map(|entry| entry.key), limit).await;
        let page = page.unwrap();
        if page.is_empty() {
            return pages;
        }
        assert!(page.len() <= limit);
        pages.push(page);
    }
    unreachable!("the pages have no end");
}

#[tokio::test]
async fn pages_hold_each_answer_once_in_the_order_of_keys() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    assert_eq!(cache.page(None, 10).await.unwrap(), []);
    let entries = (0..100).map(|number| (key(number), body("x")));
    cache.store(entries.collect()).await.unwrap();
    let mut keys: Vec<CacheKey> = (0..100).map(key).collect();
    keys.sort_unstable();
    for limit in [1, 7, 99, 100, 101, usize::MAX] {
        let pages = pages(&cache, limit).await;
        assert_eq!(pages.len(), 100usize.div_ceil(limit), "{limit}");
        let found: Vec<CacheKey> = pages.iter().flatten().map(|entry| entry.key).collect();
        assert_eq!(found, keys, "{limit}");
    }
    // Asking for none would be an end that is none.
    assert_eq!(cache.page(None, 0).await.unwrap().len(), 1);
    let none = CacheStats {
        entries: 100,
        ..CacheStats::default()
    };
    assert_eq!(cache.lifetime_stats(), none, "these are no lookups");
}

#[tokio::test]
async fn pages_are_bounded_by_bytes_and_one_long_answer_is_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    let long = "x".repeat(300_000);
    for number in 0..10 {
        store(&cache, number, &long).await;
    }
    store(&cache, 10, &"x".repeat(3_000_000)).await;
    let pages = pages(&cache, usize::MAX).await;
    let lengths =
        |page: &Vec<CacheEntry>| -> usize { page.iter().map(|entry| entry.body.code.len()).sum() };
    assert!(
        pages
            .iter()
            .all(|page| page.len() == 1 || lengths(page) <= 1 << 20)
    );
    assert!(pages.len() < 10, "{} pages", pages.len());
    assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 11);
}

#[tokio::test]
async fn what_is_damaged_or_too_old_is_in_no_page() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    for number in 0..4 {
        store(&cache, number, "x").await;
    }
    cache.import(vec![entry(4, 20 * DAY)]).await.unwrap();
    close(cache).await;
    let options = testsmith_store::StoreOptions::new(1);
    let (raw, _) = testsmith_store::Store::open(&dir.path().join("cache.sled"), options).unwrap();
    let mut keys: Vec<CacheKey> = (0..4).map(key).collect();
    keys.sort_unstable();
    let mut batch = testsmith_store::Batch::new();
    for damaged in &keys[1..3] {
        batch.put([b"e", &damaged.hash().as_bytes()[..]].concat(), "no answer");
    }
    raw.commit(&batch).unwrap();
    raw.close().unwrap();
    drop(raw);

    let settings = CacheSettings {
        max_age: Duration::from_secs(10 * DAY),
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    // A page of damaged ones only is passed over: an empty one would be the end.
    let found = pages(&cache, 1).await;
    let found: Vec<CacheKey> = found.iter().flatten().map(|entry| entry.key).collect();
    assert_eq!(found, [keys[0], keys[3]]);
}

#[tokio::test]
async fn answers_are_taken_over_with_their_time_and_survive_a_kill() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = open(from.path(), CacheSettings::default());
    for number in 0..5 {
        store(&cache, number, "x").await;
    }
    cache.import(vec![entry(5, 3 * DAY)]).await.unwrap();
    let all = pages(&cache, usize::MAX).await.concat();
    assert_eq!(all.len(), 6);
    close(cache).await;

    let target = open(to.path(), CacheSettings::default());
    let done = target.import(all.clone()).await.unwrap();
    let added = Imported {
        added: 6,
        ..Imported::default()
    };
    assert_eq!(done, added);
    // As a kill leaves it: nothing is closed.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(copy.path().join("cache.sled")).unwrap();
    for file in std::fs::read_dir(to.path().join("cache.sled")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            let target = copy.path().join("cache.sled").join(file.file_name());
            std::fs::copy(file.path(), target).unwrap();
        }
    }
    let again = open(copy.path(), CacheSettings::default());
    assert_eq!(pages(&again, usize::MAX).await.concat(), all);
    let hit = [Lookup::Hit(body("imported 5"))];
    assert_eq!(again.lookup(&[key(5)]).await, hit);
}

#[tokio::test]
async fn what_is_there_stays_and_what_is_too_old_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let settings = CacheSettings {
        max_age: Duration::from_secs(10 * DAY),
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    store(&cache, 1, "mine").await;
    let entries = vec![
        entry(1, DAY),
        // There, however old it says it is.
        entry(1, 11 * DAY),
        entry(2, 10 * DAY),
        entry(3, 10 * DAY - 60),
        entry(3, DAY),
    ];
    let done = cache.import(entries.clone()).await.unwrap();
    let wanted = Imported {
        added: 1,
        present: 3,
        expired: 1,
    };
    assert_eq!(done, wanted);
    assert_eq!(cache.lookup(&[key(1)]).await, [Lookup::Hit(body("mine"))]);
    let again = cache.import(entries).await.unwrap();
    assert_eq!((again.added, again.present), (0, 4));
    assert_eq!(cache.import(Vec::new()).await.unwrap(), Imported::default());
}

#[tokio::test]
async fn an_answer_that_is_too_old_here_gives_way() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    cache.import(vec![entry(1, 20 * DAY)]).await.unwrap();
    let size = cache.size_bytes();
    cache.set(CacheSettings {
        max_age: Duration::from_secs(10 * DAY),
        ..CacheSettings::default()
    });
    let done = cache.import(vec![entry(1, DAY)]).await.unwrap();
    assert_eq!((done.added, done.present), (1, 0));
    let hit = [Lookup::Hit(body("imported 1"))];
    assert_eq!(cache.lookup(&[key(1)]).await, hit);
    assert_eq!(cache.size_bytes(), size, "it is counted once");
}

#[tokio::test]
async fn one_from_the_future_grows_old_from_now_on() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    let future = CacheEntry {
        created: u64::MAX,
        ..entry(1, 0)
    };
    cache.import(vec![future]).await.unwrap();
    let page = cache.page(None, 1).await.unwrap();
    assert!(page[0].created <= now(), "{}", page[0].created);
}

#[tokio::test]
async fn imported_answers_go_first_until_they_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = CacheSettings {
        max_entries: 20,
        ..CacheSettings::default()
    };
    let cache = open(dir.path(), settings);
    for number in 0..10 {
        store(&cache, number, "mine").await;
    }
    cache
        .import((10..20).map(|number| entry(number, 0)).collect())
        .await
        .unwrap();
    let used = [Lookup::Hit(body("imported 10"))];
    assert_eq!(cache.lookup(&[key(10)]).await, used);
    // 21 > 20: three of them go, down to 18.
    store(&cache, 20, "mine").await;
    let kept = pages(&cache, usize::MAX).await.concat();
    assert_eq!(kept.len(), 18);
    let has = |number| kept.iter().any(|entry| entry.key == key(number));
    assert!((0..=10).chain([20]).all(has));

    // More than the cache holds does not fit, and pushes out nothing of what was used here.
    let many = (100..200).map(|number| entry(number, 0)).collect();
    cache.import(many).await.unwrap();
    let kept = pages(&cache, usize::MAX).await.concat();
    assert_eq!(kept.len(), 18);
    let has = |number| kept.iter().any(|entry| entry.key == key(number));
    assert!((0..=10).chain([20]).all(has));
}

#[tokio::test]
async fn a_closed_cache_gives_and_takes_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), CacheSettings::default());
    store(&cache, 1, "x").await;
    cache.close().await.unwrap();
    let error = cache.import(vec![entry(2, 0)]).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is closed");
    let error = cache.page(None, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is closed");
}
