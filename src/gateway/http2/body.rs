//! Request bodies of HTTP/2 with a `Content-Length`, on their way to an HTTP/1.1 origin.
//!
//! A body of HTTP/2 ends with a flag, which may come after the last byte. An HTTP/1.1 origin counts bytes instead. So
//! it would take a request for complete although the client goes on to send more bytes than it announced.

use crate::fields::content_length;
use bytes::{Bytes, BytesMut};
use http::Version;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};
use std::time::Duration;
use tokio::time::timeout;

/// How long to wait for the end flag of an empty body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the end flag of a request that announces an empty body. An HTTP/1.1 origin would take the request for
/// complete as soon as it has the head. Other requests are not waited for.
///
/// # Errors
/// When bytes come instead of the end, or when the end does not come in time.
pub(in crate::gateway) async fn await_empty(session: &mut ServerSession) -> pingora::Result<()> {
    if session.req_header().version != Version::HTTP_2 || content_length(&session.req_header().headers) != Some(0) {
        return Ok(());
    }
    let ends = async {
        while session.read_request_body().await?.is_some() {}
        Ok(())
    };
    let late = |_| Error::explain(ErrorType::ReadTimedout, "an empty body without an end").into_down();
    timeout(PATIENCE, ends).await.map_err(late)?
}

/// Holds the last announced byte of a body back until the end flag has come. If more bytes come instead, the request is
/// malformed (RFC 9113, section 8.1.1), and the origin never gets a complete one.
#[derive(Debug)]
pub(in crate::gateway) struct Tail {
    /// The announced bytes that were not passed yet.
    left: u64,
    held: Option<Bytes>,
}

impl Tail {
    /// The tail of a request's body. `None`: the request is not of HTTP/2, or it announces no length.
    pub(in crate::gateway) fn of(request: &RequestHeader) -> Option<Self> {
        content_length(&request.headers).filter(|_| request.version == Version::HTTP_2).map(Self::new)
    }

    /// The tail of a body of this length.
    fn new(length: u64) -> Self {
        Self { left: length, held: None }
    }

    /// Takes the next bytes of the body. Returns those that may be forwarded.
    pub(in crate::gateway) fn pass(&mut self, body: Option<Bytes>, is_end: bool) -> Option<Bytes> {
        let mut body = match (self.held.take(), body) {
            (None, body) => body?,
            (Some(held), None) => held,
            (Some(held), Some(body)) => {
                let mut whole = BytesMut::from(held);
                whole.extend_from_slice(&body);
                whole.freeze()
            }
        };
        if !is_end && body.len() as u64 >= self.left {
            let before = usize::try_from(self.left.saturating_sub(1)).unwrap_or(usize::MAX);
            self.held = Some(body.split_off(before.min(body.len())));
        }
        self.left = self.left.saturating_sub(body.len() as u64);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes pieces. Returns what each call returned.
    fn passed(length: u64, pieces: &[(Option<&str>, bool)]) -> Vec<Option<String>> {
        let mut tail = Tail::new(length);
        let pass = |(body, is_end): &(Option<&str>, bool)| {
            let body = tail.pass(body.map(|body| Bytes::copy_from_slice(body.as_bytes())), *is_end);
            body.map(|body| String::from_utf8(body.to_vec()).unwrap())
        };
        pieces.iter().map(pass).collect()
    }

    #[test]
    fn the_last_byte_waits_for_the_end() {
        let some = |text: &str| Some(text.to_owned());
        for (what, pieces, expected) in [
            ("at once", &[(Some("abc"), true)][..], vec![some("abc")]),
            ("in two", &[(Some("a"), false), (Some("bc"), true)], vec![some("a"), some("bc")]),
            ("an end of its own", &[(Some("abc"), false), (None, true)], vec![some("ab"), some("c")]),
            ("an empty end", &[(Some("abc"), false), (Some(""), true)], vec![some("ab"), some("c")]),
            ("too much", &[(Some("abc"), false), (Some("d"), false)], vec![some("ab"), some("")]),
            (
                "byte by byte",
                &[(Some("ab"), false), (Some("c"), false), (None, true)],
                vec![some("ab"), some(""), some("c")],
            ),
            ("nothing", &[(None, true)], vec![None]),
        ] {
            assert_eq!(passed(3, pieces), expected, "{what}");
        }
    }
}
