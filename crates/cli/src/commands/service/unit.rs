//! The unit's files, and names as systemd has them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::Context as _;

/// What stands in files that are ours to change and to remove.
pub(super) const MARK: &str = "# Written by `testsmith service install`";

/// The template's name.
pub(super) const TEMPLATE: &str = "testsmith@.service";

const UNIT: &str = include_str!("../../../../../systemd/testsmith@.service");
const RESOURCES: &str =
    include_str!("../../../../../systemd/testsmith@.service.d/10-resources.conf");
const HARDENING: &str =
    include_str!("../../../../../systemd/testsmith@.service.d/20-hardening.conf");
const NOTIFY_RELOAD: &str =
    include_str!("../../../../../systemd/testsmith@.service.d/30-notify-reload.conf");
const CREDENTIAL: &str =
    include_str!("../../../../../systemd/testsmith@.service.d/40-credential.conf");

/// Where the key is as that file has it.
const USUAL_KEY: &str = "=api_key:%h/.config/testsmith/key";

/// From this version on, a service can tell when it has reloaded.
const KNOWS_NOTIFY_RELOAD: u32 = 253;

/// What the files depend on.
pub(super) struct Files<'a> {
    pub(super) program: &'a Path,
    pub(super) version: Option<u32>,
    /// The key to hand over, if there is one.
    pub(super) key: Option<&'a Path>,
    pub(super) config: Option<&'a Path>,
    pub(super) state_dir: Option<&'a Path>,
    pub(super) cache_dir: Option<&'a Path>,
    /// Where the toolchains are.
    pub(super) path: String,
    /// Variables that say where the user's folders are.
    pub(super) folders: Vec<(&'static str, String)>,
}

impl Files<'_> {
    /// Every file, by its name in the folder of units.
    pub(super) fn all(
        &self,
        roots: &[std::path::PathBuf],
    ) -> anyhow::Result<Vec<(String, String)>> {
        let program = text(self.program)?;
        let unit = UNIT.replace("%h/.cargo/bin/testsmith", &quoted(program));
        let mut files = vec![(TEMPLATE.to_owned(), unit)];
        let mut drop_in = |name: &str, text: &str| {
            files.push((format!("{TEMPLATE}.d/{name}"), text.to_owned()));
        };
        drop_in("10-resources.conf", RESOURCES);
        drop_in("20-hardening.conf", HARDENING);
        if self
            .version
            .is_some_and(|version| version >= KNOWS_NOTIFY_RELOAD)
        {
            drop_in("30-notify-reload.conf", NOTIFY_RELOAD);
        }
        if let Some(key) = self.key {
            let key = format!("=api_key:{}", text(key)?.replace('%', "%%"));
            drop_in("40-credential.conf", &CREDENTIAL.replace(USUAL_KEY, &key));
        }
        for root in roots {
            files.push((format!("{}.d/50-project.conf", name(root)), self.own(root)?));
        }
        for (_, text) in &mut files {
            *text = format!("{MARK}; changes are lost at the next install.\n{text}");
        }
        Ok(files)
    }

    /// What only one project needs.
    fn own(&self, root: &Path) -> anyhow::Result<String> {
        let variable = |name: &str, value: &str| {
            let variable = quoted(&format!("{name}={value}")).replace("$$", "$");
            format!("Environment={variable}\n")
        };
        let mut text = format!(
            "# The toolchains and folders that you see; the user manager may know others.\n\n\
             [Service]\n{}",
            variable("PATH", &self.path)
        );
        for (name, value) in &self.folders {
            text += &variable(name, value);
        }
        let options = [
            ("--config", self.config),
            ("--state-dir", self.state_dir),
            ("--cache-dir", self.cache_dir),
        ];
        let mut line = quoted(self::text(self.program)?) + " watch";
        for (option, path) in options {
            if let Some(path) = path {
                let path = std::path::absolute(path)?;
                line += &format!(" {option} {}", quoted(self::text(&path)?));
            }
        }
        if options.iter().any(|(_, path)| path.is_some()) {
            line += &format!(" {}", quoted(self::text(root)?));
            text += &format!("ExecStart=\nExecStart={line}\n");
        }
        Ok(text)
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .filter(|text| !text.contains('\n'))
        .with_context(|| format!("`{}` cannot be written into a unit", path.display()))
}

/// A word of a unit's command line, see systemd.service(5). Plain ones stay plain.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The unit of a project.
pub(super) fn name(root: &Path) -> String {
    format!("testsmith@{}.service", escape_path(root))
}

/// A path as an instance's name, as `systemd-escape --path` makes it, see systemd.unit(5).
fn escape_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let parts: Vec<&[u8]> = bytes
        .split(|b| *b == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return "-".to_owned();
    }
    let mut escaped = String::new();
    for (index, byte) in parts.join(&b'/').into_iter().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if index == 0 => escaped += "\\x2e",
            b':' | b'_' | b'.' => escaped.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            byte => escaped += &format!("\\x{byte:02x}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        let cases = [
            ("/home/me/src/shop", "home-me-src-shop"),
            ("/home/me/my shop", "home-me-my\\x20shop"),
            ("/home/me/my-shop", "home-me-my\\x2dshop"),
            ("/.hidden/x.y_z:1", "\\x2ehidden-x.y_z:1"),
            ("/a/.b", "a-.b"),
            ("/", "-"),
            ("/für/50%", "f\\xc3\\xbcr-50\\x25"),
        ];
        for (path, wanted) in cases {
            assert_eq!(escape_path(Path::new(path)), wanted, "{path}");
            // The real one, where it is.
            if let Ok(real) = Command::new("systemd-escape")
                .args(["--path", path])
                .output()
            {
                assert_eq!(
                    String::from_utf8_lossy(&real.stdout).trim(),
                    wanted,
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn words_are_quoted_where_they_must_be() {
        assert_eq!(quoted("/usr/bin/testsmith"), "/usr/bin/testsmith");
        assert_eq!(quoted("/my \"50%\" $HOME"), "\"/my \\\"50%%\\\" $$HOME\"");
    }
}
