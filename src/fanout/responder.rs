//! A stream of HTTP/2 in the hands of whoever answers its request, on another thread.
//!
//! ```text
//!   shard ── Incoming: the request's body, its end ──▶ Responder ── Answer ──▶ the shard's inbox
//!                                                         └── adopt: the client of a stream of events goes to the shard
//! ```

use super::h2::{Code, Fields, Request, StreamId, Unfit};
use super::joining::Joining;
use super::keys::CarrierKey;
use super::shard::ShardInbox;
use crate::hub::Kept;
use bytes::Bytes;
use futures_channel::mpsc::Receiver;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Semaphore;

/// The bytes of a response's body that may wait in the shard for one stream.
pub(super) const MOST_WAITING_BYTES: usize = 64 << 10;

/// Decides the requests of a connection.
pub trait Requests: Send + fmt::Debug {
    /// A request came. It is called on the shard's thread, so it must not wait.
    fn asked(&mut self, asked: Asked, responder: Responder);

    /// The kernel gave the client up, because it acknowledged nothing for a while. The connection is about to go.
    fn stalled(&mut self);

    /// Counts bytes that are kept because the client's socket accepts no more.
    fn keep(&self, bytes: usize) -> Kept;

    /// What another process needs to decide the same. `None`: the connection cannot go there.
    fn passport(&self) -> Option<Vec<u8>> {
        None
    }
}

/// A request that came on a stream.
#[derive(Debug)]
pub struct Asked {
    /// The request, or why it cannot be served.
    pub request: Result<Request, Unfit>,
    /// It has no body.
    pub ends: bool,
}

/// A part of a request that comes after its head.
#[derive(Debug)]
pub enum Incoming {
    /// A part of the body. It must be [given back](Responder::consumed) when it is consumed or dropped.
    Data(Bytes),
    /// The body has ended, and these fields followed it.
    End(Option<Fields>),
    /// The stream is over: the client left, or reset the stream.
    Gone,
}

/// The client has gone, so it can be sent nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client has left")]
pub struct Gone;

/// Names a connection of a shard, also when it is gone and another has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CarrierId {
    pub(super) key: CarrierKey,
    pub(super) number: u64,
}

/// Part of an answer, on its way to the shard.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) carrier: CarrierId,
    pub(super) stream: StreamId,
    pub(super) part: Part,
}

/// What is done on a stream.
#[derive(Debug)]
pub(super) enum Part {
    /// An interim response.
    Interim(Vec<u8>),
    /// The head of the response. `ends`: it is all of it.
    Head { block: Vec<u8>, ends: bool },
    /// Bytes of the body.
    Data(Bytes),
    /// The end of the body.
    End,
    /// The end of the body, and the fields that follow it.
    Trailers(Vec<u8>),
    /// The stream breaks off.
    Reset(Code),
    /// The stream breaks off, because the client takes nothing.
    Stalled,
    /// Bytes of the request's body were consumed.
    Consumed(usize),
    /// Somebody reads the request's body.
    Reads,
    /// The client follows a stream of events, and the shard serves it from now on.
    Adopt(Box<Joining>),
}

/// The answer to one request. If it is dropped before the answer is complete, the stream breaks off.
pub struct Responder {
    inbox: Arc<ShardInbox>,
    carrier: CarrierId,
    stream: StreamId,
    incoming: Receiver<Incoming>,
    passed: Arc<Semaphore>,
    is_over: bool,
}

impl Responder {
    pub(super) fn new(
        inbox: Arc<ShardInbox>,
        (carrier, stream): (CarrierId, StreamId),
        incoming: Receiver<Incoming>,
        passed: Arc<Semaphore>,
    ) -> Self {
        Self { inbox, carrier, stream, incoming, passed, is_over: false }
    }

    /// What comes next of the request. Cancel-safe.
    pub async fn next(&mut self) -> Incoming {
        poll_fn(|context| Pin::new(&mut self.incoming).poll_next(context)).await.unwrap_or(Incoming::Gone)
    }

    /// So many bytes of the request's body were consumed or dropped, so the client may send more.
    pub fn consumed(&self, bytes: usize) {
        self.post(Part::Consumed(bytes));
    }

    /// The body of the request is read from now on, so the client may send more of it at a time.
    pub fn reads(&self) {
        self.post(Part::Reads);
    }

    /// An interim response, such as 103, as a block of [`encode`](super::h2::encode).
    pub fn interim(&self, block: Vec<u8>) {
        self.post(Part::Interim(block));
    }

    /// The head of the response, as a block of [`encode`](super::h2::encode). `ends`: the response has no body.
    pub fn head(&mut self, block: Vec<u8>, ends: bool) {
        self.is_over |= ends;
        self.post(Part::Head { block, ends });
    }

    /// A part of the body. Waits until the client's windows have let all of it pass. If the wait is given up, the stream
    /// must be given up, too.
    ///
    /// # Errors
    /// When the stream is over.
    pub async fn data(&mut self, mut bytes: Bytes) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(MOST_WAITING_BYTES));
            let passed = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            self.post(Part::Data(piece));
            // The shard gives one for each byte that has passed.
            self.passed.acquire_many(passed).await.map_err(|_| Gone)?.forget();
        }
        Ok(())
    }

    /// The end of the response.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.post(Part::End);
        }
    }

    /// The end of the response, with fields after its body.
    pub fn end_with_trailers(&mut self, block: Vec<u8>) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.post(Part::Trailers(block));
        }
    }

    /// Breaks the stream off.
    pub fn reset(&mut self, code: Code) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.post(Part::Reset(code));
        }
    }

    /// Breaks the stream off, because the client takes nothing. If it was the last stream, the connection ends too.
    pub fn stalled(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.post(Part::Stalled);
        }
    }

    /// Hands the client over. The shard sends the whole response, which must not have begun.
    pub fn adopt(mut self, joining: Joining) {
        self.is_over = true;
        self.post(Part::Adopt(Box::new(joining)));
    }

    fn post(&self, part: Part) {
        self.inbox.post(Box::new(Answer { carrier: self.carrier, stream: self.stream, part }));
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // What was not read would be missing in the window of the whole connection.
        self.incoming.close();
        let mut unread = 0;
        while let Ok(said) = self.incoming.try_recv() {
            if let Incoming::Data(bytes) = said {
                unread += bytes.len();
            }
        }
        if unread > 0 {
            self.consumed(unread);
        }
        self.reset(Code::CANCEL);
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("stream", &self.stream)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
