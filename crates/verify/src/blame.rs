//! Which body an error is about.

use testsmith_domain::BuildError;

/// A body that was part of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspect<'a> {
    /// Its place in the candidate.
    pub(crate) index: usize,
    /// The member's name, as in the marks.
    pub(crate) member: &'a str,
    /// The body.
    pub(crate) body: &'a str,
}

/// The bodies that these errors are about, each with what was said. Errors that cannot be placed
/// are not in there.
pub(crate) fn blamed(
    text: &str,
    errors: &[BuildError],
    suspects: &[Suspect<'_>],
) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for error in errors {
        for index in blamed_for(text, error, suspects) {
            match found.iter_mut().find(|(of, _)| *of == index) {
                Some((_, said)) => {
                    said.push('\n');
                    said.push_str(&error.message);
                }
                None => found.push((index, error.message.clone())),
            }
        }
    }
    found
}

fn blamed_for(text: &str, error: &BuildError, suspects: &[Suspect<'_>]) -> Vec<usize> {
    let line = error.line.and_then(|line| usize::try_from(line).ok());
    if let Some(line) = line {
        if let Some(member) = member_at(text, line) {
            let in_block = suspects.iter().filter(|suspect| suspect.member == member);
            return in_block.map(|suspect| suspect.index).collect();
        }
        // An import stands outside of all blocks; it came with the bodies that name it.
        let import = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let by_import = using(&quoted(import), suspects);
        if !by_import.is_empty() {
            return by_import;
        }
    }
    let first = error.message.lines().next().unwrap_or_default();
    let last = error.message.lines().last().unwrap_or_default();
    let by_words = using(&[quoted(first), quoted(last)].concat(), suspects);
    // Several may use a word, and one of them wrongly: who it is, is for runs to find out.
    if by_words.len() == 1 {
        by_words
    } else {
        Vec::new()
    }
}

/// The member in whose block a line is, counted from 1.
fn member_at(text: &str, line: usize) -> Option<&str> {
    let mut member = None;
    for now in text.lines().take(line) {
        if let Some((_, rest)) = now.split_once("testsmith:begin ") {
            member = rest.split_whitespace().next();
        } else if now.contains("testsmith:end ") {
            member = None;
        }
    }
    member
}

/// The suspects whose body holds one of these words, if these are not all of several.
fn using(words: &[&str], suspects: &[Suspect<'_>]) -> Vec<usize> {
    for word in words {
        let users: Vec<usize> = suspects
            .iter()
            .filter(|suspect| suspect.body.contains(word))
            .map(|suspect| suspect.index)
            .collect();
        if !users.is_empty() && users.len() < suspects.len() {
            return users;
        }
    }
    Vec::new()
}

/// What is in quotes in a line, and the words of a Python import.
fn quoted(line: &str) -> Vec<&str> {
    let mut found: Vec<&str> = line.split(['"', '\'', '`']).skip(1).step_by(2).collect();
    let trimmed = line.trim_start();
    if trimmed.starts_with("import ") || trimmed.starts_with("from ") {
        found.extend(
            trimmed
                .split_whitespace()
                .skip(1)
                .filter(|w| *w != "import" && *w != "as"),
        );
    }
    // JavaScript names what is missing without quotes.
    if let Some((before, _)) = line.split_once(" is not defined") {
        found.extend(before.split_whitespace().last());
    }
    found.retain(|word| word.len() > 2);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "import nothere\n\n# testsmith:begin a key=1 sum=2\ndef test_a(): nothere.x()\n# testsmith:end a\n# testsmith:begin b.c key=1 sum=2\ndef test_b(): pass\n# testsmith:end b.c\n";

    fn blame(line: Option<u32>, message: &str) -> Vec<usize> {
        let suspects = [
            Suspect {
                index: 0,
                member: "a",
                body: "import nothere\ndef test_a(): nothere.x()",
            },
            Suspect {
                index: 3,
                member: "b.c",
                body: "def test_b(): pass",
            },
        ];
        let error = BuildError {
            line,
            message: message.to_owned(),
        };
        blamed(TEXT, &[error], &suspects)
            .into_iter()
            .map(|(index, _)| index)
            .collect()
    }

    #[test]
    fn errors_are_placed_by_line_by_import_and_by_words() {
        assert_eq!(blame(Some(4), "x"), [0]);
        assert_eq!(blame(Some(7), "x"), [3]);
        assert_eq!(
            blame(Some(1), "x"),
            [0],
            "the import came with the body that names it"
        );
        assert_eq!(blame(None, "No module named 'nothere'"), [0]);
        assert_eq!(blame(None, "ReferenceError: nothere is not defined"), [0]);
        assert_eq!(blame(None, "`def` is bad"), [0; 0], "both have it");
        assert_eq!(blame(None, "something is wrong"), [0; 0]);
        assert_eq!(
            blame(None, "no `test_`"),
            [0; 0],
            "a word of all is no sign"
        );
    }
}
