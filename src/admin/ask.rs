//! `manifold healthcheck`: asks a running process with the same configuration whether it is healthy.

use super::call::{Listener, Unanswered, call};
use crate::config::{Addresses, ListenAddr, Networks};
use crate::web::within_reach;
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long the whole exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The bytes of an answer that are read.
const MAX_ANSWER: usize = 256;

/// The question, and the address to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    address: ListenAddr,
    /// Whether the address speaks TLS. It is then a TCP address.
    is_tls: bool,
    /// The peers whose connections begin with a header of the PROXY protocol.
    introduced: Networks,
    subject: Subject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// `/readyz` of the admin address.
    Ready,
    /// Whether a listener answers at all: `OPTIONS *` (RFC 9110, section 9.3.7), which never reaches an origin.
    Answers,
}

impl Subject {
    fn request(self) -> (Method, &'static str) {
        match self {
            Self::Ready => (Method::GET, "/readyz"),
            Self::Answers => (Method::OPTIONS, "*"),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, target) = self.subject.request();
        let tls = if self.is_tls { " with TLS" } else { "" };
        write!(f, "{}{tls}, {method} {target}", self.address)
    }
}

/// Why a process is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// The configuration does not say where the process listens.
    #[error("{0} has port 0, so the system chooses a port at each start: set a port that healthcheck can use")]
    UnknownPort(SocketAddr),
    /// The configuration names no address.
    #[error("there is no address to ask: set server.admin")]
    NoAddress,
    /// Only clients with a certificate may ask, and this one has none.
    #[error(
        "{0} is only for clients with a certificate (server.tls.client_auth is \"required\"), and healthcheck has none: \
         set server.admin"
    )]
    NeedsCertificate(SocketAddr),
    /// The runtime for the question cannot start.
    #[error("cannot ask: {0}")]
    NoRuntime(io::Error),
    /// No process listens on the address, or it cannot be reached.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(ListenAddr, io::Error),
    /// The address did not answer in TLS, or closed the connection.
    #[error("{0} made no TLS handshake: {1}")]
    NoHandshake(ListenAddr, io::Error),
    /// The answer was not HTTP, or the connection was lost.
    #[error("{0} gave no answer: {1}")]
    NoAnswer(ListenAddr, hyper::Error),
    /// No answer came in time.
    #[error("{0} did not answer within {secs} seconds", secs = PATIENCE.as_secs())]
    Silent(ListenAddr),
    /// The process says that it is not ready.
    #[error("{0} says {1}: {2}")]
    NotReady(ListenAddr, StatusCode, String),
}

impl Question {
    /// The question for a process with these addresses: whether it is ready or, without an admin address, whether its
    /// first listener answers. A listener with TLS is asked only if there is no other. If the listener is on a wildcard
    /// address, the loopback address is asked.
    ///
    /// # Errors
    /// Fails when the configuration does not name the port, and when only clients with a certificate may ask.
    pub fn of(addresses: &Addresses) -> Result<Self, Unhealthy> {
        let Addresses { admin, listen, tls, needs_certificate, introduced, .. } = addresses;
        let (address, is_tls, subject) = match (admin, listen.first(), tls.first()) {
            (Some(admin), _, _) => (admin.clone(), false, Subject::Ready),
            (None, Some(first), _) => (first.clone(), false, Subject::Answers),
            (None, None, Some(first)) if *needs_certificate => return Err(Unhealthy::NeedsCertificate(*first)),
            (None, None, Some(first)) => (ListenAddr::Tcp(*first), true, Subject::Answers),
            (None, None, None) => return Err(Unhealthy::NoAddress),
        };
        // The header is for the addresses of clients.
        let introduced = if subject == Subject::Answers { introduced.clone() } else { Networks::default() };
        let address = match address {
            ListenAddr::Tcp(tcp) if tcp.port() == 0 => return Err(Unhealthy::UnknownPort(tcp)),
            ListenAddr::Tcp(tcp) => ListenAddr::Tcp(within_reach(tcp)),
            ListenAddr::Unix(_) => address,
        };
        Ok(Self { address, is_tls, introduced, subject })
    }

    /// Asks. Returns the text that reports a healthy process.
    ///
    /// # Errors
    /// Why the process is not healthy.
    pub async fn ask(self) -> Result<String, Unhealthy> {
        match timeout(PATIENCE, self.exchange()).await {
            Ok(answer) => self.judged(answer?),
            Err(_) => Err(Unhealthy::Silent(self.address)),
        }
    }

    async fn exchange(&self) -> Result<(StatusCode, String), Unhealthy> {
        let (method, target) = self.subject.request();
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(target);
        let listener = Listener { address: &self.address, is_tls: self.is_tls, introduced: &self.introduced };
        call(listener, request, MAX_ANSWER).await.map_err(|why| self.unhealthy(why))
    }

    fn unhealthy(&self, why: Unanswered) -> Unhealthy {
        let address = self.address.clone();
        match why {
            Unanswered::Unreachable(error) => Unhealthy::Unreachable(address, error),
            Unanswered::NoHandshake(error) => Unhealthy::NoHandshake(address, error),
            Unanswered::NoAnswer(error) => Unhealthy::NoAnswer(address, error),
        }
    }

    /// Any answer of a listener is healthy, also an error: a process at its limits is alive.
    fn judged(self, (status, text): (StatusCode, String)) -> Result<String, Unhealthy> {
        match self.subject {
            Subject::Answers => Ok(format!("healthy: {} answers", self.address)),
            Subject::Ready if status == StatusCode::OK => Ok(format!("healthy: {} says {text}", self.address)),
            Subject::Ready => Err(Unhealthy::NotReady(self.address, status, text)),
        }
    }
}
