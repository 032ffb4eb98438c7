//! Messages of a hand-over that an input says.

#![allow(unreachable_pub, reason = "a fuzz target names it")]
#![allow(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

use super::messages::{Answer, Hello, Say};
use crate::config::{Config, SystemSources};
use crate::fanout::h2::{Event, Outgoing};
use crate::fanout::{Asked, CarrierPassage, ClientPassage, Home, MovingClient, Requests, Responder, SocketPassage};
use crate::gateway::{CurrentRouting, Permissions, Presence, RouteIds, Routing};
use crate::hub::{Hub, Kept, MovingStream, Open, Opening, Publisher, StreamRequest};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

#[derive(Debug)]
struct Nobody;

impl Home for Nobody {
    fn take_back(self: Box<Self>, _: OwnedFd, _: Vec<u8>) {}

    fn passport(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

impl Requests for Nobody {
    fn asked(&mut self, _: Asked, _: Responder) {}

    fn stalled(&mut self) {}

    fn keep(&self, bytes: usize) -> Kept {
        Hub::new(Arc::new(Self)).keep(bytes)
    }

    fn passport(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

impl Open for Nobody {
    fn open(&self, _: Opening, publisher: Publisher) {
        // The stream stays open.
        std::mem::forget(publisher);
    }

    fn backfill(&self, _: StreamRequest, _: crate::hub::Backfilling) {}
}

/// Reads `input` as each kind of message, and takes what it brings.
///
/// # Panics
/// What was taken does not hold together.
pub fn try_message(input: &[u8]) {
    let _hello = rmp_serde::from_slice::<Hello>(input);
    let _answer = rmp_serde::from_slice::<Answer>(input);
    let Ok(said) = rmp_serde::from_slice::<Say>(input) else { return };
    let text = "[[routes]]\npath = '/*'\norigin = 'http://127.0.0.1:1'";
    let config = Config::parse(text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
    let routing = Routing::new(config.routes.routes(), config.server.trusted_proxies.clone(), &mut RouteIds::default());
    let routing = CurrentRouting::new(routing);
    match said {
        Say::Stream { stream, .. } => {
            // Streams have times.
            Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap()
                .block_on(async { try_stream(&stream, &routing) });
        }
        Say::Clients(passages) => passages.into_iter().for_each(|passage| try_socket(passage, &routing)),
        Say::Carriers(passages) => passages.into_iter().for_each(|passage| try_carrier(passage, &routing)),
        Say::Record(record) => Permissions::new(Arc::default(), None, Presence::default()).take(*record),
        Say::Whole | Say::Done => {}
    }
}

fn try_stream(stream: &MovingStream, routing: &CurrentRouting) {
    let (hub, now) = (Hub::new(Arc::new(Nobody)), Instant::now());
    let route = routing.streams()[0].0;
    let settings = routing.settings(route).unwrap();
    let Some(number) = hub.adopt(route, stream, &settings, now.into()) else { return };
    let again = hub.taken_down(number).expect("it is open");
    let other = Hub::new(Arc::new(Nobody));
    assert!(other.adopt(route, &again, &settings, now.into()).is_some(), "it can move on");
}

fn nowhere() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn arrived(passage: ClientPassage, routing: &CurrentRouting) -> Option<MovingClient> {
    let terms = routing.stream(routing.streams()[0].0)?;
    Some(passage.arrives(0, terms, Box::new(Nobody)))
}

fn try_socket(passage: SocketPassage, routing: &CurrentRouting) {
    if let Some(moving) = passage.arrives(nowhere(), |passage| arrived(passage, routing)) {
        assert!(moving.passage().is_some(), "it can move on");
    }
}

fn try_carrier(passage: CarrierPassage, routing: &CurrentRouting) {
    let (times, now) = ((Duration::from_secs(20), Duration::from_secs(75)), Instant::now());
    let arrives = passage.arrives(nowhere(), times, Box::new(Nobody), |passage| arrived(passage, routing));
    let Some(mut moving) = arrives else { return };
    assert!(moving.passage(now).is_some(), "it can move on");
    let (connection, mut outgoing, mut out) = (&mut moving.parts.connection, Outgoing::default(), Vec::new());
    let streams: Vec<_> = connection.called().collect();
    for (stream, _) in streams {
        let room = connection.room(stream);
        assert!(outgoing.take(connection, stream, &vec![b'x'; 20_000].into()) <= room);
    }
    outgoing.write(connection, now, &mut out);
    // A PING, a window, and a request.
    let said = [
        &b"\0\0\x08\x06\0\0\0\0\0abcdefgh"[..],
        b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01",
        b"\0\0\x06\x01\x05\x7f\xff\xff\xff\x82\x84\x86\x01\x01a",
    ];
    let said = said.concat();
    let mut input = &said[..];
    while let Some(event) = connection.read(&mut input, now, &mut out) {
        if let Event::Request { stream, .. } | Event::Unfit { stream, .. } = event {
            connection.reset(stream, crate::fanout::h2::Code::CANCEL, now, &mut out);
        }
    }
    let later = now + Duration::from_secs(3600);
    while connection.deadline().is_some() && connection.expire(later, &mut out).is_none() {}
}
