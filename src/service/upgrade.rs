//! SIGQUIT: a new process takes over the listening sockets, then this one drains.
//!
//! The new process is the same command line, run from the file that the binary is in now, so that a deploy replaces the
//! file and sends the signal. It inherits the sockets in the manner of systemd (`LISTEN_FDS`), so that socket activation is
//! the same thing, and says through a pipe on its standard input that it serves; until then, and if it fails, this process
//! goes on as before. No connection is refused in between: both accept from the same queue.

use super::bound::Bound;
use crate::config::ListenAddr;
use command_fds::{CommandFdExt, FdMapping};
use listenfd::ListenFd;
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

/// Set for a process that is to say when it serves.
const UPGRADE: &str = "MANIFOLD_UPGRADE";

/// The first inherited descriptor: SD_LISTEN_FDS_START of sd_listen_fds(3).
const FIRST_DESCRIPTOR: RawFd = 3;

/// How long the new process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the new process says when it serves.
const READY: &[u8] = b"r";

/// The listening sockets that this process was started with.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Bound>);

impl Inherited {
    /// Takes them from the environment.
    pub(super) fn from_environment() -> Self {
        let mut given = ListenFd::from_env();
        let bound = (0..given.len()).filter_map(|at| {
            let tcp = given.take_tcp_listener(at).ok().flatten().map(Bound::tcp);
            let bound = tcp.or_else(|| given.take_unix_listener(at).ok().flatten().map(Bound::unix));
            match bound {
                Some(Ok(bound)) => Some(bound),
                Some(Err(error)) => {
                    log::warn!("an inherited socket cannot be used: {error}");
                    None
                }
                None => None,
            }
        });
        Self(bound.collect())
    }

    /// The one for a configured address. Those that nobody takes are closed with this value: open without anyone who
    /// accepts, they would swallow clients.
    pub(super) fn take(&mut self, configured: &ListenAddr) -> Option<Bound> {
        let at = self.0.iter().position(|bound| serves(configured, &bound.address))?;
        // In order: addresses with port 0 are alike.
        Some(self.0.remove(at))
    }
}

/// Whether a socket at `actual` is what `configured` asks for: port 0 is any.
fn serves(configured: &ListenAddr, actual: &ListenAddr) -> bool {
    match (configured, actual) {
        (ListenAddr::Tcp(configured), ListenAddr::Tcp(actual)) => {
            let port = if configured.port() == 0 { actual.port() } else { configured.port() };
            SocketAddr::new(configured.ip(), port) == SocketAddr::new(actual.ip(), actual.port())
        }
        _ => configured == actual,
    }
}

/// Tells the process that handed its sockets over that this one serves; says whether there is such a process. A service
/// manager listens to that one alone, and hears of this one from it.
pub(super) fn say_ready() -> bool {
    let is_successor = std::env::var_os(UPGRADE).is_some();
    if is_successor && let Err(error) = rustix::io::write(io::stdin(), READY) {
        log::warn!("cannot tell the old process that this one serves: {error}");
    }
    is_successor
}

/// Starts the new process with these sockets and waits until it serves; gives its process id.
///
/// # Errors
/// When it cannot be started, or ends or stays silent instead of serving.
pub(super) async fn hand_over(sockets: &[OwnedFd]) -> io::Result<u32> {
    let mut mappings = Vec::with_capacity(sockets.len());
    for (child_fd, socket) in (FIRST_DESCRIPTOR..).zip(sockets) {
        mappings.push(FdMapping { parent_fd: socket.try_clone()?, child_fd });
    }
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let mut ready = Receiver::from_owned_fd(ours)?;
    let mut command = Command::new(binary()?);
    command
        .args(std::env::args_os().skip(1))
        .env(UPGRADE, "1")
        .env("LISTEN_FDS", sockets.len().to_string())
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS_FIRST_FD")
        .stdin(Stdio::from(theirs))
        .fd_mappings(mappings)
        .map_err(io::Error::other)?;
    let mut child = command.spawn()?;
    // It holds the other end of the pipe, too.
    drop(command);
    let mut said = [0; 1];
    if let Ok(Ok(1..)) = timeout(PATIENCE, ready.read(&mut said)).await {
        return Ok(child.id());
    }
    child.kill()?;
    let status = child.wait()?;
    Err(io::Error::other(format!("the new process did not serve: {status}")))
}

/// The file of this program, also if it was replaced since the start.
fn binary() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_socket_serves_the_address_that_asks_for_it() {
        let tcp = |text: &str| ListenAddr::Tcp(text.parse().unwrap());
        for (configured, actual, is) in [
            (tcp("127.0.0.1:80"), tcp("127.0.0.1:80"), true),
            (tcp("127.0.0.1:0"), tcp("127.0.0.1:4711"), true),
            (tcp("127.0.0.1:80"), tcp("127.0.0.1:81"), false),
            (tcp("127.0.0.2:0"), tcp("127.0.0.1:81"), false),
            (ListenAddr::Unix("/a".into()), ListenAddr::Unix("/a".into()), true),
            (ListenAddr::Unix("/a".into()), ListenAddr::Unix("/b".into()), false),
            (ListenAddr::Unix("/a".into()), tcp("127.0.0.1:80"), false),
        ] {
            assert_eq!(serves(&configured, &actual), is, "{configured} {actual}");
        }
    }
}
