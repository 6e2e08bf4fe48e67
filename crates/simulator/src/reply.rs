//! The body of a reply as a stream that may end badly, and that knows whether it was taken whole.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use crate::answer::share;
use crate::api::Encoded;
use crate::record::Entry;
use crate::script::Cut;

/// How a reply's body ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ending {
    /// Whole.
    Whole,
    /// The connection is closed after a part.
    Cut(Cut),
    /// The connection is reset after the first piece.
    Reset,
}

/// Builds a reply of which the log learns how it ends.
pub(crate) fn reply(
    status: u16,
    headers: HeaderMap,
    encoded: Encoded,
    ending: Ending,
    mut entry: Entry,
    reset: CancellationToken,
) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    entry.note(|record| record.status = Some(status.as_u16()));
    let length: usize = encoded.chunks.iter().map(Bytes::len).sum();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let map = response.headers_mut();
    map.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(encoded.content_type),
    );
    if let Ok(id) = HeaderValue::try_from(format!("req-sim-{}", entry.id())) {
        // OpenAI and Anthropic call the same thing by different names.
        map.insert(HeaderName::from_static("x-request-id"), id.clone());
        map.insert(HeaderName::from_static("request-id"), id);
    }
    if !encoded.streamed {
        map.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if length == 0 && ending == Ending::Whole {
        // A body that is declared empty is never asked for a piece.
        entry.finish();
        return response;
    }
    let chunks = match ending {
        Ending::Whole => encoded.chunks.into(),
        Ending::Cut(Cut::Bytes(bytes)) => cut(encoded.chunks, bytes),
        Ending::Cut(Cut::Fraction(fraction)) => cut(encoded.chunks, share(length, fraction)),
        Ending::Reset => cut(encoded.chunks, length / 4),
    };
    *response.body_mut() = Body::from_stream(Pieces {
        chunks,
        ending,
        entry,
        reset,
    });
    response
}

/// The first `keep` bytes.
fn cut(chunks: Vec<Bytes>, keep: usize) -> VecDeque<Bytes> {
    let mut left = keep;
    let mut kept = VecDeque::new();
    for mut chunk in chunks {
        chunk.truncate(left);
        left -= chunk.len();
        if !chunk.is_empty() {
            kept.push_back(chunk);
        }
    }
    kept
}

#[derive(Debug)]
struct Pieces {
    chunks: VecDeque<Bytes>,
    ending: Ending,
    entry: Entry,
    reset: CancellationToken,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.chunks.pop_front();
        match (next, self.ending) {
            (Some(chunk), Ending::Whole) => {
                if self.chunks.is_empty() {
                    self.entry.finish();
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            (Some(chunk), _) => Poll::Ready(Some(Ok(chunk))),
            (None, Ending::Whole) => Poll::Ready(None),
            (None, Ending::Cut(_)) => {
                self.entry.break_off();
                Poll::Ready(Some(Err(io::Error::other("cut by the script"))))
            }
            (None, Ending::Reset) => {
                self.entry.break_off();
                self.reset.cancel();
                Poll::Pending
            }
        }
    }
}
