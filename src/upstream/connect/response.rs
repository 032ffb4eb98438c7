//! A response of an origin, by HTTP/1 or HTTP/2.

use super::http2::Seat;
use super::reason::reason;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, StatusCode};
use pingora::protocols::http::v1::client::HttpSession;
use std::fmt;
use std::future::pending;
use std::io;

/// A response whose head was read.
pub struct Response {
    body: Body,
    /// The final status.
    pub status: StatusCode,
    /// The response headers.
    pub headers: HeaderMap,
}

enum Body {
    Http1(Box<HttpSession>),
    Http2(Http2),
}

/// The body of a response by HTTP/2. It is dropped from the top down: the stream ends before its seat is free.
struct Http2 {
    stream: RecvStream,
    /// What was received while nobody read the response. Its window is not given back yet.
    soaked: BytesMut,
    /// How the stream ended, if it did so while nobody read the response.
    ended: Option<io::Result<()>>,
    seat: Seat,
}

impl Response {
    /// The response to the request of a session.
    pub(super) fn http1(session: Box<HttpSession>, status: StatusCode, headers: HeaderMap) -> Self {
        Self { body: Body::Http1(session), status, headers }
    }

    /// The response on a stream of HTTP/2.
    pub(super) fn http2(seat: Seat, response: http::Response<RecvStream>) -> Self {
        let (head, stream) = response.into_parts();
        let body = Http2 { stream, soaked: BytesMut::new(), ended: None, seat };
        Self { body: Body::Http2(body), status: head.status, headers: head.headers }
    }

    /// The next bytes of the body. `None` at its orderly end. Must not be dropped half-way, unless
    /// `is_cancel_safe` says otherwise.
    ///
    /// # Errors
    /// Fails when the connection breaks, or when the body ends earlier than its framing says.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let session = match &mut self.body {
            Body::Http2(body) => return body.read().await,
            Body::Http1(session) => session,
        };
        loop {
            match session.read_body_bytes().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(bytes),
                Err(error) => return Err(io::Error::other(reason(&error))),
            }
        }
    }

    /// Whether a read may be dropped half-way.
    pub(crate) fn is_cancel_safe(&self) -> bool {
        matches!(self.body, Body::Http2(_))
    }

    /// Receives what has come while the response is not read, up to the window of its stream. So it does not count as
    /// unread for the connection, which many streams may share. Never resolves. Safe to drop and call again.
    pub async fn soak(&mut self) -> std::convert::Infallible {
        if let Body::Http2(body) = &mut self.body {
            body.soak().await;
        }
        pending().await
    }
}

impl Http2 {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let bytes = if !self.soaked.is_empty() {
            std::mem::take(&mut self.soaked).freeze()
        } else if let Some(ended) = self.ended.take() {
            return ended.map(|()| None);
        } else {
            loop {
                match self.stream.data().await {
                    Some(Ok(bytes)) if bytes.is_empty() => {}
                    Some(Ok(bytes)) => break bytes,
                    Some(Err(error)) => return Err(self.broken(&error)),
                    None => return Ok(None),
                }
            }
        };
        // An error means that the stream has ended, which the next read tells.
        let _ended = self.stream.flow_control().release_capacity(bytes.len());
        Ok(Some(bytes))
    }

    async fn soak(&mut self) {
        while self.ended.is_none() {
            match self.stream.data().await {
                Some(Ok(bytes)) => self.soaked.extend_from_slice(&bytes),
                Some(Err(error)) => self.ended = Some(Err(self.broken(&error))),
                None => self.ended = Some(Ok(())),
            }
        }
    }

    fn broken(&self, error: &h2::Error) -> io::Error {
        io::Error::other(self.seat.carrier().words(error))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}
