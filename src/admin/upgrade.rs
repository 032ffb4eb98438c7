//! `manifold upgrade`: asks the process that runs with a configuration to start a new process in its place.

use super::call::{Listener, Unanswered, call};
use crate::config::{Addresses, ListenAddr, Networks, Token};
use crate::web::within_reach;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long a new process may take to start serving.
pub const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// How long the whole exchange may take. The process that is asked needs some time for itself.
const PATIENCE: Duration = STARTS_WITHIN.saturating_add(Duration::from_secs(15));

/// The bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// The address to ask, and what the request must bear.
#[derive(Debug)]
pub struct Upgrade {
    address: ListenAddr,
    token: Option<Token>,
}

/// Why no new process has taken over, or why nobody knows whether one has.
#[derive(Debug, thiserror::Error)]
pub enum NotUpgraded {
    /// The configuration has no admin address.
    #[error("there is no address to ask: turn on [server] admin, or send SIGQUIT to the process")]
    NoAddress,
    /// The configuration does not say where the process listens.
    #[error(
        "{0} has port 0, so the system chooses a port at each start: set a port in [server] admin, or send SIGQUIT to \
         the process"
    )]
    UnknownPort(SocketAddr),
    /// The runtime for the question cannot start.
    #[error("cannot ask: {0}")]
    NoRuntime(io::Error),
    /// No process listens on the address, or it cannot be reached.
    #[error(
        "{0} cannot be reached: {1}: does a process run with this configuration? If [server] admin was changed after \
         its start, send SIGQUIT to the process"
    )]
    Unreachable(ListenAddr, io::Error),
    /// The connection was lost, or the answer was not HTTP.
    #[error("{0} gave no answer: {1}: the log of the process has the outcome")]
    NoAnswer(ListenAddr, hyper::Error),
    /// No answer came in time.
    #[error("{0} did not answer within {secs} seconds: the log of the process has the outcome", secs = PATIENCE.as_secs())]
    Silent(ListenAddr),
    /// The process wants another token.
    #[error("{0} refuses the token of {1}: check that the process reads the same file ([server] admin_token_file)")]
    WrongToken(ListenAddr, String),
    /// The process wants a token, and the configuration names none.
    #[error("{0} needs a token: set [server] admin_token_file to the file that the process reads")]
    NoToken(ListenAddr),
    /// The process does not know the request.
    #[error("{0} does not know this request, as versions before this one do not: send SIGQUIT to the process")]
    Unknown(ListenAddr),
    /// The process stays.
    #[error("{0}")]
    Refused(String),
    /// Something else answers there.
    #[error("{0} gave an answer that manifold does not give: {1} {2}")]
    Strange(ListenAddr, StatusCode, String),
}

impl Upgrade {
    /// The question for a process with these addresses.
    ///
    /// # Errors
    /// When there is no address to ask.
    pub fn of(addresses: &Addresses) -> Result<Self, NotUpgraded> {
        let address = match addresses.admin.clone().ok_or(NotUpgraded::NoAddress)? {
            ListenAddr::Tcp(tcp) if tcp.port() == 0 => return Err(NotUpgraded::UnknownPort(tcp)),
            ListenAddr::Tcp(tcp) => ListenAddr::Tcp(within_reach(tcp)),
            unix @ ListenAddr::Unix(_) => unix,
        };
        Ok(Self { address, token: addresses.admin_token.clone() })
    }

    /// Asks, and waits for the outcome. Returns the process id of the new process.
    ///
    /// # Errors
    /// Why no new process has taken over.
    pub async fn ask(self) -> Result<u32, NotUpgraded> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/api/upgrade");
        request.headers_mut().insert(HeaderName::from_static("x-manifold-action"), HeaderValue::from_static("1"));
        if let Some(bearer) = self.token.as_ref().and_then(|token| HeaderValue::try_from(token.bearer()).ok()) {
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let introduced = Networks::default();
        let listener = Listener { address: &self.address, is_tls: false, introduced: &introduced };
        match timeout(PATIENCE, call(listener, request, MAX_ANSWER)).await {
            Ok(Ok((status, text))) => self.judged(status, &text),
            Ok(Err(Unanswered::Unreachable(error) | Unanswered::NoHandshake(error))) => {
                Err(NotUpgraded::Unreachable(self.address, error))
            }
            Ok(Err(Unanswered::NoAnswer(error))) => Err(NotUpgraded::NoAnswer(self.address, error)),
            Err(_) => Err(NotUpgraded::Silent(self.address)),
        }
    }

    /// What an answer means.
    fn judged(self, status: StatusCode, text: &str) -> Result<u32, NotUpgraded> {
        let address = self.address;
        let answer = serde_json::from_str::<Value>(text).unwrap_or_default();
        let process = answer["pid"].as_u64().and_then(|process| u32::try_from(process).ok());
        match (status, process, answer["detail"].as_str()) {
            (StatusCode::OK, Some(process), _) => Ok(process),
            (StatusCode::CONFLICT, _, Some(why)) => Err(NotUpgraded::Refused(why.to_owned())),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, ..) => Err(match self.token {
                Some(token) => NotUpgraded::WrongToken(address, token.file().to_owned()),
                None => NotUpgraded::NoToken(address),
            }),
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, ..) => Err(NotUpgraded::Unknown(address)),
            _ => Err(NotUpgraded::Strange(address, status, text.chars().take(200).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SystemSources};

    /// The question of a configuration with these lines under `[server]`, beside a file `token`.
    fn question(lines: &str) -> Result<Upgrade, NotUpgraded> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "s3cret\n").unwrap();
        let text = format!("[[routes]]\npath = '/'\norigin = 'http://o'\n[server]\n{lines}");
        let server = Config::parse(&text, &SystemSources::beside(&directory.path().join("m.toml"))).unwrap().server;
        let addresses =
            Addresses { admin: server.admin, admin_token: server.admin_access.token, ..Addresses::default() };
        Upgrade::of(&addresses)
    }

    #[test]
    fn the_address_to_ask_is_the_admin_address() {
        for (lines, expected) in [
            ("admin = '127.0.0.1:9090'", "127.0.0.1:9090"),
            ("admin = '0.0.0.0:9090'\nadmin_token_file = 'token'", "127.0.0.1:9090"),
            ("admin = '[::]:9090'\nadmin_token_file = 'token'", "[::1]:9090"),
            ("admin = 'unix:/run/admin'", "unix:/run/admin"),
            ("", "turn on [server] admin, or send SIGQUIT"),
            ("admin = 'off'", "turn on [server] admin, or send SIGQUIT"),
            ("admin = '127.0.0.1:0'", "has port 0"),
        ] {
            let said = match question(lines) {
                Ok(question) => question.address.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(expected), "{lines}: {said}");
        }
    }

    #[test]
    fn an_answer_is_told_in_words() {
        let problem = |detail: &str| format!(r#"{{"title":"x","detail":"{detail}","type":"about:blank"}}"#);
        for (status, text, with_token, expected) in [
            (200, r#"{"pid":7}"#.to_owned(), false, Ok(7)),
            (409, problem("this process drains already"), false, Err("this process drains already")),
            (401, problem("x"), true, Err("refuses the token of token")),
            (403, problem("x"), true, Err("refuses the token of token")),
            (401, problem("x"), false, Err("set [server] admin_token_file")),
            (404, problem("x"), false, Err("send SIGQUIT")),
            (405, problem("x"), false, Err("send SIGQUIT")),
            (200, "ok".to_owned(), false, Err("an answer that manifold does not give: 200 OK ok")),
            (200, r#"{"pid":-1}"#.to_owned(), false, Err("an answer that manifold does not give")),
            (500, String::new(), false, Err("500")),
        ] {
            let token = if with_token { "admin_token_file = 'token'" } else { "" };
            let question = question(&format!("admin = '127.0.0.1:9090'\n{token}")).unwrap();
            let judged = question.judged(StatusCode::from_u16(status).unwrap(), &text);
            match (judged, expected) {
                (Ok(process), Ok(expected)) => assert_eq!(process, expected),
                (Err(error), Err(expected)) => {
                    let error = error.to_string();
                    assert!(error.contains(expected) && !error.contains("s3cret"), "{status} {text}: {error}");
                }
                (judged, _) => panic!("{status} {text}: {judged:?}"),
            }
        }
    }
}
