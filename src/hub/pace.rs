//! How far the publisher may be ahead of the fastest subscriber.

/// The publisher beside the fastest subscriber.
///
/// ```text
///            too far ahead               out of patience
///   Free ─────────────────────▶ Waits ───────────────────▶ Gave
///    ▲ ▲                        │ ▲ │                       │
///    │ └─ near enough, taken ───┘ └─┘ bytes arrived         │
///    └───────────────────────────── taken, bytes arrived ───┘
/// ```
///
/// *Taken*: a subscriber took events from the log that none had taken before. *Bytes arrived*: a client's side took in bytes
/// that it had been sent already, so it reads, though its connection does not take more yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It goes on.
    Free,
    /// It waits until somebody takes something.
    Waits,
    /// It waited in vain, and does not wait again until somebody takes something.
    Gave,
}

impl Pace {
    /// The publisher would go on. `is_ahead`: whether it is further ahead than it may be.
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

    /// Bytes arrived at a client.
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
    fn the_publisher_waits_only_ahead_of_who_takes() {
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
