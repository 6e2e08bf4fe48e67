//! What of a text counts: its tokens, and digests over them.
//!
//! A driver says by [`Dialect::token`] how each node counts. White space never does, so a driver
//! has to name with [`Token::Group`] every node whose extent only layout shows (Python's `block`)
//! or whose brackets it leaves out (parentheses that a formatter may add: leave the brackets out
//! with [`Token::Skip`] and make the operators groups, so that `(a + b) * c` and `a + b * c`
//! still differ).
//!
//! Comments are kept apart from the other tokens, in their own order, since formatters move them
//! past brackets and commas. Line ends inside a token are taken as LF.

use std::borrow::Cow;

use testsmith_domain::{ContentHash, FieldHasher};
use tree_sitter::Node;

use crate::dialect::Dialect;
use crate::syntax::{Descend, Parsed, Visit, walk_both};

/// How one node counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// As the sum of its children; a leaf as its text.
    Into,
    /// As its children, and it makes a difference which of them are in it.
    Group,
    /// Like [`Token::Group`], under another name than the node's kind: kinds that differ by layout
    /// only (Python's `(a, b)` and `a, b`) get the same.
    GroupAs(&'static str),
    /// As this text, whatever its children. For strings, names and such; white space within
    /// counts.
    Text(Cow<'t, str>),
    /// As a comment of this text, without marks, see [`comment_text`]. `doc` if it documents
    /// what is defined, so that tests may depend on it.
    Comment {
        /// The words.
        text: String,
        /// Whether it is documentation.
        doc: bool,
    },
    /// Not at all.
    Skip,
}

/// Which comments a digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comments {
    /// Documentation only: for source code.
    Doc,
    /// All: for blocks, where a comment somebody wrote makes the block theirs.
    All,
}

/// The digest of the tokens of `nodes`.
pub(crate) fn digest<'t>(
    dialect: &dyn Dialect,
    file: &Parsed<'_>,
    nodes: impl IntoIterator<Item = Node<'t>>,
    comments: Comments,
) -> ContentHash {
    let tokens = |node: Node<'_>| dialect.token(file, node);
    digest_by(&tokens, file, nodes, comments)
}

/// The digest of what `tokens` says of `nodes`.
fn digest_by<'f, 't>(
    tokens: &dyn Fn(Node<'_>) -> Token<'f>,
    file: &Parsed<'f>,
    nodes: impl IntoIterator<Item = Node<'t>>,
    comments: Comments,
) -> ContentHash {
    let mut counted = Counted {
        comments,
        hasher: FieldHasher::new(),
        remarks: Vec::new(),
        open: Vec::new(),
    };
    for node in nodes {
        walk_both(node, |visit| match visit {
            Visit::Enter(node) => counted.enter(tokens(node), file, node),
            Visit::Leave(_) => counted.leave(),
        });
    }
    counted.finish()
}

/// What was counted so far.
struct Counted {
    comments: Comments,
    hasher: FieldHasher,
    remarks: Vec<String>,
    /// For each node that was entered and not left yet, whether it is a group.
    open: Vec<bool>,
}

// No token is a NUL with a letter: NUL is forbidden in source text.
const GROUP: &str = "\0g";
const GROUP_END: &str = "\0e";
const COMMENTS: &str = "\0c";

impl Counted {
    fn enter(&mut self, token: Token<'_>, file: &Parsed<'_>, node: Node<'_>) -> Descend {
        match token {
            Token::Into if node.child_count() == 0 => {
                let text = file.of(node);
                if !text.trim().is_empty() {
                    self.hasher.add(unix(text).as_bytes());
                }
            }
            Token::Into => {
                self.open.push(false);
                return Descend::Yes;
            }
            Token::Group => return self.group(node.kind()),
            Token::GroupAs(kind) => return self.group(kind),
            Token::Text(text) => self.hasher.add(unix(&text).as_bytes()),
            Token::Comment { text, doc } => {
                if (doc || self.comments == Comments::All) && !text.is_empty() {
                    self.remarks.push(text);
                }
            }
            Token::Skip => {}
        }
        Descend::No
    }

    fn group(&mut self, kind: &str) -> Descend {
        self.hasher.add(GROUP);
        self.hasher.add(kind);
        self.open.push(true);
        Descend::Yes
    }

    fn leave(&mut self) -> Descend {
        if self.open.pop() == Some(true) {
            self.hasher.add(GROUP_END);
        }
        Descend::No
    }

    fn finish(mut self) -> ContentHash {
        self.hasher.add(COMMENTS);
        // As one text: where a comment's lines break is layout.
        self.hasher.add(self.remarks.join(" "));
        self.hasher.finish()
    }
}

/// The `sum` of a body (design §8): no formatter changes it, every edit by hand does.
pub(crate) fn sum(dialect: &dyn Dialect, body: &str) -> ContentHash {
    let body = dialect.parse(body);
    let tokens = |node: Node<'_>| dialect.block_token(&body, node);
    digest_by(&tokens, &body, [body.root()], Comments::All)
}

/// The `sum` as it was before [`Dialect::block_token`] let more pass than [`Dialect::token`]: marks
/// from then hold it.
pub(crate) fn old_sum(dialect: &dyn Dialect, body: &str) -> ContentHash {
    let body = dialect.parse(body);
    digest(dialect, &body, [body.root()], Comments::All)
}

/// The words of a comment: without its marks, and with single spaces for all white space, as
/// formatters indent and pad comments.
pub(crate) fn comment_text(comment: &str) -> String {
    let inner = comment
        .strip_prefix("/*")
        .map(|rest| rest.strip_suffix("*/").unwrap_or(rest));
    let lines = inner.unwrap_or(comment).lines().map(|line| {
        let line = line.trim();
        match inner {
            Some(_) => line.trim_start_matches('*'),
            None => line.trim_start_matches(['/', '#']),
        }
    });
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// `text` with LF line ends.
pub(crate) fn unix(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(text)
    }
}
