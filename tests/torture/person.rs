//! One who works on a project: edits, saves as editors do, moves files, switches branches, and writes
//! tests of their own between testsmith's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::dice::Dice;
use crate::source::{FUNCTIONS, Subject, Tongue};

/// Versions that come again and again: a function is changed, and changed back.
const VERSIONS: u64 = 24;

/// How a text gets into its file.
#[derive(Debug, Clone, Copy)]
enum How {
    /// Cut off and written: nano, VS Code.
    InPlace,
    /// A new file that is renamed over the old: vim, IDEs.
    Renamed,
    /// The old file is removed first: git.
    LikeGit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    There,
    HalfTyped,
    Gone,
}

#[derive(Debug)]
struct State {
    versions: Vec<u64>,
    moved: bool,
    loose: bool,
    shape: Shape,
}

/// The person, and what they know of their files.
#[derive(Debug)]
pub struct Person {
    root: PathBuf,
    dice: Dice,
    /// Held while a test file is saved in place, which the reader must not mistake for ours.
    in_place: Arc<RwLock<()>>,
    files: BTreeMap<Subject, State>,
    /// Every line of their own that they have saved in a test file.
    lines: BTreeSet<String>,
}

impl Person {
    pub fn new(root: &Path, dice: Dice, in_place: Arc<RwLock<()>>, subjects: &[Subject]) -> Self {
        let mut person = Self {
            root: root.to_owned(),
            dice,
            in_place,
            files: BTreeMap::new(),
            lines: BTreeSet::new(),
        };
        for subject in subjects {
            let versions = (0..FUNCTIONS).map(|_| person.dice.roll(VERSIONS)).collect();
            let state = State {
                versions,
                moved: false,
                loose: true,
                shape: Shape::There,
            };
            person.files.insert(*subject, state);
            person.save_source(*subject, How::Renamed);
        }
        person
    }

    /// Does one thing.
    pub fn act(&mut self) {
        let subject = self.any();
        match self.dice.roll(100) {
            0..40 => self.edit(subject),
            40..48 => {
                for _ in 0..3 {
                    self.edit(subject);
                    std::thread::sleep(Duration::from_millis(self.dice.roll(15)));
                }
            }
            48..58 => self.check_out(),
            58..63 => self.reformat(subject),
            63..69 => self.type_half(subject),
            69..75 => self.rename(subject),
            75..80 => self.remove(subject),
            80..92 => self.add_test(subject),
            _ => self.edit_block(subject),
        }
    }

    /// Does what leads past a crash point.
    pub fn act_for(&mut self, point: &str) {
        let plain = self.plain();
        match point {
            "tree.aside" => self.remove(plain),
            // There are no tests any more, and new ones are made.
            "tree.created" => {
                self.remove(plain);
                self.wait_for_no_tests(plain);
                self.edit(plain);
            }
            _ => self.edit(plain),
        }
    }

    /// Gives the daemon time to take the tests of a source away that is gone.
    fn wait_for_no_tests(&self, subject: Subject) {
        let tests = self.root.join(self.test_path(subject));
        for _ in 0..100 {
            if !tests.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends what is half done: files that are half typed are typed to their end, and what was
    /// removed is written again.
    pub fn put_right(&mut self) {
        let broken: Vec<Subject> = self
            .files
            .iter()
            .filter(|(_, state)| state.shape != Shape::There)
            .map(|(subject, _)| *subject)
            .collect();
        for subject in broken {
            self.edit(subject);
        }
    }

    /// The file in which nothing of the person's own is kept, so that all of it may go.
    fn plain(&self) -> Subject {
        *self.files.keys().next().unwrap()
    }

    /// The lines of their own that are in none of the project's files. With `tidy`, hidden files do
    /// not count, as no person would look there.
    pub fn lost(&self, tidy: bool) -> Vec<String> {
        let mut texts = String::new();
        for (path, text) in crate::support::world::files_below(&self.root) {
            let name = path.file_name().unwrap().to_string_lossy();
            if !tidy || !name.starts_with('.') {
                texts.push_str(&String::from_utf8_lossy(&text));
            }
        }
        let found: BTreeSet<&str> = texts.lines().map(str::trim).collect();
        let lost = self
            .lines
            .iter()
            .filter(|line| !found.contains(line.as_str()));
        lost.cloned().collect()
    }

    /// How many lines of their own there are.
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    /// The test files of the sources that are there.
    pub fn test_files(&self, tongue: Tongue) -> Vec<String> {
        let subjects = self.files.keys().filter(|subject| subject.tongue == tongue);
        subjects.map(|subject| self.test_path(*subject)).collect()
    }

    fn any(&mut self) -> Subject {
        let all: Vec<Subject> = self.files.keys().copied().collect();
        *self.dice.pick(&all)
    }

    fn state(&mut self, subject: Subject) -> &mut State {
        self.files.get_mut(&subject).unwrap()
    }

    fn how(&mut self) -> How {
        *self.dice.pick(&[How::InPlace, How::Renamed, How::LikeGit])
    }

    fn edit(&mut self, subject: Subject) {
        let function = usize::try_from(self.dice.roll(FUNCTIONS as u64)).unwrap();
        let version = self.dice.roll(VERSIONS);
        let how = self.how();
        let state = self.state(subject);
        state.versions[function] = version;
        state.shape = Shape::There;
        self.save_source(subject, how);
    }

    /// Many files at once, to one of two branches, as git does it.
    fn check_out(&mut self) {
        let branch = 100 * (1 + self.dice.roll(2));
        let subjects: Vec<Subject> = self.files.keys().copied().collect();
        for (at, subject) in (0u64..).zip(subjects) {
            let state = self.state(subject);
            if state.shape == Shape::There {
                for (function, version) in (0u64..).zip(&mut state.versions) {
                    *version = branch + at + function;
                }
                self.save_source(subject, How::LikeGit);
            }
        }
    }

    fn reformat(&mut self, subject: Subject) {
        let how = self.how();
        let state = self.state(subject);
        if state.shape == Shape::There {
            state.loose = !state.loose;
            self.save_source(subject, how);
        }
    }

    fn type_half(&mut self, subject: Subject) {
        let how = self.how();
        self.state(subject).shape = Shape::HalfTyped;
        self.save_source(subject, how);
    }

    fn rename(&mut self, subject: Subject) {
        let root = self.root.clone();
        let state = self.state(subject);
        if state.shape == Shape::There {
            let from = root.join(subject.path(state.moved));
            state.moved = !state.moved;
            fs::rename(from, root.join(subject.path(state.moved))).unwrap();
        }
    }

    fn remove(&mut self, subject: Subject) {
        let root = self.root.clone();
        let state = self.state(subject);
        if state.shape != Shape::Gone {
            state.shape = Shape::Gone;
            fs::remove_file(root.join(subject.path(state.moved))).unwrap();
        }
    }

    /// Adds a test of their own to one of our test files.
    fn add_test(&mut self, subject: Subject) {
        let mine = self.own_test(subject);
        self.change_tests(subject, |text| Some(format!("{text}\n{mine}")));
    }

    /// Takes over one of our blocks.
    fn edit_block(&mut self, subject: Subject) {
        let mine = self.own_test(subject);
        self.change_tests(subject, |text| {
            let (begin, rest) = (text.find("testsmith:begin ")?, "testsmith:end ");
            let body = begin + text[begin..].find('\n')? + 1;
            let end = body + text[body..].find(rest)?;
            let end = text[..end].rfind('\n')? + 1;
            // One that is theirs already stays.
            if text[body..end].contains("user line") {
                return None;
            }
            Some(format!("{}{mine}{}", &text[..body], &text[end..]))
        });
    }

    fn own_test(&mut self, subject: Subject) -> String {
        let number = self.dice.draw();
        match subject.tongue {
            Tongue::Go => {
                format!("// user line {number}\nfunc TestMine{number}(t *testing.T) {{}}\n")
            }
            Tongue::Python => {
                format!("# user line {number}\ndef test_mine_{number}():\n    assert True\n")
            }
        }
    }

    fn change_tests(&mut self, subject: Subject, change: impl FnOnce(&str) -> Option<String>) {
        if subject == self.plain() {
            return;
        }
        let path = self.root.join(self.test_path(subject));
        let Some(new) = fs::read_to_string(&path)
            .ok()
            .and_then(|text| change(&text))
        else {
            return;
        };
        let in_place = self.dice.roll(2) == 0;
        if in_place {
            let lock = Arc::clone(&self.in_place);
            let _alone = lock.write().unwrap();
            // Only if it is there still: else this would bring it into being by parts.
            save(&path, &new, How::InPlace);
        } else {
            save(&path, &new, How::Renamed);
        }
        let lines = new.lines().map(str::trim);
        let own = lines.filter(|line| line.contains("user line"));
        self.lines.extend(own.map(str::to_owned));
    }

    fn test_path(&self, subject: Subject) -> String {
        let source = subject.path(self.files[&subject].moved);
        match subject.tongue {
            Tongue::Go => source.replace(".go", "_testsmith_test.go"),
            Tongue::Python => format!("tests/testsmith/test_{}", source.replace('/', "_")),
        }
    }

    fn save_source(&mut self, subject: Subject, how: How) {
        let state = &self.files[&subject];
        let path = self.root.join(subject.path(state.moved));
        let text = match state.shape {
            Shape::There => subject.text(&state.versions, state.loose),
            Shape::HalfTyped => subject.half_typed(),
            Shape::Gone => return,
        };
        save(&path, &text, how);
    }
}

fn save(path: &Path, text: &str, how: How) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match how {
        How::InPlace => fs::write(path, text).unwrap(),
        How::Renamed => {
            let name = path.file_name().unwrap().to_string_lossy();
            let new = path.with_file_name(format!(".{name}.swp"));
            fs::write(&new, text).unwrap();
            fs::rename(new, path).unwrap();
        }
        How::LikeGit => {
            let _ = fs::remove_file(path);
            fs::write(path, text).unwrap();
        }
    }
}
