//! An SSE server that is a bare loop of `send()` over its sockets: the origin, and the floor that servers are
//! compared with.
//!
//! As the origin it has one connection per stream. As the floor it has every client. It makes one system call per
//! event and socket, so it costs what the kernel costs. Over TLS, it seals each event for each client with rustls. When
//! it is late, it sends all due events at once, as the servers do.

use super::emitter::{self, Message, Sink};
use super::event::{Stamp, Template};
use super::schedule::Due;
use super::socket::Socket;
use super::specs::{Chunks, SourceSpec};
use super::{Failure, clock, reception, say};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// A gateway's response head, byte for byte, so that the floor sends as many bytes.
pub(crate) const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\n\
    x-accel-buffering: no\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\n:\n\r\n";

/// The longest head of a request.
pub(crate) const REQUEST: usize = 4096;

/// A client that takes nothing for this long ends the run, because every client of a run is measured.
pub(crate) const STALL: Duration = Duration::from_secs(20);

/// Sends the events of `spec.work` until the standard input ends.
pub(crate) fn serve(spec: SourceSpec) -> Result<(), Failure> {
    let SourceSpec { work, identity } = spec;
    let listener = listen()?;
    say("listening", &listener.local_addr()?)?;
    let (messages, inbox) = sync_channel(20_000);
    let orders = messages.clone();
    thread::spawn(move || emitter::listen_for_orders(&orders));
    thread::spawn(move || match identity {
        None => accept(&listener, &messages),
        Some(identity) => {
            if let Err(error) = reception::receive(&listener, &identity, &messages) {
                // If this fails too, the failure cannot be reported anywhere. The clients are not answered then.
                writeln!(io::stderr(), "source: {error}").unwrap_or_default();
            }
        }
    });
    let mut sockets = Sockets {
        streams: (0..work.streams + work.quiet).map(|_| Vec::new()).collect(),
        chunks: work.chunks,
        template: Template::new(work.size, work.ids),
        batch: Vec::new(),
        departed: 0,
    };
    emitter::run(&work, &inbox, &mut sockets)
}

/// A listener whose backlog holds a crowd. The standard library's holds 128 connections.
fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, 4096)?;
    Ok(listener)
}

fn accept(listener: &TcpListener, messages: &SyncSender<Message>) {
    for socket in listener.incoming() {
        // A client that leaves before it has asked is not counted here. The clients' side counts it.
        if let Ok(message) = socket.and_then(welcome)
            && messages.send(message).is_err()
        {
            return;
        }
    }
}

/// Reads a request such as `GET /s/7 HTTP/1.1` and answers it.
fn welcome(mut socket: TcpStream) -> io::Result<Message> {
    socket.set_read_timeout(Some(STALL))?;
    let (mut request, mut length) = ([0; REQUEST], 0);
    while !request[..length].ends_with(b"\r\n\r\n") {
        match socket.read(&mut request[length..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
    }
    let stream = stream_of(&request[..length]).ok_or(io::ErrorKind::InvalidData)?;
    socket.set_write_timeout(Some(STALL))?;
    socket.set_nodelay(true)?;
    socket.write_all(HEAD)?;
    Ok(Message::Joined(stream, Socket::Plain(socket)))
}

pub(crate) fn stream_of(request: &[u8]) -> Option<u64> {
    let path = str::from_utf8(request).ok()?.strip_prefix("GET /s/")?;
    path.split_once(' ')?.0.parse().ok()
}

struct Sockets {
    streams: Vec<Vec<Socket>>,
    chunks: Chunks,
    template: Template,
    batch: Vec<u8>,
    departed: u64,
}

impl Sink for Sockets {
    fn join(&mut self, stream: u64, socket: Socket) {
        if let Some(sockets) = usize::try_from(stream).ok().and_then(|stream| self.streams.get_mut(stream)) {
            sockets.push(socket);
        }
    }

    fn send(&mut self, due: Due) -> Result<(), Failure> {
        self.batch.clear();
        let sent = clock::now();
        for stamp in due.seqs.map(|seq| Stamp { seq, sent }) {
            match self.chunks {
                Chunks::PerEvent => self.batch.extend_from_slice(self.template.stamped(stamp)),
                Chunks::PerBurst => self.batch.extend_from_slice(self.template.text(stamp)),
            }
        }
        if self.chunks == Chunks::PerBurst {
            let head = format!("{:x}\r\n", self.batch.len());
            self.batch.splice(0..0, head.into_bytes());
            self.batch.extend_from_slice(b"\r\n");
        }
        let (batch, sockets) = (&self.batch, &mut self.streams[usize::try_from(due.stream)?]);
        let before = sockets.len();
        sockets.retain_mut(|socket| socket.send_all(batch).is_ok());
        self.departed += u64::try_from(before - sockets.len())?;
        Ok(())
    }

    fn departed(&self) -> u64 {
        self.departed
    }
}
