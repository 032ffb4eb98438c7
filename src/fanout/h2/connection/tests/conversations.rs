//! Whole conversations: those of a real client, and any that can be thought of. However they are cut, the same comes of
//! them.

use super::*;
use crate::fanout::h2::limits::{HALF_TIMEOUT, IDLE_TIMEOUT};
use ::h2::client;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Answers every request with a line.
struct Greeter {
    connection: Connection,
    now: Instant,
    out: Vec<u8>,
    said: Vec<String>,
    /// The responses of GET do not end.
    keeps: bool,
    /// Another process goes on with the connection after each piece, if it can.
    moves: bool,
    moved: usize,
}

/// The same connection in another process.
pub(super) fn moved(connection: &Connection, now: Instant) -> Option<Connection> {
    let bytes = rmp_serde::to_vec(&connection.state(now)?).unwrap();
    let state = rmp_serde::from_slice(&bytes).unwrap();
    let times = (HALF_TIMEOUT, IDLE_TIMEOUT);
    Some(Connection::of_state(state, now, times.0, times.1).expect("a connection can have this state"))
}

impl Greeter {
    fn new() -> Self {
        let now = Instant::now();
        let (out, said, moved) = (Vec::new(), Vec::new(), 0);
        let mut greeter = Self { connection: Connection::new(now), now, out, said, keeps: false, moves: false, moved };
        greeter.connection.open(&mut greeter.out);
        greeter
    }

    /// Reads bytes, all of which are taken because all requests are decided at once.
    fn read(&mut self, mut input: &[u8]) {
        while let Some(event) = self.connection.read(&mut input, self.now, &mut self.out) {
            self.note(&event);
            match event {
                Event::Request { stream, ends, .. } => self.begin(stream, ends),
                Event::Unfit { stream, .. } => self.begin(stream, true),
                Event::Data { stream, bytes } => self.connection.consumed(stream, bytes.len(), &mut self.out),
                Event::End { stream, .. } => self.greet(stream),
                Event::Reset { .. } | Event::Opened { .. } | Event::Closed { .. } => {}
            }
        }
        assert!(input.is_empty());
        assert!(self.connection.streams_are_sound());
        if let Some(moved) = moved(&self.connection, self.now).filter(|_| self.moves) {
            self.connection = moved;
            self.moved += 1;
        }
    }

    fn begin(&mut self, stream: StreamId, ends: bool) {
        let mut block = Vec::new();
        encode::status(&mut block, 200);
        self.connection.head(stream, &block, &mut self.out);
        self.connection.read_body(stream, &mut self.out);
        if ends {
            self.greet(stream);
        }
    }

    fn greet(&mut self, stream: StreamId) {
        let (mut outgoing, line) = (Outgoing::default(), "data: hello\n\n".into());
        if self.keeps {
            outgoing.take(&mut self.connection, stream, &line);
        } else {
            outgoing.take_last(&mut self.connection, stream, &line);
        }
        outgoing.write(&mut self.connection, self.now, &mut self.out);
    }

    /// Notes an event. Parts of a body are one, as if they had come at once.
    fn note(&mut self, event: &Event<'_>) {
        let said = text(event);
        match (event, self.said.last_mut()) {
            (Event::Data { stream, bytes }, Some(last)) if last.starts_with(&format!("data {} ", stream.0)) => {
                last.push_str(&String::from_utf8_lossy(bytes));
            }
            _ => self.said.push(said),
        }
    }

    /// What was said and what was written. When a window is given back depends on how much came at once.
    fn actions(&self) -> (Vec<String>, Vec<String>) {
        let written = frames(&self.out).into_iter().filter(|(head, _)| head.kind != kind::WINDOW_UPDATE);
        (self.said.clone(), written.map(|(head, payload)| frame_text(head, payload)).collect())
    }
}

/// What comes of a conversation that is cut into pieces of these sizes, again and again.
fn actions(bytes: &[u8], sizes: &[usize]) -> (Vec<String>, Vec<String>) {
    actions_of(Greeter::new(), bytes, sizes).actions()
}

fn actions_of(mut greeter: Greeter, bytes: &[u8], sizes: &[usize]) -> Greeter {
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        greeter.read(piece);
        rest = after;
    }
    greeter
}

/// Serves a client. Returns what it wrote.
async fn serve(mut socket: DuplexStream, recorded: Arc<Mutex<Vec<u8>>>) {
    let mut greeter = Greeter::new();
    let mut sent = 0;
    let mut buffer = vec![0; 16 << 10];
    loop {
        if socket.write_all(&greeter.out[sent..]).await.is_err() {
            return;
        }
        sent = greeter.out.len();
        let Ok(read @ 1..) = socket.read(&mut buffer).await else { return };
        recorded.lock().unwrap().extend_from_slice(&buffer[..read]);
        greeter.read(&buffer[..read]);
    }
}

async fn body_of(response: client::ResponseFuture) -> Vec<u8> {
    let response: Response<_> = response.await.unwrap();
    let mut body: ::h2::RecvStream = response.into_body();
    let mut all = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes.unwrap();
        body.flow_control().release_capacity(bytes.len()).unwrap();
        all.extend_from_slice(&bytes);
    }
    all
}

/// Sends a body as its windows allow.
async fn upload(mut stream: ::h2::SendStream<Bytes>, body: &[u8]) {
    let mut rest = body;
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let ready = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let (now, after) = rest.split_at(ready.min(rest.len()));
        stream.send_data(Bytes::copy_from_slice(now), false).unwrap();
        rest = after;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}

/// A client that reads, uploads, resets, and has a cookie that does not fit into a frame.
async fn talk() -> Vec<u8> {
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    tokio::spawn(serve(theirs, Arc::clone(&recorded)));
    let (mut requests, connection) = client::handshake(ours).await.unwrap();
    tokio::spawn(connection);
    let get = |path: &str| Request::get(format!("http://a.example{path}")).header("user-agent", "a client");
    let upload_of = vec![b'u'; 100_000];

    let (first, _) = requests.send_request(get("/1").body(()).unwrap(), true).unwrap();
    let (second, _) = requests.send_request(get("/2").body(()).unwrap(), true).unwrap();
    assert_eq!(body_of(first).await, b"data: hello\n\n");
    assert_eq!(body_of(second).await, b"data: hello\n\n");
    let (response, stream) =
        requests.send_request(Request::post("http://a.example/3").body(()).unwrap(), false).unwrap();
    let (answer, ()) = tokio::join!(body_of(response), upload(stream, &upload_of));
    assert_eq!(answer, b"data: hello\n\n");
    let put = Request::put("http://a.example/4").body(()).unwrap();
    let (response, mut stream) = requests.send_request(put, false).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    stream.send_reset(::h2::Reason::CANCEL);
    let large = get("/5").header("cookie", "c".repeat(40_000)).body(()).unwrap();
    let (last, _) = requests.send_request(large, true).unwrap();
    assert_eq!(body_of(last).await, b"data: hello\n\n");
    let recorded = recorded.lock().unwrap();
    recorded.clone()
}

/// The conversation of a real client.
fn recorded() -> Vec<u8> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(talk())
}

#[test]
fn a_real_client_is_served() {
    let (said, written) = actions(&recorded(), &[usize::MAX]);
    let said: Vec<_> = said.iter().map(|said| said.split("uuu").next().unwrap()).collect();
    for expected in
        ["request 1 GET /1 end", "request 3 GET /2 end", "request 5 POST /3", "data 5 ", r#"end 5 ["x-sum"]"#]
    {
        assert!(said.contains(&expected), "{expected} {said:?}");
    }
    assert!(written.contains(&"DATA 5 13 end".to_owned()));
}

#[test]
fn byte_by_byte_is_the_same() {
    let bytes = recorded();
    assert_eq!(actions(&bytes, &[1]), actions(&bytes, &[usize::MAX]));
}

/// Frames of any type, most of them such as a client could send.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![Just(0), (0_u32..6).prop_map(|id| id * 2 + 1), 0_u32..12];
    let small = prop::collection::vec(any::<u8>(), 0..12);
    let number = prop_oneof![Just(0), Just(1), Just(100_000), any::<u32>()];
    prop_oneof![
        4 => stream.clone().prop_map(get),
        3 => (stream.clone(), prop_oneof![Just(""), Just("0"), Just("5")]).prop_map(|(id, length)| post(id, length)),
        4 => (stream.clone(), 0_usize..600, any::<bool>()).prop_map(|(id, size, ends)| data(id, &vec![b'x'; size], ends)),
        2 => (stream.clone(), number).prop_map(|(id, by)| window_update(id, by)),
        1 => stream.clone().prop_map(|id| rst_stream(id, Code::CANCEL)),
        1 => prop_oneof![Just(settings_ack()), Just(settings(&[(4, 100)])), Just(settings(&[(4, 1 << 20)]))],
        1 => any::<[u8; 8]>().prop_map(|payload| frame(kind::PING, 0, 0, &payload)),
        3 => (0_u8..12, any::<u8>(), stream, small).prop_map(|(kind, flags, id, payload)| frame(kind, flags, id, &payload)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_any_conversation_gives_the_same_actions(
        frames in prop::collection::vec(any_frame(), 0..40),
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let bytes = [&PREFACE[..], &settings(&[]), &frames.concat()].concat();
        prop_assert_eq!(actions(&bytes, &sizes), actions(&bytes, &[usize::MAX]));
    }

    #[test]
    fn any_split_of_any_bytes_gives_the_same_actions(
        bytes: Vec<u8>,
        sizes in prop::collection::vec(1_usize..12, 1..8),
    ) {
        let bytes = [&PREFACE[..], &settings(&[]), &bytes].concat();
        prop_assert_eq!(actions(&bytes, &sizes), actions(&bytes, &[usize::MAX]));
    }
}

#[test]
fn a_connection_that_another_process_goes_on_with_at_any_byte_does_the_same() {
    let bytes = recorded();
    let moves = actions_of(Greeter { moves: true, ..Greeter::new() }, &bytes, &[1]);
    assert_eq!(moves.actions(), actions(&bytes, &[usize::MAX]));
    assert!(moves.moved > 100, "{}", moves.moved);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let frames = prop::collection::vec(any_frame(), 0..40);
    let sizes = prop::collection::vec(1_usize..40, 1..8);
    proptest!(config, |(frames in frames, sizes in sizes, keeps: bool)| {
        let bytes = [&PREFACE[..], &settings(&[]), &frames.concat()].concat();
        let moves = actions_of(Greeter { keeps, moves: true, ..Greeter::new() }, &bytes, &sizes);
        let stays = actions_of(Greeter { keeps, ..Greeter::new() }, &bytes, &sizes);
        prop_assert_eq!(moves.actions(), stays.actions());
    });
}

#[test]
fn any_split_of_a_real_conversation_gives_the_same_actions() {
    let bytes = recorded();
    let whole = actions(&bytes, &[usize::MAX]);
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(sizes in prop::collection::vec(1_usize..20_000, 1..20))| {
        prop_assert_eq!(&actions(&bytes, &sizes), &whole);
    });
}
