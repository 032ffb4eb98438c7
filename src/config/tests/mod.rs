//! Tests of the configuration as its authors meet it.

mod bad;
mod layers;
mod schema;
mod settings;
mod shipped;
mod tls;
mod variables;

use super::{Config, ConfigErrors, Sources};
use crate::route::{Route, RouteKind, StreamPolicy};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::collections::HashMap;
use std::env::VarError;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

/// The certificate of an authority that nothing uses, for `ca_file`.
pub(super) const PEM: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIURgGao2HKHWM1eemvPoIyixNu4ZEwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyNjA3NDYxMFoYDzIxMjYxMTAyMDc0
NjEwWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASvxHpdhRsXDIaaVtzROfEPeub5fAbc6Ztpldzfh2a8IXn/TkUv3gk4hH1W6U57
OmjXwvllzxqE4S3vq4l0DDo+o1MwUTAdBgNVHQ4EFgQUTaMGruUOmoRIiTXt6/wN
OuzY1t0wHwYDVR0jBBgwFoAUTaMGruUOmoRIiTXt6/wNOuzY1t0wDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAkVHmfE3Wi6A81driizIo75Ubhja/2
yjltXMIFHe6B2gIhANPUvcwgrkKJhDyTn53W3wlvkojQcu7E3OyaJtUImx48
-----END CERTIFICATE-----
";

/// A certificate for these names, with its key.
fn pair(names: &[&str]) -> (String, String) {
    signed(&CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap())
}

/// A certificate that is valid in January of this year, with its key.
fn valid(year: i32) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(year, 1, 1), date_time_ymd(year, 2, 1));
    signed(&params)
}

fn signed(params: &CertificateParams) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(super) static OWN: LazyLock<(String, String)> = LazyLock::new(|| pair(&["localhost", "*.example.com"]));
pub(super) static OTHER: LazyLock<(String, String)> = LazyLock::new(|| pair(&["example.org"]));
static OLD: LazyLock<(String, String)> = LazyLock::new(|| valid(2020));
static EARLY: LazyLock<(String, String)> = LazyLock::new(|| valid(3000));
static NAMELESS: LazyLock<(String, String)> = LazyLock::new(|| pair(&[]));

/// Files for `ticket_keys_file`.
pub(super) const TICKETS: &str = "# now\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF\n";
const BAD_TICKETS: &str = "\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";

/// A text with a good `[server.tls]`, which ends with `text`.
fn with_tls(text: &str) -> String {
    format!(
        "[[routes]]\npath = '/a'\norigin = 'http://o'\n\
         [server.tls]\nlisten = ['0.0.0.0:8443']\ncert = 'tls.crt'\nkey = 'tls.key'\n{text}"
    )
}

/// A made-up environment with files.
#[derive(Debug, Clone, Default)]
struct Imagined {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
}

/// The other keys of `[routes.auth]` that are needed for one of them, as lines.
fn auth_beside(key: &str) -> String {
    let lines: &[&str] = match key {
        "kind" => &[],
        "url" | "pass_headers" | "subject_header" | "recheck_secs" | "fail_open" => {
            &["kind = 'forward'", "url = 'http://a'"]
        }
        "keys_file" => &["kind = 'key'"],
        "names" => &["kind = 'mtls'"],
        "jwks_url" | "key_env" | "key_file" => &["kind = 'jwt'", "algorithms = ['HS256']"],
        _ => &["kind = 'jwt'", "algorithms = ['HS256']", "key_file = 'token'"],
    };
    let others = lines.iter().filter(|line| !line.starts_with(&format!("{key} ")));
    others.map(|line| format!("{line}\n")).collect()
}

impl Imagined {
    fn usual() -> Self {
        Self {
            variables: HashMap::from([("TOKEN", "Bearer s3cret"), ("EMPTY", ""), ("LINES", "s3cret\r\nx: y")]),
            files: HashMap::from([
                ("token", "s3cret from a file\r\n"),
                ("ring", "babababababababababababababababababababababababababababababababa name"),
                ("lines", "s3cret\n\n"),
                ("empty", "\n"),
                ("one-token", "s3cret\n"),
                ("ca.pem", PEM),
                ("tls.crt", OWN.0.as_str()),
                ("tls.key", OWN.1.as_str()),
                ("other.crt", OTHER.0.as_str()),
                ("other.key", OTHER.1.as_str()),
                ("old.crt", OLD.0.as_str()),
                ("old.key", OLD.1.as_str()),
                ("early.crt", EARLY.0.as_str()),
                ("early.key", EARLY.1.as_str()),
                ("nameless.crt", NAMELESS.0.as_str()),
                ("nameless.key", NAMELESS.1.as_str()),
                (
                    "encrypted.key",
                    "-----BEGIN ENCRYPTED PRIVATE KEY-----\ns3cret\n-----END ENCRYPTED PRIVATE KEY-----\n",
                ),
                ("odd.key", "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n"),
                ("tickets", TICKETS),
                ("bad-tickets", BAD_TICKETS),
                // Those of the shipped file.
                ("/etc/manifold/tls.crt", OWN.0.as_str()),
                ("/etc/manifold/tls.key", OWN.1.as_str()),
                ("/etc/manifold/example.org.crt", OTHER.0.as_str()),
                ("/etc/manifold/example.org.key", OTHER.1.as_str()),
                ("broken.pem", "-----BEGIN CERTIFICATE-----\nMAMC"),
                ("no.pem", "no certificate here"),
                ("odd.pem", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"),
            ]),
        }
    }
}

impl Sources for Imagined {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.variables.get(name).map(|value| (*value).to_owned()).ok_or(VarError::NotPresent)
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.files.get(path));
        text.map(|text| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, &Imagined::usual())
}

fn good(text: &str) -> Config {
    schema::takes(text);
    parse(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The route of a text that consists of a path, an origin and `text`.
fn route(text: &str) -> Route {
    let config = good(&format!("[[routes]]\npath = '/a'\norigin = 'http://o'\n{text}"));
    Route::clone(&config.routes.routes()[0])
}

fn policy(route: &Route) -> &StreamPolicy {
    match &route.kind {
        RouteKind::Stream(policy) => policy,
        RouteKind::Proxy(_) => panic!("a proxy route"),
    }
}
