use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::rules;

/// Joined so that no whole secret stands in this file, which forges would refuse to take.
fn join(parts: &[&str]) -> String {
    parts.concat()
}

const PEM: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
const R40: &str = "Zq7Rz1LmX0vWc8TkNb4YhJ2sPd6FgA9uEiKo3MnB";

/// For each rule: texts that hold such a secret, and texts that nearly do.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let key = |begin: &str| format!("-----BEGIN {begin}PRIVATE KEY-----\n{PEM}\n");
    vec![
        (
            "private-key",
            vec![
                key(""),
                key("RSA "),
                key("OPENSSH "),
                format!(
                    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{PEM}"
                ),
                format!("k = \"-----BEGIN EC PRIVATE KEY-----\\n{PEM}\\n\""),
                format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{PEM}"),
            ],
            vec![
                "if strings.HasPrefix(s, \"-----BEGIN RSA PRIVATE KEY-----\") { return parse(s) }"
                    .into(),
                format!("-----BEGIN PUBLIC KEY-----\n{PEM}"),
                format!("\"-----BEGIN PRIVATE KEY-----\", \"-----END PRIVATE KEY-----\"\n{PEM}"),
            ],
        ),
        (
            "putty-key",
            vec!["PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none".into()],
            vec!["starts with PuTTY-User-Key-File-".into()],
        ),
        (
            "aws-access-key-id",
            vec![
                join(&["id = \"AKIA", "Q3EGWZ5N7LXD2KVB\""]),
                join(&["AKIA", "IOSFODNN7EXAMPLE"]),
                join(&["ASIA", "Q3EGWZ5N7LXD2KVB"]),
            ],
            vec![
                "AKIAQ3EGWZ5N7LXD2KV".into(),
                "AKIAXXXXXXXXXXXXXXXX".into(),
                "xAKIAQ3EGWZ5N7LXD2KVB".into(),
            ],
        ),
        (
            "aws-secret-key",
            vec![
                format!("aws_secret_access_key = \"{R40}\""),
                format!("awsSecretKey: string = '{R40}'"),
                format!("SecretAccessKey: \"{R40}\","),
                format!("AWS_SECRET_ACCESS_KEY={R40}\n"),
            ],
            vec![
                format!("aws_secret_access_key = \"{}\"", &R40[1..]),
                format!("aws_region = \"{R40}\""),
            ],
        ),
        (
            "gcp-service-account",
            vec!["\"private_key_id\": \"3f9a1c7b2d8e4f60a5b9c1d3e7f80214a6b8c0d2\"".into()],
            vec!["\"private_key_id\": \"3f9a1c7b\"".into()],
        ),
        (
            "gcp-api-key",
            vec![
                join(&["AIza", "SyD3k9Fq2LmX7vWc8TkNb4YhJ2sPd6FgA9u"]),
                join(&["GOCSPX", "-D3k9Fq2LmX7vWc8TkNb4YhJ2sPd6"]),
            ],
            vec!["AIzaSyD3k9Fq2".into(), "GOCSPX-short".into()],
        ),
        (
            "azure-key",
            vec![
                format!(
                    "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={R40}{R40}AbC4eF==;"
                ),
                format!("Endpoint=sb://x/;SharedAccessKey={R40}abc="),
                format!("https://x.blob.core.windows.net/c?sv=2022-11-02&sr=c&sig={R40}%3D"),
                join(&["\"aB3", "8Q~Zq7Rz1LmX0vWc8TkNb4YhJ2sPd6FgA9u\""]),
            ],
            vec![
                "AccountKey=<key>".into(),
                "?sv=2022-11-02&sig=abc".into(),
                "aB38Q~short".into(),
            ],
        ),
        (
            "github-token",
            vec![format!("ghp_{}", &R40[..36]), format!("github_pat_{R40}")],
            vec![
                format!("ghp_{}", "x".repeat(36)),
                format!("ghp_{}", &R40[..35]),
            ],
        ),
        (
            "gitlab-token",
            vec![join(&["gl", "pat-Zq7Rz1LmX0vWc8TkNb4Y"])],
            vec!["glpat-Zq7Rz1".into(), format!("glob-{R40}")],
        ),
        (
            "bitbucket-token",
            vec![
                format!("ATBB{}", &R40[..32]),
                format!("ATATT3{R40}{R40}=0A1B2C3D"),
            ],
            vec!["ATBBshort".into(), "ATATT3short".into()],
        ),
        (
            "slack-token",
            vec![
                join(&["xox", "b-2048-4096-Zq7Rz1LmX0vWc8"]),
                join(&["xapp", "-1-A01-Zq7Rz1LmX0vWc8TkNb4Y"]),
            ],
            vec!["xoxb-short".into(), "xoxz-2048-4096-Zq7Rz1LmX0vWc8".into()],
        ),
        (
            "slack-webhook",
            vec![join(&[
                "https://hooks.slack.com/ser",
                "vices/T01ABCDEF/B01GHIJKL/Zq7Rz1LmX0vWc8TkNb4YhJ2s",
            ])],
            vec!["https://hooks.slack.com/services/T00/B00/XXX".into()],
        ),
        (
            "stripe-key",
            vec![
                join(&["sk_", "live_Zq7Rz1LmX0vWc8TkNb4YhJ2s"]),
                join(&["whsec", "_Zq7Rz1LmX0vWc8TkNb4YhJ2sPd6FgA9u"]),
            ],
            vec![
                "pk_live_Zq7Rz1LmX0vWc8TkNb4YhJ2s".into(),
                "sk_live_short".into(),
            ],
        ),
        (
            "anthropic-key",
            vec![format!("sk-ant-api03-{R40}")],
            vec!["sk-ant-api03-...".into()],
        ),
        (
            "openai-key",
            vec![format!("sk-proj-{R40}"), format!("sk-{R40}")],
            vec![
                "sk-test".into(),
                format!("task-{R40}"),
                format!("sk-{}", "x".repeat(48)),
            ],
        ),
        (
            "npm-token",
            vec![
                format!("npm_{}", &R40[..36]),
                format!("//registry.npmjs.org/:_authToken={R40}"),
            ],
            vec![
                "npm_config_registry".into(),
                "//registry.npmjs.org/:_authToken=${NPM_TOKEN}".into(),
            ],
        ),
        (
            "pypi-token",
            vec![format!("pypi-AgEIcHlwaS5vcmc{R40}")],
            vec!["pypi-AgEIcHlwaS5vcmc".into()],
        ),
        (
            "jwt",
            vec![format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{R40}")],
            vec!["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.".into()],
        ),
        (
            "password-in-url",
            vec![
                "postgres://user:pw@host".into(),
                "dsn := \"postgres://app:hunter2@db.shop.org:5432/app\"".into(),
                "redis://:s3cr3t!@localhost".into(),
                "mongodb+srv://app:p%40ss@cluster0.x.net".into(),
            ],
            vec![
                "postgres://user:password@localhost/db".into(),
                "postgres://user:<password>@localhost/db".into(),
                "postgres://${user}:${password}@${host}/db".into(),
                "postgres://%s:%s@%s/db".into(),
                "postgres://{user}:{pw}@{host}".into(),
                "https://localhost:8080/@scope/pkg".into(),
                "https://user@host:22".into(),
            ],
        ),
        (
            "password-in-connection-string",
            vec![
                "host=db user=app password=hunter2 dbname=shop".into(),
                "Server=db;Database=shop;User Id=app;Password=hunter2;".into(),
                "password=hunter2 host=db".into(),
                "app:hunter2@tcp(db:3306)/shop".into(),
            ],
            vec![
                "host=db user=app password=%s dbname=shop".into(),
                "Server=db;User Id=app;Password=<password>;".into(),
                "password = read_password(host)".into(),
                "%s:%s@tcp(%s)/shop".into(),
            ],
        ),
        (
            "secret-assignment",
            vec![
                format!("const apiKey = \"{R40}\""),
                format!("var SigningKey = []byte(\"{R40}\")"),
                format!("const sessionSecret string = `{R40}`"),
                format!("API_KEY: Final[str] = '{R40}'"),
                format!("PAYMENT_TOKEN = (\n    \"{R40}\"\n)"),
                format!("os.environ[\"API_TOKEN\"] = \"{R40}\""),
                format!("os.environ.get(\"API_TOKEN\", \"{R40}\")"),
                format!("const accessToken: string = '{R40}';"),
                format!("{{ clientSecret: '{R40}' }}"),
                format!("\"client_secret\": \"{R40}\""),
                format!("API_KEY={R40}"),
                "DB_PASSWORD = 'Tr0ub4dor&3'".into(),
                "deploy_token = b'9f86d081884c7d659a2feaa0c55ad015'".into(),
            ],
            vec![
                format!("const apiKey = \"{}\"", "your-api-key-goes-in-here-0"),
                "translationKey: 'pages.checkout.title2'".into(),
                "API_KEY = os.environ['API_KEY_OF_SHOP_V2']".into(),
                "password = 'password'".into(),
                "token = 'test-token-0123456789'".into(),
                format!("const name = \"{R40}\""),
                format!("cacheKey := \"{R40}\""),
                "commitKey = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b'".into(),
                "func parseToken(text string) (string, error)".into(),
                "const PUBLIC_KEY = 'Zq7Rz1LmX0vWc8TkNb4YhJ2sPd6FgA9u'".into(),
            ],
        ),
    ]
}

#[test]
fn each_rule_finds_its_secrets_and_no_near_misses() {
    let scanner = Scanner::default();
    let mut tested = BTreeSet::new();
    for (rule, secrets, near_misses) in cases() {
        tested.insert(rule);
        for text in secrets {
            let found: Vec<_> = scanner.scan(&text).iter().map(|f| f.rule).collect();
            assert_eq!(found, [rule], "{text}");
        }
        for text in near_misses {
            let found = scanner.scan(&text);
            assert!(found.iter().all(|f| f.rule != rule), "{text}: {found:?}");
        }
    }
    let all: BTreeSet<_> = rules().map(|(id, _)| id).collect();
    assert_eq!(tested, all, "each rule has its cases");
}

#[test]
fn a_finding_tells_the_place_and_not_the_secret() {
    let text = "package shop\n\nconst é = \"é\"; const id = \"AKIAQ3EGWZ5N7LXD2KVB\"\n";
    let found = Scanner::default().scan(text);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].line, found[0].columns.clone()), (3, 28..48));
    assert_eq!(&text[found[0].bytes.clone()], "AKIAQ3EGWZ5N7LXD2KVB");
    assert!(!format!("{found:?} {}", found[0]).contains("AKIA"));
}

#[test]
fn a_comment_lets_pass_its_line_or_the_next() {
    let scanner = Scanner::default();
    let secret = format!("token = '{R40}'");
    let passes = [
        format!("{secret}  # {ALLOW_COMMENT}"),
        format!("# {ALLOW_COMMENT}: public\n{secret}"),
        format!("    // {ALLOW_COMMENT}\n    {secret}"),
    ];
    for text in passes {
        assert_eq!(scanner.scan(&text), [], "{text}");
        let all = scanner.scan_all(&text);
        assert!(all.len() == 1 && all[0].allowed, "{text}");
    }
    let found = [
        format!("# {ALLOW_COMMENT}\n\n{secret}"),
        format!("{secret}\n# {ALLOW_COMMENT}"),
        // The comment on the line above is about that line.
        format!("first = 1  # {ALLOW_COMMENT}\n{secret}"),
    ];
    for text in found {
        assert_eq!(scanner.scan(&text).len(), 1, "{text}");
    }
}

#[test]
fn the_settings_let_pass_rules_and_paths() {
    let scanner = |entries: &[&str]| {
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        Scanner::new(&entries)
    };
    let text = format!("API_TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{R40}'");
    let allowing = scanner(&["jwt", "examples/**", "**/fixture.py"]).unwrap();
    assert_eq!(
        allowing.scan(&text),
        [],
        "the general rule does not find it instead"
    );
    assert!(allowing.allows_path("examples/deep/a.go"));
    assert!(allowing.allows_path("shop/fixture.py"));
    assert!(!allowing.allows_path("shop/cart.py"));
    let message = |entry: &str| scanner(&[entry]).unwrap_err().to_string();
    assert_eq!(
        message("aws-acess-key-id"),
        "`aws-acess-key-id` is no rule, did you mean `aws-access-key-id`?; write the id of a rule, \
         or a glob of paths with a `/`, `.` or `*` in it"
    );
    assert!(message("nothing like it").starts_with("`nothing like it` is no rule;"));
    assert!(message("src/[a").starts_with("`src/[a` is no glob: "));
}

#[test]
fn a_hostile_text_is_scanned_in_one_pass() {
    // One line without end, full of what begins a match, and of matches: 400 kB, which a search that
    // looks at each of them from its start to the end would not be done with in hours.
    let piece =
        format!("sk-proj-key=\"token='AKIAQ3EGWZ5N7LXD2KVB',password:\"{R40}\"eyJeyJ.://a:b");
    let text = piece.repeat(4000);
    let found = Scanner::default().scan(&text);
    assert!(found.len() >= 4000, "{}", found.len());
}

proptest! {
    #[test]
    fn any_text_can_be_scanned(text in "(?s)(key|=|\"|://|:|@|é|\n|AKIA|-----BEGIN |PRIVATE KEY-----|[a-zA-Z0-9]{0,40}|.){0,40}") {
        for finding in Scanner::default().scan_all(&text) {
            prop_assert!(text.get(finding.bytes).is_some());
        }
    }
}

#[test]
fn the_rules_are_documented() {
    let page = include_str!("../../../../docs/trust-and-secrets.md");
    for (id, description) in rules() {
        let row = format!("| `{id}` | {description} |");
        assert!(page.contains(&row), "missing: {row}");
    }
}
