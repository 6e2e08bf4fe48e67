//! What holds of every configuration file, whatever is in it. The fuzz target and a test call
//! this.

use std::path::PathBuf;
use std::sync::LazyLock;

use toml::{Table, Value};

use crate::error::Place;
use crate::keys::SENSITIVE_KEYS;
use crate::layer::find;
use crate::{ConfigError, Loaded, PROJECT_FILE, ProjectFile, Settings, Sources};

/// A file that is trusted, and the same as one that came with a checkout.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match load(text, ProjectFile::Named(PathBuf::new())) {
        Ok(loaded) => {
            check_places(&loaded, text);
            shown_is_read_again(&loaded);
        }
        Err(error) => assert!(!error.to_string().trim().is_empty()),
    }
    if let Ok(loaded) = load(text, ProjectFile::Found(PathBuf::new())) {
        check_places(&loaded, text);
        nothing_needs_trust(&loaded);
    }
    the_environment_is_taken_as_it_is(text);
}

fn load(text: &str, project_file: ProjectFile) -> Result<Loaded, ConfigError> {
    let sources = Sources {
        project_file,
        ..Sources::default()
    };
    let file = (PathBuf::from(PROJECT_FILE), text.to_owned());
    Settings::from_texts(&sources, None, Some(file))
}

fn table(settings: &Settings) -> Table {
    let table = Table::try_from(settings);
    assert!(table.is_ok(), "settings can be shown: {table:?}");
    table.unwrap_or_default()
}

static DEFAULTS: LazyLock<Table> = LazyLock::new(|| {
    Settings::load(&Sources::default())
        .map(|loaded| table(&loaded.settings))
        .unwrap_or_default()
});

/// Every value from the file is of one of its lines.
fn check_places(loaded: &Loaded, text: &str) {
    let lines = text.split('\n').count();
    for (key, origin) in &loaded.origins {
        if let Place::File(_, line) = &origin.0 {
            assert!(
                line.is_some_and(|line| (1..=lines).contains(&line)),
                "{key}"
            );
        }
    }
    assert!(loaded.settings.workers() > 0);
}

/// What is shown of settings, read again, gives the same settings.
fn shown_is_read_again(loaded: &Loaded) {
    let shown = table(&loaded.settings);
    let text = shown.to_string();
    let again = load(&text, ProjectFile::Named(PathBuf::new()));
    let again = again.map(|again| table(&again.settings));
    assert_eq!(again.as_ref().ok(), Some(&shown), "{again:?}\n{text}");
}

/// A stranger's file has chosen nothing that needs trust.
fn nothing_needs_trust(loaded: &Loaded) {
    let now = table(&loaded.settings);
    for key in SENSITIVE_KEYS {
        assert_eq!(find(&now, key), find(&DEFAULTS, key), "{key}");
    }
    // Headers are hidden where settings are shown.
    assert!(loaded.settings.llm.headers.is_empty());
}

/// A variable that holds text is that text, whatever is in it.
fn the_environment_is_taken_as_it_is(text: &str) {
    let sources = Sources {
        environment: vec![("TESTSMITH_LLM__MODEL".to_owned(), text.to_owned())],
        ..Sources::default()
    };
    let loaded = Settings::load(&sources).ok();
    let model = loaded.and_then(|loaded| loaded.settings.llm.model);
    assert_eq!(model.as_deref(), Some(text));
    // And one that holds something else is that key's value and no other's.
    let sources = Sources {
        environment: vec![("TESTSMITH_QUEUE__WORKERS".to_owned(), text.to_owned())],
        ..Sources::default()
    };
    if let Ok(loaded) = Settings::load(&sources) {
        let mut now = table(&loaded.settings);
        if let Some(Value::Table(queue)) = now.get_mut("queue") {
            queue.remove("workers");
        }
        let mut wanted = DEFAULTS.clone();
        if let Some(Value::Table(queue)) = wanted.get_mut("queue") {
            queue.remove("workers");
        }
        assert_eq!(now, wanted);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_configurations_holds() {
        super::replay::replay("configuration", super::configuration);
    }
}
