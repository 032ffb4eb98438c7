//! The body of a response by HTTP/1.1.
//!
//! pingora reads the head. Its reader of bodies would keep a buffer of 64 KiB for each response, however quiet that is.
//! This one reads into a buffer that all responses on a thread share, and copies out what is of the body.

use super::framing::{Framing, Malformed};
use super::transport::Transport;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// The most bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    /// What is read into. It holds nothing between two reads.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The body of a response, and its connection.
#[derive(Debug)]
pub(super) struct Http1 {
    transport: Transport,
    framing: Framing,
    /// What came behind the head.
    ahead: Vec<u8>,
    /// What came behind the bytes that were given is no body.
    malformed: Option<Malformed>,
}

impl Http1 {
    /// The body of a response with this head, which was read from the connection.
    pub(super) fn new(mut transport: Transport, status: StatusCode, headers: &HeaderMap) -> Self {
        let ahead = transport.end_head();
        Self { transport, framing: Framing::of(status, headers), ahead, malformed: None }
    }

    /// The next bytes of the body, at least one. `None` at its orderly end. Safe to drop and call again.
    ///
    /// # Errors
    /// Fails when the connection breaks, or when the body is malformed or ends earlier than its framing says.
    pub(super) async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let mut body = Vec::new();
        let ahead = std::mem::take(&mut self.ahead);
        self.take(&ahead, &mut body);
        // Nothing is lost if this is dropped while it waits, because `body` is empty then.
        while body.is_empty() {
            if let Some(malformed) = self.malformed {
                return Err(io::Error::other(malformed));
            }
            if self.framing.is_over() {
                return Ok(None);
            }
            if poll_fn(|context| self.poll_fill(context, &mut body)).await? == 0 {
                self.framing.close().map_err(io::Error::other)?;
            }
        }
        Ok(Some(body.into()))
    }

    /// Reads from the connection once. Returns the number of bytes, 0 at its end.
    fn poll_fill(&mut self, context: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ_BYTES, 0);
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.transport).poll_read(context, &mut read))?;
            let bytes = read.filled();
            self.take(bytes, body);
            Poll::Ready(Ok(bytes.len()))
        })
    }

    /// Takes bytes of the connection. What comes before a fault is given all the same.
    fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) {
        if self.malformed.is_none() {
            body.reserve_exact(bytes.len());
            self.malformed = self.framing.take(bytes, body).err();
        }
    }
}
