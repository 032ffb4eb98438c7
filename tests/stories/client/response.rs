//! An answer as it arrives: its head, its events one by one, and how it ended.

use super::Socket;
use super::connection::Connection;
use super::event_stream::{Event, EventStream};
use crate::guard::Deadline;
use crate::http1::{Framing, Head, Headers, Io, Piece};
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use std::fmt;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The answer was complete in its framing. In HTTP/1.x a FIN followed, unless the head said that the connection
    /// is kept. In HTTP/2 the stream ended.
    Orderly,
    /// A FIN before the answer was complete, or in HTTP/2 a reset of the stream.
    Cut,
    /// A reset of the connection.
    Reset,
}

impl End {
    /// The end that an error of a connection of HTTP/1.x means. In TLS, a FIN is an error unless the other side has said
    /// that it ends.
    fn of(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::UnexpectedEof { Self::Cut } else { Self::Reset }
    }

    fn of_http2(error: &h2::Error) -> Self {
        let is_reset = error.get_io().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        if is_reset { Self::Reset } else { Self::Cut }
    }
}

enum Body {
    Http1 { connection: Connection, framing: Framing, complete: bool },
    Http2 { body: RecvStream, _request: SendStream<Bytes>, socket: Socket },
}

/// An answer whose head has come.
pub struct Response {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body so far, without framing.
    pub bytes: Vec<u8>,
    /// How the body is framed; `None` in HTTP/2.
    pub framing: Option<Framing>,
    stream: EventStream,
    body: Body,
}

impl Response {
    pub(super) fn of_http1(head: Head, connection: Connection, head_only: bool) -> Self {
        let status = head.first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("not a status line: {:?}", head.first));
        let bodiless = head_only || status < 200 || status == 204 || status == 304;
        let framing = Framing::of(&head.headers, Framing::UntilClose);
        let complete = bodiless && status != 101;
        let body = Body::Http1 { connection, framing, complete };
        Self::new(status, head.headers, Some(framing), body)
    }

    /// Asks over HTTP/2, and waits for the head. `window`: the client takes this many bytes before the story reads them.
    pub(super) async fn of_http2(
        request: http::Request<Bytes>,
        window: Option<u32>,
        io: Box<dyn Io>,
        socket: Socket,
    ) -> Result<Self, h2::Error> {
        let mut client = h2::client::Builder::new();
        if let Some(window) = window {
            client.initial_window_size(window);
        }
        let (sender, connection) = client.handshake(io).await?;
        tokio::spawn(connection);
        let (head, content) = request.into_parts();
        let mut sender = sender.ready().await?;
        let request = http::Request::from_parts(head, ());
        let (answer, mut send) = sender.send_request(request, content.is_empty())?;
        if !content.is_empty() {
            send.send_data(content, true)?;
        }
        let (head, body) = answer.await?.into_parts();
        let body = Body::Http2 { body, _request: send, socket };
        Ok(Self::new(head.status.as_u16(), Headers::from(&head.headers), None, body))
    }

    fn new(status: u16, headers: Headers, framing: Option<Framing>, body: Body) -> Self {
        Self { status, headers, bytes: Vec::new(), framing, stream: EventStream::default(), body }
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.one(name)
    }

    /// Fails the test unless this is a stream of events.
    #[must_use]
    pub fn stream(self) -> Self {
        assert_eq!(self.status, 200, "{:?}", self.headers);
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "{:?}", self.headers);
        self
    }

    /// Sets the last event id, as in a client that reconnects.
    #[must_use]
    pub fn resumed_from(mut self, id: &str) -> Self {
        self.stream = EventStream::after(id);
        self
    }

    /// The last event id.
    pub fn last_id(&self) -> &str {
        self.stream.last_id()
    }

    /// The comments that came and that the story has not taken.
    pub fn unread_comments(&self) -> Vec<String> {
        self.stream.comments.iter().cloned().collect()
    }

    /// The next event.
    pub async fn next_event(&mut self) -> Event {
        self.await_some("an event", |response| response.stream.events.pop_front()).await
    }

    /// The next event, or how the answer ended before one came.
    pub async fn event_or_end(&mut self) -> Result<Event, End> {
        let deadline = Deadline::new();
        loop {
            if let Some(event) = self.stream.events.pop_front() {
                return Ok(event);
            }
            if let Some(end) = self.pull("an event or the end", &deadline).await {
                return Err(end);
            }
        }
    }

    /// The data of the next event.
    pub async fn next_data(&mut self) -> String {
        self.next_event().await.data
    }

    /// The next comment, without its colon.
    pub async fn next_comment(&mut self) -> String {
        self.await_some("a comment", |response| response.stream.comments.pop_front()).await
    }

    /// The events that came and that the story has not taken.
    pub fn unread_events(&self) -> Vec<Event> {
        self.stream.events.iter().cloned().collect()
    }

    /// The reconnection times that were set so far.
    pub fn retries(&self) -> &[u64] {
        &self.stream.retries
    }

    /// Reads on until the body holds `text`.
    pub async fn until(&mut self, text: &str) {
        let holds = |response: &mut Self| memchr::memmem::find(&response.bytes, text.as_bytes()).map(drop);
        self.await_some(text, holds).await;
    }

    /// Reads the whole answer. Returns how it ended.
    pub async fn ended(&mut self) -> End {
        let deadline = Deadline::new();
        loop {
            if let Some(end) = self.pull("the end of the answer", &deadline).await {
                return end;
            }
        }
    }

    /// Reads to the end of a complete body. The connection may stay open.
    pub async fn complete(&mut self) {
        let deadline = Deadline::new();
        while !matches!(self.body, Body::Http1 { complete: true, .. }) {
            match self.pull("the end of the body", &deadline).await {
                None => {}
                Some(End::Orderly) => return,
                Some(end) => panic!("the body ended as {end:?} after {}", SoFar(&self.bytes)),
            }
        }
    }

    /// The bytes of the body that were read so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A complete body, as text.
    pub async fn text(&mut self) -> String {
        self.complete().await;
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    /// The connection, after a complete answer or after a change of the protocol.
    pub fn into_connection(self) -> Connection {
        let Body::Http1 { connection, .. } = self.body else { panic!("in HTTP/2 a connection is not ours") };
        connection
    }

    /// Keeps one descriptor instead of two. The connection cannot be [reset](Self::reset) then.
    #[must_use]
    pub fn slim(mut self) -> Self {
        let (Body::Http2 { socket, .. } | Body::Http1 { connection: Connection { socket, .. }, .. }) = &mut self.body;
        *socket = None;
        self
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let (Body::Http2 { socket, .. } | Body::Http1 { connection: Connection { socket, .. }, .. }) = &self.body;
        rustix::net::connect_unspec(socket.as_ref().expect("a client that is not slim")).unwrap();
    }

    async fn await_some<T>(&mut self, what: &str, found: impl Fn(&mut Self) -> Option<T>) -> T {
        let deadline = Deadline::new();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            if let Some(end) = self.pull(what, &deadline).await {
                panic!("the answer ended as {end:?} instead of {what:?}, after {}", SoFar(&self.bytes));
            }
        }
    }

    /// Reads once. Returns how the answer ended, if it did.
    async fn pull(&mut self, what: &str, deadline: &Deadline) -> Option<End> {
        let waiting = Waiting { what, status: self.status, so_far: SoFar(&self.bytes) };
        let data = match &mut self.body {
            Body::Http1 { complete: true, .. } if self.headers.one("connection") == Some("keep-alive") => {
                return Some(End::Orderly);
            }
            Body::Http1 { connection, complete: true, .. } => {
                return Some(match deadline.guarded(waiting, connection.reader.fill()).await {
                    Ok(false) => End::Orderly,
                    Ok(true) => panic!("bytes after the end: {:?}", connection.reader.take()),
                    Err(error) => End::of(&error),
                });
            }
            Body::Http1 { connection, framing, complete } => {
                match deadline.guarded(waiting, connection.reader.piece(framing)).await {
                    Ok(Piece::Data(data)) => data,
                    Ok(Piece::Complete) => {
                        *complete = true;
                        return None;
                    }
                    Ok(Piece::Fin) if *framing == Framing::UntilClose => return Some(End::Orderly),
                    Ok(Piece::Fin) => return Some(End::Cut),
                    Err(error) => return Some(End::of(&error)),
                }
            }
            Body::Http2 { body, .. } => match deadline.guarded(waiting, body.data()).await {
                Some(Ok(data)) => {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    data
                }
                Some(Err(error)) => return Some(End::of_http2(&error)),
                None => return Some(End::Orderly),
            },
        };
        self.stream.feed(&data);
        self.bytes.extend_from_slice(&data);
        None
    }
}

/// The bytes so far, for the message of a failure. They are formatted only if it fails.
struct SoFar<'a>(&'a [u8]);

impl fmt::Display for SoFar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 2000;
        let shown = &self.0[self.0.len().saturating_sub(SHOWN)..];
        write!(f, "{} bytes, ending in {:?}", self.0.len(), String::from_utf8_lossy(shown))
    }
}

/// The words for what a wait is for. They are formatted only if the wait fails.
struct Waiting<'a> {
    what: &'a str,
    status: u16,
    so_far: SoFar<'a>,
}

impl fmt::Display for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of a {} after {}", self.what, self.status, self.so_far)
    }
}
