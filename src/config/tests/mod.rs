//! Tests of the configuration as its authors meet it.

mod bad;
mod layers;
mod schema;
mod settings;
mod shipped;
mod variables;

use super::{Config, ConfigErrors, Sources};
use crate::route::{Route, RouteKind, StreamPolicy};
use std::collections::HashMap;
use std::env::VarError;
use std::io;
use std::path::Path;

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

/// A made-up environment with files.
#[derive(Debug, Clone, Default)]
struct Imagined {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
}

impl Imagined {
    fn usual() -> Self {
        Self {
            variables: HashMap::from([("TOKEN", "Bearer s3cret"), ("EMPTY", ""), ("LINES", "s3cret\r\nx: y")]),
            files: HashMap::from([
                ("token", "s3cret from a file\r\n"),
                ("lines", "s3cret\n\n"),
                ("empty", "\n"),
                ("one-token", "s3cret\n"),
                ("ca.pem", PEM),
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
