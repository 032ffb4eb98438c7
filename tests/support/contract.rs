//! The cases of `tests/data/contract_cases.json`: what an origin sends, and the events that a client gets of it.

use serde::Deserialize;

/// A case: the life of one client.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The answers to the client's requests, in order. A case that is only about parsing has one.
    pub(crate) connections: Vec<Connection>,
    pub(crate) events: Vec<Expected>,
    /// The reconnection times that are set, in milliseconds and in order.
    pub(crate) retry: Vec<u64>,
    /// The texts of the comments, without the colon.
    pub(crate) comments: Vec<String>,
    /// A remark, if the case requires more than its source does.
    pub(crate) note: Option<String>,
}

/// One response of the origin.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The pieces in which the body is sent.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// The headers that the request must have, with their values, or must not have.
    pub(crate) expect: Vec<(String, Option<String>)>,
    /// Whether the response stays open after the last piece.
    pub(crate) holds: bool,
}

/// An event, as the client's API delivers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) event_type: String,
    pub(crate) data: Vec<u8>,
    pub(crate) last_event_id: String,
}

/// All cases, in the order of the file.
pub(crate) fn cases() -> Vec<Case> {
    let file: RawFile = serde_json::from_str(include_str!("../data/contract_cases.json")).expect("the cases are valid");
    file.cases.into_iter().map(RawCase::resolve).collect()
}

#[derive(Deserialize)]
struct RawFile {
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
struct RawCase {
    name: String,
    #[serde(default)]
    chunks: Vec<RawBytes>,
    split: Option<usize>,
    connections: Option<Vec<RawConnection>>,
    events: Vec<(String, RawBytes, String)>,
    #[serde(default)]
    retry: Vec<u64>,
    #[serde(default)]
    comments: Vec<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
struct RawConnection {
    status: u16,
    headers: std::collections::BTreeMap<String, String>,
    chunks: Vec<RawBytes>,
    expect: std::collections::BTreeMap<String, Option<String>>,
    then: Then,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Then {
    Close,
    Hold,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawBytes {
    Text(String),
    Hex { hex: String },
    Repeat { repeat: (String, usize) },
    Join { join: Vec<Self> },
}

impl RawCase {
    fn resolve(self) -> Case {
        let connections = match self.connections {
            Some(connections) => connections.into_iter().map(RawConnection::resolve).collect(),
            None => vec![Connection {
                status: 200,
                headers: Vec::new(),
                chunks: pieces(&self.chunks, self.split),
                expect: Vec::new(),
                holds: false,
            }],
        };
        let expected = |(event_type, data, last_event_id): (_, RawBytes, _)| Expected {
            event_type,
            data: data.bytes(),
            last_event_id,
        };
        Case {
            name: self.name,
            connections,
            events: self.events.into_iter().map(expected).collect(),
            retry: self.retry,
            comments: self.comments,
            note: self.note,
        }
    }
}

impl RawConnection {
    fn resolve(self) -> Connection {
        Connection {
            status: self.status,
            headers: self.headers.into_iter().collect(),
            chunks: pieces(&self.chunks, None),
            expect: self.expect.into_iter().collect(),
            holds: self.then == Then::Hold,
        }
    }
}

impl RawBytes {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Hex { hex } => hex.as_bytes().chunks(2).map(hex_byte).collect(),
            Self::Repeat { repeat: (text, times) } => text.repeat(*times).into_bytes(),
            Self::Join { join } => join.iter().flat_map(Self::bytes).collect(),
        }
    }
}

fn hex_byte(digits: &[u8]) -> u8 {
    let digits = str::from_utf8(digits).expect("hex digits are ASCII");
    u8::from_str_radix(digits, 16).expect("two hex digits")
}

/// The chunks as they are, or all their bytes in pieces of `split` bytes.
fn pieces(chunks: &[RawBytes], split: Option<usize>) -> Vec<Vec<u8>> {
    let chunks: Vec<_> = chunks.iter().map(RawBytes::bytes).collect();
    match split {
        Some(size) => chunks.concat().chunks(size).map(<[u8]>::to_vec).collect(),
        None => chunks,
    }
}
