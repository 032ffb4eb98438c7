//! One request to a server: the connection, the head, and the body that follows.

use super::facts::{Connection, Head};
use super::question::Target;
use crate::upstream::{
    Connector, NamedBy, NoWire, Origin, SystemTrust, SystemTrustError, USER_AGENT, Unanswered, UpstreamOptions, Wire,
};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, HOST, HeaderMap, USER_AGENT as USER_AGENT_FIELD};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The most fields of a head.
const MAX_FIELDS: usize = 256;

/// How long a connection may take to end when a request on it has failed.
const UNWINDING: Duration = Duration::from_secs(1);

/// Makes connections and sends requests.
#[derive(Debug)]
pub(super) struct Asker {
    /// Where the targets are named.
    named_by: NamedBy,
    /// The connectors for targets in the clear and over TLS.
    plain: Option<Connector>,
    tls: Option<Connector>,
}

/// A connection on which requests are sent, one after the other.
pub(super) struct Link {
    sender: Sender,
    origin: Origin,
    named_by: NamedBy,
    /// Drives the connection.
    task: JoinHandle<Result<(), hyper::Error>>,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// An answer whose head was read.
pub(super) struct Answer {
    pub head: Head,
    pub body: Incoming,
    /// When the request was sent.
    pub since: Instant,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoConnection {
    /// The certificates of the system cannot be used.
    #[error("{why}", why = without_trust(.0, *.1))]
    Trust(SystemTrustError, NamedBy),
    /// There is none to the server.
    #[error(transparent)]
    NoWire(#[from] NoWire),
    /// There is one, but HTTP did not begin on it in time.
    #[error("HTTP did not begin in time")]
    Late,
    /// There is one, but HTTP did not begin on it.
    #[error("HTTP did not begin: {0}")]
    NoHttp(String),
}

fn without_trust(why: &SystemTrustError, named_by: NamedBy) -> String {
    match named_by {
        NamedBy::Route => why.to_string(),
        NamedBy::Url => {
            format!("{}: a URL with https:// needs the system's certificates, unless there is --ca-file", why.cause())
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// None came in time.
    Late,
    /// In the words of the log.
    Failed(String),
    /// What came is no answer. In the words of the log.
    Garbled(String),
}

impl Asker {
    /// Nothing is connected yet.
    pub(super) fn new(named_by: NamedBy) -> Self {
        Self { named_by, plain: None, tls: None }
    }

    /// Makes a connection, by the trust and with the time limits of `options`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn connect(
        &mut self,
        target: &Target,
        options: &UpstreamOptions,
    ) -> Result<(Link, Connection), NoConnection> {
        let named_by = self.named_by;
        let connector =
            self.connector(&target.origin, options).map_err(|error| NoConnection::Trust(error, named_by))?;
        let wire = connector.wire(&target.origin, named_by, options).await?;
        let (address, took, tls) = (wire.address, wire.took, wire.tls.clone());
        let connection = Connection { address, took, tls, at: SystemTime::now() };
        let link = timeout(options.connect_timeout, Link::over(wire, &target.origin, named_by)).await;
        Ok((link.unwrap_or(Err(NoConnection::Late))?, connection))
    }

    fn connector(&mut self, origin: &Origin, options: &UpstreamOptions) -> Result<Connector, SystemTrustError> {
        if !origin.is_tls() || options.trusted.is_some() {
            return Ok(self.plain.get_or_insert_with(Connector::new).clone());
        }
        if let Some(connector) = &self.tls {
            return Ok(connector.clone());
        }
        let connector = Connector::trusting(SystemTrust::read()?);
        Ok(self.tls.insert(connector).clone())
    }
}

impl Link {
    async fn over(wire: Wire, origin: &Origin, named_by: NamedBy) -> Result<Self, NoConnection> {
        let no_http = |error: hyper::Error| NoConnection::NoHttp(error.to_string());
        let (is_http2, origin) = (wire.is_http2, origin.clone());
        let stream = TokioIo::new(wire.into_stream());
        // A connection ends when its sender and the bodies of its answers are dropped. Its errors are those of the
        // requests, too.
        let (sender, task) = if is_http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.map_err(no_http)?;
            (Sender::Http2(sender), tokio::spawn(connection))
        } else {
            let mut http = http1::Builder::new();
            http.max_headers(MAX_FIELDS);
            let (sender, connection) = http.handshake(stream).await.map_err(no_http)?;
            (Sender::Http1(sender), tokio::spawn(connection))
        };
        Ok(Self { sender, origin, named_by, task })
    }

    /// Sends a request, and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(
        &mut self,
        method: &Method,
        path_and_query: &str,
        fields: &HeaderMap,
        patience: Duration,
    ) -> Result<Answer, NoAnswer> {
        let request =
            self.request(method, path_and_query, fields).map_err(|error| NoAnswer::Failed(error.to_string()))?;
        let since = Instant::now();
        let answered = async {
            match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        match timeout(patience, answered).await {
            Err(_) => Err(NoAnswer::Late),
            Ok(Err(error)) if is_garbled(&error) => {
                Err(NoAnswer::Garbled(words(&error, (&self.origin, self.named_by))))
            }
            Ok(Err(error)) => Err(NoAnswer::Failed(words(&error, (&self.origin, self.named_by)))),
            Ok(Ok(response)) => Ok(Answer::of(response, since)),
        }
    }

    /// Whether something came that is no answer to a request, when a request has failed for this reason.
    pub(super) async fn ends_garbled(self, why: &NoAnswer) -> bool {
        if matches!(why, NoAnswer::Garbled(_)) {
            return true;
        }
        drop(self.sender);
        match timeout(UNWINDING, self.task).await {
            Ok(Ok(Err(error))) => is_garbled(&error),
            _ => false,
        }
    }

    /// HTTP/1.1 names the host in a field, HTTP/2 in the URI.
    fn request(
        &self,
        method: &Method,
        path_and_query: &str,
        fields: &HeaderMap,
    ) -> Result<Request<Empty<Bytes>>, http::Error> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.headers_mut() = fields.clone();
        let host = self.origin.authority();
        match &self.sender {
            Sender::Http1(_) => {
                *request.uri_mut() = Uri::try_from(path_and_query)?;
                if !fields.contains_key(HOST) {
                    request.headers_mut().insert(HOST, HeaderValue::try_from(host)?);
                }
            }
            Sender::Http2(_) => {
                let named = request.headers_mut().remove(HOST);
                let named = named.as_ref().and_then(|host| host.to_str().ok()).unwrap_or(&host);
                let scheme = if self.origin.is_tls() { "https" } else { "http" };
                let uri = Uri::builder().scheme(scheme).authority(named).path_and_query(path_and_query);
                *request.uri_mut() = uri.build()?;
            }
        }
        Ok(request)
    }
}

impl Answer {
    fn of(response: Response<Incoming>, since: Instant) -> Self {
        let (head, body) = response.into_parts();
        let head = Head { status: head.status, version: head.version, fields: head.headers, took: since.elapsed() };
        Self { head, body, since }
    }
}

/// Why a request brought no answer, in the words of the log.
fn words(error: &hyper::Error, (origin, named_by): (&Origin, NamedBy)) -> String {
    if error.is_parse_too_large() {
        return "the response head is larger than 400 KiB or has more than 256 fields, which is the limit".to_owned();
    }
    if error.is_parse() {
        // hyper tells the kinds of these errors only in their texts.
        let said = error.to_string();
        return if said.contains("version") || said.contains("status") {
            Unanswered::NoHttp.words(origin, named_by)
        } else {
            "a field of the response head is malformed".to_owned()
        };
    }
    if is_garbled(error) {
        return Unanswered::NoHttp.words(origin, named_by);
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_reset(error) {
        return Unanswered::Closed.words(origin, named_by);
    }
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// Whether what came is no answer to a request, or came before there was one.
fn is_garbled(error: &hyper::Error) -> bool {
    // hyper tells the second only in a text, which may be that of the cause: a request that was waiting is cancelled.
    let is_unasked = |error: &dyn std::error::Error| error.to_string().contains("unexpected message");
    error.is_parse() || is_unasked(error) || std::error::Error::source(error).is_some_and(is_unasked)
}

fn is_reset(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|error| error.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe))
}

/// The fields of a browser's request for a stream, and those of the command line in their place.
pub(super) fn browser_fields(own: &[(HeaderName, HeaderValue)], coding: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    fields.insert(USER_AGENT_FIELD, HeaderValue::from_static(USER_AGENT));
    fields.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
    for (name, _) in own {
        fields.remove(name);
    }
    for (name, value) in own {
        fields.append(name, value.clone());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A body after the answer to HEAD may be read before the next request is sent, when that waits already.
    #[tokio::test]
    async fn bytes_that_nobody_asked_for_are_told_even_if_the_next_request_waits_already() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url::Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || listener.accept().unwrap().0);
        let mut asker = Asker::new(NamedBy::Url);
        let (mut link, _) = asker.connect(&Target::of(&url).unwrap(), &UpstreamOptions::default()).await.unwrap();
        let mut server = server.join().unwrap();
        let answer = std::thread::spawn(move || {
            assert!(server.read(&mut [0; 4096]).unwrap() > 0);
            server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            server
        });
        let fields = HeaderMap::new();
        drop(link.ask(&Method::HEAD, "/", &fields, Duration::from_secs(10)).await.unwrap());
        let mut server = answer.join().unwrap();
        server.write_all(b"5\r\n: hi\n\r\n").unwrap();
        // The runtime hears of these bytes here, and runs this task before that of the connection.
        tokio::task::yield_now().await;
        let next = link.ask(&Method::HEAD, "/", &fields, Duration::from_secs(10)).await;
        let Err(NoAnswer::Garbled(why)) = next else { panic!("{:?}", next.map(|answer| answer.head.status)) };
        assert!(why.contains("HTTP"), "{why}");
    }
}
