//! The certificates of clients: who signs them, and whether a client needs one.

use super::chain::{InvalidChain, certificates, digest};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use std::fmt;
use std::sync::Arc;

/// The authorities that sign the certificates of clients. Two are equal if they hold the same certificates in the same
/// order.
#[derive(Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    digest: [u8; 32],
}

/// Whether a client needs a certificate. One that is sent must be good in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// A client may come without one.
    Optional,
    /// A client without one is refused.
    Required,
}

/// How the certificates of clients are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Who signs them.
    pub authorities: Authorities,
    /// Whether a client needs one.
    pub auth: ClientAuth,
}

impl Authorities {
    /// Reads certificates in PEM. Other text between them is ignored.
    ///
    /// # Errors
    /// Fails when the text holds no certificate, or one that cannot be read.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidChain> {
        let certificates = certificates(text)?;
        let digest = digest(&certificates);
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate).map_err(|_| InvalidChain::Certificate(index + 1))?;
        }
        Ok(Self { roots: Arc::new(roots), digest })
    }
}

impl Clients {
    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
        let roots = Arc::clone(&self.authorities.roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        match self.auth {
            ClientAuth::Optional => builder.allow_unauthenticated().build(),
            ClientAuth::Required => builder.build(),
        }
    }

    /// Differs for clients that are checked in another way. A ticket says that its client was checked. So it must be worth
    /// nothing where clients are checked in another way.
    pub(super) fn context(clients: Option<&Self>) -> [u8; 33] {
        let mut context = [0; 33];
        if let Some(Self { authorities, auth }) = clients {
            let [mode, rest @ ..] = &mut context;
            *mode = match auth {
                ClientAuth::Optional => 1,
                ClientAuth::Required => 2,
            };
            *rest = authorities.digest;
        }
        context
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Authorities {}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({} certificates)", self.roots.len())
    }
}
