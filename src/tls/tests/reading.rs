//! Reading records from a socket through rustls.

use super::*;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;

/// Gives its bytes in pieces of this size, and is pending before each of them.
struct Pieces(Vec<u8>, usize, bool);

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.2 = !self.2;
        if self.2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = self.1.min(self.0.len()).min(buf.remaining());
        buf.put_slice(&self.0.drain(..n).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn no_read_goes_beyond_a_record() {
    const ENDS: [usize; 5] = [0, 7, 32, 37, 43];
    let records: [&[u8]; 4] = [&[22, 3, 3, 0, 2, 1, 2], &[23, 3, 3, 0, 20], &[23, 3, 3, 0, 0], &[20, 3, 3, 0, 1, 1]];
    let wire = [records[0], records[1], &[7; 20], records[2], records[3]].concat();
    for size in [1, 2, 5, 6, 33, 100] {
        for room in [1, 3, 100] {
            let mut io = RecordIo::new(Pieces(wire.clone(), size, false));
            io.begin_counting();
            let (mut read, mut buffer) = (Vec::new(), vec![0; room]);
            loop {
                assert_eq!(io.read(&mut []).await.unwrap(), 0, "without room nothing is read");
                let n = io.read(&mut buffer).await.unwrap();
                if n == 0 {
                    break;
                }
                let (from, to) = (read.len(), read.len() + n);
                assert!(!ENDS.iter().any(|end| (from + 1..to).contains(end)), "{size} {room}: {from} to {to}");
                read.extend_from_slice(&buffer[..n]);
                let taken = wire.len() - io.get_ref().0.len();
                assert_eq!(io.at_boundary(), ENDS.contains(&to) && taken == to, "{size} {room}: {to} of {taken}");
            }
            assert_eq!(read, wire, "{size} {room}");
            assert_eq!(io.counted(), 20 - 17, "the header of one record says that it holds data");
        }
    }
}

#[tokio::test]
async fn a_reader_that_reads_no_further_ends_between_two_records_whatever_follows() {
    const ENDS: [usize; 3] = [25, 32, 62];
    let wire = [&[23, 3, 3, 0, 20][..], &[7; 20], &[23, 3, 3, 0, 2, 1, 2], &[23, 3, 3, 0, 25], &[8; 25]].concat();
    for size in 1..=wire.len() {
        let mut io = RecordIo::new(Pieces(wire.clone(), size, false));
        io.begin_counting();
        let (mut read, mut buffer) = (0, [0; 100]);
        // By then, bytes of the next records were read ahead if they came.
        read += io.read(&mut buffer[..1]).await.unwrap();
        io.stop_reading_ahead();
        while !io.at_boundary() {
            read += io.read(&mut buffer).await.unwrap();
        }
        let taken = wire.len() - io.get_ref().0.len();
        let first = ENDS.into_iter().find(|end| *end >= size.max(5)).unwrap();
        assert_eq!((read, taken), (first, first), "{size}");
    }
}

#[tokio::test]
async fn a_record_that_came_with_the_end_of_the_handshake_is_counted() {
    let wire = [&[22, 3, 3, 0, 2, 1, 2][..], &[23, 3, 3, 0, 20], &[7; 20]].concat();
    let mut io = RecordIo::new(Pieces(wire, 100, false));
    let mut buffer = [0; 100];
    assert_eq!(io.read(&mut buffer).await.unwrap(), 7);
    assert!(!io.at_boundary(), "the data was read with the handshake");
    io.begin_counting();
    assert_eq!(io.read(&mut buffer).await.unwrap(), 25);
    assert_eq!((io.at_boundary(), io.counted()), (true, 3));
}

/// A server that reads a request of `bytes` from a client, which then does something more.
async fn served(bytes: usize, and: impl FnOnce(&mut ClientConnection)) -> Result<(), Refusal> {
    let (client, mut server) = configs(&SUITES);
    let capture = Arc::new(Capture::default());
    server.key_log = Arc::clone(&capture) as _;
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let connect =
        tokio_rustls::TlsConnector::from(Arc::new(client)).connect("gateway.example".try_into().unwrap(), theirs);
    let accept = TlsAcceptor::from(Arc::new(server)).accept(RecordIo::new(ours));
    let (client, server) = tokio::join!(connect, accept);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    server.get_mut().0.begin_counting();
    and(client.get_mut().1);
    client.write_all(&vec![b'x'; bytes]).await.unwrap();
    client.flush().await.unwrap();
    let mut request = vec![0; bytes];
    server.read_exact(&mut request).await.unwrap();
    let (io, connection) = server.get_mut();
    may_detach(connection, io.at_boundary(), io.counted(), bytes as u64)?;
    let (mut io, connection) = server.into_inner();
    let mut channel = Channel::of(connection, &capture)?;
    io.get_mut().write_all(&sent(&mut channel, b"event")).await.unwrap();
    let mut event = [0; 5];
    client.read_exact(&mut event).await.unwrap();
    assert_eq!(&event, b"event");
    client.write_all(b"stray").await.unwrap();
    client.flush().await.unwrap();
    let mut wire = vec![0; 5 + record::OVERHEAD_BYTES];
    io.into_inner().read_exact(&mut wire).await.unwrap();
    assert_eq!(testing::heard(&mut channel, [&wire[..]]).data, b"stray");
    Ok(())
}

#[tokio::test]
async fn a_request_read_by_records_leaves_nothing_with_rustls() {
    for bytes in [1, 100, 16 << 10, 50_000] {
        assert_eq!(served(bytes, |_| {}).await, Ok(()), "{bytes}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_new_keys_before_its_request_stays_with_rustls() {
    let refused = served(100, |client| client.refresh_traffic_keys().unwrap()).await;
    assert_eq!(refused, Err(Refusal::Hidden));
}
