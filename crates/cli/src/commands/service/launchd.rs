//! The property list for macOS's launchd. It is printed, not installed.

use std::path::{Path, PathBuf};

use crate::{exit, output};

pub(super) fn print(program: &Path, roots: &[PathBuf]) -> anyhow::Result<u8> {
    for root in roots {
        let text = plist(program, root);
        output::line(text)?;
        output::note(format_args!(
            "put this into ~/Library/LaunchAgents/{label}.plist, then: \
             launchctl bootstrap gui/$UID ~/Library/LaunchAgents/{label}.plist",
            label = label(root)
        ));
    }
    Ok(exit::OK)
}

fn label(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name: String = name
        .chars()
        .map(|c| if is_kept(c) { c } else { '-' })
        .collect();
    format!("dev.testsmith.{name}")
}

fn plist(program: &Path, root: &Path) -> String {
    let text = |path: &Path| {
        let text = path.to_string_lossy();
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>{label}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{program}</string>
    <string>watch</string>
    <string>{root}</string>
  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>10</integer>
  <key>ExitTimeOut</key><integer>30</integer>
  <key>ProcessType</key><string>Background</string>
</dict>
</plist>"#,
        label = label(root),
        program = text(program),
        root = text(root),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_for_xml() {
        let text = plist(Path::new("/bin/testsmith"), Path::new("/a/<b> & c"));
        assert!(
            text.contains("<string>/a/&lt;b&gt; &amp; c</string>"),
            "{text}"
        );
        assert!(
            text.contains("<string>dev.testsmith.-b----c</string>"),
            "{text}"
        );
    }
}
