//! Blocks that the user has taken out: what only they needed goes, what is the user's stays.

use pretty_assertions::assert_eq;
use testsmith_domain::{BlockEdit, MemberName};

use crate::sample::{body, compose, put, try_compose};

const HEADER: &str = "// Tests kept by testsmith. Blocks you edit or delete are yours.\n";

/// The block of `Euros` as the ledger knows it: without its imports.
fn gone() -> BlockEdit {
    let body = body("TestEuros", &["fmt"]);
    let (_, code) = body.split_once(")\n\n").unwrap();
    BlockEdit::Gone {
        member: MemberName::from("Euros"),
        body: code.to_owned(),
    }
}

/// The test file of `Euros` and `more` members, after somebody has cut the block of `Euros` out.
fn without_block(more: &[BlockEdit]) -> String {
    let mut edits = vec![put("Euros", 2, &body("TestEuros", &["fmt"]))];
    edits.extend_from_slice(more);
    let text = compose(None, &edits);
    let begin = text.find("// testsmith:begin Euros").unwrap();
    let (_, behind) = text.split_once("// testsmith:end Euros\n").unwrap();
    format!("{}{}", &text[..begin], behind.trim_start())
}

#[test]
fn a_file_that_is_left_with_our_imports_only_goes() {
    let left = without_block(&[]);
    assert!(left.contains("\"testing\""), "{left}");
    let composed = try_compose(Some(&left), &[gone()]).unwrap();
    assert_eq!(composed.text, None);
    assert_eq!(composed.rejected, []);
}

#[test]
fn what_others_use_stays() {
    let left = without_block(&[put("Cart.Total", 1, &body("TestCart_Total", &["errors"]))]);
    let text = compose(Some(&left), &[gone()]);
    assert!(!text.contains("\"fmt\""), "{text}");
    for used in ["\"errors\"", "\"testing\""] {
        assert!(text.contains(used), "{text}");
    }
    let theirs = format!("{}func helper(t *testing.T) {{}}\n", without_block(&[]));
    let text = compose(Some(&theirs), &[gone()]);
    assert_eq!(
        text,
        format!(
            "{HEADER}\npackage cart\n\nimport (\n\t\"testing\"\n)\n\nfunc helper(t *testing.T) {{}}\n"
        )
    );
}

#[test]
fn an_import_that_the_block_had_no_use_for_is_the_user_s() {
    let left = without_block(&[]).replace("\t\"fmt\"\n", "\t\"fmt\"\n\t\"os\"\n");
    let text = compose(Some(&left), &[gone()]);
    assert!(
        text.contains("\"os\"") && !text.contains("\"fmt\""),
        "{text}"
    );
}

#[test]
fn a_remark_of_the_user_s_is_never_taken_along() {
    let noted = without_block(&[]).replace("\"testing\"\n", "\"testing\" // wanted soon\n");
    assert_eq!(compose(Some(&noted), &[gone()]), noted);
    let noted = noted.replace("// wanted soon", "/* wanted soon */");
    assert_eq!(compose(Some(&noted), &[gone()]), noted);
    let above = without_block(&[]).replace("package cart\n", "// mine\npackage cart\n");
    let text = compose(Some(&above), &[gone()]);
    assert!(
        text.contains("// mine\n") && !text.contains("import"),
        "{text}"
    );
}

#[test]
fn a_path_is_no_remark() {
    // Two slashes in a row are no comment in a string.
    let left = without_block(&[]).replace("\"testing\"\n", "\"testing\"\n\t_ \"a//b\"\n");
    let text = compose(Some(&left), &[gone()]);
    assert!(text.contains("a//b") && !text.contains("\"fmt\""), "{text}");
}

#[test]
fn a_remark_between_imports_keeps_the_file() {
    let text = compose(None, &[put("Euros", 2, &body("TestEuros", &["fmt"]))]);
    let noted = text.replace("\t\"fmt\"\n", "\t// for golden files\n\t\"fmt\"\n");
    let removed = BlockEdit::Remove {
        member: MemberName::from("Euros"),
    };
    let text = compose(Some(&noted), &[removed]);
    assert!(text.contains("// for golden files\n"), "{text}");
}
