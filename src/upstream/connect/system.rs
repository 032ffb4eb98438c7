//! The certificates of the system, for https routes without a `ca_file`.
//!
//! pingora reads them for the connections of proxies, and panics if it cannot. So they are read here before that, to
//! find errors. If no route needs them, pingora is given an empty file instead.

use crate::quoted::quoted;
use rustls::RootCertStore;
use rustls_native_certs::load_native_certs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;

/// The variables that name other places for the certificates.
const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// A file in which pingora finds no certificate.
const NO_CERTIFICATES: &str = "/dev/null";

/// Whether the system's certificates are trusted on routes that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemTrust {
    /// The certificates can be read.
    Trusted,
    /// No route needs the certificates, so they are not read.
    Unneeded,
}

/// Why the certificates of the system cannot be used, in a sentence that names where they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: a route over https:// needs the system's certificates, unless it has an upstream.ca_file")]
pub struct SystemTrustError(String);

impl SystemTrustError {
    /// Why, without advice.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.0
    }
}

impl SystemTrust {
    /// Reads the certificates once, to make sure that pingora can read them.
    ///
    /// # Errors
    /// Fails when they cannot be read, or when a variable names a place without certificates.
    pub fn read() -> Result<Self, SystemTrustError> {
        Self::read_by(|name| std::env::var_os(name)).map_err(SystemTrustError)
    }

    fn read_by(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let (file, directory) = (variable(FILE), variable(DIRECTORY));
        if let Some(file) = &file {
            let cannot = |why: &dyn Display| cannot(FILE, file, why);
            let found: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| cannot(&error))?.collect();
            if found.map_err(|error| cannot(&error))?.is_empty() {
                return Err(cannot(&"it contains no certificate"));
            }
        }
        if let Some(directory) = &directory {
            std::fs::read_dir(directory).map_err(|error| cannot(DIRECTORY, directory, &error))?;
        }
        let found = load_native_certs().map_err(|error| format!("cannot read the system's certificates: {error}"))?;
        let is_named = file.is_some() || directory.is_some();
        if let (true, [], Some(directory)) = (is_named, found.as_slice(), &directory) {
            return Err(cannot(
                DIRECTORY,
                directory,
                &"it contains no certificate named by its hash, as openssl rehash names them",
            ));
        }
        if found.is_empty() {
            log::warn!("this system has no certificates: a route over https:// needs an upstream.ca_file, or {FILE}");
        }
        let mut store = RootCertStore::empty();
        for certificate in found {
            store.add(certificate).map_err(|error| {
                let place = file.as_ref().or(directory.as_ref());
                let place = place.map_or_else(|| "the system".to_owned(), |place| quoted(place.display()).to_string());
                format!("a certificate of {place} cannot be read: {error}")
            })?;
        }
        Ok(Self::Trusted)
    }

    /// The certificates, read anew. None of them can be a reason to fail, because [`Self::read`] has read them.
    pub(super) fn roots(self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        if self == Self::Trusted {
            match load_native_certs() {
                Ok(found) => drop(store.add_parsable_certificates(found)),
                Err(error) => log::error!("cannot read the system's certificates: {error}"),
            }
        }
        store
    }

    /// The file that pingora reads in place of the system's certificates. `None`: pingora reads those of the system.
    #[must_use]
    pub fn instead(self) -> Option<String> {
        match self {
            Self::Trusted => None,
            Self::Unneeded => Some(NO_CERTIFICATES.to_owned()),
        }
    }
}

fn cannot(name: &str, place: &OsString, why: &dyn Display) -> String {
    format!("{name}={} cannot be used: {why}", quoted(place.display()))
}
