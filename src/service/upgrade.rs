//! The upgrade, by SIGQUIT or by the API: a new process takes over the listening sockets, then this process drains.
//!
//! The new process gets the command line of this process, and the program at the path by which this process was
//! started. A deployment replaces the file at that path, or switches a symbolic link in it, and then asks for the
//! upgrade. The new process inherits the sockets in the way in which systemd passes them (`LISTEN_FDS`), so that
//! socket activation uses the same code. The new process writes to a pipe on its standard input when it serves.
//! Until then, and if it fails, this process continues as before. No connection is refused in between, because both
//! processes accept from the same queue.
//!
//! The first process of a container cannot be replaced. When it ends, the kernel kills every other process of the
//! container.

use super::handover::{self, Broken, Given, Link, Moved, Source};
use super::inherited::{OWN_FILES, own_files};
use super::launch::Launch;
use super::socket_file::SocketFile;
use command_fds::{CommandFdExt, FdMapping};
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// The environment variable that tells a new process to say when it serves.
const UPGRADE: &str = "MANIFOLD_UPGRADE";

/// The first inherited descriptor: SD_LISTEN_FDS_START of sd_listen_fds(3).
const FIRST_DESCRIPTOR: RawFd = 3;

/// The process id of a container's first process. The container ends with it (pid_namespaces(7)).
const FIRST_PROCESS: u32 = 1;

/// The byte by which the new process says that it serves.
const READY: u8 = b'r';

/// The way to the predecessor, if it hands streams and clients over. A predecessor of an earlier version only waits for a
/// byte.
pub(super) fn predecessor() -> Option<Arc<Link>> {
    std::env::var_os(UPGRADE)?;
    let ours = io::stdin().as_fd().try_clone_to_owned().ok()?;
    // The standard input is a pipe in earlier versions.
    rustix::net::sockopt::socket_type(&ours).ok()?;
    Link::over(ours).map(Arc::new).ok()
}

/// Tells the predecessor that this process serves. Returns whether there is a predecessor. The predecessor then tells
/// the service manager, which listens to no other process.
pub(super) fn say_ready() -> bool {
    let is_successor = std::env::var_os(UPGRADE).is_some();
    if is_successor && let Err(error) = rustix::io::write(io::stdin(), &[READY]) {
        log::warn!("cannot tell the old process that this one serves: {error}");
    }
    is_successor
}

/// Nothing more is said to the predecessor, and nothing is heard of it. What it said before and nobody heard is dropped, and
/// so are the sockets of clients beside it: they must not stay open.
pub(super) fn leave_predecessor() {
    let left = File::open("/dev/null").and_then(|nothing| Ok(rustix::stdio::dup2_stdin(nothing)?));
    if let Err(error) = left {
        log::warn!("cannot close the way to the old process: {error}");
    }
}

/// Why no other process can take the place of this one. `None`: another process can.
fn refusal(process: u32) -> Option<&'static str> {
    (process == FIRST_PROCESS).then_some(
        "this is process 1 of a container, and when it ends, every process of the container ends: start a new \
         container",
    )
}

/// A new process that serves. Dropping it kills the process, unless the process has taken over the service.
#[derive(Debug)]
pub struct Successor(Starting);

impl Successor {
    /// Leaves the service to the new process and returns its process id.
    pub(super) fn keep(mut self) -> u32 {
        self.0.0.take().map(|child| child.id()).unwrap_or_default()
    }
}

/// A new process. It is killed when this value is dropped, because then nothing waits for it any more, and it must not
/// accept connections.
#[derive(Debug)]
struct Starting(Option<Child>);

impl Starting {
    /// Kills the process, unless it has ended by itself. Returns how it ended.
    fn end(&mut self) -> io::Result<String> {
        let Some(mut child) = self.0.take() else { return Ok("it is gone".to_owned()) };
        // A process that has ended, or that is just ending, keeps the exit status of its own.
        child.kill()?;
        Ok(child.wait()?.to_string())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if self.0.is_some()
            && let Err(error) = self.end()
        {
            log::warn!("cannot end the new process: {error}");
        }
    }
}

/// Starts the program of `launch` with these sockets and the ownership of these files, gives it the streams and clients
/// that can move, and waits until it serves. If this future is dropped before that, the new process is killed, and what it
/// has not taken goes on here.
///
/// # Errors
/// When the process cannot be started, or when it ends or stays silent instead of serving.
pub(super) async fn start(
    launch: &Launch,
    sockets: &[OwnedFd],
    files: &[SocketFile],
    source: Source,
    patience: Duration,
) -> io::Result<Successor> {
    if let Some(why) = refusal(std::process::id()) {
        return Err(io::Error::other(why));
    }
    let (ours, theirs) = UnixStream::pair()?;
    let link = Arc::new(Link::over(ours.into())?);
    link.wait_for(patience)?;
    let program = launch.program();
    log::info!("a new process is started program={}", program.display());
    let mut command = command(launch, sockets, files)?;
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    let child =
        command.spawn().map_err(|error| io::Error::other(format!("cannot start {}: {error}", program.display())))?;
    let starting = Arc::new(Mutex::new(Starting(Some(child))));
    let mut ended = EndedOnDrop(Some(Arc::clone(&starting)));
    // The command holds a copy of the other end. If it stayed open, the end of the new process would not be seen.
    drop(command);
    // It goes on to its end even if nobody waits for it any more: clients may be on their way.
    let served = tokio::spawn(serves(link, source, Arc::clone(&starting), patience)).await.map_err(io::Error::other)?;
    match served {
        Ok(Moved { streams, clients, longest }) => {
            let longest = longest.as_millis();
            log::info!("handed over streams={streams} clients={clients} longest_ms={longest}");
            ended.0 = None;
            let serving = std::mem::replace(&mut *starting.lock(), Starting(None));
            Ok(Successor(serving))
        }
        Err(how) => Err(io::Error::other(format!("{} did not start to serve: {how}", program.display()))),
    }
}

/// Ends a new process when it is dropped. What the process has not taken then goes on here.
struct EndedOnDrop(Option<Arc<Mutex<Starting>>>);

impl Drop for EndedOnDrop {
    fn drop(&mut self) {
        if let Some(starting) = &self.0
            && let Err(error) = starting.lock().end()
        {
            log::warn!("cannot end the new process: {error}");
        }
    }
}

/// Gives the new process what it takes, and waits until it accepts connections. If it does not come to that, it is ended,
/// and what it has not taken goes on here: never before its end, because it might still send something to a client.
/// Returns how it ended then.
async fn serves(
    link: Arc<Link>,
    source: Source,
    starting: Arc<Mutex<Starting>>,
    patience: Duration,
) -> Result<Moved, String> {
    let first = Arc::clone(&link);
    let first = spawn_blocking(move || first.first_byte()).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let mut given = Given::default();
    let gave = match first {
        // A version that takes nothing over.
        Ok(Some(READY)) => return Ok(Moved::default()),
        Ok(Some(_)) => source.give(&link, &mut given).await,
        Ok(None) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Err(error) => Err(error.into()),
    };
    let gave = match gave {
        Ok(moved) => handover::is_ready(&link, &given).await.map(|()| moved).map_err(Broken::from),
        broken => broken,
    };
    let broken = match gave {
        Ok(moved) => {
            source.leaves(&given);
            return Ok(moved);
        }
        Err(broken) => broken,
    };
    let status = starting.lock().end().unwrap_or_else(|error| error.to_string());
    let how = match broken.error.kind() {
        io::ErrorKind::UnexpectedEof => format!("{status}. The log has its reasons"),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("it was silent for {} seconds, and was killed", patience.as_secs())
        }
        _ => format!("{}, and it was killed", broken.error),
    };
    source.goes_on(&link, broken, given).await;
    Err(how)
}

/// The command line of this process, with the program that its path names now.
fn command(launch: &Launch, sockets: &[OwnedFd], files: &[SocketFile]) -> io::Result<Command> {
    let mut mappings = Vec::with_capacity(sockets.len());
    for (child_fd, socket) in (FIRST_DESCRIPTOR..).zip(sockets) {
        mappings.push(FdMapping { parent_fd: socket.try_clone()?, child_fd });
    }
    let mut command = Command::new(launch.program());
    command
        .args(std::env::args_os().skip(1))
        .env(UPGRADE, "1")
        .env(OWN_FILES, own_files(files))
        .env("LISTEN_FDS", sockets.len().to_string())
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDNAMES")
        .env_remove("LISTEN_FDS_FIRST_FD")
        .fd_mappings(mappings)
        .map_err(io::Error::other)?;
    if let Some(directory) = launch.directory() {
        // Relative paths among the arguments then lead into the new release.
        command.current_dir(directory).env("PWD", directory);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::super::accept::Accepting;
    use super::*;
    use crate::config::Networks;
    use crate::gateway::{CurrentRouting, NoStreams, Permissions, Presence, RouteIds, Routing};
    use crate::hub::Hub;
    use tokio::sync::watch;

    #[test]
    fn the_first_process_of_a_container_stays() {
        assert!(refusal(1).is_some_and(|why| why.contains("process 1") && why.contains("container")));
        assert_eq!(refusal(2), None);
        assert_eq!(refusal(u32::MAX), None);
    }

    #[tokio::test]
    async fn a_new_process_that_is_silent_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let [script, program] = ["script", "program"].map(|name| directory.path().join(name));
        std::fs::write(&script, "#!/bin/sh\nexec sleep 3600\n").unwrap();
        // Another process writes the program, because a file that is open for writing cannot be executed.
        let installed = Command::new("install").args(["-m", "755"]).args([&script, &program]).status().unwrap();
        assert!(installed.success());
        let routing = CurrentRouting::new(Routing::new(&[], Networks::default(), &mut RouteIds::default()));
        let hub = Hub::new(Arc::new(NoStreams));
        let permissions = Permissions::new(Arc::default(), None, Presence::default());
        let accepting = watch::channel(Accepting::Yes).0;
        let source = Source { hub, engine: None, routing, permissions, accepting };
        let error =
            start(&Launch::by(&program), &[], &[], source, Duration::from_secs(1)).await.unwrap_err().to_string();
        assert!(error.contains(program.to_str().unwrap()), "{error}");
        assert!(error.ends_with("did not start to serve: it was silent for 1 seconds, and was killed"), "{error}");
    }
}
