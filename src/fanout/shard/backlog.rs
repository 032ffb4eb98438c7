//! The work that a shard has not done yet, by kind.

use super::super::arrival::Arrival;
use super::super::effort::Waiting;
use super::super::keys::{CarrierKey, ClientKey, GroupKey};
use super::super::line::Line;
use super::super::question::Question;
use super::super::responder::Answer;
use std::collections::VecDeque;

/// The work that a shard has not done yet. The lists of clients and groups may name some that have gone, and others that
/// have their keys by now. For these there is nothing to do.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The clients that have arrived and were not taken in.
    pub(super) arriving: VecDeque<Arrival>,
    /// The clients that are served alone and can be sent something.
    pub(super) behind: Line<ClientKey>,
    /// The clients that said something or hung up, or whose last words can go on.
    pub(super) calling: VecDeque<ClientKey>,
    /// The clients whose deadline has come.
    pub(super) due: VecDeque<ClientKey>,
    /// The groups whose publishers ask whether clients receive bytes.
    pub(super) asked: VecDeque<GroupKey>,
    /// Questions about clients, each with the client to look at next.
    pub(super) questions: VecDeque<(Question, ClientKey)>,
    /// The first client that was not told of the drain. `None`: there is none.
    pub(super) undrained: Option<ClientKey>,
    /// The first client that was not told of the newest change of policies. `None`: there is none.
    pub(super) unrenewed: Option<ClientKey>,
    /// The first client of the present part of a round of access lines about which none was written. `None`: there is
    /// none.
    pub(super) unreported: Option<ClientKey>,
    /// The carriers that said something or hung up, or whose streams can go on.
    pub(super) carriers: VecDeque<CarrierKey>,
    /// The answers to requests on carriers.
    pub(super) answers: VecDeque<Answer>,
    /// The carriers for which something is due.
    pub(super) expired: VecDeque<CarrierKey>,
    /// The first carrier that was not told of the drain. `None`: there is none.
    pub(super) undrained_carriers: Option<CarrierKey>,
    /// The groups that have something to send to those who are caught up, or clients to judge.
    pub(super) groups: VecDeque<GroupKey>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_nothing()
    }

    /// The kinds of work that there are.
    pub(super) fn waiting(&self) -> Waiting {
        let others = [
            !self.calling.is_empty(),
            !self.due.is_empty(),
            !self.asked.is_empty(),
            !self.questions.is_empty(),
            self.undrained.is_some(),
            self.unrenewed.is_some(),
            self.unreported.is_some(),
            !self.carriers.is_empty(),
            !self.answers.is_empty(),
            !self.expired.is_empty(),
            self.undrained_carriers.is_some(),
        ];
        Waiting {
            live: !self.groups.is_empty(),
            behind: !self.behind.is_empty(),
            newcomers: !self.arriving.is_empty(),
            others: others.into_iter().filter(|there_is| *there_is).count(),
        }
    }
}
