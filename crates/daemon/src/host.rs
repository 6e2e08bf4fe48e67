//! What the service asks of the program around it.

use std::fmt;
use std::path::{Path, PathBuf};

use testsmith_config::{ConfigError, Loaded, Settings};

/// The program around the service: it knows where settings come from and where the log goes.
pub trait Host: fmt::Debug + Send + Sync {
    /// The state directory is this process's own from here on, and may be written to.
    fn opened(&self, state_dir: &Path);

    /// It is about to be let go.
    fn closing(&self);

    /// What the program said of the configuration when it started.
    fn warned(&self) -> &[String];

    /// Reads the configuration anew. Blocks.
    fn load(&self) -> Result<Loaded, ConfigError>;

    /// The files whose change calls for that, whether they are there or not.
    fn config_files(&self) -> Vec<PathBuf>;

    /// Other settings are in force.
    fn applied(&self, settings: &Settings);
}
