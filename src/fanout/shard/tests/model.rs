//! Random sequences of operations. Whatever happens, each client reads the events from its first one on, each once,
//! in order and complete.

use super::*;
use crate::replay::Start;
use fastrand::Rng;
use std::num::NonZeroUsize;

const PATHS: [&str; 3] = ["/a", "/b", "/c"];
const STEPS: usize = 400;
const SEEDS: u64 = 24;

struct Model {
    stage: Stage,
    rng: Rng,
    publishers: Vec<Publisher>,
    /// The text that was published on each path.
    published: Vec<Vec<String>>,
    clients: Vec<Expecting>,
}

struct Expecting {
    reader: Reader,
    path: usize,
    /// The index of the first event that the client must get.
    from: usize,
    framing: Framing,
}

impl Model {
    fn new(seed: u64) -> Self {
        let start = if seed.is_multiple_of(2) { Start::Live } else { Start::Back(NonZeroUsize::new(3).unwrap()) };
        let replay =
            ReplayOptions { start, events: NonZeroUsize::new(1 << 20), bytes: 1 << 30, ..ReplayOptions::default() };
        let stage = Stage::with(replay, |pace| {
            pace.flush = (seed.is_multiple_of(3)).then_some(SECOND / 50);
            // The model reads from one client at a time, so no other may stall meanwhile.
            pace.stall = 1_000_000 * SECOND;
        });
        Self {
            stage,
            rng: Rng::with_seed(seed),
            publishers: Vec::new(),
            published: vec![Vec::new(); 3],
            clients: Vec::new(),
        }
    }

    fn join(&mut self) {
        // The streams are opened in order, so that a path's index is also its publisher's.
        let path = self.rng.usize(..=self.publishers.len().min(PATHS.len() - 1));
        let framing = if self.rng.bool() { Framing::Chunked } else { Framing::UntilClose };
        let is_slow = self.rng.u8(..4) == 0;
        let reader = self.stage.client_with(PATHS[path], |arrival| {
            arrival.delivery.framing = framing;
            arrival.delivery.opening = Bytes::new();
            if is_slow {
                hold_little(arrival);
            }
        });
        if path == self.publishers.len() {
            self.publishers.push(self.stage.publisher());
        }
        let all = self.published[path].len();
        let from = if self.stage.settings.replay.start == Start::Live { all } else { all.saturating_sub(3) };
        self.clients.push(Expecting { reader, path, from, framing });
    }

    fn publish(&mut self) {
        if self.publishers.is_empty() {
            return;
        }
        let path = self.rng.usize(..self.publishers.len());
        for _ in 0..self.rng.usize(1..4) {
            let n = self.published[path].len();
            let size = if self.rng.u8(..8) == 0 { self.rng.usize(..200_000) } else { self.rng.usize(..200) };
            let data = format!("{n} {}", "y".repeat(size));
            let id = Bytes::from(n.to_string());
            let event = Event { id: Some(id.clone()), last_event_id: id, ..event(&data) };
            self.publishers[path].append(&[event], &mut Continuation::fresh(false));
            self.published[path].push(format!("id: {n}\ndata: {data}\n\n"));
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..20) {
            0..2 => self.join(),
            2..7 => self.publish(),
            7..11 if !self.clients.is_empty() => {
                let client = self.rng.usize(..self.clients.len());
                self.clients[client].reader.read();
            }
            11 if self.clients.len() > 4 => {
                let client = self.rng.usize(..self.clients.len());
                self.clients.swap_remove(client);
            }
            12..14 => self.stage.now += SECOND / 100,
            _ => self.stage.turn(),
        }
    }

    fn finish(&mut self, seed: u64) {
        for client in &mut self.clients {
            let expected: String = self.published[client.path][client.from..].concat();
            let mut heard = Vec::new();
            let mut idle = 0;
            while text_of(&heard, client.framing).len() < expected.len() && idle < 1000 {
                self.stage.later(SECOND / 10);
                let more = client.reader.take();
                idle = if more.is_empty() { idle + 1 } else { 0 };
                heard.extend_from_slice(&more);
            }
            self.stage.later(SECOND);
            heard.extend_from_slice(&client.reader.take());
            let text = text_of(&heard, client.framing);
            assert!(
                text == expected,
                "seed {seed}, {framing:?}: {} of {} bytes",
                text.len(),
                expected.len(),
                framing = client.framing
            );
        }
    }
}

/// The SSE text of what a client read: of complete chunks only, if it is chunked.
fn text_of(heard: &[u8], framing: Framing) -> String {
    let heard = std::str::from_utf8(heard).unwrap();
    if framing == Framing::UntilClose {
        return heard.to_owned();
    }
    let mut text = String::new();
    let mut rest = heard;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some((chunk, after)) = after.split_at_checked(size) else { break };
        let Some(after) = after.strip_prefix("\r\n") else { break };
        text += chunk;
        rest = after;
    }
    text
}

#[test]
fn every_client_gets_every_event_once_whatever_happens() {
    for seed in 0..SEEDS {
        let mut model = Model::new(seed);
        (0..STEPS).for_each(|_| model.step());
        model.finish(seed);
    }
}
