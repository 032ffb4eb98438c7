//! A response of an origin, by HTTP/1 or HTTP/2.

use super::http1::Http1;
use super::http2::Seat;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, StatusCode};
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::task::{Context, Poll};

/// About how many bytes are read at once by HTTP/2. Small frames that have come together are read together.
const MOST_AT_ONCE: usize = 64 << 10;

/// A response whose head was read.
pub struct Response {
    body: Body,
    /// The final status.
    pub status: StatusCode,
    /// The response headers.
    pub headers: HeaderMap,
}

enum Body {
    Http1(Http1),
    Http2(Http2),
}

/// The body of a response by HTTP/2. It is dropped from the top down: the stream ends before its seat is free.
struct Http2 {
    stream: RecvStream,
    received: Received,
    /// How the stream ended, if that is not told yet.
    ended: Option<io::Result<()>>,
    seat: Seat,
}

/// Bytes that were received and are not read yet. Their window is not given back yet.
#[derive(Debug, Default)]
struct Received {
    /// A frame that came alone. It is not copied.
    first: Bytes,
    /// Several frames. Small frames would take more memory one by one.
    joined: BytesMut,
}

impl Response {
    /// The response on a connection of HTTP/1.
    pub(super) fn http1(body: Http1, status: StatusCode, headers: HeaderMap) -> Self {
        Self { body: Body::Http1(body), status, headers }
    }

    /// The response on a stream of HTTP/2.
    pub(super) fn http2(seat: Seat, response: http::Response<RecvStream>) -> Self {
        let (head, stream) = response.into_parts();
        let body = Http2 { stream, received: Received::default(), ended: None, seat };
        Self { body: Body::Http2(body), status: head.status, headers: head.headers }
    }

    /// The next bytes of the body. `None` at its orderly end. Safe to drop and call again.
    ///
    /// # Errors
    /// Fails when the connection breaks, or when the body ends earlier than its framing says.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.body {
            Body::Http1(body) => body.read().await,
            Body::Http2(body) => body.read().await,
        }
    }

    /// Receives what has come while the response is not read, up to the window of its stream. So it does not count as
    /// unread for the connection, which many streams may share. Never resolves. Safe to drop and call again.
    pub async fn soak(&mut self) -> std::convert::Infallible {
        let body = match &mut self.body {
            Body::Http1(_) => return pending().await,
            Body::Http2(body) => body,
        };
        poll_fn(|context| {
            // It looks on when more comes.
            let _is_readable = body.poll_receive(context, usize::MAX);
            Poll::Pending
        })
        .await
    }
}

impl Http2 {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|context| self.poll_receive(context, MOST_AT_ONCE)).await;
        let bytes = self.received.take();
        if bytes.is_empty() {
            return self.ended.take().unwrap_or(Ok(())).map(|()| None);
        }
        // An error means that the stream has ended, which the next read tells.
        let _ended = self.stream.flow_control().release_capacity(bytes.len());
        Ok(Some(bytes))
    }

    /// Receives what has come, about `most` bytes. Resolves when there is something to read, or the stream has ended.
    fn poll_receive(&mut self, context: &mut Context<'_>, most: usize) -> Poll<()> {
        while self.ended.is_none() && self.received.len() < most {
            match self.stream.poll_data(context) {
                Poll::Ready(Some(Ok(bytes))) => self.received.push(bytes),
                Poll::Ready(Some(Err(error))) => {
                    self.ended = Some(Err(io::Error::other(self.seat.carrier().words(&error))));
                }
                Poll::Ready(None) => self.ended = Some(Ok(())),
                Poll::Pending if self.received.len() == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }
}

impl Received {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.first = bytes;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&bytes);
    }

    fn take(&mut self) -> Bytes {
        if self.joined.is_empty() { std::mem::take(&mut self.first) } else { std::mem::take(&mut self.joined).freeze() }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}
