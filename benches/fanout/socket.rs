//! The sockets that a bare loop sends to.

use rustix::net::SendFlags;
use rustls::ServerConnection;
use std::io::{self, Write};
use std::net::TcpStream;

/// A client's connection to the bare loop. Its socket blocks.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(TcpStream, Box<ServerConnection>),
}

impl Socket {
    pub(crate) fn send_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => {
                while !bytes.is_empty() {
                    bytes = &bytes[rustix::net::send(&*socket, bytes, SendFlags::NOSIGNAL)?..];
                }
            }
            Self::Tls(socket, connection) => {
                connection.writer().write_all(bytes)?;
                while connection.wants_write() {
                    connection.write_tls(socket)?;
                }
            }
        }
        Ok(())
    }
}
