//! What the test runners of all languages share: finding programs, placing errors, cutting tests
//! out of a body.

use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use testsmith_domain::{BuildError, RelPath, RunUnavailable, TestOutcome, TestResult};

use crate::dialect::{TextEdit, apply};

/// The program called `name` on a search path in the form of `PATH`.
pub(crate) fn find_program(search_path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|path| is_program(path))
}

/// Whether a file is there that may be executed.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The first words of the user's command, the program looked up.
pub(crate) fn custom(
    command: &[String],
    search_path: &OsStr,
    cwd: &Path,
) -> Result<(PathBuf, Vec<std::ffi::OsString>), RunUnavailable> {
    let Some((program, rest)) = command.split_first() else {
        return Err(RunUnavailable("the verify command is empty".to_owned()));
    };
    let found = if program.contains('/') {
        Some(cwd.join(program)).filter(|path| is_program(path))
    } else {
        find_program(search_path, program)
    };
    let program = found.ok_or_else(|| RunUnavailable(format!("`{program}` is not installed")))?;
    Ok((program, rest.iter().map(Into::into).collect()))
}

/// The files of these names in the folders of `paths` and those above them, up to `root`.
pub(crate) fn files_above(
    root: &Path,
    paths: &[&RelPath],
    is_meant: impl Fn(&str) -> bool,
) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = paths
        .iter()
        .flat_map(|path| {
            let whole = path.under(root);
            let above = whole.ancestors().skip(1);
            let above = above.take_while(|folder| folder.starts_with(root));
            above.map(Path::to_owned).collect::<Vec<_>>()
        })
        .collect();
    folders.sort_unstable();
    folders.dedup();
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .filter(|entry| is_meant(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    found.sort_unstable();
    found
}

/// Tells one installed file from another: where it really is, its size and its time.
pub(crate) fn identity(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let meta = fs::metadata(&real);
    let (size, time) = meta.map_or((0, 0), |meta| (meta.size(), meta.mtime()));
    format!("{} {size} {time}", real.display())
}

/// The places in `text` that name a line of the file called `file_name`, as compilers and
/// tracebacks write them: `x_test.go:3:7: …`, `x.ts(3,7)`, `"x.py", line 3`. One for each line of
/// text, the first.
pub(crate) fn placed(text: &str, file_name: &str) -> Vec<BuildError> {
    text.lines()
        .filter_map(|line| {
            Some(BuildError {
                line: Some(line_named(line, file_name)?),
                message: line.trim().to_owned(),
            })
        })
        .collect()
}

/// The first line number of the file called `file_name` that a line of text names.
pub(crate) fn line_named(line: &str, file_name: &str) -> Option<u32> {
    line.match_indices(file_name).find_map(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return None;
        }
        let rest = line.get(at + file_name.len()..)?;
        let number = rest
            .strip_prefix(':')
            .or_else(|| rest.strip_prefix('('))
            .or_else(|| rest.strip_prefix("\", line "))?;
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        number.get(..digits)?.parse().ok()
    })
}

/// Results by name, in the order in which they came up; of several for one name the worst counts.
#[derive(Debug, Default)]
pub(crate) struct Results(Vec<TestResult>);

impl Results {
    /// Notes one result.
    pub(crate) fn add(&mut self, result: TestResult) {
        let known = self.0.iter_mut().find(|known| known.name == result.name);
        match known {
            None => self.0.push(result),
            Some(known) if known.outcome < result.outcome => *known = result,
            Some(_) => {}
        }
    }

    /// The results of `wanted`, and the others.
    pub(crate) fn split(self, wanted: &[String]) -> (Vec<TestResult>, Vec<TestResult>) {
        self.0
            .into_iter()
            .partition(|result| wanted.contains(&result.name))
    }
}

/// A result with nothing to say.
pub(crate) fn result(name: &str, outcome: TestOutcome) -> TestResult {
    TestResult {
        name: name.to_owned(),
        outcome,
        assertion: false,
        output: String::new(),
    }
}

/// `body` without `cut`, and without the empty lines that would be left doubled.
pub(crate) fn cut_out(body: &str, cut: Vec<Range<usize>>) -> String {
    let widened = cut.into_iter().map(|range| {
        let rest = body.get(range.end..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start_matches(['\n', '\r']).len();
        TextEdit::remove(range.start..range.end + blank)
    });
    let text = apply(body, widened.collect(), "\n");
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_the_words_of_all_tools() {
        let go = "a_testsmith_test.go";
        assert_eq!(
            line_named("./a_testsmith_test.go:6:5: undefined: B", go),
            Some(6)
        );
        assert_eq!(
            line_named("vet: ./a_testsmith_test.go:16:5: x", go),
            Some(16)
        );
        assert_eq!(
            line_named("./aa_testsmith_test.go:6:5: undefined: B", go),
            None
        );
        let two = "./b_test.go:1:2: x redeclared; \ta_testsmith_test.go:9:2: other declaration";
        assert_eq!(line_named(two, go), Some(9));
        let py = "  File \"/x/tests/testsmith/test_a.py\", line 12, in <module>";
        assert_eq!(line_named(py, "test_a.py"), Some(12));
        assert_eq!(
            line_named("src/a.test.ts(3,1): error", "a.test.ts"),
            Some(3)
        );
        assert_eq!(line_named("a.test.ts is bad", "a.test.ts"), None);
    }

    #[test]
    fn the_worst_of_several_cases_counts() {
        let mut results = Results::default();
        results.add(result("a", TestOutcome::Passed));
        results.add(result("a", TestOutcome::Failed));
        results.add(result("a", TestOutcome::Skipped));
        results.add(result("b", TestOutcome::Skipped));
        let (ours, others) = results.split(&["a".to_owned()]);
        assert_eq!(ours[0].outcome, TestOutcome::Failed);
        assert_eq!(others.len(), 1);
    }
}
