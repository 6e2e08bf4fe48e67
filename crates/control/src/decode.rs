//! Reading a stream of server-sent events, in whatever pieces it comes.

use crate::ClientError;
use crate::client::broken;
use crate::protocol::Stamped;

/// The longest event that is taken in.
const EVENT_BYTES: usize = 16 << 20;

/// What has been received and not been given out.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    text: Vec<u8>,
    /// Up to here there is no end of an event.
    searched: usize,
}

impl Decoder {
    /// Takes in what was received.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.text.extend_from_slice(data);
    }

    /// The next event, if it is there whole.
    pub(crate) fn next(&mut self) -> Option<Result<Stamped, ClientError>> {
        while let Some(block) = self.block() {
            if let Some(event) = parse(&block) {
                return Some(event);
            }
        }
        let too_long = self.text.len() > EVENT_BYTES;
        too_long.then(|| Err(broken("an event is too long")))
    }

    /// Takes what stands before the first empty line.
    fn block(&mut self) -> Option<Vec<u8>> {
        let rest = self.text.get(self.searched..)?;
        let Some(at) = rest.windows(2).position(|pair| pair == b"\n\n") else {
            // The first of two line ends may have come.
            self.searched = self.text.len().saturating_sub(1);
            return None;
        };
        let rest = self.text.split_off(self.searched + at + 2);
        self.searched = 0;
        Some(std::mem::replace(&mut self.text, rest))
    }
}

/// The event of a block; `None` if it is only a comment.
fn parse(block: &[u8]) -> Option<Result<Stamped, ClientError>> {
    let data = block
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"data: "))?;
    Some(serde_json::from_slice(data).map_err(ClientError::from))
}
