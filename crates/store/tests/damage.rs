//! The ladder: whatever happened to the files, the store opens.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use testsmith_store::{Batch, OpenReport, Repair, Store, StoreOptions};

const RECORDS: u32 = 1200;

fn key(number: u32) -> Vec<u8> {
    format!("key {number:05}").into_bytes()
}

fn content(number: u32) -> Vec<u8> {
    format!("value {number} ")
        .repeat(usize::try_from(number % 90).unwrap() + 1)
        .into_bytes()
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// A database with some history, as a killed process leaves it or as a clean stop does.
fn sample(dir: &Path) {
    let (store, _) = Store::open(dir, StoreOptions::new(1)).unwrap();
    for round in 0..3 {
        for start in (0..RECORDS).step_by(50) {
            let mut batch = Batch::new();
            for number in start..start + 50 {
                batch.put(key(number), content(number + round));
            }
            store.commit(&batch).unwrap();
        }
    }
    store.close().unwrap();
}

/// How many records are as they were written. None may be other than written.
fn intact(store: &Store) -> u32 {
    let mut good = 0;
    for number in 0..RECORDS {
        if let Ok(Some(record)) = store.get(&key(number)) {
            let possible = [0, 1, 2].map(|round| content(number + round));
            assert!(possible.contains(&record.data), "a wrong value");
            good += 1;
        }
    }
    good
}

fn reopen(dir: &Path) -> (Store, OpenReport) {
    let (store, report) = Store::open(dir, StoreOptions::new(1)).unwrap();
    let mut batch = Batch::new();
    batch.put("after", "the repair");
    if report.degraded.is_none() {
        // A damaged page may show only now; what counts is that the store says so.
        let _ = store.commit(&batch);
    }
    (store, report)
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("snap.")
        })
        .collect()
}

fn quarantines(dir: &Path) -> usize {
    fs::read_dir(dir.parent().unwrap())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains(".corrupt-")
        })
        .count()
}

#[test]
fn a_leftover_of_an_interrupted_start_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    sample(&dir);
    fs::write(dir.join("snap.FFFFFFFFFFFFFFFF.generating"), "").unwrap();
    let (store, report) = reopen(&dir);
    assert_eq!(report.repairs, [Repair::LeftoverRemoved]);
    assert!(!report.data_may_be_lost());
    assert_eq!(intact(&store), RECORDS);
}

#[test]
fn a_bad_snapshot_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    sample(&dir);
    drop(reopen(&dir));
    for snapshot in snapshots(&dir) {
        let mut bytes = fs::read(&snapshot).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&snapshot, bytes).unwrap();
    }
    let (store, report) = reopen(&dir);
    assert!(
        report.repairs.contains(&Repair::SnapshotsPutAside),
        "{report:?}"
    );
    assert!(report.data_may_be_lost());
    assert_eq!(intact(&store), RECORDS);
}

#[test]
fn a_bad_or_empty_conf_is_done_without() {
    for damage in [&b""[..], b"\0", b"garbage that is longer than eight bytes"] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("x.sled");
        sample(&dir);
        fs::write(dir.join("conf"), damage).unwrap();
        let (store, report) = reopen(&dir);
        assert_eq!(report.quarantine(), None, "{report:?}");
        assert_eq!(intact(&store), RECORDS);
        drop(store);
        let (store, report) = reopen(&dir);
        assert_eq!(report.repairs, []);
        assert_eq!(intact(&store), RECORDS);
    }
}

#[test]
fn garbage_is_put_aside_and_two_of_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    for round in 0..4 {
        sample(&dir);
        for snapshot in snapshots(&dir) {
            fs::write(snapshot, "garbage").unwrap();
        }
        fs::write(dir.join("db"), vec![0xa5; 3_000_000]).unwrap();
        let (store, report) = reopen(&dir);
        assert!(report.data_may_be_lost(), "{report:?}");
        assert!(quarantines(&dir) <= 2);
        let mut batch = Batch::new();
        batch.put("k", round.to_string());
        store.commit(&batch).unwrap();
    }
}

#[test]
fn a_cut_database_opens() {
    for keep in [0, 1, 100, 4096, 500_000, 524_288, 600_000, 1_000_000] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("x.sled");
        sample(&dir);
        let file = fs::File::options()
            .write(true)
            .open(dir.join("db"))
            .unwrap();
        let length = file.metadata().unwrap().len();
        if keep >= length {
            continue;
        }
        file.set_len(keep).unwrap();
        let (store, report) = reopen(&dir);
        // What is left is the state of some earlier moment; if that is before the first, it is told.
        let left: Vec<bool> = (0..RECORDS)
            .map(|number| store.get(&key(number)).is_ok_and(|found| found.is_some()))
            .collect();
        assert!(left.is_sorted_by(|a, b| a >= b), "cut to {keep}: {left:?}");
        assert!(
            keep > 100 || report.data_may_be_lost(),
            "cut to {keep}: {report:?}"
        );
        intact(&store);
    }
}

#[test]
fn no_flipped_bit_gives_a_wrong_value_or_a_store_that_does_not_open() {
    let sampled = tempfile::tempdir().unwrap();
    let original = sampled.path().join("x.sled");
    sample(&original);
    let length = fs::metadata(original.join("db")).unwrap().len();
    for round in 0..24u64 {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("x.sled");
        copy(&original, &dir);
        let at = usize::try_from(round * 7_919_333 % length).unwrap();
        let mut bytes = fs::read(dir.join("db")).unwrap();
        bytes[at] ^= 1 << (round % 8);
        fs::write(dir.join("db"), bytes).unwrap();
        let (store, _) = reopen(&dir);
        intact(&store);
    }
}

/// A page that turns out unreadable while running: the store closes, saves the rest and is well
/// again, without a restart.
#[tokio::test(start_paused = true)]
async fn an_unreadable_page_costs_only_itself() {
    let sampled = tempfile::tempdir().unwrap();
    let original = sampled.path().join("x.sled");
    sample(&original);
    // More data, so that the records are not in the segment that is written last: with damage there
    // the database does not open at all.
    let (store, _) = reopen(&original);
    for number in 0..40u64 {
        let mut batch = Batch::new();
        batch.put(format!("z{number}"), noise(number + 1, 60_000));
        store.commit(&batch).unwrap();
    }
    drop(store);
    drop(reopen(&original)); // writes the snapshot by which sled finds its pages next time
    let mut salvaged = 0;
    for number in (5..RECORDS).step_by(90) {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("x.sled");
        copy(&original, &dir);
        // Short values are stored as they are, so the page of one can be found and spoiled.
        let needle = content(number);
        let mut bytes = fs::read(dir.join("db")).unwrap();
        let places: Vec<usize> = (0..bytes.len() - needle.len())
            .filter(|at| bytes[*at..].starts_with(&needle))
            .collect();
        for at in places {
            bytes[at..at + needle.len()].fill(0xa5);
        }
        fs::write(dir.join("db"), bytes).unwrap();
        let (store, _) = reopen(&dir);
        if store.report().data_may_be_lost() || intact(&store) == RECORDS {
            continue; // opening repaired it, or it had been copied on in the meantime
        }
        tokio::time::advance(std::time::Duration::from_mins(1)).await;
        let found = intact(&store);
        let report = store.report();
        assert!(store.get(b"x").is_ok(), "still sick: {report:?}");
        if let Some(Repair::Salvaged { .. }) = report.repairs.last() {
            salvaged += 1;
            assert!(found > RECORDS / 2, "{found} of {RECORDS} saved");
            assert_eq!(quarantines(&dir), 1);
        }
    }
    assert!(salvaged > 0, "no round hit a page in use");
}

#[test]
fn an_interrupted_rebuild_is_finished_or_undone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x.sled");
    let fresh = dir.with_file_name("x.sled.rebuild");
    sample(&dir);
    // Killed while copying: the half copy goes.
    fs::create_dir(&fresh).unwrap();
    fs::write(fresh.join("db"), "half").unwrap();
    let (store, report) = reopen(&dir);
    assert_eq!(report.repairs, []);
    assert_eq!(intact(&store), RECORDS);
    assert!(!fresh.exists());
    drop(store);
    // Killed between the two renames: the new one takes its place.
    fs::rename(&dir, &fresh).unwrap();
    fs::create_dir(dir.with_file_name("x.sled.worn")).unwrap();
    let (store, report) = reopen(&dir);
    assert_eq!(report.repairs, []);
    assert_eq!(intact(&store), RECORDS);
    assert!(!fresh.exists() && !dir.with_file_name("x.sled.worn").exists());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
