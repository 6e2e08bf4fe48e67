//! A hit, and keeping an answer: `cargo bench -p testsmith-cache`.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run should stop"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use divan::Bencher;
use testsmith_cache::{Cache, CacheSettings};
use testsmith_domain::{BodyCache as _, CacheKey, CachedBody, ContentHash, Lookup};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn key(number: u64) -> CacheKey {
    CacheKey::from(ContentHash::of(&number.to_be_bytes()))
}

fn body(number: u64) -> CachedBody {
    CachedBody {
        code: format!("func TestTotal{number}(t *testing.T) {{ check(t, {number}) }}\n").repeat(30),
        model: "bench".into(),
    }
}

struct Bench {
    runtime: Runtime,
    cache: std::sync::Arc<Cache>,
    _dir: tempfile::TempDir,
}

fn filled(entries: u64) -> Bench {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let (cache, _) = Cache::open(&dir.path().join("cache.sled"), CacheSettings::default())
        .expect("an empty cache opens");
    for start in (0..entries).step_by(500) {
        let some = (start..start + 500).map(|number| (key(number), body(number)));
        runtime
            .block_on(async { cache.store(some.collect()).await })
            .expect("there is space");
    }
    Bench {
        runtime,
        cache,
        _dir: dir,
    }
}

#[divan::bench(sample_count = 2000, sample_size = 1)]
fn get_hit(bencher: Bencher<'_, '_>) {
    let bench = filled(10_000);
    let next = AtomicU64::new(0);
    bencher.bench(|| {
        let key = key(next.fetch_add(7919, Ordering::Relaxed) % 10_000);
        let found = bench.runtime.block_on(bench.cache.lookup(&[key]));
        assert!(matches!(found[0], Lookup::Hit(_)));
    });
}

#[divan::bench(sample_count = 500, sample_size = 1)]
fn put(bencher: Bencher<'_, '_>) {
    let bench = filled(10_000);
    let next = AtomicU64::new(1_000_000);
    bencher.bench(|| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let entry = vec![(key(number), body(number))];
        let stored = async { bench.cache.store(entry).await };
        bench.runtime.block_on(stored).expect("there is space");
    });
}
