//! An entry of the log, in as few bytes as it takes: a log may hold a hundred thousand.

use super::clock::Ticks;
use crate::replay::trimmed;
use crate::sse::Frame;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::replay) enum Kind {
    /// A gap that every subscriber is told of. It has no id, and is not an event of the origin's.
    Mark,
    /// An event with the origin's id. Under `ids = "origin"` that is the effective id, and may be empty.
    Origin,
    /// A block with an id and without data. The id is the origin's.
    Checkpoint,
    /// An event with an id that the log minted.
    Minted,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Mark, Self::Origin, Self::Checkpoint, Self::Minted];

    /// The kind of this number.
    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether entries of this kind are events.
    pub(in crate::replay) fn is_event(self) -> bool {
        matches!(self, Self::Origin | Self::Minted)
    }

    /// The origin's id of a frame of this kind, as ids are compared. It is a part of the frame. `None`: it has none.
    pub(in crate::replay) fn id_in(self, frame: &Frame) -> Option<&[u8]> {
        match self {
            Self::Mark | Self::Minted => None,
            Self::Origin | Self::Checkpoint => Some(trimmed(frame.id().unwrap_or_default())),
        }
    }
}

/// An entry of the log.
#[derive(Debug)]
pub(in crate::replay) struct Entry {
    pub(in crate::replay) frame: Frame,
    /// How many positions later the next entry with the same id is. 0: there is none.
    pub(in crate::replay) next_alike: u32,
    /// When the entry came, and its [`Kind`] in the lowest bits.
    ticks_and_kind: u32,
}

const KIND_BITS: u32 = 2;

// Two words for the frame, and one for the rest.
const _: () = assert!(size_of::<Entry>() == 3 * size_of::<usize>());
const _: () = assert!(Ticks::MOST <= u32::MAX >> KIND_BITS && Kind::ALL.len() == 1 << KIND_BITS);

impl Entry {
    pub(super) fn new(frame: Frame, kind: Kind, at: Ticks) -> Self {
        Self { frame, next_alike: 0, ticks_and_kind: at.0 << KIND_BITS | kind as u32 }
    }

    pub(super) fn kind(&self) -> Kind {
        let mask = (1 << KIND_BITS) - 1;
        u8::try_from(self.ticks_and_kind & mask).ok().and_then(Kind::of).unwrap_or(Kind::Mark)
    }

    pub(super) fn at(&self) -> Ticks {
        Ticks(self.ticks_and_kind >> KIND_BITS)
    }

    pub(super) fn set_at(&mut self, at: Ticks) {
        self.ticks_and_kind = at.0 << KIND_BITS | self.kind() as u32;
    }

    /// Whether the entry is an event, and neither a mark nor a checkpoint.
    pub(super) fn is_event(&self) -> bool {
        self.kind().is_event()
    }

    /// The origin's id of the entry, as ids are compared. `None`: it has none.
    pub(in crate::replay) fn id(&self) -> Option<&[u8]> {
        self.kind().id_in(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_remembers_its_kind_and_when_it_came() {
        for kind in Kind::ALL {
            for at in [0, 1, Ticks::MOST] {
                let mut entry = Entry::new(Frame::of_text(b"id:  7 \n\n"), kind, Ticks(at));
                assert_eq!((entry.kind(), entry.at()), (kind, Ticks(at)));
                entry.set_at(Ticks(5));
                assert_eq!((entry.kind(), entry.at()), (kind, Ticks(5)));
                let has_id = matches!(kind, Kind::Origin | Kind::Checkpoint);
                assert_eq!(entry.id(), has_id.then_some(&b"7"[..]));
            }
        }
    }

    #[test]
    fn an_event_of_the_origin_without_an_id_line_has_the_empty_id() {
        assert_eq!(Entry::new(Frame::of_text(b"data: a\n\n"), Kind::Origin, Ticks(0)).id(), Some(&b""[..]));
    }
}
