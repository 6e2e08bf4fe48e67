//! What the last runs of a file's jobs decided.

use testsmith_domain::Story;

/// Runs kept of each file.
const RUNS: usize = 20;

/// Bytes kept of each file: a file of many members has fewer runs than others.
const BYTES: usize = 64 * 1024;

/// The stories in a record; those of a damaged one are gone.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Story> {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// The record once one more run has ended. Of a file that is no more, only that is kept: a daemon
/// sees many files come and go.
pub(crate) fn encode(
    mut stories: Vec<Story>,
    last: Story,
    is_gone: bool,
) -> Result<Vec<u8>, serde_json::Error> {
    stories.push(last);
    let keep = if is_gone { 1 } else { RUNS };
    stories.drain(..stories.len().saturating_sub(keep));
    loop {
        let bytes = serde_json::to_vec(&stories)?;
        if bytes.len() <= BYTES || stories.len() == 1 {
            return Ok(bytes);
        }
        // Half of what is too much, so that this does not take many rounds.
        stories.drain(..stories.len().div_ceil(2).min(stories.len() - 1));
    }
}
