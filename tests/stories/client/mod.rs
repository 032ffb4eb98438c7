//! A client. The story controls every byte of its request, and every byte of the answer is kept.

mod connection;
mod event_stream;
mod response;

pub use connection::{AUTHORITY, Connection, Target};
pub use event_stream::{Event, event};
pub use response::{End, Response};

use crate::guard::guarded;
use crate::http1::Headers;
use crate::origin::{Authority, Version};
use bytes::Bytes;
use connection::Wants;
use std::io;
use std::os::fd::OwnedFd;

/// The protocol of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// That of the target.
    OfTarget,
    Http10,
    Http11,
    Http2,
}

/// A request, built up.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    method: &'static str,
    target: String,
    headers: Headers,
    body: Option<String>,
    speech: Speech,
    receive_buffer: Option<u32>,
    authority: Option<(&'a Authority, Version)>,
}

impl<'a> Client<'a> {
    /// `GET` of a target, in the protocol of the stories' mode.
    pub fn get(target: impl Into<String>) -> Self {
        Self::method("GET", target)
    }

    /// A request with another method.
    pub fn method(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Headers::default(),
            body: None,
            speech: Speech::OfTarget,
            receive_buffer: None,
            authority: None,
        }
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Adds a header field. A `Host` replaces the default one.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "stories read better without a borrow")]
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// Resumes after an event.
    #[must_use]
    pub fn after(self, id: impl ToString) -> Self {
        self.header("Last-Event-ID", id)
    }

    /// Sends a body, with its length.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("Content-Length", body.len())
    }

    /// Speaks HTTP/1.0, as nginx does to its upstreams by default.
    #[must_use]
    pub fn http10(mut self) -> Self {
        self.speech = Speech::Http10;
        self
    }

    /// Speaks HTTP/1.1 in each mode, because the request is about it.
    #[must_use]
    pub fn http11(mut self) -> Self {
        self.speech = Speech::Http11;
        self
    }

    /// Speaks HTTP/2: in the clear with prior knowledge, or over TLS.
    #[must_use]
    pub fn h2(mut self) -> Self {
        self.speech = Speech::Http2;
        self
    }

    /// Gives the socket a small receive buffer, so that the gateway soon notices a client that does not read. It is not
    /// smaller, because a client that reads on must get its bytes soon: with a window of a few hundred bytes, Linux sends
    /// some two kilobytes a second on a busy machine.
    #[must_use]
    pub fn small_receive_buffer(mut self) -> Self {
        self.receive_buffer = Some(16 << 10);
        self
    }

    /// Speaks TLS, trusting this authority.
    #[must_use]
    pub fn tls(self, authority: &'a Authority) -> Self {
        self.tls_of(authority, Version::Tls13)
    }

    /// Speaks this version of TLS, trusting this authority.
    #[must_use]
    pub fn tls_of(mut self, authority: &'a Authority, version: Version) -> Self {
        self.authority = Some((authority, version));
        self
    }

    /// Connects, asks, and waits for the head of the answer.
    pub async fn connect(self, target: impl Into<Target>) -> Response {
        let what = format!("the answer to {} {}", self.method, self.target);
        let target = target.into();
        let answer = guarded(&what, Box::pin(self.ask(&target))).await;
        answer.unwrap_or_else(|error| panic!("{what} did not come from {target:?}: {error}"))
    }

    /// Connects and asks, although the gateway may be dead or die. `None`: no head of an answer came.
    pub async fn try_connect(self, target: impl Into<Target>) -> Option<Response> {
        let what = format!("the answer to {} {}, or its failure", self.method, self.target);
        guarded(what, Box::pin(self.ask(&target.into()))).await.ok()
    }

    async fn ask(self, target: &Target) -> io::Result<Response> {
        let http2 = match self.speech {
            Speech::OfTarget => target.is_http2(),
            Speech::Http10 | Speech::Http11 => false,
            Speech::Http2 => true,
        };
        let wants = Wants { receive_buffer: self.receive_buffer, tls: self.authority, http2 };
        let (io, socket) = connection::open(target, wants).await?;
        if http2 {
            let answer = Response::of_http2(self.http2_request(target), self.receive_buffer, io, socket);
            return answer.await.map_err(io::Error::other);
        }
        let mut connection = Connection::new(io, socket);
        connection.send(&self.to_bytes(target)).await;
        connection.try_response(self.method == "HEAD").await
    }

    /// Asks on a connection that is open already.
    pub async fn on(self, mut connection: Connection) -> Response {
        connection.send(&self.to_bytes(&Target::None)).await;
        connection.response(self.method == "HEAD").await
    }

    fn to_bytes(&self, target: &Target) -> Vec<u8> {
        let version = if self.speech == Speech::Http10 { "HTTP/1.0" } else { "HTTP/1.1" };
        let mut head = format!("{} {} {version}\r\n", self.method, self.target);
        if self.headers.one("host").is_none() {
            head += &format!("Host: {}\r\n", target.host());
        }
        for (name, value) in &self.headers.0 {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head += self.body.as_deref().unwrap_or_default();
        head.into_bytes()
    }

    fn http2_request(&self, target: &Target) -> http::Request<Bytes> {
        let scheme = if self.authority.is_some() || target.tls().is_some() { "https" } else { "http" };
        let host = self.headers.one("host").map_or_else(|| target.host(), str::to_owned);
        // The text of a URI has no place for an asterisk (RFC 9113, section 8.3.1).
        let uri = http::Uri::builder().scheme(scheme).authority(host).path_and_query(&*self.target).build().unwrap();
        let mut request = http::Request::builder().method(self.method).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in self.headers.0.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
            request = request.header(name.to_ascii_lowercase(), value);
        }
        request.body(self.body.clone().unwrap_or_default().into()).unwrap()
    }
}

/// A descriptor of a connection, to reset it.
type Socket = Option<OwnedFd>;
