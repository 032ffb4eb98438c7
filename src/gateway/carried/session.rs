//! A session of pingora on a stream that the engine carries.

use super::heads;
use super::kept::Kept;
use crate::fanout::h2::Code;
use crate::fanout::{Gone, Incoming, Responder};
use crate::fields::content_length;
use crate::gateway::http2::Link;
use crate::gateway::sessions::Decided;
use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A request on a stream, and the response to it.
pub(super) struct StreamSession {
    request: RequestHeader,
    responder: Responder,
    /// The response's head, once it is written.
    written: Option<Box<ResponseHeader>>,
    /// The response has ended.
    has_ended: bool,
    body: Body,
    sent: usize,
    /// What was read of the body, for another try.
    kept: Option<Kept>,
    link: Arc<Link>,
    digest: Digest,
    write_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    drain_timeout: Option<Duration>,
}

/// The body of the request.
#[derive(Debug)]
struct Body {
    /// The client has sent all of it.
    is_over: bool,
    /// The bytes that were read.
    read: usize,
    /// The client was told that it is read.
    is_told: bool,
}

/// What the front decided about a request, on its way through pingora: an extension of the request's head. It is empty
/// until then.
#[derive(Clone, Default)]
pub(in crate::gateway) struct Handed(Arc<Mutex<Option<Box<Decided>>>>);

impl Handed {
    /// The decision about a request, if the front has made one.
    pub(in crate::gateway) fn of(request: &RequestHeader) -> Option<Box<Decided>> {
        request.extensions.get::<Self>()?.0.lock().take()
    }
}

impl StreamSession {
    /// A session for a request on a connection. `ends`: it has no body.
    pub(super) fn new(request: RequestHeader, responder: Responder, ends: bool, link: Arc<Link>) -> Self {
        Self {
            request,
            responder,
            written: None,
            has_ended: false,
            body: Body { is_over: ends, read: 0, is_told: false },
            sent: 0,
            kept: None,
            digest: Digest { proxy_digest: link.digest(), ..Digest::default() },
            link,
            write_timeout: None,
            read_timeout: None,
            drain_timeout: None,
        }
    }

    /// Takes the decision along.
    pub(super) fn is_decided(&self, decided: Decided) {
        if let Some(handed) = self.request.extensions.get::<Handed>() {
            *handed.0.lock() = Some(Box::new(decided));
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        if self.body.is_over {
            return Ok(None);
        }
        if !std::mem::replace(&mut self.body.is_told, true) {
            self.responder.reads();
        }
        match self.responder.next().await {
            Incoming::Data(bytes) => {
                self.responder.consumed(bytes.len());
                self.body.read += bytes.len();
                if let Some(kept) = &mut self.kept {
                    kept.keep(&bytes);
                }
                Ok(Some(bytes))
            }
            Incoming::End(_) => {
                self.body.is_over = true;
                Ok(None)
            }
            Incoming::Gone => Err(left(ErrorType::ReadError)),
        }
    }

    async fn drain(&mut self) -> Result<()> {
        while self.read().await?.is_some() {}
        Ok(())
    }

    /// Resolves when the client leaves.
    async fn idle(&mut self) -> Box<Error> {
        while !matches!(self.responder.next().await, Incoming::Gone) {}
        left(ErrorType::H2Error)
    }

    fn write_head(&mut self, head: Box<ResponseHeader>, ends: bool) {
        if self.has_ended || self.written.is_some() {
            return;
        }
        if head.status.is_informational() {
            if head.status.as_u16() != 101 {
                self.responder.interim(heads::block(&head));
            }
            return;
        }
        self.responder.head(heads::block(&head), ends);
        self.has_ended = ends;
        self.written = Some(head);
    }

    async fn write(&mut self, bytes: Bytes, ends: bool) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        if self.written.is_none() {
            return Error::e_explain(ErrorType::InternalError, "a body before its head");
        }
        let count = bytes.len();
        let sent = self.responder.data(bytes);
        let sent = match self.write_timeout {
            None => sent.await,
            Some(longest) => match timeout(longest, sent).await {
                Ok(sent) => sent,
                Err(_) => {
                    self.link.stalled();
                    let why = format!("writing body, timeout: {longest:?}");
                    return Err(Error::explain(ErrorType::WriteTimedout, why).into_down());
                }
            },
        };
        sent.map_err(|Gone| left(ErrorType::WriteError))?;
        self.sent += count;
        if ends {
            self.end();
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.written.is_some() && !std::mem::replace(&mut self.has_ended, true) {
            self.responder.end();
        }
    }

    fn write_fields_after(&mut self, fields: &HeaderMap) {
        if self.written.is_some() && !std::mem::replace(&mut self.has_ended, true) {
            self.responder.end_with_trailers(heads::trailers(fields));
        }
    }
}

impl Drop for StreamSession {
    fn drop(&mut self) {
        if !self.has_ended && self.link.has_stalled() {
            self.responder.stalled();
        }
    }
}

fn left(kind: ErrorType) -> Box<Error> {
    Error::explain(kind, "the client left the stream").into_down()
}

#[async_trait]
impl Session for StreamSession {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        match self.drain_timeout {
            None => self.drain().await,
            Some(longest) => match timeout(longest, self.drain()).await {
                Ok(drained) => drained,
                Err(_) => Error::e_explain(ErrorType::ReadTimedout, "draining body"),
            },
        }
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.write_head(head, end);
        Ok(())
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_head(Box::new(head.clone()), end);
        Ok(())
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.write(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.write_fields_after(&trailers);
        Ok(())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut ends = false;
        for task in tasks {
            ends |= match task {
                HttpTask::Header(head, end) => {
                    self.write_head(head, end);
                    end
                }
                HttpTask::Body(data, end) => {
                    if let Some(data) = data.filter(|data| !data.is_empty()) {
                        self.write(data, end).await?;
                    }
                    end
                }
                HttpTask::UpgradedBody(..) => {
                    return Error::e_explain(ErrorType::InternalError, "an upgraded body on HTTP/2");
                }
                HttpTask::Trailer(Some(fields)) => {
                    self.write_fields_after(&fields);
                    true
                }
                HttpTask::Trailer(None) | HttpTask::Done => true,
                HttpTask::Failed(error) => return Err(error),
            };
        }
        if ends {
            self.end();
        }
        Ok(ends)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.drain_timeout = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.drain_timeout
    }

    fn request_summary(&self) -> String {
        let path = self.request.uri.path_and_query().map_or("", PathAndQuery::path);
        format!("{} {path}", self.request.method)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        self.has_ended = true;
        self.responder.reset(Code::CANCEL);
    }

    fn is_body_done(&mut self) -> bool {
        self.body.is_over || self.is_body_empty()
    }

    async fn finish(&mut self) -> Result<()> {
        // Without a head, the stream breaks off when the session is dropped.
        self.end();
        Ok(())
    }

    fn is_body_empty(&mut self) -> bool {
        self.body.read == 0 && (self.body.is_over || content_length(&self.request.headers) == Some(0))
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() { Err(self.idle().await) } else { self.read().await }
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.body.read
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.kept.get_or_insert_default();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_truncated())
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.kept.as_ref()?.whole()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
