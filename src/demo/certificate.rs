//! A certificate for the demo, made on the spot. Nobody trusts it, so a browser warns once.

use rcgen::generate_simple_self_signed;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The files of a certificate, in a folder of their own. Dropping this value removes them.
#[derive(Debug)]
pub(super) struct Certificate {
    folder: PathBuf,
}

impl Certificate {
    /// Makes a certificate for `localhost` and an address, and writes it and its key. Only this user can read them.
    ///
    /// # Errors
    /// When no key can be made, or a file cannot be written.
    pub(super) fn make(address: IpAddr) -> io::Result<Self> {
        let names = ["localhost".to_owned(), address.to_string()];
        let made = generate_simple_self_signed(names).map_err(io::Error::other)?;
        // A folder of this name belongs to no other process, unless one that had this number was killed.
        let folder =
            std::env::temp_dir().join(format!("manifold-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let certificate = Self { folder };
        write(&certificate.cert(), &made.cert.pem())?;
        write(&certificate.key(), &made.signing_key.serialize_pem())?;
        Ok(certificate)
    }

    /// The file of the certificate, in PEM.
    pub(super) fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// The file of its key, in PEM.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

impl Drop for Certificate {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            log::debug!("cannot remove the certificate of the demo: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_files_are_this_users_alone_and_go_with_the_demo() {
        let certificate = Certificate::make(IpAddr::from([127, 0, 0, 1])).unwrap();
        let folder = certificate.folder.clone();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&certificate.key()), mode(&certificate.cert())), (0o700, 0o600, 0o600));
        assert!(fs::read_to_string(certificate.cert()).unwrap().contains("BEGIN CERTIFICATE"));
        drop(certificate);
        assert!(!folder.exists());
    }
}
