//! A carrier that is given up with all its clients, and goes on elsewhere.

use super::super::h2::{Code, StreamId};
use super::super::joining::CarrierParts;
use super::super::link::Link;
use super::super::responder::CarrierId;
use super::super::sending::{limit_stall, stall_millis};
use super::{Carrier, Phase, STALL};
use std::time::Instant;

impl Carrier {
    /// A connection that goes on.
    pub(in super::super) fn again(id: CarrierId, parts: CarrierParts, now: Instant) -> Self {
        let CarrierParts { socket, channel, connection, unsent, unread, stall, has_stalled, requests } = parts;
        limit_stall(&socket, Some(stall.unwrap_or(STALL)));
        let mut carrier = Self::of(id, Link::new(socket, channel), connection, requests);
        (carrier.stall_millis, carrier.has_stalled) = (stall_millis(stall), has_stalled);
        (carrier.at_hand.rest, carrier.at_hand.unread) = (unsent, unread);
        if !carrier.is_sent() {
            carrier.holds_up(now);
        }
        carrier
    }

    /// Whether it can go on elsewhere: nothing on it is answered elsewhere, and nobody leaves.
    pub(in super::super) fn can_move(&self) -> bool {
        let stays = matches!(self.phase, Phase::Open { leaves_at: None });
        stays && self.at_hand.answering.is_empty() && self.connection.can_move() && !self.connection.is_over()
    }

    /// Its streams whose clients have labels, and these.
    pub(in super::super) fn called(&self) -> Vec<(StreamId, u32)> {
        self.connection.called().filter(|(_, label)| *label > 0).collect()
    }

    /// Takes it apart. What its streams took is written.
    pub(in super::super) fn into_parts(mut self, now: Instant) -> CarrierParts {
        let mut unsent = Vec::new();
        self.write(now, &mut unsent);
        // Elsewhere they have other names.
        self.called().into_iter().for_each(|(stream, _)| self.connection.call(stream, 0));
        let (unread, stall) = (std::mem::take(&mut self.at_hand.unread), self.stall());
        let Self { link, connection, has_stalled, requests, .. } = self;
        let (socket, channel) = link.into_parts();
        CarrierParts { socket, channel, connection, unsent, unread, stall, has_stalled, requests }
    }

    /// Breaks the streams off that nobody follows.
    pub(in super::super) fn cut_unnamed(&mut self, now: Instant) {
        let unnamed: Vec<_> = self.connection.called().filter(|(_, label)| *label == 0).collect();
        for (stream, _) in unnamed {
            self.connection.reset(stream, Code::CANCEL, now, &mut self.at_hand.out);
        }
    }
}
