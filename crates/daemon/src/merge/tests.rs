//! No line of the user's is ever lost, whatever they do between any two steps.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use testsmith_domain::{
    Analysis, BlockKey, LanguageDriver, LedgerEntry, Project, RelPath, TestBody,
};
use testsmith_generate::{FileRequest, FileResult};

use super::Merge;
use crate::files::{read_text, write};
use crate::tree::{WriteError, WriteLog};

const NAMES: [&str; 5] = ["Add", "Double", "Half", "Less", "More"];
const SEEDS: u64 = 25;
const ROUNDS: usize = 12;

/// Numbers that look random, the same for the same seed: Sebastiano Vigna's `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides.max(1) as u64).unwrap()
    }
}

/// Somebody with an editor, who reads the test file, changes it and saves it.
struct User {
    file: PathBuf,
    dice: Dice,
    /// Their own lines in what they saved last. None may go missing.
    lines: BTreeSet<String>,
    next: usize,
    saves_in_place: bool,
}

impl User {
    fn new(file: PathBuf, seed: u64) -> Self {
        Self {
            file,
            dice: Dice(seed),
            lines: BTreeSet::new(),
            next: 0,
            saves_in_place: true,
        }
    }

    fn line(&mut self) -> String {
        self.next += 1;
        format!("// mine {}", self.next)
    }

    /// Their lines in a text.
    fn own(text: &str) -> BTreeSet<String> {
        let lines = text.lines().map(str::trim);
        let own = lines.filter(|line| line.starts_with("// mine "));
        own.map(str::to_owned).collect()
    }

    /// Does one thing, or nothing.
    fn act(&mut self) {
        let text = fs::read_to_string(&self.file).ok();
        let mut lines: Vec<String> = text
            .as_deref()
            .unwrap_or("package shop\n")
            .lines()
            .map(str::to_owned)
            .collect();
        let at = self.dice.roll(lines.len() + 1);
        match self.dice.roll(16) {
            0..=2 => lines.insert(at, self.line()),
            // Edits a line.
            3 if at < lines.len() && !lines[at].contains("testsmith:") => {
                let mine = self.line();
                lines[at] = format!("{}\n{mine}", lines[at]);
            }
            // Lays the file out anew.
            4 => {
                for line in &mut lines {
                    *line = line.replace('\t', "    ");
                }
            }
            // Deletes some lines, marks among them.
            5 if at < lines.len() => {
                let until = (at + 1 + self.dice.roll(8)).min(lines.len());
                lines.drain(at..until);
            }
            // Saves another file in its place.
            6 if self.dice.roll(4) == 0 => {
                lines = vec!["package shop".to_owned(), self.line()];
            }
            // Deletes the file.
            7 if self.dice.roll(4) == 0 => {
                let _ = fs::remove_file(&self.file);
                self.lines.clear();
                return;
            }
            _ => return,
        }
        let text = lines.join("\n") + "\n";
        self.lines = Self::own(&text);
        let in_place = self.saves_in_place && self.dice.roll(2) == 0;
        save(&self.file, &text, in_place);
    }

    fn check(&self, when: &str) {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let there = Self::own(&text);
        let lost: Vec<_> = self.lines.difference(&there).collect();
        assert!(lost.is_empty(), "{when}: lost {lost:?} of\n{text}");
    }
}

/// As editors do: in place, or by a new file that is renamed.
fn save(file: &Path, text: &str, in_place: bool) {
    if in_place {
        fs::write(file, text).unwrap();
    } else {
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    }
}

/// A Go project with one source file.
struct Place {
    _dir: tempfile::TempDir,
    project: Project,
    driver: Arc<dyn LanguageDriver>,
    path: RelPath,
    writes: Arc<WriteLog>,
    _state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("go.mod"), "module example.com/shop\n\ngo 1.19\n").unwrap();
        let path = RelPath::new("cart.go").unwrap();
        let mut drivers = testsmith_lang::drivers().into_iter();
        let state = tempfile::tempdir().unwrap();
        Self {
            writes: Arc::new(WriteLog::new(state.path())),
            _state: state,
            _dir: dir,
            project: Project::at(root),
            driver: drivers.find(|driver| driver.claims(&path)).unwrap(),
            path,
        }
    }

    fn test_file(&self) -> PathBuf {
        self.project.root.join("cart_testsmith_test.go")
    }

    /// Bodies for some of the functions, as a job finds them; some functions are gone.
    fn merge(&self, dice: &mut Dice, ledger: Option<LedgerEntry>) -> Merge {
        let kept: Vec<&str> = NAMES.into_iter().filter(|_| dice.roll(5) > 0).collect();
        let functions = kept
            .iter()
            .map(|name| format!("\nfunc {name}(a int) int {{\n\treturn a\n}}\n"));
        let source: Arc<str> = format!("package shop\n{}", functions.collect::<String>()).into();
        let Analysis::Source(file) = self.driver.analyze(&self.project, &self.path, &source) else {
            panic!("no source: {source}");
        };
        let bodies = file.members.iter().filter_map(|member| {
            let number = dice.roll(1000);
            let code = format!(
                "func Test{0}(t *testing.T) {{\n\tif got := {0}({number}); got != {number} {{\n\t\tt.Error(got)\n\t}}\n}}\n",
                member.name
            );
            let body = TestBody {
                member: member.name.clone(),
                code: self.driver.prepare_body(&file, member, &code).unwrap(),
                model: "none".to_owned(),
            };
            (dice.roll(3) > 0).then(|| (body, BlockKey(format!("{number:08x}"))))
        });
        let result = FileResult {
            bodies: bodies.collect(),
            ..FileResult::default()
        };
        let request = FileRequest {
            project: self.project.clone(),
            file: Arc::new(file),
            source,
            driver: Arc::clone(&self.driver),
            blocks: Vec::new(),
            ledger,
            guidance: None,
        };
        Merge::new(request, result)
    }

    async fn read(&self, merge: &Merge) -> Option<String> {
        let path = &merge.file.test_path;
        read_text(&self.project, path).await.ok().flatten()
    }
}

/// The user acts between every two steps of a job: read, compose, write, and the way through all.
#[tokio::test]
async fn no_line_of_the_user_s_is_lost_between_any_two_steps() {
    let (mut written, mut met) = (0, 0);
    for seed in 0..SEEDS {
        let place = Place::new();
        let mut user = User::new(place.test_file(), seed);
        let mut dice = Dice(seed ^ 0x5eed);
        let mut ledger = None;
        for round in 0..ROUNDS {
            let when = format!("seed {seed}, round {round}");
            let mut merge = place.merge(&mut dice, ledger.clone());
            user.act();
            let existing = place.read(&merge).await;
            user.act();
            if let Ok((new, _)) = merge.compose(existing.as_deref()).await {
                user.act();
                let path = &merge.file.test_path;
                let done = write(
                    &place.writes,
                    &place.project,
                    path,
                    existing.as_deref(),
                    new.as_deref(),
                );
                match done.await {
                    Ok(()) => written += 1,
                    Err(WriteError::Changed(_)) => met += 1,
                    Err(error) => panic!("{when}: {error}"),
                }
                user.check(&when);
            }
            user.act();
            // And with what was read a while ago.
            let _ = merge.write(&place.writes, existing).await;
            user.check(&when);
            ledger = Some(merge.entry());
        }
    }
    // It says something only if both came about often.
    assert!(written > 20 && met > 20, "{written} written, {met} met");
}

/// The user saves while a job writes, at any moment of it. They save by a new file that is renamed: one
/// that is written in place is, for a moment, a file that was cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_save_in_the_middle_of_a_write_is_lost() {
    let place = Place::new();
    let mut user = User::new(place.test_file(), 7);
    user.saves_in_place = false;
    let mut dice = Dice(99);
    let mut wrote = 0;
    for round in 0..200 {
        let mut merge = place.merge(&mut dice, None);
        let existing = place.read(&merge).await;
        let spins = dice.roll(200_000);
        let acting = tokio::task::spawn_blocking(move || {
            for _ in 0..spins {
                std::hint::spin_loop();
            }
            user.act();
            user
        });
        wrote += usize::from(
            merge
                .write(&place.writes, existing)
                .await
                .is_ok_and(|new| !new.is_empty()),
        );
        user = acting.await.unwrap();
        user.check(&format!("round {round}"));
    }
    assert!(wrote > 50, "{wrote}");
}

/// A test file from which the user cut the only block goes, and the block stays deleted.
#[tokio::test]
async fn a_file_that_the_user_has_emptied_goes_and_is_not_written_again() {
    let place = Place::new();
    let mut dice = Dice(3);
    let mut merge = place.merge(&mut dice, None);
    let (body, key) = merge.result.bodies.pop().unwrap();
    let member = body.member.clone();
    merge.result.bodies = vec![(body, key.clone())];
    merge.write(&place.writes, None).await.unwrap();
    let ledger = merge.entry();
    assert!(ledger.blocks[&member].written.is_some());

    let text = fs::read_to_string(place.test_file()).unwrap();
    let (before, _) = text.split_once("// testsmith:begin").unwrap();
    fs::write(place.test_file(), before).unwrap();
    let mut merge = place.merge(&mut dice, Some(ledger));
    merge.result.bodies.clear();
    merge.result.newly_deleted = vec![(member.clone(), key.clone())];
    let existing = place.read(&merge).await;
    let written = merge.write(&place.writes, existing).await.unwrap();
    assert!(written.is_empty(), "{written:?}");
    assert!(!place.test_file().exists());
    let block = &merge.entry().blocks[&member];
    assert!(block.deleted.contains(&key));
    assert_eq!(block.written, None);
}

/// Imports that only a block used which the user took out are ours to drop until they have gone: not
/// while they are proposed only, nor after a write that failed.
#[tokio::test]
async fn a_block_that_was_taken_out_is_known_until_its_imports_are_gone_too() {
    let place = Place::new();
    let mut dice = Dice(3);
    let mut merge = place.merge(&mut dice, None);
    let bodies = &mut merge.result.bodies;
    bodies.truncate(2);
    bodies[0].0.code =
        "import \"fmt\"\n\nfunc TestOne(t *testing.T) {\n\tfmt.Print()\n}\n".to_owned();
    let member = bodies[0].0.member.clone();
    merge.write(&place.writes, None).await.unwrap();
    let ledger = merge.entry();
    let written = ledger.blocks[&member].written.clone();
    assert!(written.is_some());

    let text = fs::read_to_string(place.test_file()).unwrap();
    let (before, rest) = text.split_once("// testsmith:begin").unwrap();
    let (_, behind) = rest
        .split_once(&format!("// testsmith:end {member}\n"))
        .unwrap();
    fs::write(
        place.test_file(),
        format!("{before}{}", behind.trim_start()),
    )
    .unwrap();
    let mut merge = place.merge(&mut Dice(3), Some(ledger));
    merge.result.bodies.clear();
    let existing = place.read(&merge).await;
    merge.compose(existing.as_deref()).await.unwrap();
    assert_eq!(merge.entry().blocks[&member].written, written);

    let no_folder = Arc::new(WriteLog::new(&place.test_file()));
    assert!(merge.write(&no_folder, existing.clone()).await.is_err());
    assert_eq!(merge.entry().blocks[&member].written, written);

    merge.write(&place.writes, existing).await.unwrap();
    let text = fs::read_to_string(place.test_file()).unwrap();
    assert!(!text.contains("\"fmt\""), "{text}");
    let blocks = merge.entry().blocks;
    assert!(
        blocks
            .get(&member)
            .is_none_or(|block| block.written.is_none())
    );
}
