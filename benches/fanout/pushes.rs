//! Pushes events to Pushpin, as messages of ZeroMQ over one connection.
//!
//! Pushpin takes events by HTTP too, but closes the connection after each. What is spoken here is ZMTP 3.0 with the
//! mechanism NULL: <https://rfc.zeromq.org/spec/23/>.

use super::emitter::Sink;
use super::event::{Stamp, blank, id};
use super::schedule::Due;
use super::socket::Socket;
use super::specs::PublisherSpec;
use super::{Failure, clock};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long Pushpin may take no byte.
const PATIENCE: Duration = Duration::from_secs(20);

/// The bytes of a greeting.
const GREETING: usize = 64;

/// The flags of a frame: it is a command, or its length has eight bytes.
const COMMAND: u8 = 4;
const LONG: u8 = 2;

/// A connection to Pushpin.
pub(crate) struct Pushes {
    socket: TcpStream,
    data: Vec<u8>,
    /// The frames of the events that are due.
    frames: Vec<u8>,
}

impl Pushes {
    pub(crate) fn new(spec: &PublisherSpec) -> Result<Self, Failure> {
        let mut socket = TcpStream::connect(spec.server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH".to_vec();
        let mut hello = greeting().to_vec();
        hello.append(&mut frame(COMMAND, &std::mem::take(&mut ready)));
        socket.write_all(&hello)?;
        // Pushpin greets and says that it is ready. Nothing of that matters here.
        socket.read_exact(&mut [0; GREETING])?;
        let mut head = [0; 2];
        socket.read_exact(&mut head)?;
        socket.read_exact(&mut vec![0; usize::from(head[1])])?;
        Ok(Self { socket, data: blank(spec.work.size), frames: Vec::new() })
    }
}

impl Sink for Pushes {
    fn join(&mut self, _: u64, _: Socket) {}

    fn send(&mut self, due: Due) -> Result<(), Failure> {
        self.frames.clear();
        for seq in due.seqs {
            Stamp { seq, sent: clock::now() }.write(&mut self.data);
            let (stream, id, data) = (due.stream, id(seq), str::from_utf8(&self.data)?);
            // The J says that JSON follows.
            let message = format!(
                "J{{\"channel\":\"{stream}\",\"formats\":{{\"http-stream\":{{\"content\":\"id: {id}\\ndata: {data}\\n\\n\"}}}}}}"
            );
            self.frames.append(&mut frame(0, message.as_bytes()));
        }
        Ok(self.socket.write_all(&self.frames)?)
    }

    fn departed(&self) -> u64 {
        0
    }
}

/// Version 3.0, no authentication, as a client.
fn greeting() -> [u8; GREETING] {
    let mut greeting = [0; GREETING];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

/// A frame with these flags.
fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(length) => vec![flags, length],
        Err(_) => {
            let mut head = vec![flags | LONG];
            head.extend_from_slice(&u64::try_from(body.len()).unwrap_or(u64::MAX).to_be_bytes());
            head
        }
    };
    frame.extend_from_slice(body);
    frame
}
