//! What is asked: the command line, read.

use super::facts::Page;
use crate::fields::is_origin;
use crate::upstream::{InvalidOrigin, InvalidTrust, Origin, Trust, read_url};
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, COOKIE, HOST};
use http::{HeaderName, HeaderValue};
use std::time::Duration;
use url::{Position, Url};

/// A shorter value of a header is not hidden in what a server wrote: it may be there by chance.
const LEAST_SECRET: usize = 6;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct ProbeOptions {
    /// The URL of the stream.
    pub url: String,
    /// How long to listen.
    pub listen: Duration,
    /// Header fields of the request, each as `name: value`.
    pub headers: Vec<String>,
    /// The origin of a page, for CORS.
    pub origin: Option<String>,
    /// Whether the page sends credentials.
    pub credentials: bool,
    /// The `Last-Event-ID` of the first request.
    pub last_event_id: Option<String>,
    /// The certificates in PEM that are trusted instead of the system's.
    pub ca: Option<Vec<u8>>,
}

/// Why a command line asks nothing. No value of a header is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuestion {
    /// The URL.
    #[error("the URL {0}")]
    Url(InvalidOrigin),
    /// A user name or a password in the URL.
    #[error("the URL must not contain a user name or a password: use --header 'authorization: ...'")]
    UserInfo,
    /// A field that is none. They are counted from 1.
    #[error("--header {0} must be 'name: value'")]
    Header(usize),
    /// A field that the probe sets itself.
    #[error("--header must not set {0}, which the probe sets itself")]
    OwnHeader(HeaderName),
    /// The page's origin.
    #[error("--origin must be an origin such as https://app.example, without a path")]
    Origin,
    /// Credentials of no page.
    #[error("--credentials needs --origin")]
    Credentials,
    /// An id that no header can hold.
    #[error("--last-event-id must not contain control characters")]
    LastEventId,
    /// A file of certificates that cannot be read: its path, and why.
    #[error("--ca-file {0}: the file cannot be read: {1}")]
    NoCaFile(String, String),
    /// A file of certificates that holds none, or bad ones.
    #[error("--ca-file: {0}")]
    CaFile(InvalidTrust),
}

/// A server, and what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub origin: Origin,
    pub path_and_query: String,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    pub(super) target: Target,
    pub(super) listen: Duration,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) page: Option<Page>,
    pub(super) last_event_id: Option<HeaderValue>,
    pub(super) trusted: Option<Trust>,
    /// Texts that must not be shown, wherever they come from.
    pub(super) secrets: Vec<String>,
}

impl Question {
    /// Reads the command line.
    ///
    /// # Errors
    /// Fails for the first option that is none.
    pub fn new(options: &ProbeOptions) -> Result<Self, BadQuestion> {
        let url = read_url(&options.url).map_err(BadQuestion::Url)?;
        let target = Target::of(&url)?;
        let headers: Vec<_> = options
            .headers
            .iter()
            .enumerate()
            .map(|(index, line)| header(line).ok_or(BadQuestion::Header(index + 1)))
            .collect::<Result<_, _>>()?;
        if let Some((name, _)) = headers.iter().find(|(name, _)| is_own(name)) {
            return Err(BadQuestion::OwnHeader(name.clone()));
        }
        if options.credentials && options.origin.is_none() {
            return Err(BadQuestion::Credentials);
        }
        let page = options.origin.as_deref().map(|origin| page(origin, options.credentials, &headers)).transpose()?;
        let last_event_id = options.last_event_id.as_deref().map(HeaderValue::from_str).transpose();
        let last_event_id = last_event_id.map_err(|_| BadQuestion::LastEventId)?;
        let trusted = options.ca.as_deref().map(Trust::from_pem).transpose().map_err(BadQuestion::CaFile)?;
        let secrets = headers.iter().filter(|(name, _)| !is_harmless(name)).flat_map(|(_, value)| secrets_of(value));
        let mut secrets: Vec<String> = secrets.collect();
        // A longer secret may hold a shorter one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Self { target, listen: options.listen, headers, page, last_event_id, trusted, secrets })
    }
}

impl Target {
    pub(super) fn of(url: &Url) -> Result<Self, BadQuestion> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadQuestion::UserInfo);
        }
        let root = &url[..Position::BeforePath];
        let origin = Origin::parse(root).map_err(BadQuestion::Url)?;
        let path_and_query = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Self { origin, path_and_query })
    }

    /// The URL without its query, which may hold secrets.
    pub(super) fn shown(&self) -> String {
        let (path, query) =
            self.path_and_query.split_once('?').map_or((self.path_and_query.as_str(), ""), |(path, _)| (path, "?…"));
        format!("{}{path}{query}", self.origin.root_url())
    }
}

/// Reads `name: value`.
fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim().parse().ok()?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// Fields that would make another request of it, or that have an option of their own.
fn is_own(name: &HeaderName) -> bool {
    const OWN: [&str; 7] =
        ["connection", "content-length", "transfer-encoding", "upgrade", "te", "origin", "last-event-id"];
    OWN.contains(&name.as_str())
}

/// Fields whose values are no secrets.
fn is_harmless(name: &HeaderName) -> bool {
    [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HOST].contains(name) || *name == "user-agent"
}

/// Reads the origin of a page.
fn page(origin: &str, credentials: bool, headers: &[(HeaderName, HeaderValue)]) -> Result<Page, BadQuestion> {
    if origin != "null" && !is_origin(origin) {
        return Err(BadQuestion::Origin);
    }
    // The browser itself sends cookies, and asks for no leave to send these fields (Fetch standard, section 2.2.2).
    let is_free = |name: &HeaderName| [ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, COOKIE, HOST].contains(name);
    let mut asks: Vec<HeaderName> =
        headers.iter().map(|(name, _)| name).filter(|name| !is_free(name)).cloned().collect();
    asks.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    asks.dedup();
    Ok(Page { origin: origin.to_owned(), credentials, asks, preflight: None })
}

/// The value of a field, and the parts of it that are secrets of their own: the token behind a scheme, the values of
/// cookies.
fn secrets_of(value: &HeaderValue) -> Vec<String> {
    let whole = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let token = whole.split_once(' ').map(|(_, token)| token.trim().to_owned());
    let cookies =
        whole.split(';').filter_map(|cookie| cookie.split_once('=').map(|(_, value)| value.trim().to_owned()));
    let mut all: Vec<String> = cookies.chain(token).chain([whole.clone()]).collect();
    all.retain(|secret| secret.len() >= LEAST_SECRET);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> ProbeOptions {
        ProbeOptions { url: url.to_owned(), ..ProbeOptions::default() }
    }

    #[test]
    fn a_url_is_taken_apart_and_shown_without_its_query() {
        for (url, root, path, shown) in [
            ("http://h", "http://h", "/", "http://h/"),
            ("http://h:81/a?token=s3cret#x", "http://h:81", "/a?token=s3cret", "http://h:81/a?…"),
            ("HTTPS://H:443/a b", "https://h", "/a%20b", "https://h/a%20b"),
            ("http://[::1]:9/", "http://[::1]:9", "/", "http://[::1]:9/"),
        ] {
            let target = Question::new(&options(url)).unwrap().target;
            assert_eq!((target.origin.root_url().as_str(), target.path_and_query.as_str()), (root, path), "{url}");
            assert_eq!(target.shown(), shown);
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why_and_shows_no_secret() {
        let with = |change: &dyn Fn(&mut ProbeOptions)| {
            let mut options = options("http://h/");
            change(&mut options);
            Question::new(&options).unwrap_err().to_string()
        };
        let header = |line: &str| with(&|options| options.headers = vec!["a: b".to_owned(), line.to_owned()]);
        let url = |url: &str| with(&|options| options.url = url.to_owned());
        let origin = |origin: &str| with(&|options| options.origin = Some(origin.to_owned()));
        for (told, expected) in [
            (url("127.0.0.1:9000/a"), "the URL must begin with http:// or https://"),
            (url("localhost:9000/a"), "the URL must begin with http:// or https://"),
            (url("ftp://h/"), "the URL must begin with http:// or https://"),
            (url(""), "the URL must be a URL such as http://127.0.0.1:9000"),
            (url("http://u:s3cret@h/"), "must not contain a user name or a password"),
            (url("http://h:0/"), "the URL must have a port from 1 to 65535"),
            (header("s3cret"), "--header 2 must be 'name: value'"),
            (header("a b: s3cret"), "--header 2 must be 'name: value'"),
            (header("a: s3cret\nb: c"), "--header 2 must be 'name: value'"),
            (header("Connection: s3cret"), "--header must not set connection"),
            (header("last-event-id: s3cret"), "--header must not set last-event-id"),
            (origin("https://a.example/"), "--origin must be an origin"),
            (origin("a.example"), "--origin must be an origin"),
            (with(&|options| options.credentials = true), "--credentials needs --origin"),
            (with(&|options| options.last_event_id = Some("\n".to_owned())), "--last-event-id must not contain"),
            (with(&|options| options.ca = Some(b"s3cret".to_vec())), "--ca-file: the file contains no certificate"),
        ] {
            assert!(told.contains(expected) && !told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn fields_that_need_a_preflight_and_secrets_are_known() {
        let lines =
            ["Authorization: Bearer s3cret-token", "Cookie: a=1; sid=s3cret-sid", "X-B: short", "Accept: text/html"];
        let mut options = options("http://h/");
        options.headers = lines.map(str::to_owned).to_vec();
        options.origin = Some("https://a.example".to_owned());
        let question = Question::new(&options).unwrap();
        assert_eq!(question.page.unwrap().asks, ["authorization", "x-b"]);
        let secrets = ["Bearer s3cret-token", "a=1; sid=s3cret-sid", "sid=s3cret-sid", "s3cret-token", "s3cret-sid"];
        assert_eq!(question.secrets, secrets);
    }
}
