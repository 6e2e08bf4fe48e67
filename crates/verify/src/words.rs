//! A runner's words, cut down to what helps to mend a test.

use std::path::Path;

/// Bytes kept of what was said about one member.
pub(crate) const MOST_BYTES: usize = 2048;

/// `text` without control characters and terminal escapes, with paths below `root` relative, without
/// the frames of the runners themselves, and at most [`MOST_BYTES`] long: the beginning, which
/// says what is wrong, and the end.
pub(crate) fn trimmed(text: &str, root: &Path, scratch: &Path) -> String {
    let mut plain = without_escapes(text);
    for (dir, shown) in [(root, ""), (scratch, "scratch/")] {
        if let Some(dir) = dir.to_str().filter(|dir| dir.len() > 1) {
            plain = plain.replace(&format!("{}/", dir.trim_end_matches('/')), shown);
        }
    }
    let lines: Vec<&str> = plain
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !is_noise(line))
        .collect();
    shortened(&lines.join("\n"), MOST_BYTES)
}

/// Frames and lines that say nothing about the test.
fn is_noise(line: &str) -> bool {
    const NOISE: [&str; 13] = [
        "node:internal/",
        "/src/testing/testing.go",
        "/src/runtime/",
        "testing.tRunner",
        "testing.(*",
        "testing.runTests",
        "created by testing.",
        "main.main()",
        "_testmain.go",
        "--- PASS",
        "--- SKIP",
        "goroutine ",
        "/site-packages/_pytest/",
    ];
    let is_frame = line.trim_start().starts_with("at ");
    (is_frame && line.contains("node_modules/")) || NOISE.iter().any(|noise| line.contains(noise))
}

fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                // A control sequence ends with its first letter.
                while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn shortened(text: &str, most: usize) -> String {
    const GAP: &str = "\n…\n";
    if text.len() <= most {
        return text.to_owned();
    }
    let half = (most - GAP.len()) / 2;
    let head = text
        .get(..text.floor_char_boundary(half))
        .unwrap_or_default();
    let tail = text
        .get(text.ceil_char_boundary(text.len() - half)..)
        .unwrap_or_default();
    format!("{head}{GAP}{tail}")
}

/// Whether a test's words are those of somebody who met a wall of the sandbox.
pub(crate) fn met_a_wall(text: &str) -> bool {
    const WALLS: [&str; 19] = [
        "EACCES",
        "EPERM",
        "EROFS",
        "ENETUNREACH",
        "ENETDOWN",
        "EAFNOSUPPORT",
        "EAI_AGAIN",
        "permission denied",
        "operation not permitted",
        "read-only file system",
        "network is unreachable",
        "address family not supported",
        "temporary failure in name resolution",
        "too many open files",
        // There is nobody else in the sandbox's own network.
        "ECONNREFUSED",
        "connection refused",
        "getaddrinfo ENOTFOUND",
        "no such host",
        "name or service not known",
    ];
    let lower = text.to_lowercase();
    WALLS
        .iter()
        .any(|wall| lower.contains(&wall.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_plain_and_relative() {
        let text = "\u{1b}[31m/home/me/shop/cart_test.go:3: bad\u{1b}[0m\u{7}\n\n\t/usr/local/go/src/testing/testing.go:2101 +0x4c5\n    at x (/home/me/shop/node_modules/jest/x.js:1:2)\n  at /tmp/s1/x";
        let out = trimmed(text, Path::new("/home/me/shop"), Path::new("/tmp/s1"));
        assert_eq!(out, "cart_test.go:3: bad\n  at scratch/x");
    }

    #[test]
    fn long_words_keep_both_ends() {
        let text = format!("first\n{}\nlast", "é".repeat(5000));
        let out = trimmed(&text, Path::new("/"), Path::new("/"));
        assert!(out.len() <= MOST_BYTES);
        assert!(out.starts_with("first") && out.ends_with("last"));
    }

    #[test]
    fn walls_are_known_by_their_words() {
        assert!(met_a_wall("connect: network is unreachable"));
        assert!(met_a_wall(
            "dial tcp 127.0.0.1:8080: connect: connection refused"
        ));
        assert!(met_a_wall(
            "PermissionError: [Errno 13] Permission denied: '/etc/x'"
        ));
        assert!(!met_a_wall("expected 3, got 4"));
        assert!(!met_a_wall("ModuleNotFoundError: No module named 'x'"));
    }
}
