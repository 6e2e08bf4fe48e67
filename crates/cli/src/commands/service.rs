//! `testsmith service …`: a systemd user unit for each project.

mod launchd;
mod manager;
mod seen;
mod unit;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::json;

use self::manager::systemctl;
use self::seen::Seen;
use self::unit::Files;
use crate::args::{Global, ServiceCommand};
use crate::context::base_dir;
use crate::exit::{self, UsageError};
use crate::output;

pub(crate) fn run(global: &Global, command: &ServiceCommand) -> anyhow::Result<u8> {
    match command {
        ServiceCommand::Install { paths, dry_run } => install(global, paths, *dry_run),
        ServiceCommand::Uninstall { paths } => uninstall(paths),
        ServiceCommand::Status { paths, json } => status(paths, *json),
    }
}

/// The projects that are named, by default the one of the current folder.
fn roots(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    let root = |path: &PathBuf| {
        testsmith_daemon::find_root(path)
            .with_context(|| format!("cannot use `{}`", path.display()))
    };
    let mut roots = paths.iter().map(root).collect::<anyhow::Result<Vec<_>>>()?;
    roots.sort();
    roots.dedup();
    Ok(roots)
}

fn install(global: &Global, paths: &[PathBuf], dry_run: bool) -> anyhow::Result<u8> {
    if !global.set.is_empty() {
        let said = "a service does not see --set; write it into the configuration";
        return Err(UsageError(said.to_owned()).into());
    }
    let roots = roots(paths)?;
    let program = std::env::current_exe()?;
    let config_home = base_dir("XDG_CONFIG_HOME", ".config")?;
    let key = config_home.join("testsmith/key");
    let given = manager::variables();
    // Before anything is written: a service does not start with a configuration that cannot be used.
    let seen = roots
        .iter()
        .map(|root| Seen::of(global, root, &key, given.clone()));
    let seen = seen.collect::<anyhow::Result<Vec<_>>>()?;
    if cfg!(target_os = "macos") {
        return launchd::print(&program, &roots);
    }
    let files = files(global, &program, &key).all(&roots)?;
    let folder = unit_folder()?;
    let unseen = tell_unseen(&roots, &seen, &key);
    if dry_run {
        for (name, text) in &files {
            output::line(format_args!("# {}\n{}", folder.join(name).display(), text))?;
        }
        for (root, seen) in roots.iter().zip(&seen) {
            output::note(format_args!("{} would be watched with", shown(root)));
            seen.lines().into_iter().for_each(output::note);
        }
        unseen.into_iter().for_each(output::note);
        return Ok(exit::OK);
    }
    for (name, text) in &files {
        write(&folder.join(name), text)?;
    }
    let started = start(&roots, &seen);
    if started.is_ok() {
        tell_lingering()?;
    }
    // Above all when the service does not come up, which may be for want of these.
    for text in unseen {
        output::line(format_args!("\n{text}"))?;
    }
    started?;
    output::line("\nSee it work: testsmith status, testsmith logs --follow")?;
    Ok(exit::OK)
}

fn files<'a>(global: &'a Global, program: &'a Path, key: &'a Path) -> Files<'a> {
    Files {
        program,
        version: manager::version(),
        key: key.is_file().then_some(key),
        config: global.config.as_deref(),
        state_dir: global.state_dir.as_deref(),
        cache_dir: global.cache_dir.as_deref(),
        path: std::env::var("PATH").unwrap_or_default(),
        folders: seen::carried_over(),
    }
}

/// The folder of the user's units.
fn unit_folder() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let config_home = base_dir("XDG_CONFIG_HOME", ".config")?;
    Ok(manager::unit_folder(&config_home, home.as_deref()))
}

/// Has each project's service run, with what is new, and says what it goes by.
fn start(roots: &[PathBuf], seen: &[Seen]) -> anyhow::Result<()> {
    systemctl(&["daemon-reload"]).context(
        "the files are written; when your user manager runs, `testsmith service install` again",
    )?;
    let mut failed: Option<anyhow::Error> = None;
    for (root, seen) in roots.iter().zip(seen) {
        let unit = unit::name(root);
        // One that runs takes up what is new.
        let started = systemctl(&["enable", &unit]).and_then(|_| systemctl(&["restart", &unit]));
        match started {
            Ok(_) => output::line(format_args!("{} is watched by {unit}", shown(root)))?,
            // The others are started all the same.
            Err(error) => {
                output::line(format_args!("{} is not watched yet", shown(root)))?;
                if let Some(earlier) = failed.replace(error) {
                    output::note(format_args!("testsmith: {earlier:#}"));
                }
            }
        }
        seen.lines().into_iter().try_for_each(output::line)?;
    }
    failed.map_or(Ok(()), Err)
}

/// What of this shell the services do not see, and what to do about it; nothing if that is nothing.
fn tell_unseen(roots: &[PathBuf], seen: &[Seen], key: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let unseen: BTreeSet<String> = seen.iter().flat_map(Seen::unseen).collect();
    if !unseen.is_empty() {
        let unseen: Vec<String> = unseen.into_iter().collect();
        lines.push(format!(
            "A service does not see your shell's variables: {}.\nSettings go into {}.",
            unseen.join(", "),
            shown(&key.with_file_name("config.toml")),
        ));
    }
    let mut projects = roots.iter().zip(seen);
    if let Some((root, _)) = projects.find(|(_, seen)| seen.key().is_err()) {
        lines.push(format!(
            "A key goes into {} (chmod 600); then install again. Or give it by\n\
             systemctl --user edit {}, or in ~/.config/environment.d,\nsee docs/systemd.md.",
            shown(key),
            unit::name(root),
        ));
    }
    lines
}

/// Writes one of our files. One that is not ours stays.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    match fs::read_to_string(path) {
        Ok(old) if old == text => {
            return output::line(format_args!("as it was  {}", shown(path)));
        }
        Ok(old) if !old.contains(unit::MARK) => {
            bail!("`{}` is not by testsmith; move it away first", shown(path))
        }
        _ => {}
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", shown(folder)))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write `{}`", shown(path)))?;
    output::line(format_args!("wrote      {}", shown(path)))
}

/// Without lingering, a user's services end with the last session, and begin with the first.
fn tell_lingering() -> anyhow::Result<()> {
    let Ok(asked) = Command::new("loginctl")
        .args(["show-user", "--property=Linger", "--value", &user()])
        .output()
    else {
        return Ok(());
    };
    if String::from_utf8_lossy(&asked.stdout).trim() == "no" {
        output::line(
            "\nIt runs while you are logged in. To have it run always: loginctl enable-linger",
        )?;
    }
    Ok(())
}

fn user() -> String {
    rustix::process::getuid().as_raw().to_string()
}

fn uninstall(paths: &[PathBuf]) -> anyhow::Result<u8> {
    let folder = unit_folder()?;
    let mut failed = false;
    for root in roots(paths)? {
        let unit = unit::name(&root);
        let stopped = systemctl(&["disable", "--now", &unit]);
        // One that failed would be shown for ever; one that did not has nothing to reset.
        let _ = systemctl(&["reset-failed", &unit]);
        let own = folder.join(format!("{unit}.d"));
        remove(&own, fs::remove_dir_all(&own))?;
        match stopped {
            Ok(_) => output::line(format_args!("{} is no longer watched", shown(&root)))?,
            Err(error) => {
                failed = true;
                output::note(format_args!(
                    "testsmith: {error:#}\ntestsmith: a service that runs for {} goes on until it is stopped: \
                     testsmith stop",
                    shown(&root)
                ));
            }
        }
    }
    let wants = folder.join("default.target.wants");
    let is_used = fs::read_dir(wants).is_ok_and(|entries| {
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        names
            .into_iter()
            .any(|name| name.to_string_lossy().starts_with("testsmith@"))
    });
    let template = folder.join(unit::TEMPLATE);
    let is_ours = fs::read_to_string(&template).is_ok_and(|text| text.contains(unit::MARK));
    if !is_used && is_ours {
        let drop_ins = folder.join(format!("{}.d", unit::TEMPLATE));
        remove(&template, fs::remove_file(&template))?;
        remove(&drop_ins, fs::remove_dir_all(&drop_ins))?;
    }
    // The units are disabled either way.
    let _ = systemctl(&["daemon-reload"]);
    output::line("Queue, cache and log stay in the state folder; the tests stay where they are.")?;
    Ok(if failed { exit::FAILED } else { exit::OK })
}

fn remove(path: &Path, done: std::io::Result<()>) -> anyhow::Result<()> {
    match done {
        Ok(()) => output::line(format_args!("removed    {}", shown(path))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove `{}`", shown(path))),
    }
}

/// What systemd is asked for.
const PROPERTIES: &str =
    "--property=ActiveState,SubState,UnitFileState,StatusText,MainPID,NRestarts,Result";

fn status(paths: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    let mut all_run = true;
    for root in roots(paths)? {
        let unit = unit::name(&root);
        let said = systemctl(&["show", PROPERTIES, &unit])?;
        let value = |key: &str| {
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let (active, sub) = (value("ActiveState"), value("SubState"));
        let runs = active == "active" || active == "reloading";
        all_run &= runs;
        if json {
            output::json(&json!({
                "root": root.to_string_lossy(),
                "unit": unit,
                "installed": !value("UnitFileState").is_empty(),
                "state": active,
                "sub_state": sub,
                "status": value("StatusText"),
                "pid": value("MainPID").parse::<u32>().ok().filter(|pid| *pid > 0),
                "restarts": value("NRestarts").parse::<u32>().ok(),
                "result": value("Result"),
            }))?;
            continue;
        }
        output::line(format_args!("{}  {unit}", shown(&root)))?;
        if value("UnitFileState").is_empty() {
            output::line("  not installed; remedy: testsmith service install")?;
            continue;
        }
        let mut line = format!("  {active} ({sub}), {}", value("UnitFileState"));
        for (name, key) in [("pid", "MainPID"), ("restarts", "NRestarts")] {
            let value = value(key);
            if !value.is_empty() && value != "0" {
                line += &format!(", {name} {value}");
            }
        }
        output::line(output::escape(&line))?;
        let text = value("StatusText");
        if !text.is_empty() {
            output::line(format_args!("  {}", output::escape(&text)))?;
        }
        if !runs {
            output::line("  why: testsmith logs --level warn; journalctl --user -u the unit")?;
        }
    }
    Ok(if all_run { exit::OK } else { exit::NO_DAEMON })
}

fn shown(path: &Path) -> String {
    output::escape(&path.to_string_lossy())
}
