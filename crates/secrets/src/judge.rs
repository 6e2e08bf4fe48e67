//! Whether what stands where a secret would be is one.

/// Bits per character below which text of this many kinds of letters is none drawn at random.
///
/// The entropy of 16 letters drawn from 64 is 3.8 on average and rarely below 3.5; words and names
/// of that length stay at 3.5 or below, and those above are told by their syllables. Of 32 hex
/// digits it is 3.6 on average, of at most 4.
const RANDOM_BITS: f64 = 3.5;
const RANDOM_HEX_BITS: f64 = 3.0;

/// What is shorter than this is too short to tell by its entropy; a key has more.
const SHORTEST_RANDOM: usize = 16;

/// As many digits as a key of 128 bits has.
const SHORTEST_HEX: usize = 32;

/// Passwords are shorter: of these, as many kinds of characters are asked for as sites ask for.
const SHORTEST_PASSWORD: usize = 8;
const PASSWORD_BITS: f64 = 2.75;

/// A row of one character as long as this is a placeholder: `xxxxxxxx`, `********`, `00000000`.
const LONGEST_ROW: usize = 8;

/// Words of values that stand for others.
const PLACEHOLDERS: [&str; 26] = [
    "example",
    "placeholder",
    "changeme",
    "change-me",
    "change_me",
    "replace",
    "insert",
    "your-",
    "your_",
    "yourkey",
    "yourtoken",
    "xxxx",
    "****",
    "....",
    "dummy",
    "fake",
    "sample",
    "mock",
    "test",
    "todo",
    "redacted",
    "secret-here",
    "12345678",
    "abcdef",
    "abc123",
    "deadbeef",
];

/// Passwords that say of themselves that they are none, or that everybody knows.
const NO_PASSWORDS: [&str; 15] = [
    "password",
    "passwd",
    "passw0rd",
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "changeme",
    "example",
    "placeholder",
    "redacted",
    "username",
    "user",
    "hidden",
];

/// Words of names whose random-looking values are no secrets.
const OPEN_NAMES: [&str; 22] = [
    "public",
    "pub_key",
    "pubkey",
    "hash",
    "sha1",
    "sha256",
    "sha512",
    "digest",
    "checksum",
    "fingerprint",
    "etag",
    "commit",
    "revision",
    "cache",
    "keyword",
    "keyboard",
    "monkey",
    "tokenizer",
    "token_type",
    "tokentype",
    "idempot",
    "integrity",
];

/// Shannon's entropy of the text's characters, in bits per character (C. E. Shannon, "A
/// Mathematical Theory of Communication", 1948).
pub(crate) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let all = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX).max(1));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / all;
            -share * share.log2()
        })
        .sum()
}

/// Whether one character fills most of it.
pub(crate) fn is_filled(text: &str) -> bool {
    let mut row = 0;
    let mut last = None;
    text.chars().any(|c| {
        row = if last == Some(c) { row + 1 } else { 1 };
        last = Some(c);
        row >= LONGEST_ROW
    })
}

/// Whether `secret` is a password, rather than what stands for one.
pub(crate) fn is_password(user: Option<&str>, secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let only_one = |c: &str| c.chars().all(|other| c.starts_with(other));
    !(is_filled_in_later(secret)
        || NO_PASSWORDS.contains(&&*lower)
        || user.is_some_and(|user| user.eq_ignore_ascii_case(secret))
        || (secret.len() > 2 && only_one(&lower)))
}

/// Whether a program or a person puts something else in its place: `${PASSWORD}`, `%s`, `<…>`.
fn is_filled_in_later(text: &str) -> bool {
    text.starts_with(['<', '{', '$', '[', '('])
        || ["${", "{{", "%s", "%v", "%q", "%w", "{}", "...", "…", "#{"]
            .iter()
            .any(|mark| text.contains(mark))
        || (text.starts_with('%') && text.ends_with('%'))
        || text.starts_with("%(")
}

/// Whether `secret`, assigned to `name`, looks as if drawn at random.
pub(crate) fn is_random(name: &str, secret: &str) -> bool {
    let (name, lower) = (name.to_ascii_lowercase(), secret.to_ascii_lowercase());
    if OPEN_NAMES.iter().any(|word| name.contains(word))
        || PLACEHOLDERS.iter().any(|word| lower.contains(word))
        || is_filled_in_later(secret)
        || is_filled(secret)
        || lower.contains("://")
        || (secret.starts_with(['/', '.', '~']) && secret.matches('/').count() > 1)
        || !secret.is_ascii()
    {
        return false;
    }
    let kinds = Kinds::of(secret);
    if is_hex(secret) {
        return kinds.digits > 0 && kinds.letters() > 0 && entropy(secret) >= RANDOM_HEX_BITS;
    }
    let named_password = ["passw", "pwd", "passphrase"]
        .iter()
        .any(|word| name.contains(word));
    if named_password
        && secret.len() >= SHORTEST_PASSWORD
        && kinds.count() >= 3
        && kinds.digits > 0
        && entropy(secret) >= PASSWORD_BITS
    {
        return true;
    }
    let mixed = kinds.digits > 0 && kinds.lower > 0 && kinds.upper > 0 && !has_syllables(secret);
    let many_digits = kinds.letters() > 0 && kinds.digits * 5 >= secret.len();
    secret.len() >= SHORTEST_RANDOM && (mixed || many_digits) && entropy(secret) >= RANDOM_BITS
}

/// Whether it is as many hex digits as a key has: 128 bits or more, in groups or not (UUIDs).
fn is_hex(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = text.bytes().filter(|byte| *byte == b'-').count();
    digits >= SHORTEST_HEX && digits + dashes == text.len()
}

/// How many characters there are of each kind.
#[derive(Debug, Default)]
struct Kinds {
    lower: usize,
    upper: usize,
    digits: usize,
    others: usize,
}

impl Kinds {
    fn of(text: &str) -> Self {
        let mut kinds = Self::default();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' => kinds.lower += 1,
                b'A'..=b'Z' => kinds.upper += 1,
                b'0'..=b'9' => kinds.digits += 1,
                _ => kinds.others += 1,
            }
        }
        kinds
    }

    const fn letters(&self) -> usize {
        self.lower + self.upper
    }

    fn count(&self) -> usize {
        let all = [self.lower, self.upper, self.digits, self.others];
        all.into_iter().filter(|count| *count > 0).count()
    }
}

/// Whether it is put together from words, as `someName.withParts2` is: the rows of small letters,
/// with one capital before them or not, of capitals and of digits have three characters or more on
/// average. In text drawn from letters and digits they have two or less.
fn has_syllables(text: &str) -> bool {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Lower,
        Upper,
        Digit,
        Other,
    }
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => Kind::Lower,
        b'A'..=b'Z' => Kind::Upper,
        b'0'..=b'9' => Kind::Digit,
        _ => Kind::Other,
    };
    let (mut rows, mut length, mut last) = (0_usize, 0_usize, Kind::Other);
    for byte in text.bytes() {
        let now = kind(byte);
        length += usize::from(now != Kind::Other);
        let goes_on = now == last || (last == Kind::Upper && now == Kind::Lower);
        rows += usize::from(now != Kind::Other && !goes_on);
        last = now;
    }
    length >= 3 * rows.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_shannons() {
        assert!(entropy("").abs() < f64::EPSILON);
        assert!(entropy("aaaa").abs() < f64::EPSILON);
        assert!((entropy("abab") - 1.0).abs() < 1e-9);
        assert!((entropy("0123456789abcdef") - 4.0).abs() < 1e-9);
    }

    #[test]
    fn random_text_is_told_from_words() {
        for random in [
            "q7Rz1LmX0vWc8TkN",
            "9f86d081884c7d659a2feaa0c55ad015",
            "4f3c1b8e-9d27-4a56-b0e1-7c8d2f6a9b35",
            "k3j9x0q2m4n8b7v6z1",
            "hV9p+2LkQ/w8ZrT1mXc4nB==",
        ] {
            assert!(is_random("API_KEY", random), "{random}");
        }
        for words in [
            "user.profile.title",
            "com.shop.checkout.Version2Handler",
            "correct-horse-battery-staple",
            "X-Request-Correlation-Id-V2",
            "https://login.shop.org/oauth2/v2.0/tok3n",
            "/etc/ssl/private/Server1Key.d",
            "${API_KEY_2f9A8b7C6d5E4}",
            "your-api-key-0a1B2c3D4e5F",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
            "1234567890123456789012345678901234567890",
            "short1A",
        ] {
            assert!(!is_random("API_KEY", words), "{words}");
        }
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
        assert!(is_random("deployToken", digest));
        assert!(!is_random("tokenHash", digest));
        assert!(is_random("DB_PASSWORD", "Tr0ub4dor&3"));
        assert!(!is_random("DB_PASSWORD", "letmein"));
        assert!(!is_random("API_KEY", "Tr0ub4dor&3"), "too short for a key");
    }

    #[test]
    fn placeholders_are_no_passwords() {
        for password in ["hunter2", "pw", "S3cr3t!", "p%40ss"] {
            assert!(is_password(Some("app"), password), "{password}");
        }
        for none in [
            "password",
            "PASSWORD",
            "<password>",
            "${PW}",
            "$PW",
            "%s",
            "{pw}",
            "****",
            "xxx",
            "...",
            "app",
            "changeme",
            "%DB_PW%",
            "%(pw)s",
        ] {
            assert!(!is_password(Some("app"), none), "{none}");
        }
    }
}
