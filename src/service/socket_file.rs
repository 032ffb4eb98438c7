//! The file of a Unix socket: its permissions, and which process owns it.
//!
//! Another process may have bound a socket at the same path since this process did. So a file is recognised by its
//! device and inode. It is removed only if both are still those of this process's socket. The socket must be open at
//! that time, because no other file can get the inode number of an open one.

use super::bound::BACKLOG;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The file of a socket that this process or one of its predecessors bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Identifies a file among all files of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of a socket file. `None`: the file is not a socket.
    fn of(metadata: &Metadata) -> Option<Self> {
        let identity = Self { device: metadata.dev(), inode: metadata.ino() };
        metadata.file_type().is_socket().then_some(identity)
    }

    /// Reads the text that `Display` wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (device, inode) = text.split_once(':')?;
        Some(Self { device: device.parse().ok()?, inode: inode.parse().ok()? })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)
    }
}

impl SocketFile {
    /// The socket file that is at `path` now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let identity = Identity::of(&fs::symlink_metadata(path)?);
        let identity = identity.ok_or_else(|| io::Error::other("the file there is not a socket"))?;
        Ok(Self { path: path.to_owned(), identity })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Sets the file's permissions. A file that has them already is left alone, because it may belong to another
    /// user.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        if fs::symlink_metadata(&self.path)?.mode() & 0o7777 == mode {
            return Ok(());
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }

    /// Removes the file, unless another file is at its path now.
    pub(super) fn remove(self) {
        let path = self.path.display();
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(there) if Identity::of(&there) == Some(self.identity) => fs::remove_file(&self.path),
            Ok(_) => {
                log::info!("another process has made a file at this socket's path, so it is not removed path={path}");
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            log::warn!("cannot remove the file of a socket path={path}: {error}");
        }
    }
}

/// Binds a socket whose file has the permissions `mode`. At no time does the file have further permissions, and no
/// client can connect before the file has all of them.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let socket = unheard(path, mode)?;
    let file = SocketFile::at(path)?;
    // Adds the permissions that the umask removed.
    let listening =
        file.set_mode(mode).map_err(|error| cannot_set(mode, &error)).and_then(|()| socket.listen(BACKLOG.into()));
    if let Err(error) = listening {
        file.remove();
        return Err(error);
    }
    Ok((UnixListener::from(OwnedFd::from(socket)), file))
}

/// A socket that is bound but does not listen yet. The permissions of its file are `mode` or fewer.
fn unheard(path: &Path, mode: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // On Linux the file gets the permissions of the socket, except those in the umask. On other systems this may fail,
    // and the file gets all permissions except those in the umask. A client that connects then is refused, because the
    // socket does not listen yet.
    let same = File::from(OwnedFd::from(socket.try_clone()?));
    if let Err(error) = same.set_permissions(Permissions::from_mode(mode)) {
        log::debug!("cannot set the mode of a socket before it is bound: {error}");
    }
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// The error when a file's permissions cannot be set.
pub(super) fn cannot_set(mode: u32, error: &io::Error) -> io::Error {
    io::Error::other(format!("its file cannot be given the mode {mode:04o} of server.unix_mode: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_file_has_the_rights_that_are_asked_for_whatever_the_umask_is() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o660, 0o666, 0o600, 0o777, 0o002] {
            let path = directory.path().join(format!("{mode:o}"));
            let (_listener, _file) = bind(&path, mode).unwrap();
            assert_eq!(mode_of(&path), mode, "{mode:o}");
        }
    }

    #[test]
    fn a_file_never_has_more_rights_and_nobody_connects_before_it_has_all() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o660, 0o222] {
            let path = directory.path().join(format!("{mode:o}"));
            let _socket = unheard(&path, mode).unwrap();
            assert_eq!(mode_of(&path) & !mode, 0, "{mode:o}: {:o}", mode_of(&path));
            let refused = std::os::unix::net::UnixStream::connect(&path).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_file_goes_only_while_it_is_that_of_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_first, file) = bind(&path, 0o660).unwrap();
        fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        let (_second, second) = bind(&path, 0o660).unwrap();
        file.clone().remove();
        assert!(path.exists(), "the file of another socket is gone");
        fs::rename(directory.path().join("elsewhere"), &path).unwrap();
        second.remove();
        assert!(path.exists(), "the file of another socket is gone");
        file.clone().remove();
        assert!(!path.exists());
        file.remove();
    }

    #[test]
    fn rights_that_cannot_be_set_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_listener, file) = bind(&path, 0o660).unwrap();
        file.set_mode(0o600).unwrap();
        assert_eq!(mode_of(&path), 0o600);
        fs::remove_file(&path).unwrap();
        let error = cannot_set(0o66, &file.set_mode(0o66).unwrap_err()).to_string();
        assert!(
            error.starts_with("its file cannot be given the mode 0066 of server.unix_mode: No such file"),
            "{error}"
        );
    }

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        let identity = Identity { device: 7, inode: u64::MAX };
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        for text in ["", ":", "7", "7:", ":7", "7:8:9", "7:-8", "a:b"] {
            assert_eq!(Identity::parse(text), None, "{text:?}");
        }
    }
}
