//! `testsmith doctor`: does everything work that testsmith needs, and what to do where not.

mod checks;
mod state;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use testsmith_config::{Settings, Sources};

use crate::args::{DoctorArgs, Global};
use crate::context::{Places, state_dir_of};
use crate::{block_on, exit, output};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It works.
    Ok,
    /// testsmith works, less well.
    Warning,
    /// testsmith does not work so.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            message: message.into(),
            remedy: None,
        }
    }

    fn warning(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Warning,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn failure(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Failure,
            ..Self::warning(name, message, remedy)
        }
    }
}

pub(crate) fn run(global: &Global, args: &DoctorArgs) -> anyhow::Result<u8> {
    let root = testsmith_daemon::find_root(std::path::Path::new("."))?;
    let loaded = Places::of(global, &root)?.load();
    let (mut all, settings) = checks::configuration(loaded);
    let settings = match settings {
        Some(settings) => settings,
        // The rest can be looked at all the same.
        None => Settings::load(&Sources::default())?.settings,
    };
    let state_dir = state_dir_of(global, &root)?;
    let is_usable = all.iter().all(|check| check.state != State::Failure);
    all.extend(block_on(async {
        let mut all = Vec::new();
        if is_usable {
            all.extend(checks::models(&settings, !args.no_call).await);
        } else {
            all.push(checks::unknown_model());
        }
        match testsmith_daemon::survey(&root, &settings).await {
            Ok(found) => {
                all.push(checks::tree(&found));
                all.extend(checks::toolchains(&found));
                all.extend(checks::watching(&found));
            }
            Err(error) => all.push(Check::failure(
                "sources",
                format!("{:#}", anyhow::Error::from(error)),
                "see that you may read the project's folders",
            )),
        }
        all.push(checks::sandbox(&settings).await);
        all
    })?);
    all.extend(state::state(&state_dir));
    all.push(checks::clock());
    show(&all, args.json)?;
    let failed = all.iter().any(|check| check.state == State::Failure);
    Ok(if failed { exit::FAILED } else { exit::OK })
}

fn show(all: &[Check], json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(&all);
    }
    for check in all {
        let (word, style) = match check.state {
            State::Ok => ("ok", AnsiColor::Green.on_default()),
            State::Warning => ("warning", AnsiColor::Yellow.on_default()),
            State::Failure => ("failure", AnsiColor::Red.on_default().bold()),
        };
        let Check {
            name,
            message,
            remedy,
            ..
        } = check;
        output::line(format_args!(
            "{style}{word:>8}{style:#}  {name:<14} {}",
            output::escape(message)
        ))?;
        if let Some(remedy) = remedy {
            let dim = Style::new().dimmed();
            output::line(format_args!(
                "{:25}{dim}remedy:{dim:#} {}",
                "",
                output::escape(remedy)
            ))?;
        }
    }
    Ok(())
}
