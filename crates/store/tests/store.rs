//! A store in good health: what is written is there, before and after opening again.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use testsmith_store::{
    Batch, FreeSpace, Health, Record, StateLock, Store, StoreError, StoreOptions,
};

fn open(dir: &std::path::Path) -> Store {
    let (store, report) = Store::open(dir, StoreOptions::new(1)).unwrap();
    assert_eq!(report.repairs, []);
    assert_eq!(report.format, 1);
    store
}

fn put(store: &Store, key: &str, value: impl Into<Vec<u8>>) {
    let mut batch = Batch::new();
    batch.put(key, value);
    store.commit(&batch).unwrap();
}

fn value(store: &Store, key: &str) -> Option<Vec<u8>> {
    store
        .get(key.as_bytes())
        .unwrap()
        .map(|Record { data, .. }| data)
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

#[test]
fn values_of_any_length_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let values: Vec<Vec<u8>> = [0, 1, 100, 65_535, 65_536, 65_537, 200_000, 1 << 20]
        .into_iter()
        .map(|length| noise(length as u64 + 7, length))
        .collect();
    let store = open(&dir);
    for (number, value) in values.iter().enumerate() {
        put(&store, &number.to_string(), value.clone());
    }
    drop(store);
    let store = open(&dir);
    for (number, expected) in values.iter().enumerate() {
        assert_eq!(value(&store, &number.to_string()).as_ref(), Some(expected));
    }
    assert_eq!(value(&store, "absent"), None);
}

#[test]
fn a_shorter_value_leaves_no_pieces_and_no_blobs_behind() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let store = open(&dir);
    for round in 0..30 {
        put(&store, "k", noise(round + 1, 400_000));
    }
    put(&store, "k", "short");
    let mut batch = Batch::new();
    batch.remove("k");
    store.commit(&batch).unwrap();
    store.rebuild().unwrap();
    assert_eq!(std::fs::read_dir(dir.join("blobs")).unwrap().count(), 0);
    let size = store.size_on_disk().unwrap();
    assert!(size < 2 << 20, "{size} bytes on disk for no record");
}

#[test]
fn scanning_keeps_to_the_prefix_and_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("x.sled"));
    for key in ["b2", "a", "b1", "b", "c"] {
        put(&store, key, key);
    }
    put(&store, "b3", noise(3, 150_000));
    let mut seen = Vec::new();
    store
        .scan(b"b", |key, record| {
            seen.push((
                String::from_utf8_lossy(key).into_owned(),
                record.unwrap().data.len(),
            ));
        })
        .unwrap();
    let expected = [("b", 1), ("b1", 2), ("b2", 2), ("b3", 150_000)];
    assert_eq!(seen, expected.map(|(key, length)| (key.to_owned(), length)));
}

#[test]
fn a_later_change_in_a_batch_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("x.sled"));
    let mut batch = Batch::new();
    batch.put("k", noise(1, 200_000));
    batch.put("k", "two");
    batch.put("gone", "x");
    batch.remove("gone");
    store.commit(&batch).unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some(&b"two"[..]));
    assert_eq!(value(&store, "gone"), None);
}

#[test]
fn many_may_commit_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("x.sled"));
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..20 {
                    put(store, &format!("{thread}/{number}"), "x");
                }
            });
        }
    });
    let mut count = 0;
    store.scan(b"", |_, _| count += 1).unwrap();
    assert_eq!(count, 320);
}

/// Pieces and head are read one after the other; a writer in between must not look like damage.
#[test]
fn a_reader_never_sees_a_torn_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("x.sled"));
    let values = [noise(5, 300_000), noise(6, 140_000), b"tiny".to_vec()];
    put(&store, "k", values[0].clone());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..60 {
                let mut batch = Batch::new();
                batch.put("k", values[round % 3].clone());
                store.write(&batch).unwrap();
            }
        });
        while !writer.is_finished() {
            let found = value(&store, "k").unwrap();
            assert!(values.contains(&found));
        }
    });
}

#[test]
fn rebuilding_loses_nothing_and_gives_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let store = open(&dir);
    for round in 0..200 {
        put(&store, &format!("{}", round % 5), noise(round + 1, 60_000));
    }
    put(&store, "long", noise(9, 300_000));
    let before = store.size_on_disk().unwrap();
    store.rebuild().unwrap();
    let after = store.size_on_disk().unwrap();
    assert!(after < before / 2, "{before} bytes before, {after} after");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..100 {
                put(&store, &format!("during/{number}"), "x");
            }
        });
        store.rebuild().unwrap();
        writer.join().unwrap();
    });
    drop(store);

    let store = open(&dir);
    for round in 195..200 {
        let found = value(&store, &format!("{}", round % 5));
        assert_eq!(found, Some(noise(round + 1, 60_000)));
    }
    assert_eq!(value(&store, "long"), Some(noise(9, 300_000)));
    for number in 0..100 {
        assert!(value(&store, &format!("during/{number}")).is_some());
    }
    let names: Vec<_> = std::fs::read_dir(dir.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn an_open_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let store = open(&dir);
    put(&store, "k", "v");
    std::fs::write(dir.join("snap.0000.generating"), "half").unwrap();
    let error = Store::open(&dir, StoreOptions::new(1)).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert!(dir.join("snap.0000.generating").exists());
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_newer_format_is_refused_and_an_older_one_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let (store, _) = Store::open(&dir, StoreOptions::new(2)).unwrap();
    put(&store, "k", "v");
    drop(store);
    let error = Store::open(&dir, StoreOptions::new(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` has format 2 and this version reads up to 1; \
             use the newer testsmith, or move that directory away",
            dir.display()
        )
    );
    let (store, report) = Store::open(&dir, StoreOptions::new(3)).unwrap();
    assert_eq!(report.format, 2);
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_closed_store_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let store = open(&dir);
    put(&store, "k", "v");
    store.close().unwrap();
    assert!(matches!(store.get(b"k"), Err(StoreError::Closed)));
    assert_eq!(store.health(), Health::Closed);
    store.close().unwrap();
    assert_eq!(value(&open(&dir), "k").as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn a_dropped_call_is_carried_out_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("x.sled"));
    let (done, is_done) = tokio::sync::oneshot::channel();
    drop(store.run(move |store| {
        put(store, "k", "v");
        done.send(()).unwrap();
        Ok(())
    }));
    is_done.await.unwrap();
    assert_eq!(value(&store, "k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn the_state_directory_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("new/state");
    let lock = StateLock::acquire(&state).unwrap();
    let error = StateLock::acquire(&state).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "another testsmith (pid {}) holds `{}`",
            std::process::id(),
            state.display()
        )
    );
    drop(lock);
    StateLock::acquire(&state).unwrap();

    let mode = std::fs::metadata(&state).unwrap().permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o700
    );
}

#[test]
fn a_stale_note_in_the_lock_file_is_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("lock"),
        "1\n99999999999999\nleft over by a crash",
    )
    .unwrap();
    let lock = Arc::new(StateLock::acquire(dir.path()).unwrap());
    let note = std::fs::read_to_string(dir.path().join("lock")).unwrap();
    assert_eq!(note.lines().next(), Some(&*std::process::id().to_string()));
    assert_eq!(note.lines().count(), 2);
    drop(lock);
}

#[test]
fn low_space_is_a_share_of_the_disk_but_no_less_than_a_floor() {
    let space = |available: u64, total: u64| FreeSpace { available, total };
    assert!(space(255 << 20, 1 << 30).is_low());
    assert!(!space(257 << 20, 1 << 30).is_low());
    assert!(space(900 << 20, 20 << 30).is_low());
    assert!(!space(1100 << 20, 20 << 30).is_low());
    assert!(space(1 << 30, 2000 << 30).is_low());
    assert!(!space(3 << 30, 2000 << 30).is_low());
    let dir = tempfile::tempdir().unwrap();
    let here = FreeSpace::of(dir.path()).unwrap();
    assert!(here.total >= here.available && here.total > 0);
}
