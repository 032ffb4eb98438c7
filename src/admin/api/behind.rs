//! How many bytes clients are behind, from the lengths of the log's entries.

use crate::replay::Seq;
use std::collections::BTreeMap;

/// The bytes of SSE text between each position and the end of the log. Positions that the log does not hold are left
/// out. `lengths`: the lengths of some of the entries from a position on, or `None` if the first of them is not held.
/// The log may drop its oldest entries between two calls.
pub(super) fn bytes_behind(
    mut positions: Vec<Seq>,
    end: Seq,
    mut lengths: impl FnMut(Seq) -> Option<Vec<usize>>,
) -> BTreeMap<Seq, u64> {
    positions.sort_unstable();
    positions.dedup();
    let mut before = BTreeMap::new();
    let (mut sum, mut waiting) = (0_u64, positions.into_iter().filter(|at| *at <= end).peekable());
    let Some(mut at) = waiting.peek().copied() else { return before };
    while at < end {
        match lengths(at).filter(|lengths| !lengths.is_empty()) {
            Some(lengths) => {
                for length in lengths.into_iter().take(usize::try_from(end.0 - at.0).unwrap_or(usize::MAX)) {
                    if waiting.next_if_eq(&at).is_some() {
                        before.insert(at, sum);
                    }
                    sum += length as u64;
                    at = Seq(at.0 + 1);
                }
            }
            None => {
                // What was dropped makes all that came before it unknown.
                before.clear();
                while waiting.next_if(|next| *next <= at).is_some() {}
                let Some(next) = waiting.peek() else { return before };
                (at, sum) = (*next, 0);
            }
        }
    }
    before.values_mut().for_each(|earlier| *earlier = sum - *earlier);
    before.extend(waiting.map(|at| (at, 0)));
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_from_each_position_to_the_end() {
        // The entries 10 to 19 have 1 to 10 bytes, and 20 is the end. The log drops what comes before `oldest` once
        // `after` calls were made. At most three lengths are told at once.
        for (positions, oldest, after, expected) in [
            (&[20][..], 10, 0, &[(20, 0)][..]),
            (&[19, 19, 20], 10, 0, &[(19, 10), (20, 0)]),
            (&[10], 10, 0, &[(10, 55)]),
            (&[18, 12], 10, 0, &[(12, 52), (18, 19)]),
            (&[5, 12], 10, 0, &[(12, 52)]),
            (&[5, 21], 10, 0, &[]),
            (&[], 10, 0, &[]),
            (&[10, 11, 17], 16, 1, &[(17, 27)]),
            (&[10, 17], 20, 2, &[]),
        ] {
            let mut calls = 0;
            let lengths = |from: Seq| {
                let oldest = if calls >= after { oldest } else { 10 };
                calls += 1;
                let told = || (1..=10).skip(usize::try_from(from.0).unwrap() - 10).take(3).collect();
                (oldest..20).contains(&from.0).then(told)
            };
            let positions = positions.iter().copied().map(Seq).collect();
            let behind: Vec<_> =
                bytes_behind(positions, Seq(20), lengths).into_iter().map(|(at, n)| (at.0, n)).collect();
            assert_eq!(behind, expected);
            assert!(calls <= 6, "{calls} calls");
        }
    }
}
