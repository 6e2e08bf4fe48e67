//! Source files whose functions have versions that can be read off again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Functions in each file.
pub const FUNCTIONS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tongue {
    Go,
    Python,
}

/// What a file is about: its functions' names do not change, wherever it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub tongue: Tongue,
    pub number: usize,
}

impl Subject {
    /// Its file, under one of two names.
    pub fn path(self, moved: bool) -> String {
        let name = if moved { "moved" } else { "part" };
        match self.tongue {
            Tongue::Go => format!("{name}{}.go", self.number),
            Tongue::Python => format!("shop/{name}{}.py", self.number),
        }
    }

    pub fn member(self, function: usize) -> String {
        match self.tongue {
            Tongue::Go => format!("Sum{}x{function}", self.number),
            Tongue::Python => format!("sum{}x{function}", self.number),
        }
    }

    /// Its text with these versions, loosely or tightly set.
    pub fn text(self, versions: &[u64], loose: bool) -> String {
        let gap = if loose { "\n" } else { "" };
        let mut text = match self.tongue {
            Tongue::Go => "package shop\n".to_owned(),
            Tongue::Python => format!("\"\"\"Sums {}.\"\"\"\n", self.number),
        };
        for (function, version) in versions.iter().enumerate() {
            text.push_str(gap);
            text.push_str(&function_text(
                self.tongue,
                &self.member(function),
                *version,
            ));
        }
        text
    }

    /// What is on the screen while a function is being typed.
    pub fn half_typed(self) -> String {
        match self.tongue {
            Tongue::Go => "package shop\n\nfunc Half(a, b int".to_owned(),
            Tongue::Python => "def half(a, b".to_owned(),
        }
    }
}

pub fn function_text(tongue: Tongue, member: &str, version: u64) -> String {
    let mut text = String::new();
    let _ = match tongue {
        Tongue::Go => write!(
            text,
            "\n// {member} sums.\nfunc {member}(a, b int) int {{\n\treturn a + b + {version}\n}}\n"
        ),
        Tongue::Python => write!(
            text,
            "\n\ndef {member}(a: int, b: int) -> int:\n    \"\"\"Sums.\"\"\"\n    return a + b + {version}\n"
        ),
    };
    text
}

/// The members in a text, and the version of each.
pub fn versions(text: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut member = None;
    for line in text.lines().map(str::trim) {
        let begins = line
            .strip_prefix("func ")
            .or_else(|| line.strip_prefix("def "));
        if let Some(rest) = begins {
            member = rest.split('(').next().map(str::to_owned);
        } else if let Some(version) = line.strip_prefix("return a + b + ")
            && let (Some(member), Ok(version)) = (member.take(), version.parse())
        {
            found.insert(member, version);
        }
    }
    found
}
