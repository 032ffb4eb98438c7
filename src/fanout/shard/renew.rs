//! Changes of policies: the groups take the new ones at once, and their clients are told little by little.

use super::super::effort::LOOK;
use super::super::group::News;
use super::super::keys::{ClientKey, Key};
use super::super::rounds::Rounds;
use super::super::sending::limit_stall;
use super::Shard;
use crate::access;
use crate::hub::{Departure, Seat};
use std::time::Instant;

impl Shard {
    /// Lets all groups take the policies that hold now. Which access lines are wanted may have changed, too.
    pub(super) fn begin_renewal(&mut self, now: Instant) {
        self.members.groups_mut().for_each(super::super::group::Group::renew);
        self.backlog.unrenewed = Some(ClientKey::of(0));
        let every = access::every();
        if every != self.reports.as_ref().map(Rounds::every) {
            self.reports = every.map(|every| Rounds::new(every, now));
            self.backlog.unreported = None;
        }
    }

    /// Tells some of the clients of the new policies.
    pub(super) fn renew(&mut self, now: Instant) {
        let Some(from) = self.backlog.unrenewed.filter(|_| !self.effort.is_spent()) else { return };
        let most = self.effort.pieces(LOOK);
        let keys = self.members.keys_from(from, most);
        self.effort.spend(keys.len() * LOOK);
        let next = keys.last().filter(|_| keys.len() == most).map(|last| ClientKey::of(last.index() + 1));
        self.backlog.unrenewed = next;
        for key in keys {
            self.renew_one(key, now);
            // Its heartbeat may be due at another time.
            self.arm(key);
        }
        if next.is_none() {
            // A client that comes later has the new policy. It is told only that its route is gone.
            self.members.groups_mut().for_each(|group| {
                group.news = News { over: group.news.over, ..News::default() };
            });
        }
    }

    /// Tells a client what changed in the policy of its route. A client that may not listen any more departs.
    pub(super) fn renew_one(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        let News { lifetime, stall, over } = group.news;
        if lifetime {
            client.schedule.live(group.terms.lifetime(fastrand::f64()), client.stayed(now), now, fastrand::f64());
        }
        // Who is trusted is not judged by the kernel, and gets the kernel's new limit when that ends.
        if let Some(link) = client.sink.link().filter(|_| stall && !client.trust.is_given()) {
            limit_stall(link, Some(group.terms.pace().stall));
        }
        if let Some(by) = over {
            client.schedule.drain(by, now, fastrand::f64());
        }
        let Some(caller) = client.seat.as_ref().map(Seat::caller).filter(|caller| caller.grant().is_some()) else {
            return;
        };
        client.schedule.expire(caller.left(), now);
        if !group.terms.permits(caller) {
            self.depart(key, &Departure::Revoked, now);
        }
    }
}
