use super::*;

const LIMITS: Limits = Limits {
    size: 100,
    age: Duration::from_hours(1),
    total: 300,
};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn line(at: SystemTime) -> Vec<u8> {
    let time = humantime::format_rfc3339_millis(at);
    format!("{{\"timestamp\":\"{time}\"}}\n").into_bytes()
}

fn numbers(folder: &Path) -> Vec<u64> {
    files(folder).unwrap().into_iter().map(|(n, _)| n).collect()
}

#[test]
fn a_full_file_is_followed_by_another_and_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    let mut rolling = Rolling::open(&folder, LIMITS, at(0)).unwrap();
    let text = line(at(0));
    assert_eq!(text.len(), 41);
    for _ in 0..3 {
        rolling.write(&text, at(0));
    }
    assert_eq!(numbers(&folder), [1, 2], "two lines fit into one file");
    for _ in 0..1000 {
        rolling.write(&text, at(0));
        let total: u64 = files(&folder)
            .unwrap()
            .iter()
            .map(|(_, path)| path.metadata().unwrap().len())
            .sum();
        assert!(total <= LIMITS.total);
    }
    assert_eq!(numbers(&folder), [500, 501, 502]);
}

#[test]
fn an_old_file_is_followed_by_another_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut rolling = Rolling::open(dir.path(), LIMITS, at(0)).unwrap();
    rolling.write(&line(at(0)), at(0));
    let mut rolling = Rolling::open(dir.path(), LIMITS, at(3000)).unwrap();
    rolling.write(b"x\n", at(3000));
    assert_eq!(numbers(dir.path()), [1]);
    rolling.write(b"y\n", at(3600));
    assert_eq!(numbers(dir.path()), [1, 2]);
}

#[test]
fn a_torn_line_is_ended_before_the_next_begins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("testsmith-000007.jsonl");
    fs::write(&path, "{\"timesta").unwrap();
    let mut rolling = Rolling::open(dir.path(), LIMITS, at(0)).unwrap();
    rolling.write(b"whole\n", at(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"timesta\nwhole\n");
}

#[test]
fn a_removed_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    let mut rolling = Rolling::open(&folder, LIMITS, at(0)).unwrap();
    rolling.write(b"a\n", at(0));
    fs::remove_dir_all(&folder).unwrap();
    rolling.write(b"b\n", at(0));
    let (_, path) = files(&folder).unwrap().pop().unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "b\n");
}

#[test]
fn only_the_user_can_read_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    let _rolling = Rolling::open(&folder, LIMITS, at(0)).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&files(&folder).unwrap()[0].1), 0o600);
}
