//! Test code that is bad in a given way.

use crate::prompt::Prompt;
use crate::script::BadBody;

/// Bad test code for `member`.
pub(super) fn write(_prompt: &Prompt, _member: &str, _kind: BadBody) -> String {
    String::new()
}
