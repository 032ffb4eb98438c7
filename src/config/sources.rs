//! The environment variables and files that a configuration refers to.

use std::cell::RefCell;
use std::env::{self, VarError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The permission of users other than the owner and the group to read a file.
const OTHERS_READ: u32 = 0o004;

/// The environment and the files that a configuration may name.
pub trait Sources {
    /// The value of an environment variable.
    ///
    /// # Errors
    /// When the variable is not set, or is not UTF-8.
    fn variable(&self, name: &str) -> Result<String, VarError>;

    /// The text of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not UTF-8.
    fn text(&self, path: &Path) -> io::Result<String>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.text(path).map(String::into_bytes)
    }

    /// Whether every user of the machine may read a file.
    fn is_readable_by_all(&self, _: &Path) -> bool {
        false
    }

    /// The full path of a file, so that it can be read again later. `None`: it cannot be read again.
    fn located(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

/// The process's environment and the file system.
#[derive(Debug, Clone)]
pub struct SystemSources {
    base: PathBuf,
    /// The files that were read.
    named: RefCell<Vec<PathBuf>>,
}

impl SystemSources {
    /// Resolves relative paths against the directory of `file`.
    #[must_use]
    pub fn beside(file: &Path) -> Self {
        Self { base: file.parent().map(Path::to_owned).unwrap_or_default(), named: RefCell::default() }
    }

    /// The files that were read.
    pub(super) fn into_named(self) -> Vec<PathBuf> {
        self.named.into_inner()
    }

    fn name(&self, path: &Path) -> PathBuf {
        let path = self.base.join(path);
        self.named.borrow_mut().push(path.clone());
        path
    }
}

impl Sources for SystemSources {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        env::var(name)
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(self.name(path))
    }

    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.name(path))
    }

    fn is_readable_by_all(&self, path: &Path) -> bool {
        std::fs::metadata(self.base.join(path)).is_ok_and(|file| file.permissions().mode() & OTHERS_READ != 0)
    }

    fn located(&self, path: &Path) -> Option<PathBuf> {
        Some(self.base.join(path))
    }
}
