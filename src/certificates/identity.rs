//! Who a TLS listener is, and whom it lets in.

use super::choice::{self, Choice};
use super::clients::Clients;
use super::pair::Pair;
use super::tickets::{SharedTickets, TicketKeys};
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use std::fmt;
use std::sync::Arc;

/// An application protocol that is offered (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2.
    Http2,
    /// HTTP/1.1.
    Http1,
}

impl Alpn {
    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http2 => "h2",
            Self::Http1 => "http/1.1",
        }
    }
}

/// What an [`Identity`] consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityOptions {
    /// The certificates. The first is for clients that ask for no name, or for one that no certificate has.
    pub pairs: Vec<Pair>,
    /// What is offered, the most preferred first.
    pub alpn: Vec<Alpn>,
    /// How the certificates of clients are checked. `None`: clients are not asked for one.
    pub clients: Option<Clients>,
    /// The keys of session tickets. `None`: random ones, which are this process's own and which change every six hours.
    pub ticket_keys: Option<TicketKeys>,
}

/// Why there is no [`Identity`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up with it: {0}")]
pub struct NoIdentity(String);

/// Who a TLS listener is, and whom it lets in. Cheap to clone. Two are equal if they consist of the same.
#[derive(Clone)]
pub struct Identity {
    options: Arc<IdentityOptions>,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Makes what rustls needs.
    ///
    /// # Errors
    /// Fails when rustls does not take it, and when the system gives no random numbers.
    pub fn new(options: IdentityOptions) -> Result<Self, NoIdentity> {
        let tickets: Arc<dyn ProducesTickets> = match &options.ticket_keys {
            None => Ticketer::new().map_err(refused)?,
            Some(keys) => {
                let context = Clients::context(options.clients.as_ref());
                Arc::new(SharedTickets::new(keys, &context).map_err(refused)?)
            }
        };
        let config = server_config(&options, tickets)?;
        Ok(Self { options: Arc::new(options), config: Arc::new(config) })
    }

    /// What rustls needs for a connection.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What it consists of.
    #[must_use]
    pub fn options(&self) -> &IdentityOptions {
        &self.options
    }

    /// The names for which the certificate at the first position is not used, because the one at the second position has
    /// the same name and a key of the same kind.
    #[must_use]
    pub fn hidden(&self) -> Vec<(String, usize, usize)> {
        choice::hidden(&self.options.pairs)
    }

    /// This identity with the session tickets of `before`, if both use random keys and check clients in the same way: the
    /// sessions of clients can then be resumed.
    #[must_use]
    pub fn with_tickets_of(self, before: &Self) -> Self {
        let (old, new) = (&before.options, &self.options);
        let is_random = old.ticket_keys.is_none() && new.ticket_keys.is_none();
        if !is_random || old.clients != new.clients {
            return self;
        }
        let mut config = ServerConfig::clone(&self.config);
        config.ticketer = Arc::clone(&before.config.ticketer);
        Self { options: self.options, config: Arc::new(config) }
    }
}

fn refused(error: impl fmt::Display) -> NoIdentity {
    NoIdentity(error.to_string())
}

fn server_config(options: &IdentityOptions, tickets: Arc<dyn ProducesTickets>) -> Result<ServerConfig, NoIdentity> {
    let provider = Arc::new(default_provider());
    let verifier = match &options.clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(clients) => clients.verifier(Arc::clone(&provider)).map_err(refused)?,
    };
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(refused)?;
    let builder = builder.with_client_cert_verifier(verifier);
    let mut config = builder.with_cert_resolver(Arc::new(Choice::among(&options.pairs)));
    config.alpn_protocols = options.alpn.iter().map(|alpn| alpn.name().as_bytes().to_vec()).collect();
    config.ticketer = tickets;
    // Sessions are in tickets alone, so that a client costs no memory after it left.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A client that comes back needs one ticket. It gets another one then.
    config.send_tls13_tickets = 1;
    // The delivery engine seals by itself, with the keys that the handshake made.
    config.enable_secret_extraction = true;
    // The client knows which cipher its machine computes fast.
    config.ignore_client_order = false;
    Ok(config)
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}
