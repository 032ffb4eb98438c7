//! The publisher's pace: how far it may be ahead of the fastest subscriber.

/// How far the log may be ahead of the fastest subscriber: what the events beyond it weigh. The origin is read no further
/// then.
pub(super) const MOST_AHEAD: usize = 64 << 10;

/// Whether the publisher reads on from the origin or waits for the subscribers.
///
/// ```text
///            too far ahead               out of patience
///   Free ─────────────────────▶ Waits ───────────────────▶ Gave
///    ▲ ▲                        │ ▲ │                       │
///    │ └─ near enough, taken ───┘ └─┘ bytes arrived         │
///    └───────────────────────────── taken, bytes arrived ───┘
/// ```
///
/// *Taken*: a subscriber read events from the log that no other had read before. *Bytes arrived*: a client received
/// bytes that it was sent before. So it is reading, though its connection does not take more yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The publisher reads on.
    Free,
    /// The publisher waits until a subscriber takes something.
    Waits,
    /// The publisher waited in vain. It reads on, and does not wait again until a subscriber takes something.
    Gave,
}

impl Pace {
    /// The publisher is about to read on. `is_ahead`: whether it is further ahead than it may be.
    pub(super) fn looked(self, is_ahead: impl FnOnce() -> bool) -> Self {
        match self {
            Self::Gave => Self::Gave,
            Self::Free | Self::Waits => {
                if is_ahead() {
                    Self::Waits
                } else {
                    Self::Free
                }
            }
        }
    }

    /// A client received bytes.
    pub(super) fn arrived(self) -> Self {
        match self {
            Self::Waits => Self::Waits,
            Self::Free | Self::Gave => Self::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace::{Free, Gave, Waits};

    #[test]
    fn the_publisher_waits_only_while_it_is_ahead() {
        for (pace, near, ahead, arrived) in
            [(Free, Free, Waits, Free), (Waits, Free, Waits, Waits), (Gave, Gave, Gave, Free)]
        {
            assert_eq!(
                (pace.looked(|| false), pace.looked(|| true), pace.arrived()),
                (near, ahead, arrived),
                "{pace:?}"
            );
        }
    }
}
