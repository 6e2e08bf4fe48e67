//! `testsmith config …` and `testsmith trust`.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use testsmith_config::{PROJECT_FILE, Place, SENSITIVE_KEYS, TrustStore, schema_json};

use crate::args::{ConfigCommand, Global, TrustArgs};
use crate::context::{Context, Places, base_dir, config_error};
use crate::output;

pub(crate) fn config(global: &Global, command: &ConfigCommand) -> anyhow::Result<()> {
    if matches!(command, ConfigCommand::Schema) {
        return output::raw(&schema_json());
    }
    let context = Context::of(global, None)?;
    context.warn();
    match command {
        ConfigCommand::Check => {
            let files: Vec<_> = context
                .loaded
                .files
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let read = if files.is_empty() {
                "built-in values only".to_owned()
            } else {
                files.join(", ")
            };
            output::line(format_args!("configuration ok: {read}"))
        }
        ConfigCommand::Show { json: true } => {
            let values: serde_json::Map<_, _> = context
                .loaded
                .annotated()
                .into_iter()
                .map(|(key, value, origin)| {
                    (
                        key,
                        json!({ "value": json_value(&value), "origin": origin.to_string() }),
                    )
                })
                .collect();
            output::line(serde_json::to_string_pretty(&values)?)
        }
        ConfigCommand::Show { json: false } | ConfigCommand::Schema => show(&context),
    }
}

fn show(context: &Context) -> anyhow::Result<()> {
    let rows = context.loaded.annotated();
    let width = rows
        .iter()
        .map(|(key, value, _)| key.len() + value.len() + 3)
        .max()
        .unwrap_or(0);
    for (key, value, origin) in rows {
        let setting = format!("{key} = {value}");
        output::line(format_args!("{setting:<width$}  # {origin}"))?;
    }
    output::line(format_args!("\n# project: {}", context.root.display()))?;
    output::line(format_args!("# state:   {}", context.state_dir.display()))
}

/// A value's TOML text as JSON: they agree but for dates, which settings have none of.
fn json_value(toml: &str) -> serde_json::Value {
    serde_json::from_str(toml).unwrap_or_else(|_| toml.into())
}

pub(crate) fn trust(global: &Global, args: &TrustArgs) -> anyhow::Result<()> {
    let list = TrustStore::default_path(&base_dir("XDG_STATE_HOME", ".local/state")?);
    let mut store = TrustStore::open(list).map_err(config_error)?;
    if args.list {
        for file in store.files() {
            output::line(format_args!(
                "{}  {}",
                file.digest.short(),
                file.path.display()
            ))?;
        }
        return Ok(());
    }
    let root = testsmith_daemon::find_root(Path::new("."))?;
    let path = root.join(PROJECT_FILE);
    if args.revoke {
        let had = store.revoke(&path)?;
        let said = if had {
            "no longer trusted"
        } else {
            "was not trusted"
        };
        return output::line(format_args!("{}: {said}", path.display()));
    }
    // Read as it would be in force, so that a file that cannot be used is not trusted either.
    let named = Global {
        config: Some(path.clone()),
        ..global.clone()
    };
    Context::at(&named, root.clone())?;
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    store.trust(&path, &text)?;
    output::line(format_args!("trusted as it is now: {}", path.display()))?;
    list_its_keys(&named, &root, &path)
}

/// What the file says of keys that need trust, whatever a variable or a flag says of the same.
fn list_its_keys(named: &Global, root: &Path, path: &Path) -> anyhow::Result<()> {
    let own = Places::of(named, root)?.of_files_alone();
    for (key, value, origin) in own.load().map_err(config_error)?.annotated() {
        let is_its = matches!(&origin.0, Place::File(file, _) if *file == path);
        let is_sensitive = |sensitive: &&str| key.starts_with(*sensitive);
        if is_its && SENSITIVE_KEYS.iter().any(is_sensitive) {
            output::line(format_args!("  {key} = {value}  # {origin}"))?;
        }
    }
    Ok(())
}
