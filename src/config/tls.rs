//! `[server.tls]`: the addresses for clients that speak TLS, and the certificates there.

use super::reader::{Item, Rule, Section};
use super::server::{ListenAddr, ServerConfig, tcp_addr};
use super::sources::Sources;
use super::value::{boolean, word};
use crate::certificates::{
    Alpn, Authorities, Chain, ClientAuth, Clients, Identity, IdentityOptions, Key, Pair, TicketKeys,
};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;

/// Every key of the table. They are known even if the table is absent.
const KEYS: [&str; 9] = [
    "listen",
    "cert",
    "key",
    "alpn",
    "client_ca_file",
    "client_auth",
    "ticket_keys_file",
    "redirect_http",
    "certificates",
];

const LISTEN: &str = "it is the list of the addresses for TLS, such as [\"0.0.0.0:8443\"]";
const CERT: &str = "it is the file of the certificate, in PEM. To try TLS, this makes one: openssl req -x509 -newkey ec \
                    -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost -addext \
                    subjectAltName=DNS:localhost -keyout tls.key -out tls.crt";
const KEY: &str = "it is the file of the private key of the certificate, in PEM";
const CERTIFICATES_RULE: &str = "must be written [[server.tls.certificates]], once for each certificate";
const ALPN: [(&str, Alpn); 2] = [(Alpn::Http2.name(), Alpn::Http2), (Alpn::Http1.name(), Alpn::Http1)];
const CLIENT_AUTH: [(&str, ClientAuth); 2] = [("optional", ClientAuth::Optional), ("required", ClientAuth::Required)];
const ALPN_RULE: &str = "must be a list of protocols such as [\"h2\", \"http/1.1\"]";
const UNIX_RULE: &str = "must be a TCP address: TLS protects nothing on a Unix socket, so write it into server.listen";

/// The addresses for clients that speak TLS, and the certificates there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The addresses. There is at least one.
    pub listen: Vec<SocketAddr>,
    /// The certificates, and which clients they let in.
    pub identity: Identity,
    /// Whether requests to `server.listen` are sent to the first of these addresses.
    pub redirect_http: bool,
    /// Where each certificate of `identity` came from, in the same order.
    pub(super) files: Vec<CertFile>,
    /// The files with secrets that every user of the machine may read.
    pub(super) exposed: Vec<Exposed>,
}

/// Where a certificate came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertFile {
    /// The key of the configuration, such as `server.tls.cert`.
    pub(super) key: String,
    pub(super) path: String,
}

/// A file with a secret that every user of the machine may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposed {
    /// The key of the configuration, such as `server.tls.key`.
    pub(super) key: String,
    pub(super) path: String,
}

impl TlsConfig {
    /// This configuration as a process takes it that runs with `running`: the addresses stay.
    pub(super) fn taken_by(self, running: &Self) -> Self {
        let identity = self.identity.with_tickets_of(&running.identity);
        Self { listen: running.listen.clone(), identity, ..self }
    }
}

/// Reads the table. `plain` and `admin`: the addresses without TLS. `None`: it is absent, or bad.
pub(super) fn read(
    mut section: Section<'_>,
    plain: &[ListenAddr],
    admin: Option<&ListenAddr>,
    sources: &dyn Sources,
) -> Option<TlsConfig> {
    if !section.is_present() {
        KEYS.iter().for_each(|key| _ = section.take(key));
        return None;
    }
    let mut files = Files { sources, certs: Vec::new(), exposed: Vec::new() };
    let item = required(&mut section, "listen", LISTEN);
    let listen = item.as_ref().map(|item| addresses(item, plain, admin));
    let mut pairs = Vec::from_iter(files.pair(&mut section));
    let mut alpn = ALPN.map(|(_, alpn)| alpn).to_vec();
    if let Some(item) = section.take("alpn") {
        alpn = item.list(ALPN_RULE, protocol).unwrap_or_default();
        if item.elements().is_some_and(|elements| elements.is_empty()) {
            item.fail("must name at least one protocol");
        }
    }
    let clients = clients(&mut section, &mut files);
    let ticket_keys = named(&mut section, "ticket_keys_file");
    let ticket_keys = ticket_keys.and_then(|item| files.secret(&item, TicketKeys::from_text));
    let mut redirect_http = false;
    let redirect = section.set(&mut redirect_http, "redirect_http", boolean);
    if let Some(item) = redirect.filter(|_| redirect_http && plain.is_empty()) {
        item.fail("needs an address in server.listen, from which requests are redirected");
    }
    if let Some(item) = section.take("certificates") {
        pairs.extend(files.further(&item));
    }
    section.finish();
    let (listen, item) = (listen?, item?);
    let identity = Identity::new(IdentityOptions { pairs, alpn, clients, ticket_keys });
    let identity = identity.map_err(|error| item.fail(error)).ok()?;
    Some(TlsConfig { listen, identity, redirect_http, files: files.certs, exposed: files.exposed })
}

/// Reads only the addresses of the table, and whether a client there needs a certificate. `server`: what is around the
/// table.
pub(super) fn addresses_of(mut section: Section<'_>, server: &ServerConfig) -> (Vec<SocketAddr>, bool) {
    if !section.is_present() {
        return (Vec::new(), false);
    }
    let item = required(&mut section, "listen", LISTEN);
    let listen = item.map(|item| addresses(&item, &server.listen, server.admin.as_ref()));
    let mut auth = ClientAuth::Optional;
    section.set(&mut auth, "client_auth", word(&CLIENT_AUTH));
    (listen.unwrap_or_default(), auth == ClientAuth::Required)
}

/// Takes out a key that must be there.
fn required<'a>(section: &mut Section<'a>, key: &'static str, rule: &str) -> Option<Item<'a>> {
    let item = section.take(key);
    if item.is_none() {
        section.fail_missing(key, rule);
    }
    item
}

/// Takes out a key unless its value is "off".
fn named<'a>(section: &mut Section<'a>, key: &'static str) -> Option<Item<'a>> {
    section.take(key).filter(|item| item.str() != Some("off"))
}

fn addresses(item: &Item<'_>, plain: &[ListenAddr], admin: Option<&ListenAddr>) -> Vec<SocketAddr> {
    let Some(elements) = item.elements() else {
        item.fail("must be a list of addresses such as [\"0.0.0.0:8443\"]");
        return Vec::new();
    };
    if elements.is_empty() {
        item.fail("must name at least one address");
    }
    let mut listen = Vec::with_capacity(elements.len());
    for element in elements {
        let Some(address) = element.converted(|value| tls_addr(value.as_str())) else { continue };
        let other = ListenAddr::Tcp(address);
        match address {
            // Each port 0 becomes a different port.
            _ if address.port() == 0 => listen.push(address),
            _ if listen.contains(&address) => element.fail("is in the list twice"),
            _ if plain.contains(&other) => element.fail("must not be an address of server.listen"),
            _ if admin == Some(&other) => element.fail("must not be the address of server.admin"),
            _ => listen.push(address),
        }
    }
    listen
}

fn tls_addr(text: Option<&str>) -> Result<SocketAddr, Rule> {
    if text.is_some_and(|text| text.starts_with("unix:")) {
        return Err(UNIX_RULE.to_owned());
    }
    tcp_addr(text, "")
}

fn protocol(name: &str) -> Result<Alpn, Rule> {
    let known = ALPN.iter().find(|(known, _)| *known == name).map(|(_, alpn)| *alpn);
    known.ok_or_else(|| "must be \"h2\" or \"http/1.1\"".to_owned())
}

fn clients(section: &mut Section<'_>, files: &mut Files<'_>) -> Option<Clients> {
    let authorities = named(section, "client_ca_file");
    let mut auth = ClientAuth::Optional;
    let item = section.set(&mut auth, "client_auth", word(&CLIENT_AUTH));
    if let Some(item) = item.filter(|_| auth == ClientAuth::Required && authorities.is_none()) {
        item.fail("needs server.tls.client_ca_file, which says who signs the certificates of clients");
    }
    let authorities = files.read(&authorities?, ", or \"off\"", Authorities::from_pem)?;
    Some(Clients { authorities, auth })
}

/// Reads files, and remembers what warnings need to know of them.
struct Files<'s> {
    sources: &'s dyn Sources,
    certs: Vec<CertFile>,
    exposed: Vec<Exposed>,
}

impl Files<'_> {
    /// A certificate with its key.
    fn pair(&mut self, section: &mut Section<'_>) -> Option<Pair> {
        let cert = required(section, "cert", CERT);
        let key = required(section, "key", KEY);
        let chain = cert.as_ref().and_then(|item| self.read(item, "", Chain::from_pem));
        let secret = key.as_ref().and_then(|item| self.secret(item, Key::from_pem));
        let (cert, key) = (cert?, key?);
        let pair = Pair::new(chain?, secret?).map_err(|error| key.fail(error)).ok()?;
        self.certs.push(CertFile { key: cert.path().to_owned(), path: cert.str()?.to_owned() });
        Some(pair)
    }

    /// The certificates of `[[server.tls.certificates]]`.
    fn further(&mut self, item: &Item<'_>) -> Vec<Pair> {
        let Some(elements) = item.elements() else {
            item.fail(CERTIFICATES_RULE);
            return Vec::new();
        };
        let mut pairs = Vec::with_capacity(elements.len());
        for element in elements {
            let Some(mut section) = element.section() else { continue };
            match self.pair(&mut section) {
                Some(pair) if pair.names().is_empty() => {
                    self.certs.pop();
                    element.fail("no client can ask for this certificate: it has no DNS name (subjectAltName)");
                }
                pair => pairs.extend(pair),
            }
            section.finish();
        }
        pairs
    }

    /// What a file contains. `alternatives`: what else may stand there, in words. `None`: the file is bad, which is
    /// reported.
    fn read<T, E: Display>(
        &self,
        item: &Item<'_>,
        alternatives: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Option<T> {
        let Some(path) = item.str().filter(|path| !path.is_empty()) else {
            item.fail(format_args!("must be the path of a file{alternatives}"));
            return None;
        };
        let bytes = self.sources.bytes(Path::new(path));
        let bytes = bytes.map_err(|error| item.fail(format_args!("the file cannot be read: {error}"))).ok()?;
        parse(&bytes).map_err(|error| item.fail(error)).ok()
    }

    /// What a file contains that nobody else should read.
    fn secret<T, E: Display>(&mut self, item: &Item<'_>, parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Option<T> {
        let alternatives = if item.path().ends_with("_file") { ", or \"off\"" } else { "" };
        let secret = self.read(item, alternatives, parse)?;
        let path = item.str()?;
        if self.sources.is_readable_by_all(Path::new(path)) {
            self.exposed.push(Exposed { key: item.path().to_owned(), path: path.to_owned() });
        }
        Some(secret)
    }
}
