//! The time limits of HTTP/2 connections, with real sockets and a paused clock.

use super::front::{NEVER, OPTIONS, PREFACE, Stage};
use crate::gateway::FrontOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A whole GET of `/`, without Huffman coding and of the authority `a`.
const GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

/// Types of frames.
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;

/// Sends bytes, and reads to the end. Returns the types of the HEADERS and GOAWAY frames that came, and the seconds that it
/// took.
async fn answers_to(stage: &mut Stage, sent: &[u8]) -> (Vec<u8>, u64) {
    stage.client.write_all(sent).await.unwrap();
    let mut bytes = Vec::new();
    timeout(NEVER, stage.client.read_to_end(&mut bytes)).await.expect("an end").expect("and no reset");
    let (mut kinds, mut rest) = (Vec::new(), &bytes[..]);
    while let [high, middle, low, kind, ..] = rest {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        rest = &rest[9 + length..];
        if matches!(*kind, HEADERS | GOAWAY) {
            kinds.push(*kind);
        }
    }
    (kinds, stage.begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_head_has_a_time_as_in_http1() {
    let head = [PREFACE, &GET[..12]].concat();
    let goes_on = [PREFACE, b"\0\0\x03\x01\x01\0\0\0\x01\x82\x86\x84"].concat();
    for (what, sent) in [
        ("half of the preface", &PREFACE[..12]),
        ("no SETTINGS", &PREFACE[..24]),
        ("half of a header", &[PREFACE, &GET[..5]].concat()),
        ("half of a head", &head),
        ("a head that goes on", &goes_on),
    ] {
        let answers = answers_to(&mut Stage::new(OPTIONS).await, sent).await;
        assert_eq!(answers, (vec![GOAWAY], 20), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_stream_is_asked_to_end_and_then_closed() {
    let ours = 75;
    let (kinds, secs) = answers_to(&mut Stage::new(OPTIONS).await, PREFACE).await;
    assert_eq!((kinds.first(), secs), (Some(&GOAWAY), ours + 1), "the client has one more second after the GOAWAY");
    let answered = [PREFACE, GET].concat();
    let (kinds, secs) = answers_to(&mut Stage::new(OPTIONS).await, &answered).await;
    assert_eq!((&kinds[..2], secs), (&[HEADERS, GOAWAY][..], ours + 1));
}

#[tokio::test(start_paused = true)]
async fn when_the_process_goes_a_connection_without_a_stream_goes_too() {
    let mut stage = Stage::new(OPTIONS).await;
    stage.client.write_all(PREFACE).await.unwrap();
    // Its answer is there: the connection is served.
    let mut settings = [0; 9];
    timeout(NEVER, stage.client.peek(&mut settings)).await.unwrap().unwrap();
    stage.stop.send(true).unwrap();
    let (kinds, secs) = answers_to(&mut stage, b"").await;
    assert_eq!((kinds.first(), secs), (Some(&GOAWAY), 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_place_a_request_is_answered_and_the_connection_ends_soon() {
    let full = FrontOptions { max_connections: 0, ..OPTIONS };
    let (kinds, secs) = answers_to(&mut Stage::new(full).await, &[PREFACE, GET].concat()).await;
    assert_eq!((&kinds[..2], secs), (&[HEADERS, GOAWAY][..], 1));
    let (kinds, secs) = answers_to(&mut Stage::new(full).await, PREFACE).await;
    assert_eq!((kinds.first(), secs), (Some(&GOAWAY), 2));
}
