//! Gives events to a server that asks no origin for them. To nginx it posts them over kept connections, the events of
//! one stream one after the other.

use super::emitter::{self, Sink};
use super::event::{Stamp, blank};
use super::nchan;
use super::pushes::Pushes;
use super::schedule::Due;
use super::socket::Socket;
use super::specs::{PublisherSpec, Publishing};
use super::{Failure, clock};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// The number of connections that the streams are spread over, so that one stream does not wait for the answers of
/// all others.
const CONNECTIONS: u64 = 16;

/// How long nginx may take to answer. It answers after it has sent the event to all subscribers.
const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes the events of `spec.work` until the standard input ends.
pub(crate) fn publish(spec: &PublisherSpec) -> Result<(), Failure> {
    let (messages, inbox) = sync_channel(16);
    match spec.to {
        Publishing::Post => {
            let mut posts = Posts::new(spec)?;
            thread::spawn(move || emitter::listen_for_orders(&messages));
            emitter::run(&spec.work, &inbox, &mut posts)
        }
        Publishing::Push => {
            let mut pushes = Pushes::new(spec)?;
            thread::spawn(move || emitter::listen_for_orders(&messages));
            emitter::run(&spec.work, &inbox, &mut pushes)
        }
    }
}

struct Posts {
    connections: Vec<Connection>,
    data: Vec<u8>,
    request: Vec<u8>,
}

struct Connection {
    socket: BufReader<TcpStream>,
    /// An answer is outstanding.
    asked: bool,
}

impl Sink for Posts {
    fn join(&mut self, _: u64, _: Socket) {}

    fn send(&mut self, due: Due) -> Result<(), Failure> {
        for seq in due.seqs {
            self.post(due.stream, seq)?;
        }
        Ok(())
    }

    fn departed(&self) -> u64 {
        0
    }
}

impl Posts {
    fn new(spec: &PublisherSpec) -> Result<Self, Failure> {
        let mut connections = Vec::new();
        for _ in 0..spec.work.streams.min(CONNECTIONS) {
            let socket = TcpStream::connect(spec.server)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            connections.push(Connection { socket: BufReader::new(socket), asked: false });
        }
        Ok(Self { connections, data: blank(spec.work.size), request: Vec::new() })
    }

    fn post(&mut self, stream: u64, seq: u64) -> Result<(), Failure> {
        let place = usize::try_from(stream)? % self.connections.len();
        let connection = &mut self.connections[place];
        if connection.asked {
            connection.answer()?;
        }
        Stamp { seq, sent: clock::now() }.write(&mut self.data);
        self.request.clear();
        let (path, length) = (nchan::PUBLISH, self.data.len());
        write!(self.request, "POST {path}{stream} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n")?;
        self.request.extend_from_slice(&self.data);
        connection.socket.get_mut().write_all(&self.request)?;
        connection.asked = true;
        Ok(())
    }
}

impl Connection {
    /// Reads one response: 201 if the stream has subscribers, 202 if it has none.
    fn answer(&mut self) -> Result<(), Failure> {
        let (mut line, mut length) = (String::new(), 0);
        self.socket.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 20") {
            return Err(format!("nginx answered a POST with {line:?}").into());
        }
        loop {
            line.clear();
            self.socket.read_line(&mut line)?;
            let field = line.trim_end().to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length: ") {
                length = value.parse()?;
            } else if field.is_empty() {
                break;
            }
        }
        std::io::copy(&mut self.socket.by_ref().take(length), &mut std::io::sink())?;
        Ok(())
    }
}
