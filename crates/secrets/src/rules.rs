//! The table of rules.

/// How what a pattern matched is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The format tells enough.
    None,
    /// The format tells enough, unless it is filled with one letter: `ghp_xxxxxxxx…`.
    Filled,
    /// A password in an address or connection string: no placeholder, not the user's own name.
    Password,
    /// What is assigned to a name: it has to look random.
    Assignment,
}

/// One kind of secret.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) description: &'static str,
    /// In any case of letters; one of them is in every text that a pattern matches.
    pub(crate) keywords: &'static [&'static str],
    /// On bytes, with ASCII classes. The group `secret`, if there is one, is the secret.
    pub(crate) patterns: &'static [&'static str],
    pub(crate) check: Check,
}

/// All rules, each with its id and what it finds.
pub fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|rule| (rule.id, rule.description))
}

/// The specific before the general: of findings that overlap, the first wins.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        id: "private-key",
        description: "private keys in PEM, OpenSSH and PGP form",
        keywords: &["private key"],
        // The header alone is what code that reads keys compares with, so key material has to
        // follow. `--` would be the end of the key.
        patterns: &[
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-[^-]){0,300}?[A-Za-z0-9+/]{32}",
        ],
        check: Check::None,
    },
    Rule {
        id: "putty-key",
        description: "private keys of PuTTY",
        keywords: &["putty-user-key-file"],
        patterns: &[r"PuTTY-User-Key-File-[23]: ?[a-z][a-z0-9-]{3,}"],
        check: Check::None,
    },
    Rule {
        id: "aws-access-key-id",
        description: "access key ids of AWS",
        keywords: &["akia", "asia", "abia", "acca"],
        patterns: &[r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"],
        check: Check::Filled,
    },
    Rule {
        id: "aws-secret-key",
        description: "secret access keys of AWS",
        keywords: &["aws", "secret"],
        patterns: &[
            r#"(?i:aws[a-z0-9_.-]{0,20}(?:secret|key)|secret_?access_?key)[A-Za-z0-9_]{0,20}["'`\]]{0,2}(?:\s*:\s*[A-Za-z]{1,12}|\s+string)?\s*(?::=|=>|=|:|,)\s*["'`]?(?P<secret>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        ],
        check: Check::Filled,
    },
    Rule {
        id: "gcp-service-account",
        description: "service account keys of Google Cloud",
        keywords: &["private_key_id"],
        patterns: &[r#"["']private_key_id\\?["']\s*:\s*\\?["'](?P<secret>[0-9a-f]{40})\b"#],
        check: Check::Filled,
    },
    Rule {
        id: "gcp-api-key",
        description: "API keys, OAuth tokens and client secrets of Google",
        keywords: &["aiza", "ya29.", "gocspx-"],
        patterns: &[
            r"\bAIza[0-9A-Za-z_-]{35}",
            r"\bya29\.[0-9A-Za-z_-]{30,}",
            r"\bGOCSPX-[0-9A-Za-z_-]{28}",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "azure-key",
        description: "storage keys, shared access keys and signatures, and client secrets of Azure",
        keywords: &["accountkey=", "sharedaccesskey=", "sig=", "q~"],
        patterns: &[
            r"(?i:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{42,88}={1,2})",
            r"[?&](?:sv|se|st|sp|sr)=[^\s]{1,300}?&sig=(?P<secret>[A-Za-z0-9%+/]{40,}={0,2})",
            r"(?:^|[^A-Za-z0-9_~.-])(?P<secret>[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "github-token",
        description: "tokens of GitHub",
        keywords: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        patterns: &[
            r"\bgh[pousr]_[A-Za-z0-9]{36,}",
            r"\bgithub_pat_[A-Za-z0-9_]{36,}",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "gitlab-token",
        description: "tokens of GitLab",
        keywords: &["gl"],
        patterns: &[r"\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct)-[0-9A-Za-z_-]{20,}"],
        check: Check::Filled,
    },
    Rule {
        id: "bitbucket-token",
        description: "app passwords and tokens of Bitbucket and Atlassian",
        keywords: &["atbb", "atctt3", "atatt3"],
        patterns: &[
            r"\bATBB[A-Za-z0-9]{28,}\b",
            r"\bAT(?:CTT|ATT)3[A-Za-z0-9_=-]{60,}",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "slack-token",
        description: "tokens of Slack",
        keywords: &["xox", "xapp-"],
        patterns: &[
            r"\bxox[abeoprs]-[0-9A-Za-z-]{16,}",
            r"\bxapp-[0-9]-[0-9A-Za-z-]{20,}",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "slack-webhook",
        description: "webhook addresses of Slack",
        keywords: &["hooks.slack.com"],
        patterns: &[
            r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{30,})",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "stripe-key",
        description: "secret keys of Stripe, and of its webhooks",
        keywords: &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
        patterns: &[
            r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}",
            r"\bwhsec_[A-Za-z0-9+/]{32,}",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "anthropic-key",
        description: "API keys of Anthropic",
        keywords: &["sk-ant-"],
        patterns: &[r"\bsk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{32,}"],
        check: Check::Filled,
    },
    Rule {
        id: "openai-key",
        description: "API keys of OpenAI",
        keywords: &["sk-"],
        patterns: &[
            r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{40,}",
            r"\bsk-[A-Za-z0-9]{32,}",
        ],
        check: Check::Filled,
    },
    Rule {
        id: "npm-token",
        description: "tokens of npm",
        keywords: &["npm_", "_authtoken"],
        patterns: &[
            r"\bnpm_[A-Za-z0-9]{36}\b",
            r#":_authToken\s*=\s*"?(?P<secret>[A-Za-z0-9_=/+.-]{20,})"#,
        ],
        check: Check::Filled,
    },
    Rule {
        id: "pypi-token",
        description: "tokens of PyPI",
        keywords: &["pypi-age"],
        patterns: &[r"\bpypi-AgE[A-Za-z0-9_-]{50,}"],
        check: Check::Filled,
    },
    Rule {
        id: "jwt",
        description: "signed JSON web tokens",
        keywords: &["eyj"],
        patterns: &[r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"],
        check: Check::Filled,
    },
    Rule {
        id: "password-in-url",
        description: "passwords in addresses: `postgres://user:…@host`",
        keywords: &["://"],
        patterns: &[
            r#"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://(?P<user>[^\s:@/"'`<>]{0,80}):(?P<secret>[^\s@/"'`]{1,120})@[A-Za-z0-9\[{$%<_-]"#,
        ],
        check: Check::Password,
    },
    Rule {
        id: "password-in-connection-string",
        description: "passwords in connection strings: `host=db password=…`, `user:…@tcp(host)`",
        keywords: &["password", "pwd", "@tcp(", "@unix("],
        patterns: &[
            r#"(?i:\b(?:host|server|data source|dbname|database|initial catalog|user id|user|uid)\s?=[^"'`\n]{1,160}?[;\s](?:password|pwd)\s?=\s?(?P<secret>[^\s;"'`&,)]{2,120}))"#,
            r#"(?i:\b(?:password|pwd)=(?P<secret>[^\s;"'`&,)]{2,120})[;\s][^"'`\n]{0,160}?\b(?:host|server|data source|dbname|database|initial catalog|user id|user|uid)\s?=)"#,
            r#"(?P<user>[A-Za-z0-9_.-]{1,80}):(?P<secret>[^\s:@/"'`<>]{1,120})@(?:tcp|unix)\("#,
        ],
        check: Check::Password,
    },
    Rule {
        id: "secret-assignment",
        description: "random-looking values of names like `*_KEY`, `*_TOKEN`, `*_SECRET`, `*PASSWORD*`",
        keywords: &[
            "key",
            "token",
            "secret",
            "passw",
            "passphrase",
            "pwd",
            "credential",
        ],
        // The match begins with the keyword; what of the name stands before it is looked up.
        patterns: &[
            r#"(?i:key|token|secret|passw(?:or)?d|passphrase|pwd|credential)(?:[A-Za-z0-9_-]{0,30})\\?["'`]?\]?[?!]?(?:\s*:\s*[A-Za-z_][A-Za-z0-9_.\[\]<>| ]{0,40}|\s+string)?\s*(?::=|={1,3}|=>|:|,)\s*\(?\s*(?:(?:\[\]byte|[A-Za-z_][A-Za-z0-9_.]{0,40})\(\s*)?[bBrRfFuU]{0,2}\\?["'`](?P<secret>[^"'`\s\\]{8,})\\?["'`]"#,
            r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD|CREDENTIAL)[A-Z0-9_]{0,30}=(?P<secret>[A-Za-z0-9+/_.~-]{16,}={0,2})",
        ],
        check: Check::Assignment,
    },
];
