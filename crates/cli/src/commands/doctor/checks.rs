//! The checks.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use testsmith_config::{ConfigError, Loaded, Settings};
use testsmith_daemon::{ModelCheck, Survey};

use super::Check;
use crate::output::counted;

pub(super) fn configuration(loaded: Result<Loaded, ConfigError>) -> (Vec<Check>, Option<Settings>) {
    const NAME: &str = "configuration";
    match loaded {
        Ok(loaded) => {
            let files: Vec<_> = loaded
                .files
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let read = if files.is_empty() {
                "built-in values only".to_owned()
            } else {
                files.join(", ")
            };
            let mut checks = vec![Check::ok(NAME, read)];
            checks.extend(loaded.warnings.iter().map(|warning| {
                Check::warning(
                    NAME,
                    warning.to_string(),
                    "testsmith trust, if you trust that file",
                )
            }));
            (checks, Some(loaded.settings))
        }
        Err(error) => {
            let said = format!("{:#}", anyhow::Error::from(error));
            let remedy = "mend the file; testsmith config check tells whether it can be used";
            (vec![Check::failure(NAME, said, remedy)], None)
        }
    }
}

/// The preferred model, and each fallback model.
pub(super) async fn models(settings: &Settings, call: bool) -> Vec<Check> {
    let checked = match testsmith_daemon::check_model(settings, call).await {
        Ok(checked) => checked,
        Err(error) => {
            return vec![Check::failure(
                "model",
                format!("{:#}", anyhow::Error::from(error)),
                "see docs/providers.md; testsmith config show tells where each setting comes from",
            )];
        }
    };
    let fallback = checked.fallback.iter();
    let fallback = fallback.map(|link| model("fallback", link));
    std::iter::once(model("model", &checked))
        .chain(fallback)
        .collect()
}

fn model(name: &'static str, model: &ModelCheck) -> Check {
    let description = &model.description;
    if !model.exists {
        return Check::warning(
            name,
            description.clone(),
            "set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama; until then there are scaffolds only",
        );
    }
    let said = match &model.answer {
        None => format!("{description}; not asked"),
        Some(Ok(took)) => {
            let took = Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(0));
            let took = humantime::format_duration(took);
            format!("{description}; it answered within {took}")
        }
        Some(Err(error)) => {
            let mut remedy =
                "see docs/providers.md for the message; --no-call leaves this out".to_owned();
            if let Some(variable) = &model.missing_key {
                remedy = format!(
                    "set `{variable}`, which api_key_env names and which is empty or not set; {remedy}"
                );
            }
            return Check::failure(name, format!("{description}: {error}"), remedy);
        }
    };
    match &model.missing_key {
        None => Check::ok(name, said),
        Some(variable) => Check::warning(
            name,
            format!("{said}; `{variable}`, which api_key_env names, is empty or not set"),
            format!("set {variable}, or take out api_key_env if the server wants no key"),
        ),
    }
}

/// In place of [`models`] where the settings are not known.
pub(super) fn unknown_model() -> Check {
    Check::warning(
        "model",
        "not checked, since the configuration cannot be used",
        "mend the configuration; then run testsmith doctor again",
    )
}

pub(super) fn tree(found: &Survey) -> Check {
    let counts: Vec<String> = found
        .languages
        .iter()
        .map(|(language, count)| format!("{count} {language}"))
        .collect();
    if counts.is_empty() {
        return Check::warning(
            "sources",
            "none found",
            "is this the project's root? ignored files do not count, see docs/troubleshooting.md",
        );
    }
    let all: usize = found.languages.values().sum();
    let files = if all == 1 { "file" } else { "files" };
    let folders = counted(found.folders as u64, "folder");
    Check::ok(
        "sources",
        format!("{} {files} in {folders}", counts.join(", ")),
    )
}

/// Languages, the commands that tell the versions of their tools, and where to get these.
type Tool = (
    &'static [&'static str],
    &'static [&'static [&'static str]],
    &'static str,
);

/// What runs the tests of each language that was found.
pub(super) fn toolchains(found: &Survey) -> Vec<Check> {
    const NAME: &str = "toolchain";
    let tools: [Tool; 3] = [
        (
            &["go"],
            &[&["go", "version"]],
            "install Go: https://go.dev/dl",
        ),
        (
            &["python"],
            &[
                &["python3", "--version"],
                &["python3", "-m", "pytest", "--version"],
            ],
            "install Python, and pytest where the project's tests use it",
        ),
        (
            &["typescript", "javascript"],
            &[&["node", "--version"]],
            "install Node.js: https://nodejs.org",
        ),
    ];
    let mut checks = Vec::new();
    for (languages, commands, remedy) in tools {
        if !languages
            .iter()
            .any(|language| found.languages.contains_key(*language))
        {
            continue;
        }
        for command in commands {
            let shown = command.join(" ");
            checks.push(match said(command) {
                Some(version) => Check::ok(NAME, format!("{shown}: {version}")),
                None => Check::warning(
                    NAME,
                    format!("`{shown}` does not run: tests cannot be verified"),
                    remedy,
                ),
            });
        }
    }
    checks
}

/// The first line that a command prints.
fn said(command: &[&str]) -> Option<String> {
    let (program, args) = command.split_first()?;
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text);
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The kernel's limits on watches, against what the tree takes.
pub(super) fn watching(found: &Survey) -> Option<Check> {
    const NAME: &str = "file watches";
    let read = |name: &str| -> Option<usize> {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let (watches, instances) = (read("max_user_watches")?, read("max_user_instances")?);
    let folders = found.folders;
    // Editors and others of this user take from the same limit.
    Some(if folders > watches / 2 {
        Check::warning(
            NAME,
            format!(
                "{}, and {watches} watches for all programs of yours",
                counted(folders as u64, "folder")
            ),
            format!(
                "sudo sysctl fs.inotify.max_user_watches={} (and in /etc/sysctl.d, to keep it)",
                (folders * 4).next_power_of_two().max(1 << 20)
            ),
        )
    } else if instances < 128 {
        Check::warning(
            NAME,
            format!("only {instances} inotify instances for all programs of yours"),
            "sudo sysctl fs.inotify.max_user_instances=512 (and in /etc/sysctl.d, to keep it)",
        )
    } else {
        Check::ok(NAME, format!("{folders} needed, {watches} allowed"))
    })
}

pub(super) async fn sandbox(settings: &Settings) -> Check {
    const NAME: &str = "sandbox";
    let report = testsmith_daemon::check_sandbox(settings).await;
    if report.is_off {
        return Check::warning(
            NAME,
            "off: tests that a model wrote run with your rights, network and files",
            "take out verify.sandbox",
        );
    }
    if report.missing.is_empty() {
        let standing = report.standing.join(", ");
        return Check::ok(NAME, format!("{standing} stand; {}", report.staging));
    }
    let missing: Vec<String> = report
        .missing
        .iter()
        .map(|wall| format!("no {}: {}", wall.wall, wall.reason))
        .chain([report.staging])
        .collect();
    let remedies: Vec<&str> = report
        .missing
        .iter()
        .map(|wall| wall.remedy.as_str())
        .collect();
    let (missing, remedy) = (missing.join("; "), remedies.join("; "));
    if report.is_enough {
        Check::warning(NAME, missing, remedy)
    } else {
        Check::failure(NAME, missing, remedy)
    }
}

/// A clock that is behind is seen by what is older than now; TLS would fail with it.
pub(super) fn clock() -> Check {
    const NAME: &str = "clock";
    let now = SystemTime::now();
    let built = std::env::current_exe().and_then(|path| path.metadata()?.modified());
    let shown = humantime::format_rfc3339_seconds(now);
    match built {
        Ok(built) if built > now + Duration::from_hours(1) => Check::failure(
            NAME,
            format!("{shown} is before this program was made"),
            "set the clock: sudo timedatectl set-ntp true",
        ),
        _ => Check::ok(NAME, shown.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_named_where_the_model_refuses() {
        let refused = ModelCheck {
            description: "m".to_owned(),
            exists: true,
            answer: Some(Err("401".to_owned())),
            missing_key: Some("MODEL_KEY".to_owned()),
            fallback: Vec::new(),
        };
        let check = model("model", &refused);
        assert_eq!(check.state, super::super::State::Failure);
        let remedy = check.remedy.unwrap();
        assert!(remedy.starts_with("set `MODEL_KEY`"), "{remedy}");
    }
}
