//! Registers a socket with the runtime.
#![allow(unsafe_code, reason = "the runtime must be promised that the descriptor stays open")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use tokio::io::unix::AsyncFd;

/// A socket that is registered with the runtime when somebody waits for it for the first time. A client whose request
/// is there when it is accepted, and who goes to the engine, is never waited for. So it is not registered.
#[derive(Debug)]
pub(super) struct Watched {
    /// It is dropped before the socket is closed, because fields are dropped in this order.
    registration: OnceLock<AsyncFd<RawFd>>,
    socket: OwnedFd,
}

impl Watched {
    /// A socket in non-blocking mode.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { registration: OnceLock::new(), socket }
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The registration. `None`: nobody has waited yet.
    pub(super) fn registration(&self) -> Option<&AsyncFd<RawFd>> {
        self.registration.get()
    }

    /// Registers the socket, unless it is registered.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub(super) fn register(&self) -> io::Result<&AsyncFd<RawFd>> {
        if let Some(registration) = self.registration.get() {
            return Ok(registration);
        }
        // SAFETY: The number stays that of the open socket as long as the registration exists. `socket` is not replaced,
        // it is declared after `registration` and so is dropped after it, and `into_socket` drops the registration first.
        let registration =
            unsafe { AsyncFd::register(self.socket.as_raw_fd()) }.map_err(|error| error.into_parts().1)?;
        Ok(self.registration.get_or_init(|| registration))
    }

    /// Ends the registration. The runtime in which the socket is next waited for registers it again.
    pub(super) fn unregister(&mut self) {
        drop(self.registration.take());
    }

    /// The socket, no longer registered.
    pub(super) fn into_socket(self) -> OwnedFd {
        let Self { registration, socket } = self;
        drop(registration);
        socket
    }
}
