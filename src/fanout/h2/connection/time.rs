//! The deadlines of a connection. The caller asks for the next one, and says when it has come.

use super::super::clock::Tick;
use super::super::frame::Code;
use super::{Announced, Connection, Event, Phase};
use std::time::Instant;

/// What happens at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Close(Code),
    /// A client that still has a compression table is not waited for any longer.
    ForgetTable,
}

impl Connection {
    /// When [`expire`](Self::expire) should be called. `None`: there is no deadline now. Reading and answering change it.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let next = self.deadlines().into_iter().flatten().map(|(tick, _)| tick).min()?;
        self.clock.instant(next)
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Event<'static>> {
        let now = self.clock.tick(now);
        let due = self.deadlines().into_iter().flatten().filter(|(tick, _)| *tick <= now).min_by_key(|(tick, _)| *tick);
        match due?.1 {
            Due::Close(code) => Some(self.close(code, out)),
            Due::ForgetTable => {
                self.decoder.forget_table();
                self.announced = Announced::Settled;
                None
            }
        }
    }

    fn deadlines(&self) -> [Option<(Tick, Due)>; 3] {
        if self.phase == Phase::Closed {
            return [None; 3];
        }
        let announced = match self.announced {
            Announced::Sent { until } => Some((until, Due::Close(Code::SETTINGS_TIMEOUT))),
            Announced::Known { until } if self.decoder.has_late_table() => Some((until, Due::ForgetTable)),
            Announced::Known { .. } | Announced::Settled => None,
        };
        let begun = self.begun.as_ref().and_then(|begun| begun.until);
        let slow = begun.map(|until| (until, Due::Close(Code::ENHANCE_YOUR_CALM)));
        [announced, slow, self.idle.map(|until| (until, Due::Close(Code::NO_ERROR)))]
    }

    /// If no stream is left, the connection is idle from now on.
    pub(super) fn note_idle(&mut self, now: Tick) {
        if self.idle.is_none() && self.streams.are_over() {
            self.idle = Some(now.after_span(self.idle_time));
        }
    }
}
