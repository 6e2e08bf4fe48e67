//! A watcher on a temporary tree, and the receiver that keeps its snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use testsmith_domain::{ContentHash, FileStamp, RelPath};
use testsmith_watch::{
    Cause, Change, ChangeBatch, Claims, RootSpec, RootState, WatchError, WatchHandle,
    WatchSettings, Watcher, list_sources,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Bounds every wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with a project in it and room beside.
pub(crate) struct Tree {
    dir: TempDir,
    pub(crate) root: PathBuf,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::new_in(std::env::temp_dir())
    }

    pub(crate) fn new_in(place: impl AsRef<Path>) -> Self {
        let dir = tempfile::tempdir_in(place).unwrap();
        let root = dir.path().canonicalize().unwrap().join("project");
        fs::create_dir(&root).unwrap();
        Self { dir, root }
    }

    /// A path beside the project.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.root)
            .envs([
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_CONFIG_SYSTEM", "/dev/null"),
                ("GIT_AUTHOR_NAME", "a"),
                ("GIT_AUTHOR_EMAIL", "a@localhost"),
                ("GIT_COMMITTER_NAME", "a"),
                ("GIT_COMMITTER_EMAIL", "a@localhost"),
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
    }
}

/// Writes as a plain program does, making the folders above.
pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn rel(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

pub(crate) fn claims() -> Claims {
    Arc::new(|path: &RelPath| {
        matches!(path.extension(), "go" | "py" | "ts") && !path.stem().contains("testsmith")
    })
}

pub(crate) fn settings() -> WatchSettings {
    WatchSettings {
        debounce: Duration::from_millis(50),
        max_wait: Duration::from_secs(1),
        git_hold: Duration::from_secs(10),
        rescan_every: None,
        ..WatchSettings::default()
    }
}

/// A watcher and its receiver.
pub(crate) struct Watched {
    root: PathBuf,
    pub(crate) handle: WatchHandle,
    batches: mpsc::Receiver<ChangeBatch>,
    cancel: CancellationToken,
    task: JoinSet<Result<(), WatchError>>,
    /// As the daemon keeps it.
    pub(crate) snapshot: BTreeMap<RelPath, FileStamp>,
    markers: u32,
}

/// What was told between two moments.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) batches: Vec<ChangeBatch>,
}

impl Watched {
    /// Starts on a tree whose present content is only noted.
    pub(crate) async fn start(tree: &Tree, settings: WatchSettings) -> Self {
        let mut watched = Self::launch(tree, settings, None, 16);
        let told = watched.until_ready().await;
        assert_eq!(told.work(), [], "a first look makes no work");
        watched
    }

    pub(crate) fn launch(
        tree: &Tree,
        settings: WatchSettings,
        known: Option<BTreeMap<RelPath, FileStamp>>,
        capacity: usize,
    ) -> Self {
        let state = Some(tree.path("state"));
        let watcher = Watcher::new(settings, claims(), state).unwrap();
        let handle = watcher.handle();
        let (out, batches) = mpsc::channel(capacity);
        let cancel = CancellationToken::new();
        let snapshot = known.clone().unwrap_or_default();
        let spec = RootSpec::new(&tree.root, known.map(|known| known.into_iter().collect()));
        let mut task = JoinSet::new();
        task.spawn(watcher.run(vec![spec], out, cancel.clone()));
        Self {
            root: tree.root.clone(),
            handle,
            batches,
            cancel,
            task,
            snapshot,
            markers: 0,
        }
    }

    pub(crate) async fn until_ready(&mut self) -> Told {
        let handle = self.handle.clone();
        self.collect(async move { handle.ready().await }).await
    }

    /// All that is told until a file saved now was told of and nothing is left, without that file.
    pub(crate) async fn settle(&mut self) -> Told {
        self.markers += 1;
        let marker = rel(&format!("marker_{}_testmark.py", self.markers));
        write(&marker.under(&self.root), &format!("# {}\n", self.markers));
        let mut told = Told::default();
        while !told.modified().contains(&marker.as_str().to_owned()) {
            let batch = self.next().await;
            told.batches.push(batch);
        }
        let handle = self.handle.clone();
        let rest = self.collect(async move { handle.idle().await }).await;
        told.batches.extend(rest.batches);
        for batch in &mut told.batches {
            batch.changes.retain(|change| change.path() != &marker);
        }
        told.batches.retain(|batch| !batch.changes.is_empty());
        told
    }

    /// The next batch.
    pub(crate) async fn next(&mut self) -> ChangeBatch {
        let batch = tokio::time::timeout(PATIENCE, self.batches.recv()).await;
        let batch = batch.expect("a batch in time").expect("a running watcher");
        self.apply(&batch);
        batch
    }

    /// All that is told until `done`.
    pub(crate) async fn collect(&mut self, done: impl Future<Output = ()>) -> Told {
        let mut told = Told::default();
        let mut done = std::pin::pin!(done);
        loop {
            let batch = tokio::select! {
                biased;
                batch = self.batches.recv() => batch.expect("a running watcher"),
                () = &mut done => break,
                () = tokio::time::sleep(PATIENCE) => panic!("{:?}", self.handle.stats()),
            };
            self.apply(&batch);
            told.batches.push(batch);
        }
        while let Ok(batch) = self.batches.try_recv() {
            self.apply(&batch);
            told.batches.push(batch);
        }
        told
    }

    /// All that is told until the root is in a state.
    pub(crate) async fn until(&mut self, state: RootState) -> Told {
        let (handle, root) = (self.handle.clone(), self.root.clone());
        let reached = async {
            while handle.stats()[&root].state != state {
                tokio::task::yield_now().await;
            }
        };
        self.collect(reached).await
    }

    /// All that is told until the snapshot is what is on disk.
    pub(crate) async fn until_snapshot_is_true(&mut self) -> Told {
        let mut told = Told::default();
        while self.told() != self.on_disk() {
            told.batches.push(self.next().await);
        }
        told
    }

    fn apply(&mut self, batch: &ChangeBatch) {
        assert_eq!(batch.root, self.root);
        assert!(batch.changes.len() <= 1_000 && !batch.changes.is_empty());
        let paths: BTreeSet<_> = batch.changes.iter().map(Change::path).collect();
        assert_eq!(paths.len(), batch.changes.len(), "each path once");
        for change in batch.changes.clone() {
            match change {
                Change::Modified { path, stamp } | Change::Seen { path, stamp } => {
                    self.snapshot.insert(path, stamp);
                }
                Change::Removed { path } | Change::Forgotten { path } => {
                    assert!(self.snapshot.remove(&path).is_some(), "{path} was known");
                }
                Change::Renamed { from, path, stamp } => {
                    assert!(self.snapshot.remove(&from).is_some(), "{from} was known");
                    self.snapshot.insert(path, stamp);
                }
            }
        }
    }

    /// The snapshot is what is on disk.
    pub(crate) fn assert_true(&self) {
        assert_eq!(self.told(), self.on_disk());
    }

    fn on_disk(&self) -> BTreeMap<RelPath, ContentHash> {
        let state = self.root.join("state");
        let sources = list_sources(&self.root, &[], &claims(), Some(&state)).unwrap();
        let content = |path: RelPath| {
            let content = fs::read(path.under(&self.root)).unwrap();
            (path, ContentHash::of(&content))
        };
        sources.into_iter().map(content).collect()
    }

    fn told(&self) -> BTreeMap<RelPath, ContentHash> {
        let stamps = self.snapshot.iter();
        stamps
            .map(|(path, stamp)| (path.clone(), stamp.hash))
            .collect()
    }

    /// Stops the watcher and gives the snapshot.
    pub(crate) async fn stop(mut self) -> BTreeMap<RelPath, FileStamp> {
        self.cancel.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task.join_next()).await;
        ended.unwrap().unwrap().unwrap().unwrap();
        self.snapshot
    }
}

impl Told {
    /// The changes that make work.
    pub(crate) fn work(&self) -> Vec<Change> {
        let changes = self.batches.iter().flat_map(|batch| &batch.changes);
        changes.filter(|change| change.is_work()).cloned().collect()
    }

    /// The paths that were modified, sorted, each as often as it was told.
    pub(crate) fn modified(&self) -> Vec<String> {
        self.paths(|change| matches!(change, Change::Modified { .. }))
    }

    pub(crate) fn removed(&self) -> Vec<String> {
        self.paths(|change| matches!(change, Change::Removed { .. }))
    }

    pub(crate) fn forgotten(&self) -> Vec<String> {
        self.paths(|change| matches!(change, Change::Forgotten { .. }))
    }

    pub(crate) fn renamed(&self) -> Vec<(String, String)> {
        let mut renamed: Vec<_> = self
            .work()
            .into_iter()
            .filter_map(|change| match change {
                Change::Renamed { from, path, .. } => Some((from.into(), path.into())),
                _ => None,
            })
            .collect();
        renamed.sort();
        renamed
    }

    pub(crate) fn causes(&self) -> BTreeSet<Cause> {
        self.batches.iter().map(|batch| batch.cause).collect()
    }

    fn paths(&self, which: impl Fn(&Change) -> bool) -> Vec<String> {
        let changes = self.batches.iter().flat_map(|batch| &batch.changes);
        let mut paths: Vec<String> = changes
            .filter(|change| which(change))
            .map(|change| change.path().clone().into())
            .collect();
        paths.sort();
        paths
    }
}

/// How many folders at and below `folder` this process has inotify watches on, by the kernel's
/// own account.
pub(crate) fn kernel_watches(folder: &Path) -> usize {
    let mut inodes = BTreeSet::new();
    let mut stack = vec![folder.to_owned()];
    while let Some(folder) = stack.pop() {
        inodes.insert(fs::symlink_metadata(&folder).unwrap().ino());
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                stack.push(entry.path());
            }
        }
    }
    let mut watched = BTreeSet::new();
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        for line in text.lines().filter(|line| line.starts_with("inotify ")) {
            let field = line.split(' ').find_map(|field| field.strip_prefix("ino:"));
            watched.insert(u64::from_str_radix(field.unwrap(), 16).unwrap());
        }
    }
    inodes.intersection(&watched).count()
}

/// Whether a program is there. In CI it must be.
pub(crate) fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    assert!(
        found || std::env::var("CI").as_deref() != Ok("true"),
        "{program} not found"
    );
    if !found {
        println!("skipped: {program} not found");
    }
    found
}

/// Set where a test goes on in another process.
const WITHIN: &str = "TESTSMITH_WATCH_WITHIN";

/// Whether this process is the one in which the test `name` is to go on: in user namespaces of its
/// own. The first call starts it, and gives false when it has ended well.
pub(crate) fn in_namespaces(more: &[&str], name: &str) -> bool {
    if std::env::var_os(WITHIN).is_some() {
        return true;
    }
    let around = [&["unshare", "-Ur"], more].concat();
    let tried = Command::new(around[0])
        .args(&around[1..])
        .arg("true")
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no user namespaces"
        );
        println!("skipped: no user namespaces");
        return false;
    }
    again(&around, name)
}

/// The same with any program before this one.
pub(crate) fn again(around: &[&str], name: &str) -> bool {
    if std::env::var_os(WITHIN).is_some() {
        return true;
    }
    let status = Command::new(around[0])
        .args(&around[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(WITHIN, "1")
        .status();
    assert!(status.unwrap().success(), "see above");
    false
}

/// A pause of the played program.
pub(crate) async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
