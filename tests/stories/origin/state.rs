//! The requests and connections that an origin remembers.

use crate::http1::Headers;
use rustls::HandshakeKind;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

/// A request as the client sent it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target: path and query, or in HTTP/2 the `:path`.
    pub target: String,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: String,
    /// The header fields. In HTTP/2 the authority is among them as `host`.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The number of its connection, counted from 1.
    pub connection: usize,
}

/// Everything that an origin remembers.
#[derive(Debug, Default)]
pub struct State {
    /// Requests, in order.
    pub requests: Vec<Arc<Request>>,
    /// The number of connections so far.
    pub accepted: usize,
    /// The number of TLS handshakes that were full, and of those that resumed a session.
    pub handshakes: (usize, usize),
    /// The open connections, each with a descriptor to reset it by.
    pub open: BTreeMap<usize, OwnedFd>,
}

impl State {
    /// Resets every connection.
    pub fn reset_all(&mut self) {
        for (_, socket) in std::mem::take(&mut self.open) {
            reset(&socket);
        }
    }
}

/// The state, and the tasks that wait for it to change.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<()>,
}

impl Watched {
    /// Looks at the state.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Remembers a request.
    pub fn record(&self, request: Request) -> Arc<Request> {
        let request = Arc::new(request);
        self.lock().requests.push(request.clone());
        self.changes.send_replace(());
        request
    }

    /// Remembers a connection while the returned value lives.
    pub fn opened(&self, stream: &TcpStream) -> Arc<Open> {
        use std::os::fd::AsFd;
        let mut state = self.lock();
        state.accepted += 1;
        let number = state.accepted;
        state.open.insert(number, stream.as_fd().try_clone_to_owned().unwrap());
        self.changes.send_replace(());
        Arc::new(Open { watched: self.clone(), number, going_away: Notify::new() })
    }

    /// Remembers a TLS handshake.
    pub fn handshaken(&self, kind: HandshakeKind) {
        let (full, resumed) = &mut self.lock().handshakes;
        if kind == HandshakeKind::Resumed { *resumed += 1 } else { *full += 1 }
    }

    /// Waits until `reached` is true of the state.
    pub async fn until(&self, reached: impl Fn(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        while !reached(&self.lock()) {
            changes.changed().await.unwrap();
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Open {
    watched: Watched,
    /// Its number.
    pub number: usize,
    /// Asks for a GOAWAY, which ends a connection of HTTP/2 when its streams have ended.
    pub going_away: Notify,
}

impl Open {
    /// Resets the connection.
    pub fn reset(&self) {
        if let Some(socket) = self.watched.lock().open.remove(&self.number) {
            reset(&socket);
        }
        self.watched.changes.send_replace(());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _closed = self.watched.lock().open.remove(&self.number);
        self.watched.changes.send_replace(());
    }
}

/// Dissolves the association of a TCP socket. That sends a RST even if another process holds the descriptor. A
/// listener stops listening.
pub fn reset(socket: &OwnedFd) {
    // An error means that the peer has ended the connection already.
    let _ended = rustix::net::connect_unspec(socket);
}
