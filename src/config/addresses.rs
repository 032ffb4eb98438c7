//! Where a process listens, for a program that asks it.

use super::admin::Token;
use super::error::ConfigErrors;
use super::networks::Networks;
use super::reader::Section;
use super::server::{self, ListenAddr};
use super::sources::Sources;
use super::{Part, load, tls};
use std::net::SocketAddr;
use std::path::Path;

/// The addresses of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// The address for health, metrics and status. `None`: off.
    pub admin: Option<ListenAddr>,
    /// The token that requests to the admin address must bear. `None`: none is needed.
    pub admin_token: Option<Token>,
    /// The addresses that clients connect to without TLS.
    pub listen: Vec<ListenAddr>,
    /// The addresses that clients connect to with TLS.
    pub tls: Vec<SocketAddr>,
    /// Whether a client with TLS needs a certificate.
    pub needs_certificate: bool,
    /// The proxies whose connections to these addresses begin with a header of the PROXY protocol.
    pub introduced: Networks,
}

impl Addresses {
    /// Reads `[server]` as [`Config::load`](super::Config::load) does, and nothing else. The rest of the file may have
    /// changed since the process read it. The files of `[server.tls]` are not read either: the program that asks may not
    /// be allowed to read the keys, and a certificate that is being replaced does not concern it.
    ///
    /// # Errors
    /// As for [`Config::load`](super::Config::load), but for `[server]` alone.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigErrors> {
        load(named, Part::Server, |mut root, sources| Self::read(root.section("server"), sources)).map(|(read, _)| read)
    }

    pub(super) fn read(section: Section<'_>, sources: &dyn Sources) -> Self {
        let (server, secured) = server::without_tls(section, sources);
        let (tls, needs_certificate) = tls::addresses_of(secured, &server);
        let admin_token = server.admin_access.token;
        let introduced = if server.proxy_protocol { server.trusted_proxies } else { Networks::default() };
        Self { admin: server.admin, admin_token, listen: server.listen, tls, needs_certificate, introduced }
    }
}
