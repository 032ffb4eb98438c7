//! Receives the clients of a bare loop over TLS, up to their response's head: one thread, one epoll instance, and for
//! each client a connection of rustls. What a handshake costs here is the least that it costs with rustls.

use super::Failure;
use super::emitter::Message;
use super::identity::Identity;
use super::socket::Socket;
use super::source::{HEAD, REQUEST, STALL, stream_of};
use super::tls::HTTP_1;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};
use slab::Slab;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// The token of the listener.
const LISTENER: u64 = u64::MAX;

/// The number of sockets served after one wait.
const READY: usize = 256;

/// The number of bytes read at once.
const BUFFER: usize = 16 * 1024;

/// Receives clients for as long as someone takes them.
pub(crate) fn receive(
    listener: &TcpListener,
    identity: &Identity,
    messages: &SyncSender<Message>,
) -> Result<(), Failure> {
    let mut reception =
        Reception { epoll: epoll::create(CreateFlags::CLOEXEC)?, config: config(identity)?, guests: Slab::new() };
    listener.set_nonblocking(true)?;
    epoll::add(&reception.epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let (mut ready, mut buffer) = (Vec::with_capacity(READY), vec![0; BUFFER]);
    loop {
        ready.clear();
        match epoll::wait(&reception.epoll, rustix::buffer::spare_capacity(&mut ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &ready {
            if event.data.u64() == LISTENER {
                reception.let_in(listener)?;
            } else if let Some(welcomed) = reception.serve(usize::try_from(event.data.u64())?, &mut buffer)
                && messages.send(welcomed).is_err()
            {
                return Ok(());
            }
        }
    }
}

/// Tickets are encrypted and not stored, and a client gets one, as from manifold.
fn config(identity: &Identity) -> Result<Arc<ServerConfig>, Failure> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(&[&rustls::version::TLS13])?.with_no_client_auth();
    let mut config = config.with_single_cert(vec![identity.certificate()?], identity.private_key()?)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(Arc::new(config))
}

struct Reception {
    epoll: OwnedFd,
    config: Arc<ServerConfig>,
    guests: Slab<Guest>,
}

/// A client that does not have its response's head yet.
struct Guest {
    socket: TcpStream,
    connection: Box<ServerConnection>,
    request: Vec<u8>,
}

impl Reception {
    /// Accepts the connections that wait.
    fn let_in(&mut self, listener: &TcpListener) -> Result<(), Failure> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // A client that has left again. The clients' side counts it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let connection = Box::new(ServerConnection::new(self.config.clone())?);
            let place = self.guests.vacant_entry();
            epoll::add(&self.epoll, &socket, EventData::new_u64(u64::try_from(place.key())?), EventFlags::IN)?;
            place.insert(Guest { socket, connection, request: Vec::new() });
        }
    }

    /// Reads what a client sent. The client is given away once it has its head, and forgotten if it left or sent
    /// something wrong.
    fn serve(&mut self, key: usize, buffer: &mut [u8]) -> Option<Message> {
        let guest = self.guests.get_mut(key)?;
        match guest.serve(buffer) {
            Ok(None) => None,
            Ok(Some(stream)) => {
                let Guest { socket, connection, .. } = self.guests.remove(key);
                epoll::delete(&self.epoll, &socket).ok()?;
                socket.set_nonblocking(false).ok()?;
                socket.set_write_timeout(Some(STALL)).ok()?;
                Some(Message::Joined(stream, Socket::Tls(socket, connection)))
            }
            Err(_) => {
                self.guests.remove(key);
                None
            }
        }
    }
}

impl Guest {
    /// Returns the stream once the client has asked for one, and was answered.
    fn serve(&mut self, buffer: &mut [u8]) -> io::Result<Option<u64>> {
        let read = match self.socket.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = &buffer[..read];
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes)?;
            let state = self.connection.process_new_packets().map_err(io::Error::other)?;
            let from = self.request.len();
            self.request.resize(from + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut self.request[from..])?;
            if state.peer_has_closed() || self.request.len() > REQUEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let stream = if self.request.ends_with(b"\r\n\r\n") {
            self.connection.writer().write_all(HEAD)?;
            Some(stream_of(&self.request).ok_or(io::ErrorKind::InvalidData)?)
        } else {
            None
        };
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(stream)
    }
}
