//! A socket that never gives rustls more than the rest of one record.

use super::record::{APPLICATION_DATA, HEADER_BYTES, TAG_BYTES};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads records from `io`, and never beyond the end of one. So between two records rustls holds no byte that would be
/// lost when its keys are taken. This costs one more read for each record, until the keys are taken.
///
/// In the handshake, the reader is told after each record that nothing more has come. So a handshake that is complete
/// ends there, and the client's first data is not read before the count begins.
#[derive(Debug)]
pub struct RecordIo<IO> {
    io: IO,
    header: [u8; HEADER_BYTES],
    /// How many bytes of the header were read, and how many of them were given to the reader.
    read: usize,
    given: usize,
    /// How many bytes of the payload were not read.
    left: usize,
    /// The bytes of data that the records since [`begin_counting`](Self::begin_counting) hold.
    counted: Option<u64>,
    /// A record of the handshake has just ended, and the reader has not rested since.
    is_to_rest: bool,
}

impl<IO> RecordIo<IO> {
    /// Reads records from `io`, whose next byte is the first of a record.
    #[must_use]
    pub fn new(io: IO) -> Self {
        Self { io, header: [0; HEADER_BYTES], read: 0, given: 0, left: 0, counted: None, is_to_rest: false }
    }

    /// Whether the last byte that was read ends a record.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.read == 0
    }

    /// Counts from now on. The handshake must be complete.
    pub fn begin_counting(&mut self) {
        self.counted = Some(0);
    }

    /// The bytes of data that the protected records hold which have begun to arrive since the count began, if they hold
    /// data and no padding. If the reader got fewer, a record held something else, such as a KeyUpdate.
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

    /// The socket. If this is not [between two records](Self::at_boundary), the beginning of a record is lost.
    pub fn into_inner(self) -> IO {
        self.io
    }

    /// The header was read.
    fn begin_record(&mut self) {
        let [kind, _, _, high, low] = self.header;
        self.left = usize::from(u16::from_be_bytes([high, low]));
        if let Some(counted) = self.counted.as_mut().filter(|_| kind == APPLICATION_DATA) {
            *counted += self.left.saturating_sub(1 + TAG_BYTES) as u64;
        }
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
        while me.read < HEADER_BYTES {
            let mut header = ReadBuf::new(me.header.get_mut(me.read..).unwrap_or_default());
            ready!(Pin::new(&mut me.io).poll_read(cx, &mut header))?;
            match header.filled().len() {
                0 => return Poll::Ready(Ok(())),
                read => me.read += read,
            }
            if me.read == HEADER_BYTES {
                me.begin_record();
            }
        }
        if me.given < HEADER_BYTES {
            let header = me.header.get(me.given..).unwrap_or_default();
            let header = header.get(..buf.remaining()).unwrap_or(header);
            buf.put_slice(header);
            me.given += header.len();
        } else {
            let most = me.left.min(buf.remaining());
            let mut payload = ReadBuf::new(buf.initialize_unfilled_to(most));
            ready!(Pin::new(&mut me.io).poll_read(cx, &mut payload))?;
            let read = payload.filled().len();
            me.left -= read;
            buf.advance(read);
        }
        if me.given == HEADER_BYTES && me.left == 0 {
            (me.read, me.given) = (0, 0);
            me.is_to_rest = true;
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
