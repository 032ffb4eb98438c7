//! Another implementation beside ours: the `h2` crate's, as a server that reads the same blocks.

use super::super::super::frame::{Head, PREFACE, StreamId, flag, kind};
use super::super::super::request::Request;
use super::*;
use ::h2::server;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

/// A representation of a field, or a size update (RFC 7541, section 6).
#[derive(Debug, Clone)]
enum Op {
    Indexed(usize),
    Literal { first: u8, mask: u8, name: Name, value: String, is_coded: bool },
    Resize(usize),
}

#[derive(Debug, Clone)]
enum Name {
    Indexed(usize),
    Text(String),
}

/// An integer (RFC 7541, section 5.1).
fn integer(first: u8, mask: u8, value: usize) -> Vec<u8> {
    let Some(mut rest) = value.checked_sub(mask.into()) else { return vec![first | value as u8] };
    let mut bytes = vec![first | mask];
    while rest > 0x7f {
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn string(text: &str, is_coded: bool) -> Vec<u8> {
    let (first, text) = if is_coded { (0x80, huffman::encode(text.as_bytes())) } else { (0, text.into()) };
    [integer(first, 0x7f, text.len()), text].concat()
}

impl Op {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Indexed(index) => integer(0x80, 0x7f, *index),
            Self::Resize(size) => integer(0x20, 0x1f, *size),
            Self::Literal { first, mask, name, value, is_coded } => {
                let name = match name {
                    Name::Indexed(index) => integer(*first, *mask, *index),
                    Name::Text(name) => [vec![*first], string(name, *is_coded)].concat(),
                };
                [name, string(value, !is_coded)].concat()
            }
        }
    }
}

/// An index that names no pseudo field, and none of the fields about which requests have rules: `content-length`,
/// `host` and `transfer-encoding`.
fn any_index() -> impl Strategy<Value = usize> {
    (15_usize..72).prop_filter("it has rules", |index| ![28, 38, 57].contains(index))
}

fn any_op() -> impl Strategy<Value = Op> {
    let name = prop_oneof![
        any_index().prop_map(Name::Indexed),
        "[a-z0-9-]{1,12}".prop_map(|name| Name::Text(format!("x-{name}")))
    ];
    let kind = prop_oneof![Just((0x40, 0x3f)), Just((0x40, 0x3f)), Just((0x00, 0x0f)), Just((0x10, 0x0f))];
    let value = prop_oneof!["[!-~]{0,20}", "[!-~]{200,400}", "[!-~\u{a1}-\u{ff}]{1,9}"];
    let literal = (kind, name, value, any::<bool>()).prop_map(|((first, mask), name, value, is_coded)| Op::Literal {
        first,
        mask,
        name,
        value,
        is_coded,
    });
    prop_oneof![4 => any_index().prop_map(Op::Indexed), 12 => literal, 1 => (0_usize..4100).prop_map(Op::Resize)]
}

/// The blocks of some requests on a connection. Size updates are mostly where they may be.
fn any_blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let begin = || [vec![0x82, 0x86, 0x84], string("a.example", true)].concat();
    let begin = move || [&begin()[..3], &[0x01][..], &begin()[3..]].concat();
    let resizes = prop::collection::vec((0_usize..4100).prop_map(Op::Resize), 0..2);
    let block = (resizes, prop::collection::vec(any_op(), 0..12)).prop_map(move |(resizes, ops)| {
        let bytes = |ops: Vec<Op>| ops.iter().flat_map(Op::bytes).collect::<Vec<u8>>();
        [bytes(resizes), begin(), bytes(ops)].concat()
    });
    prop::collection::vec(block, 1..6)
}

/// The fields of a request, sorted by name. Those of one name stay in order.
type Sorted = Vec<(Vec<u8>, Vec<u8>)>;

fn sorted<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Sorted {
    let mut fields: Sorted = fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// What our decoder makes of the blocks, up to the first error.
fn ours(blocks: &[Vec<u8>]) -> Vec<Option<Sorted>> {
    let mut decoder = Decoder::default();
    let mut requests = Vec::new();
    for block in blocks {
        let Ok(Block::Fields(fields)) = decoder.decode(block) else {
            requests.push(None);
            break;
        };
        assert!(size(&decoder) <= decoder.size.into());
        let request = Request::new(fields).unwrap();
        requests.push(Some(sorted(request.fields())));
    }
    requests
}

/// What the other makes of them. It gets one after the other, because an error hides what came before.
async fn others(blocks: &[Vec<u8>]) -> Vec<Option<Sorted>> {
    let (mut client, socket) = tokio::io::duplex(1 << 20);
    let head = |kind, flags, stream, length| Head { length, kind, flags, stream: StreamId(stream) }.bytes();
    client.write_all(&[&PREFACE[..], &head(kind::SETTINGS, 0, 0, 0)].concat()).await.unwrap();
    let mut server = server::handshake(socket).await.unwrap();
    let mut requests = Vec::new();
    for (stream, block) in (1..).step_by(2).zip(blocks) {
        let head = head(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, block.len());
        client.write_all(&[&head[..], block].concat()).await.unwrap();
        match server.accept().await.unwrap() {
            Ok((request, _)) => {
                let fields = request.headers().iter().map(|(name, value)| (name.as_ref(), value.as_bytes()));
                requests.push(Some(sorted(fields)));
            }
            Err(error) => {
                assert!(error.is_go_away(), "{error}");
                requests.push(None);
                break;
            }
        }
    }
    requests
}

fn with_other(blocks: &[Vec<u8>]) -> Vec<Option<Sorted>> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(others(blocks))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks_mean_the_same_to_both(blocks in any_blocks()) {
        prop_assert_eq!(ours(&blocks), with_other(&blocks));
    }
}

#[test]
fn they_disagree_about_nothing_because_they_see_something() {
    let blocks = vec![bytes("828684 0101 61 4001 6101 62"), bytes("828684 0101 61 be"), bytes("828684 0101 61 bf")];
    let field = (b"a".to_vec(), b"b".to_vec());
    let expected = [Some(vec![field.clone()]), Some(vec![field]), None];
    assert_eq!((&ours(&blocks)[..], &with_other(&blocks)[..]), (&expected[..], &expected[..]));
}
