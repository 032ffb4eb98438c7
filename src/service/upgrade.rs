//! SIGQUIT: a new process takes over the listening sockets, then this one drains.
//!
//! The new process is the same command line, run from the file that the binary is in now, so that a deploy replaces the
//! file and sends the signal. It inherits the sockets in the manner of systemd (`LISTEN_FDS`), so that socket activation is
//! the same thing, and says through a pipe on its standard input that it serves; until then, and if it fails, this process
//! goes on as before. No connection is refused in between: both accept from the same queue.

use super::inherited::{OWN_FILES, own_files};
use super::socket_file::SocketFile;
use command_fds::{CommandFdExt, FdMapping};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
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
pub(super) async fn hand_over(sockets: &[OwnedFd], files: &[SocketFile]) -> io::Result<u32> {
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
        .env(OWN_FILES, own_files(files))
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDNAMES")
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
