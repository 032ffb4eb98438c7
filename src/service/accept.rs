//! The loops that accept connections, one for each listening socket.
//!
//! ```text
//!              a connection ▶ served in a task of its own
//!             ╭──▶──╮
//!   ─────▶ Accepting ─── no descriptors left ──▶ Resting ──▶ Accepting
//!             │  │
//!             │  └────── an error of the socket ──▶ the loop ends, and the process with it
//!             └───────── the drain begins ──▶ queued connections are accepted ──▶ closed
//! ```

use super::bound::{BACKLOG, Bound, Socket};
use crate::config::ListenAddr;
use crate::gateway::{Front, Listener, Transport};
use crate::log_limit::LogLimit;
use rustix::io::Errno;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long a loop rests after it could not accept a connection for lack of descriptors or memory. Other connections
/// may end in that time.
const REST: Duration = Duration::from_millis(100);

/// The shortest time between two log lines that say that no connection can be accepted.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The connections that a loop accepts before other tasks of the runtime get their turn. A crowd that connects at once
/// must not hold up the clients that are served, or the admin address.
const SLICE: usize = 16;

/// Whether connections are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepting {
    /// All connections are accepted.
    Yes,
    /// No connections are accepted for now. They wait in the kernel's queue.
    Paused,
    /// The connections that wait in the kernel's queue are accepted, and no others.
    Last,
    /// No connections are accepted. Another process accepts those in the kernel's queue.
    No,
}

/// Why connections are no longer accepted although no drain has begun.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The listening socket is unusable.
    #[error("can no longer accept connections at {0}: {1}")]
    Socket(ListenAddr, io::Error),
    /// An accept loop panicked.
    #[error("a loop that accepts connections ended: {0}")]
    Task(tokio::task::JoinError),
}

/// Accepts connections at all sockets until it is told to stop.
///
/// # Errors
/// When one of the sockets becomes unusable. The others are closed then.
pub(super) async fn accept_all(
    sockets: Vec<Bound>,
    front: Arc<Front>,
    accepting: watch::Receiver<Accepting>,
) -> Result<(), AcceptError> {
    let mut loops = JoinSet::new();
    for bound in sockets {
        let (accepting, threads) = (accepting.clone(), bound.is_tls.then(|| front.handshake_threads()).flatten());
        let accept = accept(bound, Arc::clone(&front), accepting);
        match threads {
            // A crowd that shakes hands wakes no other thread until its requests come.
            Some(threads) => loops.spawn_on(accept, &threads),
            None => loops.spawn(accept),
        };
    }
    drop(front);
    while let Some(ended) = loops.join_next().await {
        ended.map_err(AcceptError::Task)??;
    }
    Ok(())
}

/// What to do about an error of `accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// Accept the next one: the connection was gone before it was accepted.
    Next,
    /// Wait: descriptors or memory are short until other connections end.
    Rest,
    /// Give up: the socket is unusable.
    End,
}

impl Remedy {
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Rest,
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT | Errno::OPNOTSUPP) | None => Self::End,
            // accept(2) also returns errors that are pending on the new connection.
            Some(_) => Self::Next,
        }
    }
}

/// The connections that wait in the queue of a listener. Stops when the queue is empty.
fn waiting(listener: &Listener) -> impl Iterator<Item = Transport> {
    std::iter::from_fn(|| listener.next().ok()).take(usize::from(BACKLOG))
}

async fn accept(bound: Bound, front: Arc<Front>, mut accepting: watch::Receiver<Accepting>) -> Result<(), AcceptError> {
    let Bound { address, socket, is_tls, file: _ } = bound;
    let of_socket = |error| AcceptError::Socket(address.clone(), error);
    let listener = match socket {
        Socket::Tcp(listener) => Listener::new(listener.into(), true),
        Socket::Unix(listener) => Listener::new(listener.into(), false),
    };
    let serve = |transport| if is_tls { front.accept_tls(transport) } else { front.accept(transport) };
    let lines = LogLimit::new(1, TOLD_EVERY);
    let mut left = SLICE;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = accepting.wait_for(|accepting| *accepting != Accepting::Yes) => None,
            accepted = listener.accept() => Some(accepted),
        };
        let Some(accepted) = accepted else {
            let is_paused = *accepting.borrow() == Accepting::Paused;
            if is_paused && accepting.wait_for(|accepting| *accepting != Accepting::Paused).await.is_ok() {
                continue;
            }
            break;
        };
        let error = match accepted {
            Ok(transport) => {
                serve(transport);
                left -= 1;
                if left == 0 {
                    left = SLICE;
                    tokio::task::yield_now().await;
                }
                continue;
            }
            Err(error) => error,
        };
        match Remedy::of(&error) {
            Remedy::Next => log::debug!("a connection was gone before it was accepted addr={address}: {error}"),
            Remedy::End => return Err(of_socket(error)),
            Remedy::Rest => {
                if lines.next(Instant::now()).is_some() {
                    log::error!("no connection can be accepted at the moment, so clients wait addr={address}: {error}");
                }
                sleep(REST).await;
            }
        }
    }
    if *accepting.borrow() == Accepting::Last {
        // When the socket is closed, the kernel resets the connections that still wait in its queue.
        for transport in waiting(&listener) {
            serve(transport);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Networks;
    use crate::gateway::{CurrentRouting, FrontOptions, Gateway, Lifecycle, NoStreams, RouteIds, Routing};
    use crate::hub::Hub;
    use crate::upstream::Connector;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    fn front(stopping: watch::Receiver<bool>) -> Arc<Front> {
        let routing = CurrentRouting::new(Routing::new(&[], Networks::default(), &mut RouteIds::default()));
        let (_, lifecycle) = watch::channel(Lifecycle::Running);
        let gateway = Gateway::new(routing, Hub::new(Arc::new(NoStreams)), Connector::new(), None, lifecycle);
        Arc::new(Front::new(FrontOptions::default(), gateway, mpsc::channel(1).0, stopping))
    }

    #[tokio::test]
    async fn who_waits_in_the_queue_when_the_drain_begins_is_answered_unless_another_process_does() {
        for (state, expected) in [(Accepting::Last, "HTTP/1.1 404 Not Found"), (Accepting::No, "")] {
            let bound = Bound::tcp(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
            let ListenAddr::Tcp(address) = bound.address else { panic!("a TCP address") };
            let mut waiting = Vec::new();
            for _ in 0..5 {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
                waiting.push(client);
            }
            let (_stop, stopping) = watch::channel(true);
            let (_accepting, accepting) = watch::channel(state);
            accept_all(vec![bound], front(stopping), accepting).await.unwrap();
            for mut client in waiting {
                let mut answer = String::new();
                // A connection that is reset has no answer.
                let _end = client.read_to_string(&mut answer).await;
                assert_eq!(answer.lines().next().unwrap_or_default(), expected, "{state:?}");
            }
        }
    }

    #[tokio::test]
    async fn other_tasks_get_their_turn_while_a_crowd_is_accepted() {
        const CROWD: usize = 96;
        let bound = Bound::tcp(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let ListenAddr::Tcp(address) = bound.address else { panic!("a TCP address") };
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            crowd.push(TcpStream::connect(address).await.unwrap());
        }
        let (_stop, stopping) = watch::channel(false);
        let (accepting, receiver) = watch::channel(Accepting::Yes);
        let before = crate::counters::process().accepts.value();
        let loops = tokio::spawn(accept_all(vec![bound], front(stopping), receiver));
        // The most connections that were accepted between two turns of this task. The runtime's own budget would let
        // 128 of them pass.
        let (mut seen, mut most) = (before, 0);
        while seen < before + CROWD as u64 {
            tokio::task::yield_now().await;
            let now = crate::counters::process().accepts.value();
            most = most.max(now - seen);
            seen = now;
        }
        assert!(most < 2 * SLICE as u64, "{most} at once");
        accepting.send_replace(Accepting::No);
        loops.await.unwrap().unwrap();
    }

    #[test]
    fn an_error_of_one_connection_is_not_one_of_the_socket() {
        for (errno, remedy) in [
            (Errno::CONNABORTED, Remedy::Next),
            (Errno::INTR, Remedy::Next),
            (Errno::PROTO, Remedy::Next),
            (Errno::HOSTUNREACH, Remedy::Next),
            (Errno::PERM, Remedy::Next),
            (Errno::MFILE, Remedy::Rest),
            (Errno::NFILE, Remedy::Rest),
            (Errno::NOMEM, Remedy::Rest),
            (Errno::NOBUFS, Remedy::Rest),
            (Errno::BADF, Remedy::End),
            (Errno::INVAL, Remedy::End),
            (Errno::NOTSOCK, Remedy::End),
        ] {
            assert_eq!(Remedy::of(&io::Error::from(errno)), remedy, "{errno}");
        }
        assert_eq!(Remedy::of(&io::Error::other("?")), Remedy::End);
    }
}
