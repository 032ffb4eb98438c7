//! Posts events to nginx, one after the other on one connection.

use super::emitter::{self, Sink};
use super::event::{Stamp, blank};
use super::schedule::Due;
use super::specs::PublisherSpec;
use super::{Failure, clock};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// For nginx to answer: it answers after it has sent the event to all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Posts `spec.work` until the standard input ends.
pub(crate) fn publish(spec: &PublisherSpec) -> Result<(), Failure> {
    let socket = TcpStream::connect(spec.server)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut post = Post {
        path: spec.path.clone(),
        data: blank(spec.work.size),
        socket: BufReader::new(socket),
        request: Vec::new(),
    };
    let (messages, inbox) = sync_channel(16);
    thread::spawn(move || emitter::listen_for_orders(&messages));
    emitter::run(&spec.work, &inbox, &mut post)
}

struct Post {
    path: String,
    data: Vec<u8>,
    socket: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Sink for Post {
    fn join(&mut self, _: u64, _: TcpStream) {}

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

impl Post {
    fn post(&mut self, stream: u64, seq: u64) -> Result<(), Failure> {
        Stamp { seq, sent: clock::now() }.write(&mut self.data);
        self.request.clear();
        let (path, length) = (&self.path, self.data.len());
        write!(self.request, "POST {path}{stream} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n")?;
        self.request.extend_from_slice(&self.data);
        self.socket.get_mut().write_all(&self.request)?;
        self.answer()
    }

    /// Reads one response: 201 if there is a subscriber, 202 if there is none.
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
