//! A socket that never gives rustls more than the rest of one record.

use super::record::{APPLICATION_DATA, HEADER_BYTES, TAG_BYTES};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are read ahead. A client's part of a handshake and a request fit in.
const READ_BYTES: usize = 4 << 10;

/// Reads records from `io`, and gives the reader no more than the rest of one at a time. So between two records rustls
/// holds no byte that would be lost when its keys are taken.
///
/// In the handshake, the reader is told after each record that nothing more has come. So a handshake that is complete
/// ends there, and the client's first data is not read before the count begins.
#[derive(Debug)]
pub struct RecordIo<IO> {
    io: IO,
    /// Bytes that were read and not given to the reader.
    ahead: Vec<u8>,
    /// How many bytes of the record that the reader is being given are left, whether they were read or not.
    left: usize,
    /// The bytes of data that the records since [`begin_counting`](Self::begin_counting) hold.
    counted: Option<u64>,
    /// A record of the handshake has just ended, and the reader has not rested since.
    is_to_rest: bool,
    /// No byte is read that belongs to a later record.
    is_frugal: bool,
}

impl<IO> RecordIo<IO> {
    /// Reads records from `io`, whose next byte is the first of a record.
    #[must_use]
    pub fn new(io: IO) -> Self {
        Self { io, ahead: Vec::new(), left: 0, counted: None, is_to_rest: false, is_frugal: false }
    }

    /// Whether the last byte that was read ends a record, and the reader has it.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.left == 0 && self.ahead.is_empty()
    }

    /// From now on, no byte of a record is read before the reader has the record before it. So when the reader has what was
    /// read ahead so far, and the rest of that record, it is [between two records](Self::at_boundary), however much the
    /// client sends.
    pub fn stop_reading_ahead(&mut self) {
        self.is_frugal = true;
    }

    /// Counts from now on. The handshake must be complete.
    pub fn begin_counting(&mut self) {
        self.counted = Some(0);
    }

    /// The bytes of data that the protected records hold which the reader was given since the count began, whole or in
    /// part, if they hold data and no padding. If they hold less, a record held something else, such as a KeyUpdate.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.counted.unwrap_or(0)
    }

    /// The socket.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }

    /// The socket.
    pub fn get_mut(&mut self) -> &mut IO {
        &mut self.io
    }

    /// The socket. If this is not [between two records](Self::at_boundary), bytes are lost.
    pub fn into_inner(self) -> IO {
        self.io
    }

    /// Begins the next record if its header was read. Returns whether it did.
    fn begin_record(&mut self) -> bool {
        let Some(&[kind, _, _, high, low]) = self.ahead.first_chunk::<HEADER_BYTES>() else { return false };
        let payload = usize::from(u16::from_be_bytes([high, low]));
        self.left = HEADER_BYTES + payload;
        if let Some(counted) = self.counted.as_mut().filter(|_| kind == APPLICATION_DATA) {
            *counted += payload.saturating_sub(1 + TAG_BYTES) as u64;
        }
        true
    }

    /// Gives the reader what was read of the record.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let most = self.left.min(buf.remaining()).min(self.ahead.len());
        buf.put_slice(self.ahead.get(..most).unwrap_or_default());
        if most == self.ahead.len() {
            // A connection that waits needs no memory.
            self.ahead = Vec::new();
        } else {
            self.ahead.drain(..most);
        }
        self.gave(most);
    }

    fn gave(&mut self, bytes: usize) {
        self.left -= bytes;
        self.is_to_rest = self.left == 0;
    }
}

impl<IO: AsyncRead + Unpin> RecordIo<IO> {
    /// Reads bytes that have come, at least the next one of the header. Returns their number. 0: the client has closed its
    /// side.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let most = if self.is_frugal { HEADER_BYTES.saturating_sub(self.ahead.len()) } else { READ_BYTES };
        let mut room = ReadBuf::uninit(room.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut room))?;
        self.ahead.extend_from_slice(room.filled());
        Poll::Ready(Ok(room.filled().len()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for RecordIo<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut me.is_to_rest) && me.counted.is_none() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while me.left == 0 && !me.begin_record() {
            if ready!(me.poll_ahead(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        if me.ahead.is_empty() {
            // The rest of a large record is not copied.
            let most = me.left.min(buf.remaining());
            let mut rest = ReadBuf::new(buf.initialize_unfilled_to(most));
            ready!(Pin::new(&mut me.io).poll_read(cx, &mut rest))?;
            let read = rest.filled().len();
            buf.advance(read);
            me.gave(read);
        } else {
            me.give(buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for RecordIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
