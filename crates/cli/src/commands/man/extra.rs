//! What stands below the options in `--help`, as sections of a manual page.

use clap_mangen::roff::{Roff, roman};

/// Exit codes, remarks and examples, as far as there are such.
pub(super) fn sections(help: &str) -> String {
    let mut page = Roff::new();
    let (mut status, mut notes, mut examples) = (Vec::new(), Vec::new(), Vec::new());
    for paragraph in help.trim().split("\n\n") {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        if first == "Example:" || first == "Examples:" {
            examples.push(rest);
        } else if let Some(codes) = paragraph.strip_prefix("Exit codes: ") {
            status.push(codes);
        } else {
            notes.push(paragraph);
        }
    }
    for (heading, paragraphs) in [
        ("EXIT STATUS", status),
        ("NOTES", notes),
        ("EXAMPLES", examples),
    ] {
        if !paragraphs.is_empty() {
            page.control("SH", [heading]);
        }
        for text in paragraphs {
            page.control("PP", []);
            paragraph(&mut page, text);
        }
    }
    page.render()
}

/// Lines that are set in stay as they are; the others are filled.
fn paragraph(page: &mut Roff, text: &str) {
    const INDENT: &str = "  ";
    let mut is_verbatim = false;
    for line in text.lines() {
        let set_in = line.strip_prefix(INDENT);
        if set_in.is_some() != is_verbatim {
            is_verbatim = !is_verbatim;
            let (one, two) = if is_verbatim {
                ("RS", "nf")
            } else {
                ("fi", "RE")
            };
            page.control(one, []).control(two, []);
        }
        page.text([roman(set_in.unwrap_or(line))]);
    }
    if is_verbatim {
        page.control("fi", []).control("RE", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stay_as_they_are_and_codes_have_a_section() {
        let help = "Examples:\n  testsmith a    what it does\n  testsmith b \\\n      --c\n\n\
                    Some prose\nof two lines.\n\nExit codes: 0 ok, 4 none";
        let page = sections(help);
        let body = page.strip_prefix(&Roff::new().render()).unwrap();
        assert_eq!(
            body,
            ".SH \"EXIT STATUS\"\n.PP\n0 ok, 4 none\n.SH NOTES\n.PP\nSome prose\nof two lines.\n\
             .SH EXAMPLES\n.PP\n.RS\n.nf\ntestsmith a    what it does\ntestsmith b \\\\\n    \\-\\-c\n\
             .fi\n.RE\n"
        );
    }
}
