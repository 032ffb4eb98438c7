//! The certificate of a run.

use super::Failure;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The name that the certificate is for. Clients ask for it by SNI.
pub(crate) const NAME: &str = "bench";

/// A certificate and its private key, in PEM files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Identity {
    /// Makes an ECDSA key on P-256 and a certificate that is signed with it. Both are written into `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self, Failure> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&cert, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        Ok(Self { cert, key })
    }

    pub(crate) fn certificate(&self) -> Result<CertificateDer<'static>, Failure> {
        Ok(CertificateDer::from_pem_file(&self.cert)?)
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Failure> {
        Ok(PrivateKeyDer::from_pem_file(&self.key)?)
    }
}
