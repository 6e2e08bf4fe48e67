use super::*;

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn project(text: &str) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, PROJECT_FILE, text);
    Settings::load(&Sources {
        project_file: ProjectFile::Named(path),
        ..Sources::default()
    })
}

fn error(text: &str) -> String {
    let message = project(text).unwrap_err().to_string();
    // The temporary folder's name changes from run to run.
    let at = message.find(PROJECT_FILE).unwrap_or(0);
    message[at..].to_owned()
}

#[test]
fn the_defaults_are_the_contract() {
    let settings = Settings::load(&Sources::default()).unwrap().settings;
    assert_eq!(settings.llm.retry.max_attempts.get(), 3);
    assert_eq!(settings.llm.retry.base_delay.get().as_millis(), 100);
    assert_eq!(settings.llm.retry.max_delay.get().as_secs(), 8);
    assert_eq!(settings.llm.retry.max_inline_wait.get().as_secs(), 60);
    assert_eq!(settings.llm.max_concurrent_calls.get(), 5);
    assert_eq!(settings.llm.max_tokens_per_member.get(), 1500);
    assert_eq!(settings.llm.prompt_token_budget.get(), 6000);
    assert_eq!(settings.watch.debounce.get().as_millis(), 500);
    assert_eq!(settings.watch.max_wait.get().as_secs(), 5);
    assert_eq!(settings.watch.bulk_threshold.get(), 50);
    assert_eq!(settings.workers(), 7);
    assert_eq!(settings.service.shutdown_grace.get().as_secs(), 20);
    assert_eq!(settings.cache.max_size.get(), 128 << 20);
    assert!(settings.batch.enabled);
}

#[test]
fn later_layers_win_and_origins_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let user = file(
        &dir,
        "user.toml",
        "[llm]\nmodel = \"user\"\ntemperature = 1\n[watch]\ndebounce = \"1s\"\n",
    );
    let path = file(
        &dir,
        PROJECT_FILE,
        "[llm]\nmodel = \"project\"\n\n[batch]\nenabled = false\n",
    );
    let sources = Sources {
        user_file: Some(user.clone()),
        project_file: ProjectFile::Found(path.clone()),
        environment: vec![
            ("TESTSMITH_LLM__MAX_CONCURRENT_CALLS".into(), "2".into()),
            ("TESTSMITH_LLM__RETRY__BASE_DELAY".into(), "1ms".into()),
            ("TESTSMITH_LOG".into(), "debug".into()),
            ("HOME".into(), "/nowhere".into()),
        ],
        flags: vec![("--debounce".into(), "watch.debounce".into(), "50ms".into())],
        trust: TrustStore::default(),
    };
    let loaded = Settings::load(&sources).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.llm.model.as_deref(), Some("project"));
    assert!((settings.llm.temperature - 1.0).abs() < f64::EPSILON);
    assert_eq!(settings.watch.debounce.get().as_millis(), 50);
    assert_eq!(settings.llm.max_concurrent_calls.get(), 2);
    assert_eq!(settings.llm.retry.base_delay.get().as_millis(), 1);
    let origin = |key: &str| loaded.origins[key].0.clone();
    assert_eq!(origin("llm.model"), Place::File(path, Some(2)));
    assert_eq!(origin("llm.temperature"), Place::File(user, Some(3)));
    assert_eq!(origin("watch.debounce"), Place::Flag("--debounce".into()));
    assert_eq!(
        origin("llm.retry.base_delay"),
        Place::Variable("TESTSMITH_LLM__RETRY__BASE_DELAY".into())
    );
    assert_eq!(origin("cache.max_age"), Place::BuiltIn);
    let shown = loaded.annotated();
    assert!(
        shown
            .iter()
            .any(|(k, v, _)| k == "llm.model" && v == "\"project\"")
    );
    assert!(
        shown
            .iter()
            .any(|(k, v, _)| k == "watch.debounce" && v == "\"50ms\"")
    );
}

#[test]
fn errors_name_file_line_key_and_nearest_key() {
    assert_eq!(
        error("[llm]\nmodel = \"x\"\nmax_atempts = 3\n"),
        "testsmith.toml:3: unknown key `llm.max_atempts`; did you mean `llm.retry.max_attempts`?"
    );
    assert_eq!(
        error("[wacth]\ndebounce = \"1s\"\n"),
        "testsmith.toml:1: unknown key `wacth`; did you mean `watch`?"
    );
    assert_eq!(
        error("[llm.retry]\n\nbase_delay = \"soon\"\n"),
        "testsmith.toml:3: `llm.retry.base_delay`: `soon` is no duration; write for instance \
         \"500ms\" or \"2m 30s\""
    );
    assert_eq!(
        error("[watch]\nmax_wait = \"100ms\"\n"),
        "testsmith.toml:2: `watch.max_wait`: must not be shorter than watch.debounce"
    );
    assert_eq!(
        error("[verify]\nrepair_rounds = 3\n"),
        "testsmith.toml:2: `verify.repair_rounds`: must not be more than 2"
    );
    assert!(
        error("[llm]\nmax_concurrent_calls = 0\n")
            .starts_with("testsmith.toml:2: `llm.max_concurrent_calls`")
    );
    assert!(
        error("[llm]\nprovider = \"opnai\"\n")
            .starts_with("testsmith.toml:2: `llm.provider`: `opnai` is none of `auto`, ")
    );
    assert!(error("[llm]\ntemperature = 3\n").starts_with("testsmith.toml:2: `llm.temperature`"));
    assert!(error("[llm]\nmodel = \n").starts_with("testsmith.toml:2: "));
    assert!(error("[service]\nshutdown_grace = \"9999999years\"\n").contains("longer than a day"));
    assert!(error("llm = 3\n").starts_with("testsmith.toml:1: `llm`: is a table"));
    assert!(
        error("[watch]\nexclude = [\"a{\"]\n")
            .starts_with("testsmith.toml:2: `watch.exclude`: `a{` is no glob")
    );
}

#[test]
fn a_bad_variable_is_named() {
    let with = |name: &str, text: &str| {
        let environment = vec![(name.to_owned(), text.to_owned())];
        Settings::load(&Sources {
            environment,
            ..Sources::default()
        })
        .unwrap_err()
        .to_string()
    };
    assert_eq!(
        with("TESTSMITH_LLM__MODLE", "x"),
        "environment variable TESTSMITH_LLM__MODLE: unknown key `llm.modle`; did you mean `llm.model`?"
    );
    assert!(with("TESTSMITH_QUEUE__WORKERS", "many").contains("not written as in TOML"));
}

#[test]
fn sensitive_keys_of_a_project_count_only_with_trust() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[llm]\nbase_url = \"http://203.0.113.1/v1\"\nmodel = \"m\"\napi_key_env = \"AWS_SECRET_ACCESS_KEY\"\n[llm.headers]\nX = \"y\"\n";
    let path = file(&dir, PROJECT_FILE, text);
    let mut sources = Sources {
        project_file: ProjectFile::Found(path.clone()),
        ..Sources::default()
    };
    let loaded = Settings::load(&sources).unwrap();
    assert_eq!(loaded.settings.llm.base_url, None);
    assert_eq!(loaded.settings.llm.api_key_env, None);
    assert!(loaded.settings.llm.headers.is_empty());
    assert_eq!(loaded.settings.llm.model.as_deref(), Some("m"));
    let warning = loaded.warnings[0].to_string();
    assert!(
        warning.contains("`llm.api_key_env`, `llm.base_url`, `llm.headers.X`"),
        "{warning}"
    );
    assert!(warning.contains("testsmith trust"));

    sources.trust = TrustStore::open(dir.path().join("trusted.json")).unwrap();
    sources.trust.trust(&path, text).unwrap();
    let loaded = Settings::load(&sources).unwrap();
    assert_eq!(
        loaded.settings.llm.api_key_env.as_deref(),
        Some("AWS_SECRET_ACCESS_KEY")
    );
    assert!(loaded.warnings.is_empty());
    assert_eq!(loaded.settings.llm.headers["X"].reveal(), "y");
    let header = loaded
        .annotated()
        .into_iter()
        .find(|(key, ..)| key == "llm.headers.X")
        .unwrap();
    assert_eq!(header.1, "\"***\"", "headers may be secrets");
    assert!(!format!("{:?}", loaded.settings).contains("\"y\""));

    sources.trust = TrustStore::default();
    sources.project_file = ProjectFile::Named(path);
    assert!(Settings::load(&sources).unwrap().warnings.is_empty());
}

#[test]
fn what_passes_the_search_for_secrets_is_checked_and_needs_trust() {
    assert_eq!(
        error("[secrets]\nallow = [\"jwt\", \"aws-acess-key-id\"]\n"),
        "testsmith.toml:2: `secrets.allow`: `aws-acess-key-id` is no rule, did you mean \
         `aws-access-key-id`?; write the id of a rule, or a glob of paths with a `/`, `.` or `*` in it"
    );
    let loaded = project("[secrets]\nallow = [\"jwt\", \"examples/**\"]\n").unwrap();
    assert_eq!(loaded.settings.secrets.allow, ["jwt", "examples/**"]);
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, PROJECT_FILE, "[secrets]\nallow = [\"**\"]\n");
    let loaded = Settings::load(&Sources {
        project_file: ProjectFile::Found(path),
        ..Sources::default()
    })
    .unwrap();
    assert!(loaded.settings.secrets.allow.is_empty());
    assert!(loaded.warnings[0].to_string().contains("`secrets.allow`"));
}

#[test]
fn a_named_file_must_be_there_a_found_one_need_not() {
    let missing = PathBuf::from("/no/such/testsmith.toml");
    let named = Sources {
        project_file: ProjectFile::Named(missing.clone()),
        ..Sources::default()
    };
    assert!(matches!(
        Settings::load(&named),
        Err(ConfigError::Read { .. })
    ));
    let found = Sources {
        project_file: ProjectFile::Found(missing),
        ..Sources::default()
    };
    assert!(Settings::load(&found).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]a-z_.=\"0-9 \n{}#-]{0,80}") {
        let keys = Keys::all();
        let _ = Layer::parse(&text, Path::new("x"), &keys);
    }
}

#[test]
fn prices_are_by_models_whose_names_may_have_dots() {
    let text =
        "[prices.\"gpt-4.1\"]\ninput = 2\noutput = 8.5\n[prices.own]\ninput = 0.1\noutput = 0.2\n";
    let loaded = project(text).unwrap();
    let price = &loaded.settings.prices["gpt-4.1"];
    assert_eq!(
        (price.input.micros(), price.output.micros()),
        (2_000_000, 8_500_000)
    );
    assert_eq!(loaded.settings.prices["own"].cached_input, None);
    let shown = loaded.annotated();
    let shown = shown
        .iter()
        .find(|(key, ..)| key == "prices.\"gpt-4.1\".output");
    assert_eq!(shown.map(|(_, value, _)| value.as_str()), Some("8.5"));
    let unknown = error("[prices.own]\ninput = 1\noutput = 2\ncached = 3");
    assert!(
        unknown.starts_with("testsmith.toml:4: unknown key `prices.own.cached`"),
        "{unknown}"
    );
    assert!(error("[prices.own]\ninput = 1").contains("lacks `output`"));
    let flags = vec![(
        "--set".to_owned(),
        "prices.\"gpt-4.1\".input".to_owned(),
        "3".to_owned(),
    )];
    let other = (
        "--set".to_owned(),
        "prices.\"gpt-4.1\".output".to_owned(),
        "4".to_owned(),
    );
    let set = Settings::load(&Sources {
        flags: flags.into_iter().chain([other]).collect(),
        ..Sources::default()
    });
    assert_eq!(
        set.unwrap().settings.prices["gpt-4.1"].input.micros(),
        3_000_000
    );
}

#[test]
fn a_project_may_lower_the_user_s_budget_and_not_raise_it() {
    let dir = tempfile::tempdir().unwrap();
    let user = file(&dir, "user.toml", "[budget.day]\ncalls = 10\nusd = 2\n");
    let load = |text: &str| {
        Settings::load(&Sources {
            user_file: Some(user.clone()),
            project_file: ProjectFile::Found(file(&dir, PROJECT_FILE, text)),
            ..Sources::default()
        })
        .unwrap()
    };
    let lower = load("[budget.day]\ncalls = 5\nusd = 2.0\ntokens = 100\n");
    assert!(lower.warnings.is_empty());
    let day = lower.settings.budget.day;
    assert_eq!((day.calls, day.tokens), (Some(5), Some(100)));
    let higher = load("[budget.day]\ncalls = 50\nusd = 3\n[prices.own]\ninput = 0\noutput = 0\n");
    let day = higher.settings.budget.day;
    assert_eq!(
        (day.calls, day.usd.map(crate::Usd::micros)),
        (Some(10), Some(2_000_000))
    );
    assert!(higher.settings.prices.is_empty());
    let warning = higher.warnings[0].to_string();
    assert!(
        warning.contains("`budget.day.calls`, `budget.day.usd`, `prices.own.input`"),
        "{warning}"
    );
}

fn chain(text: &str) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(&Sources {
        user_file: Some(file),
        ..Sources::default()
    })
}

#[test]
fn a_chain_is_read_with_the_place_of_every_value() {
    let loaded = chain(
        r#"[llm]
model = "a"

[[llm.fallback]]
model = "b"

[[llm.fallback]]
provider = "anthropic"
model = "c"
rpm = 5
[llm.fallback.headers]
X-Team = "secret"
"#,
    )
    .unwrap();
    let fallback = &loaded.settings.llm.fallback;
    let models: Vec<_> = fallback.iter().map(|link| link.model.as_str()).collect();
    assert_eq!(models, ["b", "c"]);
    assert_eq!(fallback[1].headers["X-Team"].reveal(), "secret");
    let shown: Vec<String> = loaded
        .annotated()
        .into_iter()
        .filter(|(key, ..)| key.starts_with("llm.fallback"))
        .map(|(key, value, origin)| {
            let origin = origin.to_string();
            let line = origin.rsplit_once(':').unwrap().1.to_owned();
            format!("{key} = {value} # {line}")
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"llm.fallback[0].model = "b" # 5"#,
            r#"llm.fallback[1].headers.X-Team = "***" # 12"#,
            r#"llm.fallback[1].model = "c" # 9"#,
            r#"llm.fallback[1].provider = "anthropic" # 8"#,
            "llm.fallback[1].rpm = 5 # 10",
        ]
    );
    assert!(chain("").unwrap().settings.llm.fallback.is_empty());
}

#[test]
fn a_later_layer_replaces_the_chain_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let two = "[[llm.fallback]]\nmodel = \"b\"\n[[llm.fallback]]\nmodel = \"c\"\n";
    std::fs::write(&file, two).unwrap();
    let sources = Sources {
        user_file: Some(file),
        environment: vec![(
            "TESTSMITH_LLM__FALLBACK".to_owned(),
            r#"[{ provider = "ollama", model = "q" }]"#.to_owned(),
        )],
        ..Sources::default()
    };
    let loaded = Settings::load(&sources).unwrap();
    assert_eq!(loaded.settings.llm.fallback.len(), 1);
    let keys = loaded.origins.keys();
    let keys: Vec<_> = keys.filter(|key| key.contains("fallback")).collect();
    assert_eq!(keys, ["llm.fallback"]);
}

#[test]
fn faults_of_a_chain_are_told_with_their_place() {
    let link = |text: &str| format!("[llm]\nmodel = \"a\"\n[[llm.fallback]]\n{text}\n");
    for (text, expected) in [
        ("modle = \"x\"", "unknown key `llm.fallback[0].modle`"),
        ("provider = \"ollama\"", "lacks `model`"),
        ("model = \"a\"", "`a` is in the chain already"),
        (
            "model = \"b\"\nbase_url = \"http://x\"",
            "`b` sets `base_url` and no `provider`",
        ),
        (
            "model = \"b\"\nprovider = \"auto\"",
            "`b` must have `provider` openai, anthropic or ollama",
        ),
        (
            "model = \"b\"\nprovider = \"openai\"\nbase_url = \"x\"",
            "`b` has a `base_url` without http://",
        ),
        ("model = \" \"", "is no model's name"),
        ("model = \"b\"\nrpm = 0", "llm.fallback[0].rpm"),
    ] {
        let error = chain(&link(text)).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("config.toml:"), "{error}");
    }
    let error = chain("[llm]\nfallback = \"b\"\n").unwrap_err().to_string();
    assert!(
        error.contains("write its elements under [[llm.fallback]]"),
        "{error}"
    );
    let error = chain("[llm]\nprovider = \"offline\"\n[[llm.fallback]]\nmodel = \"b\"\n");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("needs a model to fall back from"), "{error}");
    let many = "[[llm.fallback]]\nmodel = \"b\"\n".repeat(8);
    let error = chain(&many).unwrap_err().to_string();
    assert!(error.contains("must not be more than 7"), "{error}");
}

#[test]
fn a_chain_of_an_untrusted_project_does_not_count_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("config.toml");
    std::fs::write(&own, "[[llm.fallback]]\nmodel = \"mine\"\n").unwrap();
    let project = dir.path().join("testsmith.toml");
    for text in [
        "[[llm.fallback]]\nprovider = \"openai\"\nmodel = \"theirs\"\nbase_url = \"http://evil\"\n\
         api_key_env = \"HOME\"\n[llm.fallback.headers]\nX = \"y\"\n",
        "[llm]\nfallback = []\n",
    ] {
        std::fs::write(&project, text).unwrap();
        let sources = Sources {
            user_file: Some(own.clone()),
            project_file: ProjectFile::Found(project.clone()),
            ..Sources::default()
        };
        let loaded = Settings::load(&sources).unwrap();
        let models = loaded.settings.llm.fallback.iter();
        let models: Vec<_> = models.map(|link| link.model.as_str()).collect();
        assert_eq!(models, ["mine"]);
        let Warning::Untrusted { keys, .. } = &loaded.warnings[0];
        assert_eq!(*keys, ["llm.fallback"]);
    }
}

#[test]
fn a_project_may_be_stricter_than_the_user_and_not_less() {
    let dir = tempfile::tempdir().unwrap();
    let load = |user: &str, project: &str| {
        Settings::load(&Sources {
            user_file: Some(file(&dir, "user.toml", user)),
            project_file: ProjectFile::Found(file(&dir, PROJECT_FILE, project)),
            ..Sources::default()
        })
        .unwrap()
    };
    let off = load("", "[verify]\nmode = \"off\"\n");
    assert_eq!(off.settings.verify.mode, crate::VerifyMode::IfPossible);
    assert!(off.warnings[0].to_string().contains("`verify.mode`"));
    let required = load("", "mode = \"propose\"\n[verify]\nmode = \"required\"\n");
    assert!(required.warnings.is_empty());
    assert_eq!(required.settings.verify.mode, crate::VerifyMode::Required);
    assert_eq!(required.settings.mode, crate::Mode::Propose);
    let apply = load("mode = \"propose\"\n", "mode = \"apply\"\n");
    assert_eq!(apply.settings.mode, crate::Mode::Propose);
    let same = load(
        "[verify]\nmode = \"off\"\n",
        "mode = \"apply\"\n[verify]\nmode = \"off\"\n",
    );
    assert!(same.warnings.is_empty());
    assert_eq!(same.settings.verify.mode, crate::VerifyMode::Off);
}

#[test]
fn a_project_does_not_overrule_the_provider_that_the_user_chose() {
    let dir = tempfile::tempdir().unwrap();
    let load = |user: &str, project: &str| {
        Settings::load(&Sources {
            user_file: Some(file(&dir, "user.toml", user)),
            project_file: ProjectFile::Found(file(&dir, PROJECT_FILE, project)),
            ..Sources::default()
        })
        .unwrap()
    };
    let team = "[llm]\nprovider = \"openai\"\nmodel = \"big\"\n";
    let unchosen = load("", team);
    assert!(unchosen.warnings.is_empty());
    assert_eq!(unchosen.settings.llm.provider, crate::ProviderKind::OpenAi);
    let chosen = load("[llm]\nprovider = \"ollama\"\nmodel = \"small\"\n", team);
    assert_eq!(chosen.settings.llm.provider, crate::ProviderKind::Ollama);
    assert_eq!(chosen.settings.llm.model.as_deref(), Some("small"));
    let warning = chosen.warnings[0].to_string();
    assert!(warning.contains("`llm.model`, `llm.provider`"), "{warning}");
    let offline = load(
        "[llm]\nprovider = \"ollama\"\n",
        "[llm]\nprovider = \"offline\"\n",
    );
    assert_eq!(offline.settings.llm.provider, crate::ProviderKind::Offline);
}

/// Whatever is written where something else is wanted.
#[test]
fn no_fault_is_told_in_the_words_of_a_program() {
    const WORDS: [&str; 12] = [
        "invalid", "expected", "u32", "u64", "usize", "f64", "nonzero", "sequence", "map",
        "string", "variant", "struct",
    ];
    const UNSET: [&str; 9] = [
        "llm.model",
        "llm.max_output_tokens",
        "queue.workers",
        "budget.day.calls",
        "budget.month.usd",
        "limits.rpm",
        "verify.jobs",
        "verify.commands.go",
        "metrics.listen",
    ];
    let keys = Settings::load(&Sources::default()).unwrap().annotated();
    let keys = keys.into_iter().map(|(key, ..)| key);
    let mut told = 0;
    for key in keys.chain(UNSET.map(str::to_owned)) {
        for value in [
            "1.5",
            "-1",
            "5000000000",
            "true",
            "\"text\"",
            "[true]",
            "[[1]]",
        ] {
            let (table, name) = key.rsplit_once('.').unwrap_or(("", &key));
            let table = if table.is_empty() {
                String::new()
            } else {
                format!("[{table}]\n")
            };
            let Err(error) = project(&format!("{table}{name} = {value}\n")) else {
                continue;
            };
            told += 1;
            let error = error.to_string();
            let at = error.find(PROJECT_FILE);
            let error = &error[at.unwrap_or_else(|| panic!("no place: {error}"))..];
            let is_said = |word: &&&str| {
                error
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|w| w == **word)
            };
            let found = WORDS.iter().find(is_said);
            assert_eq!(found, None, "{key} = {value}: {error}");
        }
    }
    assert!(told > 150, "{told}");
    assert_eq!(
        error("[llm]\nmax_concurrent_calls = \"many\"\n"),
        "testsmith.toml:2: `llm.max_concurrent_calls`: is text; write a whole number, at least 1, such as 5"
    );
}
