//! From sources to settings.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::error::{ConfigError, Place};
use crate::keys::{Keys, Shape, is_sensitive};
use crate::layer::{self, Layer};
use crate::{DEFAULT_TOML, Settings, TrustStore, wording};

/// The name of the project file, in the project's root.
pub const PROJECT_FILE: &str = "testsmith.toml";

/// The prefix of environment variables that are settings: `TESTSMITH_LLM__MODEL`.
const VARIABLE_PREFIX: &str = "TESTSMITH_";

/// Where settings are read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The user's file; it may be missing.
    pub user_file: Option<PathBuf>,
    /// The project's file.
    pub project_file: ProjectFile,
    /// The environment. Names that are no settings are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags: their names, the keys they set and the values.
    pub flags: Vec<(String, String, String)>,
    /// The list of trusted project files.
    pub trust: TrustStore,
}

/// Which file is the project's.
#[derive(Debug, Clone, Default)]
pub enum ProjectFile {
    /// None is read.
    #[default]
    None,
    /// The one that came with the project; it may be missing, and needs trust.
    Found(PathBuf),
    /// The one the user named with `--config`; it must be there, and is trusted.
    Named(PathBuf),
}

/// Where a value in force comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub Place);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something the user should know of, though the settings can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Sensitive keys of a project file that is not trusted.
    Untrusted {
        /// The file.
        file: PathBuf,
        /// The keys that do not count.
        keys: Vec<String>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted { file, keys } => write!(
                f,
                "ignoring {} in {}, since they choose what is sent and where, what is run or written, \
                 or what may be spent; \
                 if you trust that file, run `testsmith trust`",
                keys.iter()
                    .map(|key| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
                file.display()
            ),
        }
    }
}

/// Settings, read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    /// For each key in force, where its value comes from.
    pub origins: BTreeMap<String, Origin>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// The user's file under the XDG configuration directory.
pub fn user_config_path(config_home: &Path) -> PathBuf {
    config_home.join("testsmith").join("config.toml")
}

impl Settings {
    /// Reads all layers. No side effect; the first error wins.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let user = match &sources.user_file {
            Some(path) => read(path, false)?.map(|text| (path.clone(), text)),
            None => None,
        };
        let project = match &sources.project_file {
            ProjectFile::None => None,
            ProjectFile::Found(path) => read(path, false)?.map(|text| (path.clone(), text)),
            ProjectFile::Named(path) => read(path, true)?.map(|text| (path.clone(), text)),
        };
        Self::from_texts(sources, user, project)
    }

    /// The same, from files that were read.
    pub(crate) fn from_texts(
        sources: &Sources,
        user: Option<(PathBuf, String)>,
        project: Option<(PathBuf, String)>,
    ) -> Result<Loaded, ConfigError> {
        let keys = Keys::all();
        let mut merged = Layer::parse(DEFAULT_TOML, Path::new("built-in"), &keys)?;
        merged
            .places
            .values_mut()
            .for_each(|place| *place = Place::BuiltIn);
        let mut files = Vec::new();
        let mut warnings = Vec::new();
        if let Some((path, text)) = user {
            merged.overlay(Layer::parse(&text, &path, &keys)?);
            files.push(path);
        }
        if let Some((path, text)) = project {
            let layer = project_layer(sources, (&path, &text), &keys, &merged, &mut warnings)?;
            merged.overlay(layer);
            files.push(path);
        }
        merged.overlay(environment_layer(&sources.environment, &keys)?);
        merged.overlay(flag_layer(&sources.flags, &keys)?);
        let settings = validate(&merged)?;
        let origins = merged
            .places
            .into_iter()
            .map(|(key, place)| (key, Origin(place)))
            .collect();
        Ok(Loaded {
            settings,
            origins,
            warnings,
            files,
        })
    }
}

impl Loaded {
    /// The settings as TOML, each value with its origin: what `config show` prints.
    pub fn annotated(&self) -> Vec<(String, String, Origin)> {
        let values = toml::Table::try_from(&self.settings).unwrap_or_default();
        self.origins
            .iter()
            .filter_map(|(key, origin)| {
                let value = layer::find(&values, key)?;
                Some((key.clone(), value.to_string(), origin.clone()))
            })
            .collect()
    }
}

fn read(path: &Path, required: bool) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !required => Ok(None),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn project_layer(
    sources: &Sources,
    (path, text): (&Path, &str),
    keys: &Keys,
    under: &Layer,
    warnings: &mut Vec<Warning>,
) -> Result<Layer, ConfigError> {
    let mut layer = Layer::parse(text, path, keys)?;
    let named = matches!(sources.project_file, ProjectFile::Named(_));
    if !named && !sources.trust.trusts(path, text) {
        let mut loosened = raised_budgets(under, &layer);
        loosened.extend(loosened_choices(under, &layer));
        let keys = layer.remove_where(|key| is_sensitive(key) || loosened.iter().any(|l| l == key));
        if !keys.is_empty() {
            warnings.push(Warning::Untrusted {
                file: path.to_owned(),
                keys,
            });
        }
    }
    Ok(layer)
}

/// The budgets that a project's file would have the user spend more of than the user has set.
fn raised_budgets(under: &Layer, project: &Layer) -> Vec<String> {
    let number = |layer: &Layer, key: &str| match layer::find(&layer.values, key)? {
        Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let is_raised = |key: &&String| {
        key.starts_with("budget.")
            && number(under, key)
                .is_some_and(|own| number(project, key).is_none_or(|new| new > own))
    };
    project.places.keys().filter(is_raised).cloned().collect()
}

/// The choices of a project's file that are less safe than what holds without it: tests would be written that were not
/// run, or without being asked about, or somebody else would get the source than the user has chosen.
fn loosened_choices(under: &Layer, project: &Layer) -> Vec<String> {
    /// The values of a key, the safest last.
    const RANKED: [(&str, &[&str]); 2] = [
        ("mode", &["apply", "propose"]),
        ("verify.mode", &["off", "if-possible", "required"]),
    ];
    let text =
        |layer: &Layer, key: &str| layer::find(&layer.values, key)?.as_str().map(str::to_owned);
    let rank = |layer: &Layer, key: &str, values: &[&str]| {
        let value = text(layer, key)?;
        values.iter().position(|known| *known == value)
    };
    let mut loosened: Vec<String> = RANKED
        .iter()
        .filter(|(key, values)| rank(project, key, values) < rank(under, key, values))
        .map(|(key, _)| (*key).to_owned())
        .filter(|key| project.places.contains_key(key))
        .collect();
    let provider = "llm.provider";
    let is_chosen = under
        .places
        .get(provider)
        .is_some_and(|place| *place != Place::BuiltIn);
    let other = text(project, provider).filter(|name| name != "offline");
    if is_chosen && other.is_some() && other != text(under, provider) {
        // The model is one of that provider's.
        loosened.extend([provider, "llm.model"].map(str::to_owned));
    }
    loosened
}

/// `TESTSMITH_LLM__MODEL=x` is `llm.model = "x"`. Names without `__` are no settings, since every
/// setting is in a table.
fn environment_layer(environment: &[(String, String)], keys: &Keys) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        let key = rest.to_lowercase().replace("__", ".");
        // One word is a setting of the top level, or a variable of something else.
        let is_setting = matches!(
            keys.shape(&key),
            Some(Shape::Text | Shape::Other | Shape::Tables)
        );
        if !rest.contains("__") && !is_setting {
            continue;
        }
        set_text(&mut layer, &key, text, Place::Variable(name.clone()), keys)?;
    }
    Ok(layer)
}

fn flag_layer(flags: &[(String, String, String)], keys: &Keys) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for (flag, key, text) in flags {
        set_text(&mut layer, key, text, Place::Flag(flag.clone()), keys)?;
    }
    Ok(layer)
}

fn set_text(
    layer: &mut Layer,
    key: &str,
    text: &str,
    place: Place,
    keys: &Keys,
) -> Result<(), ConfigError> {
    let bad = |message: String| ConfigError::BadValue {
        place: place.clone(),
        key: key.to_owned(),
        message,
    };
    let value = match keys.shape(key) {
        None => {
            let nearest = keys.nearest(key);
            return Err(ConfigError::UnknownKey {
                place,
                key: key.to_owned(),
                nearest,
            });
        }
        Some(Shape::Table | Shape::FreeTable) => {
            return Err(bad(
                "is a table and cannot be set here; set its keys".to_owned()
            ));
        }
        Some(_) if key.contains('[') && !key.contains('"') => {
            return Err(bad("is part of a list; set the list as a whole".to_owned()));
        }
        Some(Shape::Text) => Value::String(text.to_owned()),
        Some(Shape::Other | Shape::Tables) => {
            toml::from_str::<toml::Table>(&format!("value = {text}"))
                .ok()
                .and_then(|mut table| table.remove("value"))
                .ok_or_else(|| bad(format!("`{text}` is not written as in TOML")))?
        }
    };
    layer.set(key, value, place);
    Ok(())
}

/// Where a key was written; of an element or a table that is no key itself, where what it is part of, or has
/// in it, was.
fn place_of(merged: &Layer, key: &str) -> Place {
    let places = &merged.places;
    let list = || places.get(layer::list_of(key)?);
    let below = || {
        let is_below = |k: &str| {
            let rest = k.strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let mut all = places.iter();
        all.find(|(k, _)| is_below(k)).map(|(_, place)| place)
    };
    let written = places.get(key).or_else(list).or_else(below);
    written.cloned().unwrap_or(Place::BuiltIn)
}

fn validate(merged: &Layer) -> Result<Settings, ConfigError> {
    let place_of = |key: &str| place_of(merged, key);
    let mut values = merged.values.clone();
    accept_integers(&mut values);
    let settings: Settings = serde_path_to_error::deserialize(values).map_err(|error| {
        let key = error.path().to_string();
        let usual = usual(&key);
        let given = layer::find(&merged.values, &key);
        let message = wording::for_people(error.into_inner().message(), given, usual.as_deref());
        ConfigError::BadValue {
            place: place_of(&key),
            key,
            message,
        }
    })?;
    settings
        .check()
        .map_err(|(key, message)| ConfigError::BadValue {
            place: place_of(key),
            key: key.to_owned(),
            message,
        })?;
    Ok(settings)
}

/// The default of a key, as it is written.
fn usual(key: &str) -> Option<String> {
    let defaults: toml::Table = DEFAULT_TOML.parse().ok()?;
    Some(layer::find(&defaults, key)?.to_string())
}

/// `temperature = 1` is as good as `1.0`; and `-0.0`, which hashes otherwise, is 0.
fn accept_integers(values: &mut toml::Table) {
    let temperature = values
        .get_mut("llm")
        .and_then(Value::as_table_mut)
        .and_then(|llm| llm.get_mut("temperature"));
    let Some(value) = temperature else { return };
    if let Some(number) = value
        .as_integer()
        .and_then(|number| i32::try_from(number).ok())
    {
        *value = Value::Float(f64::from(number));
    }
    if let Value::Float(number) = value {
        *number += 0.0;
    }
}

#[cfg(test)]
mod tests;
