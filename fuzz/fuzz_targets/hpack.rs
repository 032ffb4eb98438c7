//! Whatever blocks of fields a client sends, they are decoded within bounds, and as the `h2` crate decodes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manifold::fanout::h2::{Block, Decoder, Error, PREFACE, Request};
use tokio::io::{AsyncWriteExt, DuplexStream};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Fields, sorted by name. Those of one name stay in order.
fn sorted<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Pairs {
    let mut fields: Pairs = fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// Frames of a request with this block. The method, the scheme, the path and the authority come first.
async fn send(client: &mut DuplexStream, stream: u8, block: &[u8]) {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    let head = [0, length[0], length[1], 1, 5, 0, 0, 0, stream];
    client.write_all(&[&head[..], block].concat()).await.unwrap();
}

async fn try_blocks(blocks: &[Vec<u8>]) {
    let (mut client, socket) = tokio::io::duplex(1 << 20);
    client.write_all(&[&PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()).await.unwrap();
    let mut server = h2::server::handshake(socket).await.unwrap();
    let mut decoder = Decoder::default();
    for (stream, block) in (1..).step_by(2).zip(blocks) {
        let ours = decoder.decode(block);
        send(&mut client, stream, block).await;
        let accepted = tokio::select! {
            biased;
            accepted = server.accept() => accepted,
            // It reset the stream.
            () = tokio::task::yield_now() => return,
        };
        let theirs = match accepted {
            Some(Ok((request, _))) => request,
            Some(Err(_)) | None => return,
        };
        match ours {
            Ok(Block::Fields(fields)) => {
                let others = theirs.headers().iter().map(|(name, value)| (name.as_ref(), value.as_bytes()));
                let others = sorted(others);
                let all = fields.iter().filter(|(name, _)| !name.starts_with(b":"));
                assert_eq!(sorted(all), others);
                if let Ok(request) = Request::new(fields) {
                    assert_eq!(request.method(), theirs.method().as_str().as_bytes());
                }
            }
            // It takes integers of one byte more.
            Err(Error::Integer) => return,
            other => panic!("{other:?}"),
        }
    }
}

// Blocks follow their lengths. Each begins with the fields that a request must have.
fuzz_target!(|input: &[u8]| {
    let mut blocks = Vec::new();
    let mut rest = input;
    while let [length, after @ ..] = rest {
        let (block, next) = after.split_at(after.len().min((*length).into()));
        blocks.push([b"\x82\x86\x84\x01\x09a.example", block].concat());
        rest = next;
    }
    blocks.truncate(100);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(try_blocks(&blocks));
});
