//! The engine's handle and its inboxes, with a shard that replaces the one with sockets.

#[path = "../../../src/fanout/arrival.rs"]
mod arrival;
#[path = "../../../src/fanout/batch.rs"]
mod batch;
#[path = "../../../src/fanout/engine/mod.rs"]
mod engine;
#[path = "../../../src/fanout/inbox.rs"]
mod inbox;
#[path = "../../../src/fanout/keys.rs"]
mod keys;
#[path = "../../../src/fanout/policy/mod.rs"]
#[allow(unused_imports, reason = "the gateway's files hold more than the models use")]
mod policy;
mod shard;
#[path = "../../../src/fanout/terms.rs"]
mod terms;
pub mod wake_ups;

/// The real sender sends to sockets, which the models do not have.
mod sender {
    #[derive(Debug, Clone, Copy)]
    pub enum Sending {
        Ring,
        Loop,
    }
}

/// The models have no connections of HTTP/2.
mod joining {
    #[derive(Debug)]
    pub struct Carried;

    #[derive(Debug)]
    pub struct CarriedAgain {
        pub rejoining: Vec<()>,
    }
}

/// The clients of the models stay where they are.
mod moving {
    use super::joining::CarriedAgain;
    use super::{Arrival, Sent};

    #[derive(Debug, Clone, Copy)]
    pub struct Past {
        pub sent: Sent,
        pub is_new: bool,
    }

    #[derive(Debug, Default)]
    pub struct Returning {
        pub sockets: Vec<Arrival>,
        pub carriers: Vec<CarriedAgain>,
    }

    impl Returning {
        pub fn is_empty(&self) -> bool {
            self.sockets.is_empty() && self.carriers.is_empty()
        }
    }
}

/// So nobody waits for them.
mod releasing {
    use std::sync::Arc;

    #[derive(Debug)]
    pub struct Releasing;

    #[derive(Debug)]
    pub(super) struct Part;

    impl Releasing {
        pub fn nothing() -> Arc<Self> {
            Arc::new(Self)
        }

        pub(super) fn part(&self) -> Part {
            Part
        }
    }
}

/// The shard of the models answers no questions. They wait in its inbox.
mod question {
    use super::releasing::Part;
    use crate::replay::Seq;
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;
    use tokio::sync::oneshot;

    #[derive(Debug, Clone)]
    pub struct ClientView {
        pub shard: usize,
    }

    #[derive(Debug)]
    pub(super) enum Question {
        Clients {
            stream: usize,
            most: usize,
            found: Vec<ClientView>,
            last: Option<()>,
            reply: oneshot::Sender<Vec<ClientView>>,
        },
        Slowest { found: HashMap<usize, Seq>, reply: oneshot::Sender<HashMap<usize, Seq>> },
        Release { stream: usize, moved: Arc<HashSet<usize>>, part: Part },
        Dismiss { stream: usize, place: u32, asked: u64, reply: oneshot::Sender<bool> },
    }

    pub(super) fn shorten(_: &mut Vec<ClientView>, _: usize) -> Option<()> {
        None
    }
}

pub use batch::Framing;
pub use arrival::{Arrival, Delivery};
pub use engine::{Engine, Refused};
pub use sender::Sending;
pub use shard::BREAKS;
pub use policy::Pace;
pub use terms::{Farewell, Home, Sent, Terms};
