//! Whether an origin honours `Last-Event-ID`, judged by the ids of two responses.

use bytes::Bytes;

/// The number of newer ids that a resumption is tried with, if there are so many.
const NEWER: usize = 3;

/// What followed an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumed {
    /// The events after it came again, in order, this many.
    Continued(usize),
    /// The first of the events after it are missing, this many.
    Skipped(usize),
    /// None of the events after it came, but newer ones.
    Lost(usize),
    /// Events came again that the client has: the id was not heeded.
    Repeated,
    /// Nothing with an id came, although there are newer events, this many.
    Silent(usize),
    /// Nothing can be said, because no newer event is known.
    Unknown,
}

/// The place of the id to resume after: an older one that newer ones are known of. `None`: there is no id.
pub(super) fn to_ask(ids: &[Bytes]) -> Option<usize> {
    let last = ids.len().checked_sub(1)?;
    Some(last.saturating_sub(NEWER))
}

/// What followed `reference[asked]`. `reference`: the ids of a response that went on. `came`: those of the response to
/// a request with that id.
pub(super) fn resumed(reference: &[Bytes], asked: usize, came: &[Bytes]) -> Resumed {
    let (before, newer) = reference.split_at(reference.len().min(asked.saturating_add(1)));
    let Some(first) = came.first() else {
        return if newer.is_empty() { Resumed::Unknown } else { Resumed::Silent(newer.len()) };
    };
    if let Some(skipped) = newer.iter().position(|id| id == first) {
        if skipped > 0 {
            return Resumed::Skipped(skipped);
        }
        let same = newer.iter().zip(came).take_while(|(one, other)| one == other).count();
        // What one of them has and the other not yet is on its way.
        return if same == newer.len().min(came.len()) { Resumed::Continued(same) } else { Resumed::Skipped(1) };
    }
    if before.contains(first) {
        return Resumed::Repeated;
    }
    if newer.is_empty() { Resumed::Unknown } else { Resumed::Lost(newer.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<Bytes> {
        text.split_whitespace().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect()
    }

    #[test]
    fn what_followed_is_judged_by_ids() {
        for (reference, asked, came, expected) in [
            ("1 2 3 4 5", 1, "3 4 5", Resumed::Continued(3)),
            ("1 2 3 4 5", 1, "3 4 5 6 7", Resumed::Continued(3)),
            ("1 2 3 4 5", 1, "3", Resumed::Continued(1)),
            ("1 2 3 4 5", 1, "4 5", Resumed::Skipped(1)),
            ("1 2 3 4 5", 1, "3 5 6", Resumed::Skipped(1)),
            ("1 2 3 4 5", 1, "6 7", Resumed::Lost(3)),
            ("1 2 3 4 5", 1, "1 2 3", Resumed::Repeated),
            ("1 2 3 4 5", 1, "2 3 4", Resumed::Repeated),
            ("1 2 3 4 5", 1, "", Resumed::Silent(3)),
            ("1", 0, "", Resumed::Unknown),
            ("1", 0, "2", Resumed::Unknown),
            ("1", 0, "1", Resumed::Repeated),
            ("1 2", 0, "2", Resumed::Continued(1)),
        ] {
            assert_eq!(resumed(&ids(reference), asked, &ids(came)), expected, "{reference} {asked} {came}");
        }
        for (all, expected) in [("", None), ("1", Some(0)), ("1 2", Some(0)), ("1 2 3 4 5", Some(1))] {
            assert_eq!(to_ask(&ids(all)), expected, "{all}");
        }
    }
}
