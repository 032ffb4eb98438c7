//! Writes to one client through its pingora session, and counts what it writes.

use super::after::come_back;
pub(super) use super::broken::Broken;
use super::broken::broken;
use super::connection::Connection;
use super::deadlines::Lifecycle;
use super::http2::{Link, StallLimit};
use super::presence::Present;
use super::progress::Progress;
use super::reader::{Reader, Writing};
use super::reply::Reply;
use super::socket::{self, Witness};
use super::wire::response_head;
use crate::counters::RouteCounters;
use crate::fanout::{self, Due, Pace, Sent, due_while_blocked};
use crate::sse::{Frame, HEARTBEAT};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use pingora::ErrorType;
use pingora::protocols::http::ServerSession;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// How often to look whether bytes arrive while a write waits.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// The most bytes of an unwanted request body that a client in a session may send while its response lasts.
const MOST_UNWANTED_BYTES: usize = 16 << 10;

/// The response to one client while it is being written.
pub(super) struct Writer<'a> {
    session: &'a mut ServerSession,
    /// The connection of an HTTP/2 stream.
    link: Option<Arc<Link>>,
    counters: Option<&'a RouteCounters>,
    /// When the request came. `None`: it is not measured how long the answer takes.
    asked: Option<Instant>,
    /// The bytes of an unwanted request body that were read and dropped.
    unwanted_bytes: usize,
    /// Whether the request's body was read to its end.
    is_body_over: bool,
    sent: Sent,
    /// The reader of a shared stream that this client is. It is judged while a write waits.
    reader: Option<Reader>,
    /// What an operator is shown of the client.
    present: Option<Arc<Present>>,
    /// Whether the response broke off in the middle of a text, though its departure is an orderly one.
    is_cut: bool,
    progress: Progress,
    /// Says whether the process drains. In a drain no connection is kept.
    lifecycle: Option<&'a watch::Receiver<Lifecycle>>,
    /// Whether the response head promises that the connection serves another request.
    is_kept: bool,
    /// How long the connection of an HTTP/2 stream may take nothing.
    stall_limit: Option<StallLimit>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(session: &'a mut ServerSession) -> Self {
        let link = Link::of(session);
        Self {
            session,
            link,
            counters: None,
            asked: None,
            unwanted_bytes: 0,
            is_body_over: false,
            sent: Sent::default(),
            reader: None,
            present: None,
            is_cut: false,
            progress: Progress::default(),
            lifecycle: None,
            is_kept: false,
            stall_limit: None,
        }
    }

    /// A writer for a stream. It counts what it writes for the route.
    pub(super) fn of_stream(
        session: &'a mut ServerSession,
        counters: &'a RouteCounters,
        lifecycle: &'a watch::Receiver<Lifecycle>,
    ) -> Self {
        Self { counters: Some(counters), lifecycle: Some(lifecycle), ..Self::new(session) }
    }

    /// The response answers a request that came at this time. It is measured how long its head and its first event take.
    pub(super) fn answers(&mut self, asked: Instant) {
        self.asked = Some(asked);
    }

    /// Counts how long the delivery took of this many events, which were written together. `appended`: when the first of
    /// them was appended to the log.
    pub(super) fn count_lag(&self, appended: Option<Instant>, events: usize) {
        if let (Some(counters), Some(appended)) = (self.counters, appended) {
            counters.delivery_lag.observe_time(appended.elapsed(), events as u64);
        }
    }

    /// Whether the response head promises that the connection serves another request.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Whether the engine can give the connection back after an orderly end.
    pub(super) fn comes_back(&self) -> bool {
        self.connection().is_some_and(Connection::comes_back)
    }

    /// The client reads a shared stream from now on, under the policy of its route. While a write waits, the stream is
    /// told whether bytes arrive at the client, and the client is judged for what the log drops.
    pub(super) fn reads(&mut self, reader: Reader) {
        self.reader = Some(reader);
    }

    /// An operator is shown the client from now on, and may end it.
    pub(super) fn shows(&mut self, present: &Arc<Present>) {
        self.present = Some(Arc::clone(present));
    }

    /// Whether an operator ended the client in the middle of a text. Nothing more may be sent then.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The policy of the client's route changed.
    pub(super) fn renew(&mut self, pace: &Pace) {
        if let Some(reader) = &mut self.reader {
            reader.renew(pace);
        }
        if self.progress.stall == pace.stall {
            return;
        }
        self.progress.stall = pace.stall;
        self.stall_limit = self.link.as_ref().map(|link| link.limit_stall(pace.stall));
        self.session.set_write_timeout(Some(pace.stall));
        // The kernel does not judge a trusted client. It gets the new limit when that ends.
        if let Some(connection) = self.connection().filter(|_| !self.progress.trust.is_given()) {
            fanout::limit_stall(connection, Some(pace.stall));
        }
    }

    /// Notes that the client has been sent `events` events in all.
    pub(super) fn count_events(&mut self, events: u64) {
        if let Some(counters) = self.counters {
            counters.events_out.add(events.saturating_sub(self.sent.events));
            if let Some(asked) = self.asked.filter(|_| self.sent.events == 0 && events > 0) {
                counters.time_to_first_event.observe_time(asked.elapsed(), 1);
            }
        }
        self.sent.events = events;
    }

    /// Whether a write had to wait for the client since this was last asked.
    pub(super) fn had_to_wait(&mut self) -> bool {
        std::mem::take(&mut self.progress.has_waited)
    }

    /// What was sent to the client.
    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    /// The version of the request.
    pub(super) fn version(&self) -> Version {
        self.session.req_header().version
    }

    /// The version of the request, if the connection can leave the session for the engine. It can if the protocol is
    /// HTTP/1.x and the request has no body.
    pub(super) fn can_hand_over(&mut self) -> Option<Version> {
        let is_ready =
            !self.is_http2() && self.session.is_body_empty() && self.connection().is_some_and(Connection::can_leave);
        is_ready.then(|| self.session.req_header().version)
    }

    /// Makes the session give its connection back without a response.
    pub(super) fn hand_over(&mut self) {
        come_back(self.session);
    }

    /// The connection of the session. `None`: the session is a stream of HTTP/2.
    fn connection(&self) -> Option<&Connection> {
        self.session.stream().and_then(Connection::within)
    }

    fn is_http2(&self) -> bool {
        self.version() == Version::HTTP_2
    }

    fn is_chunked(&self) -> bool {
        self.session.req_header().version == Version::HTTP_11
    }

    /// Writes the head of a stream.
    pub(super) async fn head(&mut self, headers: HeaderMap, stall: Duration) -> Result<(), Broken> {
        self.begin(StatusCode::OK, headers, stall, true).await
    }

    /// Writes the head of a response of any kind, whose body follows. `stall`: how long the client may take nothing.
    /// `is_stream`: whether to bound the bytes that the kernel buffers for the client.
    pub(super) async fn begin(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        stall: Duration,
        is_stream: bool,
    ) -> Result<(), Broken> {
        let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_sized = is_bodiless || headers.contains_key(CONTENT_LENGTH);
        let until_close = !is_sized && !self.is_chunked() && !self.is_http2();
        let mut head = response_head(status, &headers).map_err(|_| Broken::Left)?;
        if !is_sized && self.is_chunked() {
            head.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked")).map_err(|_| Broken::Left)?;
        }
        if until_close || self.lifecycle.is_some_and(|lifecycle| *lifecycle.borrow() != Lifecycle::Running) {
            // In HTTP/1.0 the end of the connection is the end of the response. In a drain no connection is kept.
            self.session.set_keepalive(None);
        }
        if let Some(connection) = self.connection() {
            if is_stream {
                socket::bound_stream(connection);
            }
            fanout::limit_stall(connection, Some(stall));
            if until_close {
                // A response that breaks off must not look complete. So the connection closes by a reset unless
                // [`Self::end`] is called.
                socket::reset_on_close(connection);
            }
        }
        self.progress.stall = stall;
        self.stall_limit = self.link.as_ref().map(|link| link.limit_stall(stall));
        self.session.set_write_timeout(Some(stall));
        let link = self.link.as_deref();
        self.session.write_response_header(Box::new(head)).await.map_err(|error| broken(&error, link))?;
        if let (Some(counters), Some(asked)) = (self.counters, self.asked) {
            counters.time_to_head.observe_time(asked.elapsed(), 1);
        }
        // pingora gives a promise of the next request up while it writes the head, if the request's body has not arrived.
        self.is_kept = self.session.get_keepalive().is_some();
        come_back(self.session);
        Ok(())
    }

    /// Writes a complete response that is not a stream.
    pub(super) async fn reply(&mut self, reply: Reply) -> pingora::Result<()> {
        let head_only = self.session.req_header().method == http::Method::HEAD;
        let head = response_head(reply.status, &reply.headers)?;
        self.session.write_response_header(Box::new(head)).await?;
        let body = if head_only { Bytes::new() } else { reply.body };
        self.session.write_response_body(body, true).await
    }

    /// Writes frames: a single one of any size, or several that are together no larger than a piece. They share a write,
    /// and are let go of before it, because the write may wait.
    pub(super) async fn frames(&mut self, frames: &mut Vec<Frame>) -> Result<(), Broken> {
        self.count_events(self.sent.events + frames.len() as u64);
        let text = match &frames[..] {
            [only] => only.shared_text(),
            several => several.iter().map(Frame::text).collect::<Vec<_>>().concat().into(),
        };
        frames.clear();
        self.text(text).await
    }

    /// Writes text in pieces.
    pub(super) async fn text(&mut self, text: Bytes) -> Result<(), Broken> {
        let mut writing = Writing::of(text);
        while let Some(piece) = writing.next() {
            self.sent.bytes += piece.len() as u64;
            if let Some(counters) = self.counters {
                counters.bytes_out.add(piece.len() as u64);
            }
            let was_slow = self.progress.is_slow;
            self.piece(piece, &mut writing).await?;
            if was_slow
                && !self.progress.is_slow
                && let Some(connection) = self.session.stream().and_then(Connection::within)
            {
                self.progress.trust.end(connection, self.progress.stall, Instant::now());
            }
        }
        Ok(())
    }

    /// Writes one piece. While the write waits, looks whether bytes arrive at the client. The stream is told when some do,
    /// and when none do for a while. A client at which some arrive does not stall. Without a socket of its own, as on
    /// HTTP/2, a client must take a whole piece within the stall time.
    async fn piece(&mut self, piece: Bytes, writing: &mut Writing) -> Result<(), Broken> {
        let Self { session, link, progress, reader, present, is_cut, .. } = self;
        let transport =
            session.stream().and_then(Connection::within).map(|connection| Arc::clone(connection.transport()));
        let mut witness = None;
        if std::mem::take(&mut progress.is_slow) {
            witness = transport.as_ref().map(|transport| progress.observe(transport));
        }
        // The client is judged here while a piece is written, and by pingora while anything else is.
        session.set_write_timeout(None);
        let mut accepted = Instant::now();
        let written = {
            let mut write = pin!(session.write_response_body(piece, false));
            loop {
                tokio::select! {
                    biased;
                    written = &mut write => break written,
                    () = sleep(LOOKS_EVERY) => {}
                }
                (progress.is_slow, progress.has_waited) = (true, true);
                let now = Instant::now();
                if witness.as_mut().is_some_and(Witness::saw_some) {
                    accepted = now;
                    reader.iter().for_each(|reader| reader.arrived());
                }
                match due_while_blocked(progress.stall, accepted, true, now) {
                    Some(Due::Stall) => return Err(Broken::Stalled),
                    Some(Due::Slowness) => reader.iter().for_each(|reader| reader.found_slow()),
                    _ => {}
                }
                let dismissed = present.as_ref().and_then(|present| present.takes_nothing_since(accepted));
                *is_cut = dismissed.is_some();
                let lags = reader.as_ref().is_some_and(|reader| reader.lags(writing));
                if *is_cut || lags {
                    // The bytes that the client does not take are freed at once.
                    transport.iter().for_each(socket::reset_on_close);
                    return Err(dismissed.unwrap_or(Broken::Lagged));
                }
                // A client that reads costs no observation, because a write that does not wait is not observed.
                witness = witness.or_else(|| transport.as_ref().map(|transport| progress.observe(transport)));
            }
        };
        session.set_write_timeout(Some(progress.stall));
        written.map_err(|error| broken(&error, link.as_deref()))
    }

    pub(super) async fn heartbeat(&mut self) -> Result<(), Broken> {
        if let Some(connection) = self.session.stream().and_then(Connection::within) {
            self.progress.trust.forgive(connection, self.progress.stall);
        }
        self.text(Bytes::from_static(HEARTBEAT)).await
    }

    /// Resolves when the client leaves, or when the kernel gives it up. Otherwise it never resolves. Cancel-safe.
    ///
    /// The body of the request, if it has one, is dropped, one byte per probe of pingora. A client that sends more than
    /// [`MOST_UNWANTED_BYTES`] of it counts as gone. Bytes after the request do not reach the session, because the
    /// [`Connection`] keeps them. A request with an `Upgrade` field is an exception: its end is not known, so all
    /// bytes after its head are dropped like a body.
    pub(super) async fn left(&mut self) -> Broken {
        if self.is_http2() {
            return self.stream_left().await;
        }
        while let Err(error) = self.session.read_body_or_idle(true).await {
            self.unwanted_bytes += 1;
            if *error.etype() != ErrorType::ConnectError || self.unwanted_bytes > MOST_UNWANTED_BYTES {
                return broken(&error, None);
            }
        }
        std::future::pending().await
    }

    /// Resolves when the client of an HTTP/2 stream leaves. The body of the request is read and dropped. An unread body
    /// would use up the flow-control window of the connection, and the other streams could send no bodies.
    async fn stream_left(&mut self) -> Broken {
        loop {
            let is_over = self.is_body_over || self.session.is_body_done();
            match self.session.read_body_or_idle(is_over).await {
                Ok(Some(bytes)) => self.unwanted_bytes += bytes.len(),
                Ok(None) => self.is_body_over = true,
                Err(error) => return broken(&error, self.link.as_deref()),
            }
            if self.unwanted_bytes > MOST_UNWANTED_BYTES {
                return Broken::Left;
            }
        }
    }

    /// Makes the close of the connection an orderly one, in case it was to be a reset.
    pub(super) fn end(&mut self) {
        if let Some(connection) = self.connection() {
            socket::end_on_close(connection);
        }
    }

    /// Makes the close of the connection a reset, because the client stalls. A reset frees at once the bytes that the
    /// client did not take. On HTTP/2 the connection is only told of the stall, because it serves other streams too.
    pub(super) fn reset(&mut self) {
        if let Some(link) = &self.link {
            link.stalled();
        }
        if let Some(connection) = self.connection() {
            socket::reset_on_close(connection);
        }
    }
}
