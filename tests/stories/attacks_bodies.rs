//! Bodies of origins that are more than they look: compressed, in very many pieces, of very many events, or without end.

use crate::attacks_origins::{WAYS, at, endless, routes};
use crate::client::Client;
use crate::gateway::route;
use crate::origin::{Coding, Origin};
use crate::stage::{asked, joined, opened};
use crate::under_attack::{KIB, MIB, SERVING, Siege, besieged};

/// The bits of a deflate stream (RFC 1951): a block in the fixed codes, of one zero and of `repeats` times 258 more.
fn zeros(repeats: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    // Codes are packed from their highest bit on.
    let mut code = |value: u32, length: u32| bits.extend((0..length).rev().map(|at| value >> at & 1 == 1));
    code(0b0011_0000, 8);
    for _ in 0..repeats {
        code(0b1100_0101, 8);
        code(0, 5);
    }
    code(0, 7);
    bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | u8::from(*bit) << at)).collect()
}

/// A file of gzip (RFC 1952) that stands for 64 MiB of zeros. Nobody gets as far as its checksum.
fn bomb() -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], &zeros(64 * MIB / 258), &[0; 8]].concat()
}

#[tokio::test]
async fn what_is_compressed_is_refused_or_passed_on_and_never_unpacked() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let bomb = bomb();
    assert!(bomb.len() < MIB);
    for coding in ["gzip", "deflate", "br", "gzip, gzip, gzip, gzip"] {
        for (path, kind, passes) in [
            ("/shared/a", "text/event-stream", false),
            ("/private/a", "text/event-stream", true),
            ("/private/b", "application/json", true),
            ("/proxied/a", "text/event-stream", true),
            ("/proxied/b", "application/json", true),
        ] {
            let fields = [("Content-Type", kind), ("Content-Encoding", coding)];
            let client = Client::get(at(path)).header("Accept-Encoding", "gzip, br");
            let mut client = asked(client, &gateway, &origin, async |ask| {
                if !path.starts_with("/proxied") {
                    assert_eq!(ask.request.headers.one("accept-encoding"), Some("identity"), "{path}");
                }
                let mut body = ask.head(200, &fields, Coding::Length(bomb.len())).await;
                body.bytes(&bomb).await;
                body.end().await;
            })
            .await;
            if client.status == 200 {
                assert!(passes, "{path} {coding}");
                client.complete().await;
                assert_eq!(client.header("content-encoding"), Some(coding), "{path}");
                assert!(client.bytes == bomb, "{path} {coding}: {} of {} bytes", client.bytes.len(), bomb.len());
            } else {
                assert_eq!(client.status, 502, "{path} {coding}");
            }
        }
    }
    siege.endured(SERVING + 8 * MIB).await;
}

#[tokio::test]
async fn a_million_chunks_of_one_byte_are_a_stream_like_any_other() {
    const CHUNKS: usize = 1_000_000;
    const EVENT: &str = "data: x\n\n";
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for path in WAYS {
        // A proxy passes each chunk on as it comes. The library of the clients of HTTP/2 gives up a server that sends it
        // so many small frames.
        let (mut client, mut body) = opened(Client::get(path).http11(), &gateway, &origin).await;
        let chunks: String = EVENT.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
        let events = CHUNKS / WAYS.len() / EVENT.len();
        let send = async {
            for _ in 0..events {
                body.bytes(chunks.as_bytes()).await;
            }
            body.event("data: the end\n\n").await;
        };
        let read = async {
            for n in 0..events {
                assert_eq!(client.next_data().await, "x", "{path} {n}");
            }
            assert_eq!(client.next_data().await, "the end", "{path}");
        };
        tokio::join!(send, read);
    }
    siege.endured(SERVING + 8 * MIB).await;
}

#[tokio::test]
async fn tiny_events_cost_no_more_than_the_log_may_hold() {
    const LOG: usize = 256 * KIB;
    let origin = Origin::start();
    let options = "replay.bytes = \"256KiB\"\nreplay.events = 1000000\nclient.on_lag = \"skip\"";
    let (gateway, peaceful) = besieged("", [route("/*", &origin).with(options)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for (path, tiny) in
        [("/data", "data\n\n"), ("/id", "id: 1\n\n"), ("/comment", ":\n"), ("/empty", "\n"), ("/retry", "retry: 1\n\n")]
    {
        let (mut client, mut body) = opened(Client::get(path), &gateway, &origin).await;
        let many = tiny.repeat(10_000);
        let send = async {
            for _ in 0..20 {
                body.raw(&many).await;
            }
            body.event("id: 9\ndata: the end\n\n").await;
        };
        let read = async { while client.next_data().await != "the end" {} };
        tokio::join!(send, read);
        let mut late = joined(Client::get(path), &gateway).await;
        body.event("id: 10\ndata: after\n\n").await;
        while late.next_data().await != "after" {}
    }
    siege.endured(SERVING + 5 * (LOG + 4 * MIB)).await;
}

#[tokio::test]
async fn trailers_without_end_end_their_response() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for (ending, piece) in [("0\r\n", "X: y\r\n"), ("0;", "x"), ("", "1;")] {
        for path in WAYS {
            let (_client, mut body) = opened(Client::get(at(path)), &gateway, &origin).await;
            body.event("data: 1\n\n").await;
            body.bytes(ending.as_bytes()).await;
            let piece = piece.repeat(10_000);
            assert!(endless(body, &piece, 512 * MIB).await, "{path} {ending:?}: the gateway reads for ever");
        }
    }
    siege.endured(SERVING + 4 * MIB).await;
}
