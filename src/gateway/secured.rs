//! The TLS of a client's connection, from its handshake on.
//!
//! ```text
//!   accepted ─▶ the first byte ─┬─ a handshake ─▶ Handshakes ─▶ Secured ─┬─▶ sessions, which read and write through rustls
//!                               └─ plain HTTP ──▶ 400                    └─▶ the engine, by its keys only
//! ```

use super::transport::{READ_BYTES, Transport};
use crate::auth::Certificate;
use crate::certificates::Alpn;
use crate::counters::Handshake;
use crate::tls::{Capture, Channel, RecordIo, Refusal, may_detach};
use bytes::{Buf, BytesMut};
use rustls::{HandshakeKind, ProtocolVersion};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// The most bytes of plaintext that are encrypted for one write. It is the plaintext of one record.
const WRITE_BYTES: usize = 16 << 10;

/// The socket below TLS.
#[derive(Debug)]
pub(super) struct Socket {
    transport: Arc<Transport>,
    /// The bytes that were read from the socket before the handshake began.
    before: BytesMut,
}

/// The TLS of a connection whose handshake is over.
pub(super) struct Secured {
    stream: TlsStream<RecordIo<Socket>>,
    capture: Arc<Capture>,
    /// The bytes of plaintext that the client has sent since the handshake.
    read: u64,
    /// The bytes of a write that rustls has encrypted and the socket has not taken. The write is not over before.
    owed: usize,
}

impl Socket {
    /// The socket of a connection. `before`: the bytes that were read from it.
    pub(super) fn new(transport: Transport, before: BytesMut) -> Self {
        Self { transport: Arc::new(transport), before }
    }
}

impl Secured {
    /// A connection whose handshake is over.
    pub(super) fn new(mut stream: TlsStream<RecordIo<Socket>>, capture: Arc<Capture>) -> Self {
        stream.get_mut().0.begin_counting();
        Self { stream, capture, read: 0, owed: 0 }
    }

    /// What came of the handshake.
    pub(super) fn how(&self) -> Handshake {
        match self.stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        }
    }

    /// Whether the client agreed on HTTP/2 in the handshake.
    pub(super) fn is_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(Alpn::Http2.name().as_bytes())
    }

    /// The certificate that the client showed, which was checked.
    pub(super) fn certificate(&self) -> Option<Arc<Certificate>> {
        let certificate = self.stream.get_ref().1.peer_certificates()?.first()?;
        Certificate::of(certificate).map(Arc::new)
    }

    /// The socket.
    pub(super) fn transport(&self) -> &Arc<Transport> {
        &self.stream.get_ref().0.get_ref().transport
    }

    /// Makes the runtime that next waits for the socket the one that watches it. Nothing else may use the socket.
    pub(super) fn leave_runtime(&mut self) {
        Transport::leave_runtime(&mut self.stream.get_mut().0.get_mut().transport);
    }

    /// Appends plaintext that has come to `bytes`, at most [`READ_BYTES`]. 0: the client has closed its side.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let came = room.filled();
        bytes.extend_from_slice(came);
        self.read += came.len() as u64;
        Poll::Ready(Ok(came.len()))
    }

    /// Writes some of `bytes`. It is ready when the socket has taken them in encrypted form, because nobody else would
    /// send what is left of them. So a write that waits must be polled again with the same bytes.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.owed == 0 {
            let some = bytes.get(..bytes.len().min(WRITE_BYTES)).unwrap_or_default();
            self.owed = ready!(Pin::new(&mut self.stream).poll_write(cx, some))?;
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.owed).min(bytes.len())))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Tells the client that nothing more comes, and closes our side of the socket.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Whether it seems that the connection can be served by its keys only: it speaks TLS 1.3, and rustls holds nothing of
    /// either side. The client may send more before the keys are taken, so this is decided at that time.
    pub(super) fn can_leave(&self) -> bool {
        let (io, tls) = self.stream.get_ref();
        self.may_leave() && self.owed == 0 && !tls.wants_write() && io.at_boundary() && io.counted() == self.read
    }

    /// Whether the connection can be served by its keys only when all is [read](Self::holds_unread) that it holds.
    pub(super) fn may_leave(&self) -> bool {
        self.stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Takes nothing more from the socket than the rest of what was taken.
    pub(super) fn stop_reading_ahead(&mut self) {
        self.stream.get_mut().0.stop_reading_ahead();
    }

    /// Whether something that the client has sent was taken from the socket and not read, such as a part of a record.
    pub(super) fn holds_unread(&mut self) -> bool {
        let (io, tls) = self.stream.get_mut();
        // The next read tells of an error.
        !io.at_boundary() || tls.process_new_packets().map_or(true, |state| state.plaintext_bytes_to_read() > 0)
    }

    /// Takes the keys of the connection, and gives up the rest of its TLS.
    ///
    /// # Errors
    /// When the connection cannot be served by its keys only. It is then gone.
    pub(super) fn into_channel(mut self) -> Result<(Arc<Transport>, Channel), Refusal> {
        let (io, tls) = self.stream.get_mut();
        may_detach(tls, io.at_boundary(), io.counted(), self.read)?;
        let (io, tls) = self.stream.into_inner();
        let channel = Channel::of(tls, &self.capture)?;
        Ok((io.into_inner().transport, channel))
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("read", &self.read).field("owed", &self.owed).finish_non_exhaustive()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return self.transport.poll_receive(cx, buf);
        }
        let some = buf.remaining().min(self.before.len());
        buf.put_slice(self.before.get(..some).unwrap_or_default());
        self.before.advance(some);
        if self.before.is_empty() {
            self.before = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transport.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.transport.end())
    }
}
