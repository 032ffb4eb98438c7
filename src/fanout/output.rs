//! Where a shard's bytes go out: the sockets of clients, and the carriers.

use super::carrier::Carrier;
use super::keys::CarrierKey;
use super::link::{Manner, Taken};
use super::on_the_way::on_the_way;
use super::responder::CarrierId;
use super::sender::{Piece, Sender, Stopped};
use super::sink::{OnCarrier, Sink};
use super::table::Table;
use crate::hub::Departure;
use bytes::Bytes;
use std::ops::Range;
use std::time::Instant;

/// The bytes that are written for carriers before they are sent. They are still in the processor's cache then.
const MOST_WRITTEN_BYTES: usize = 128 << 10;

/// The room for written bytes that is kept.
const KEPT_BYTES: usize = 256 << 10;

/// The ways out of a shard.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) sender: Sender,
    pub(super) carriers: Carriers,
    /// Where what is sent on carriers is written.
    scratch: Vec<u8>,
}

/// The connections of HTTP/2.
#[derive(Debug)]
pub(super) struct Carriers {
    table: Table<CarrierKey, Carrier>,
    /// Those that have something to send.
    dirty: Vec<CarrierKey>,
    /// The number of carriers that there ever were.
    numbered: u64,
    /// The number of clients on their streams.
    pub(super) clients: usize,
}

impl Default for Carriers {
    fn default() -> Self {
        Self { table: Table::new(), dirty: Vec::new(), numbered: 0, clients: 0 }
    }
}

impl Output {
    /// Sends a client what it takes now. Returns why it departs if it does.
    pub(super) fn send(&mut self, sink: &Sink, manner: Manner, bytes: &Bytes) -> Result<Taken, Departure> {
        match sink {
            Sink::Socket(link) => self.sender.send(link, manner, bytes),
            Sink::Stream(of) => {
                let taken = self.carriers.take(*of, bytes);
                Ok(Taken { bytes: taken, any: taken > 0, is_cut_short: taken < bytes.len() })
            }
        }
    }

    /// Sends each client its bytes. No two are for the same client. Returns the clients that did not take all of theirs.
    pub(super) fn send_to_each<'a, C: Copy>(
        &mut self,
        pieces: impl Iterator<Item = (C, &'a Sink, &'a Bytes)>,
    ) -> Vec<Stopped<C>> {
        let Self { sender, carriers, .. } = self;
        let mut short = Vec::new();
        let sockets = pieces.filter_map(|(client, sink, bytes)| match sink {
            Sink::Socket(link) => Some((client, Piece { link, bytes })),
            Sink::Stream(of) => {
                let taken = carriers.take(*of, bytes);
                short.extend((taken < bytes.len()).then_some(Stopped { client, taken: Ok(taken) }));
                None
            }
        });
        let mut stopped = sender.send_to_each(sockets);
        stopped.append(&mut short);
        stopped
    }

    /// The number of bytes that are on their way to a client.
    pub(super) fn on_the_way(&self, sink: &Sink) -> u32 {
        match sink {
            Sink::Socket(link) => on_the_way(link),
            Sink::Stream(of) => self.carriers.get(of.carrier).map_or(0, |carrier| carrier.on_the_way(of.stream)),
        }
    }

    /// Sends what the carriers have to send. Returns those that were sent to, and which of them are gone.
    pub(super) fn flush(&mut self, now: Instant) -> Vec<(CarrierKey, Result<(), Departure>)> {
        let mut flushed = Vec::new();
        while !self.carriers.dirty.is_empty() {
            self.flush_some(now, &mut flushed);
        }
        flushed
    }

    fn flush_some(&mut self, now: Instant, flushed: &mut Vec<(CarrierKey, Result<(), Departure>)>) {
        let Self { sender, carriers, scratch } = self;
        let mut written: Vec<(CarrierKey, Range<usize>)> = Vec::new();
        scratch.clear();
        while scratch.len() < MOST_WRITTEN_BYTES
            && let Some(key) = carriers.dirty.pop()
        {
            let Some(carrier) = carriers.table.get_mut(key) else { continue };
            carrier.is_dirty = false;
            if carrier.has_something() {
                let from = scratch.len();
                carrier.write(now, scratch);
                written.push((key, from..scratch.len()));
            } else {
                flushed.push((key, Ok(())));
            }
        }
        let all = Bytes::from(std::mem::take(scratch));
        let wire: Vec<Bytes> = written.iter().map(|(_, range)| all.slice(range.clone())).collect();
        let pieces = written.iter().zip(&wire).enumerate().filter_map(|(number, ((key, _), bytes))| {
            let link = &carriers.table.get(*key)?.link;
            Some((number, Piece { link, bytes }))
        });
        let mut stopped = sender.send_to_each(pieces);
        stopped.sort_by_key(|stopped| stopped.client);
        let mut stopped = stopped.into_iter().peekable();
        for (number, ((key, _), bytes)) in written.iter().zip(&wire).enumerate() {
            let taken = stopped.next_if(|stopped| stopped.client == number).map(|stopped| stopped.taken);
            let Some(carrier) = carriers.table.get_mut(*key) else { continue };
            flushed.push((
                *key,
                match taken {
                    None => {
                        carrier.was_sent(&[], false, now);
                        Ok(())
                    }
                    Some(Ok(taken)) => {
                        carrier.was_sent(bytes.get(taken..).unwrap_or_default(), true, now);
                        Ok(())
                    }
                    Some(Err(departure)) => Err(departure),
                },
            ));
        }
        drop(wire);
        *scratch = Vec::from(all);
        if scratch.capacity() > KEPT_BYTES {
            *scratch = Vec::new();
        }
    }
}

impl Carriers {
    pub(super) fn get(&self, key: CarrierKey) -> Option<&Carrier> {
        self.table.get(key)
    }

    /// A carrier, which may then have something to send.
    pub(super) fn get_mut(&mut self, key: CarrierKey) -> Option<&mut Carrier> {
        let carrier = self.table.get_mut(key)?;
        if !std::mem::replace(&mut carrier.is_dirty, true) {
            self.dirty.push(key);
        }
        Some(carrier)
    }

    /// A carrier, which has nothing more to send than before.
    pub(super) fn get_quiet(&mut self, key: CarrierKey) -> Option<&mut Carrier> {
        self.table.get_mut(key)
    }

    /// The same, if it is still the one that was meant.
    pub(super) fn find(&mut self, id: CarrierId) -> Option<&mut Carrier> {
        self.get_mut(id.key).filter(|carrier| carrier.id() == id)
    }

    /// Puts in the carrier that is made for the next name.
    pub(super) fn insert(&mut self, make: impl FnOnce(CarrierId) -> Carrier) -> CarrierKey {
        self.numbered += 1;
        let carrier = make(CarrierId { key: self.table.next_key(), number: self.numbered });
        self.table.insert(carrier)
    }

    pub(super) fn remove(&mut self, key: CarrierKey) -> Option<Carrier> {
        self.table.remove(key)
    }

    /// The keys of at most `most` carriers, from `from` on.
    pub(super) fn keys_from(&self, from: CarrierKey, most: usize) -> Vec<CarrierKey> {
        self.table.keys_from(from).take(most).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn take(&mut self, of: OnCarrier, bytes: &Bytes) -> usize {
        let Some(carrier) = self.table.get_mut(of.carrier) else { return 0 };
        let taken = carrier.take(of.stream, bytes);
        if taken > 0 && !std::mem::replace(&mut carrier.is_dirty, true) {
            self.dirty.push(of.carrier);
        }
        taken
    }
}
