//! The certificate of the gateway, and clients that trust it alone.

use super::Failure;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// The host that the clients ask for.
pub(crate) const HOST: &str = "localhost";

/// What speaks TLS to the gateway.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) http1: TlsConnector,
    pub(crate) http2: TlsConnector,
}

impl Identity {
    /// Makes a certificate. It is in `tls.crt` and `tls.key` of the directory.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![HOST.to_owned()])?;
        fs::write(directory.join("tls.crt"), cert.pem())?;
        fs::write(directory.join("tls.key"), signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let connector = |protocol: &[u8]| {
            let mut config = ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { http1: connector(b"http/1.1"), http2: connector(b"h2") })
    }
}
