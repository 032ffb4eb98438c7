//! A corpus of request heads: how the gateway reads them, and that pingora reads the accepted ones in the same way.

use crate::descriptors::Descriptors;
use crate::gateway::connection::Connection;
use crate::gateway::gate::Gate;
use crate::gateway::head::{Body, Head};
use crate::gateway::places::Places;
use crate::gateway::transport::Transport;
use pingora::protocols::http::ServerSession;
use std::os::fd::OwnedFd;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

const CORPUS: &str = include_str!("../../../tests/data/request_heads.txt");

/// The heads of the corpus, each with its verdict.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#'));
    let cases: Vec<_> =
        lines.map(|line| line.split_once(' ').map(|(verdict, head)| (verdict, raw(head))).unwrap()).collect();
    assert!(cases.len() > 90);
    cases
}

/// The bytes of an escaped text.
fn raw(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        bytes.push(match escaped {
            None => byte,
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            Some(other) => other,
        });
    }
    bytes
}

fn verdict(head: &[u8]) -> String {
    match Head::parse(head) {
        Err(bad) => bad.status().as_str().to_owned(),
        Ok(head) if head.is_plain => "plain".to_owned(),
        Ok(head) => match head.body {
            Body::None => "none".to_owned(),
            Body::Length(bytes) => format!("length={bytes}"),
            Body::Chunked => "chunked".to_owned(),
        },
    }
}

#[test]
fn every_head_of_the_corpus_is_read_as_it_says() {
    for (expected, head) in corpus() {
        assert_eq!(verdict(&head), expected, "{}", head.escape_ascii());
    }
}

/// pingora's reading of a head and of the bytes after it.
async fn by_pingora(head: &[u8]) -> ServerSession {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(head).await.unwrap();
    let ours = OwnedFd::from(ours.into_std().unwrap());
    let places = Places::new(1, Descriptors::unlimited(), mpsc::channel(1).0);
    let mut connection = Connection::new(Transport::new(ours, None), places.admit().unwrap());
    connection.set_gate(Gate::Open);
    let mut session = ServerSession::new_http1(Box::new(connection));
    assert!(session.read_request().await.unwrap(), "{}", head.escape_ascii());
    session
}

#[tokio::test]
async fn pingora_reads_what_is_accepted_in_the_same_way() {
    for (expected, bytes) in corpus().into_iter().filter(|(verdict, _)| verdict.parse::<u16>().is_err()) {
        let ours = Head::parse(&bytes).unwrap();
        let mut session = by_pingora(&bytes).await;
        let theirs = session.req_header();
        assert_eq!(theirs.method, ours.method, "{expected}");
        assert_eq!(theirs.raw_path(), ours.target.as_bytes());
        assert_eq!((theirs.version, &theirs.headers), (ours.version, &ours.headers));
        let is_empty = matches!(ours.body, Body::None | Body::Length(0));
        assert_eq!(session.is_body_empty(), is_empty, "{}", bytes.escape_ascii());
    }
}
