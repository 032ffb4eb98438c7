//! One request at the origin and the answer that the story gives it.

use super::connection::Tunnel;
use super::state::{Open, Request};
use crate::guard::guarded;
use crate::http1::Io;
use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::{oneshot, watch};

/// The writing half of an HTTP/1.x connection.
pub type Writer = WriteHalf<Box<dyn Io>>;

/// Closed when the connection has ended.
pub type Gone = watch::Receiver<()>;

/// Waits until the connection has ended.
pub async fn over(mut gone: Gone) {
    while gone.changed().await.is_ok() {}
}

/// How an answer shows its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// By the chunked coding. Each piece that the story sends is one chunk.
    Chunked,
    /// By a `Content-Length`.
    Length(usize),
    /// By closing the connection, as in HTTP/1.0.
    UntilClose,
    /// The story's own header fields say how the body is framed. Pieces are sent as they are.
    Bare,
}

/// The way by which an answer is sent.
pub enum Wire {
    /// HTTP/1.x. The writer goes back to the connection when the answer is complete.
    Http1(Writer, oneshot::Sender<Writer>),
    /// HTTP/2, before the head.
    H2(SendResponse<Bytes>),
    /// HTTP/2, after the head.
    H2Body(h2::SendStream<Bytes>),
}

/// A request that waits for its answer.
pub struct Exchange {
    /// The request.
    pub request: Arc<Request>,
    pub(super) wire: Wire,
    pub(super) gone: Gone,
    pub(super) open: Arc<Open>,
    pub(super) tunnel: Option<Tunnel>,
}

impl Exchange {
    /// Answers with a stream: 200, `text/event-stream`, chunked.
    pub async fn sse(self) -> Body {
        self.head(200, &[("Content-Type", "text/event-stream")], Coding::Chunked).await
    }

    /// Answers with a head; the body follows.
    pub async fn head(self, status: u16, headers: &[(&str, &str)], coding: Coding) -> Body {
        let version = if coding == Coding::UntilClose { "HTTP/1.0" } else { "HTTP/1.1" };
        let wire = match self.wire {
            Wire::Http1(mut writer, back) => {
                let mut head = format!("{version} {status} Whatever\r\n");
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                match coding {
                    Coding::Chunked => head += "Transfer-Encoding: chunked\r\n",
                    Coding::Length(length) => head += &format!("Content-Length: {length}\r\n"),
                    Coding::UntilClose | Coding::Bare => {}
                }
                let head: Vec<u8> = (head + "\r\n").chars().map(|c| u8::try_from(c).unwrap()).collect();
                // The client may be gone already. The story says whether that matters.
                let _sent = writer.write_all(&head).await;
                Wire::Http1(writer, back)
            }
            Wire::H2(mut respond) => {
                let mut head = Response::builder().status(status);
                for (name, value) in headers {
                    head = head.header(name.to_ascii_lowercase(), *value);
                }
                Wire::H2Body(respond.send_response(head.body(()).unwrap(), false).unwrap())
            }
            Wire::H2Body(_) => unreachable!("only `head` makes a body"),
        };
        Body { coding, wire, gone: self.gone, open: self.open, tunnel: self.tunnel }
    }

    /// Answers completely.
    pub async fn reply(self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut answer = self.head(status, headers, Coding::Length(body.len())).await;
        answer.raw(body).await;
        answer.end().await;
    }

    /// Sends these bytes as the answer, and nothing else.
    pub async fn bytes(self, bytes: impl AsRef<[u8]>) {
        let Wire::Http1(mut writer, _) = self.wire else { panic!("bytes are for HTTP/1") };
        let _sent = writer.write_all(bytes.as_ref()).await;
        let _closed = writer.shutdown().await;
    }

    /// Resets the connection without an answer.
    pub fn abort(self) {
        self.open.reset();
    }

    /// Waits until the other side gave up.
    pub async fn gone(self) {
        guarded("the other side to go away", over(self.gone)).await;
    }
}

/// An answer whose body has begun. Dropping it without an end cuts it off.
pub struct Body {
    coding: Coding,
    wire: Wire,
    gone: Gone,
    open: Arc<Open>,
    tunnel: Option<Tunnel>,
}

impl Body {
    /// Sends the text of an event, which must end in an empty line, as one piece.
    pub async fn event(&mut self, text: &str) {
        assert!(text.ends_with("\n\n"), "not a whole event: {text:?}");
        self.raw(text).await;
    }

    /// Sends bytes of the body, as one piece.
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return;
        }
        match self.coding {
            Coding::Chunked if matches!(self.wire, Wire::Http1(..)) => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                self.bytes(&chunk).await;
            }
            _ => self.bytes(bytes).await,
        }
    }

    /// Sends bytes as they are, without any framing.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        // The peer may be gone. The story notices that by other means.
        match &mut self.wire {
            Wire::Http1(writer, _) => drop(writer.write_all(bytes).await),
            Wire::H2Body(stream) => drop(stream.send_data(Bytes::copy_from_slice(bytes), false)),
            Wire::H2(_) => unreachable!("a body has a head"),
        }
    }

    /// Ends the answer in its framing. A connection that is kept alive then serves the next request.
    pub async fn end(mut self) {
        if self.coding == Coding::Chunked && matches!(self.wire, Wire::Http1(..)) {
            self.bytes(b"0\r\n\r\n").await;
        }
        match self.wire {
            Wire::Http1(mut writer, back) => {
                if matches!(self.coding, Coding::UntilClose | Coding::Bare) {
                    let _closed = writer.shutdown().await;
                } else {
                    let _returned = back.send(writer);
                }
            }
            Wire::H2Body(mut stream) => drop(stream.send_data(Bytes::new(), true)),
            Wire::H2(_) => unreachable!("a body has a head"),
        }
    }

    /// Cuts the answer off: by a FIN, or in HTTP/2 by a reset of the stream.
    pub async fn cut(self) {
        match self.wire {
            Wire::Http1(mut writer, _) => drop(writer.shutdown().await),
            Wire::H2Body(mut stream) => stream.send_reset(h2::Reason::INTERNAL_ERROR),
            Wire::H2(_) => unreachable!("a body has a head"),
        }
    }

    /// Resets the connection.
    pub fn abort(self) {
        self.open.reset();
    }

    /// Sends a GOAWAY on the connection of HTTP/2. Its streams go on.
    pub fn go_away(&self) {
        self.open.going_away.notify_one();
    }

    /// Waits until the client has closed the connection, or in HTTP/2 has reset the stream.
    pub async fn gone(mut self) {
        if let Wire::H2Body(stream) = &mut self.wire {
            let reset = std::future::poll_fn(|context| stream.poll_reset(context));
            let _reason = guarded("the other side to reset the stream", reset).await;
            return;
        }
        guarded("the other side to close the connection", over(self.gone)).await;
    }

    /// A receiver that is closed when the connection has ended.
    pub fn watch_gone(&self) -> Gone {
        self.gone.clone()
    }

    /// After a 101: the connection itself.
    pub fn upgraded(self) -> (Tunnel, Writer) {
        let Wire::Http1(writer, _) = self.wire else { panic!("upgrades are for HTTP/1") };
        (self.tunnel.expect("the request asked for no upgrade"), writer)
    }
}
