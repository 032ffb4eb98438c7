//! The buffer of a connection.

use super::*;
use crate::descriptors::Descriptors;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// A connection, and its client's end.
fn connected() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let places = Places::new(1, Descriptors::unlimited(), mpsc::channel(1).0);
    (Connection::new(Transport::new(ours.into_std().unwrap().into(), None), places.admit().unwrap()), theirs)
}

#[tokio::test]
async fn a_connection_has_a_buffer_only_when_bytes_have_come() {
    let (mut connection, mut theirs) = connected();
    tokio::select! {
        biased;
        _ = connection.fill() => panic!("no bytes have come"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(connection.unread.capacity(), 0);
    theirs.write_all(b"GET").await.unwrap();
    assert_eq!(connection.fill().await.unwrap(), 3);
    assert_eq!(connection.unread(), b"GET");
}

#[tokio::test]
async fn a_connection_does_not_keep_the_room_of_a_large_head_that_was_read() {
    const HEAD: usize = 60_000;
    let (mut connection, mut theirs) = connected();
    theirs.write_all(&[b'x'; HEAD]).await.unwrap();
    while connection.unread().len() < HEAD {
        connection.fill().await.unwrap();
    }
    connection.set_gate(Gate::Bytes(HEAD as u64));
    connection.read_exact(&mut [0; HEAD]).await.unwrap();
    assert!(!connection.unread.try_reclaim(HEAD / 2));
    assert_eq!(connection.unread.capacity(), 0);
}
