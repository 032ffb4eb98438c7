//! Whether events come as they are made, or whether something on the way collects them. Decided from when bytes came,
//! and from times in the events.

use std::time::Duration;

/// Bytes that came at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When they came, since the request was sent.
    pub at: Duration,
    /// How many bytes.
    pub bytes: usize,
    /// How many events they completed.
    pub events: usize,
    /// The earliest and the latest time in these events, in milliseconds since 1970. `None`: they name none.
    pub stamps: Option<(i64, i64)>,
}

/// How the events came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flow {
    /// There are too few events to say anything.
    TooFew(usize),
    /// They came one by one, or nearly so. The number of moments at which events came.
    Flowing(usize),
    /// They came together, right at the start. They may be old events that the origin sends to every new client.
    AtTheStart(usize),
    /// They came in lumps.
    Lumps(Lumps),
}

/// Events that came together after a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lumps {
    /// The number of lumps.
    pub lumps: usize,
    /// All events of them.
    pub events: usize,
    /// The largest lump: its events, how long they took to come, and the silence before it.
    pub largest: (usize, Duration, Duration),
    /// The bytes of the smallest lump.
    pub smallest: usize,
    /// What shows that they were made one by one.
    pub proof: Proof,
}

/// How sure it is that the events of a lump were made one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Times in the events, which lie this far apart.
    Times(Duration),
    /// The sizes of the lumps are all a multiple of this number of bytes, as if a buffer of that size got full.
    Size(usize),
    /// Nothing shows it. An origin that sends several events at once looks the same.
    None,
}

/// Bytes that come within this time are of one moment.
const MOMENT: Duration = Duration::from_millis(100);

/// The fewest events of a lump.
const LUMP: usize = 3;

/// A lump follows a silence of at least this long.
const SILENCE: Duration = Duration::from_millis(900);

/// Times in events that lie further apart than this show that the events were made one after the other. Times may be
/// whole seconds.
const APART: Duration = Duration::from_millis(900);

/// The sizes of buffers that are looked for, the larger ones first.
const BUFFERS: [usize; 5] = [65536, 32768, 16384, 8192, 4096];

/// Arrivals that came nearly at once.
#[derive(Debug, Clone, Copy)]
struct Moment {
    from: Duration,
    to: Duration,
    /// The time without a byte before it.
    silence: Duration,
    bytes: usize,
    events: usize,
    stamps: Option<(i64, i64)>,
}

impl Moment {
    fn is_lump(&self) -> bool {
        let is_short = self.to.saturating_sub(self.from) <= MOMENT;
        self.events >= LUMP && is_short && self.silence >= SILENCE && !self.holds_old_events()
    }

    /// How far apart its events were made.
    fn apart(&self) -> Option<Duration> {
        let (first, last) = self.stamps?;
        Some(Duration::from_millis(last.saturating_sub(first).try_into().ok()?))
    }

    /// Whether some of its events were made before the silence. Then the origin sends old events, and nothing waited.
    fn holds_old_events(&self) -> bool {
        // A time may be a whole second.
        self.apart().is_some_and(|apart| apart > self.silence + MOMENT + Duration::from_secs(1))
    }
}

/// How the events of a response came. `arrivals`: all bytes of the body, in order.
pub(super) fn flow(arrivals: &[Arrival]) -> Flow {
    let all = moments(arrivals);
    let moments: Vec<Moment> = all.iter().copied().filter(|moment| moment.events > 0).collect();
    let events: usize = moments.iter().map(|moment| moment.events).sum();
    let lumps: Vec<Moment> = moments.iter().copied().filter(Moment::is_lump).collect();
    let in_lumps: usize = lumps.iter().map(|lump| lump.events).sum();
    if let Some(largest) = lumps.iter().max_by_key(|lump| lump.events) {
        let proof = proof(&lumps);
        let outside = events - in_lumps - first_burst(&moments);
        // Lumps that are not proven are lumps only if nearly nothing comes outside of them.
        if proof != Proof::None || outside <= in_lumps / 8 {
            let largest = (largest.events, largest.to.saturating_sub(largest.from), largest.silence);
            let smallest = lumps.iter().map(|lump| lump.bytes).min().unwrap_or_default();
            return Flow::Lumps(Lumps { lumps: lumps.len(), events: in_lumps, largest, smallest, proof });
        }
    }
    match moments.as_slice() {
        _ if events < LUMP => Flow::TooFew(events),
        [only] if only.to.saturating_sub(only.from) <= MOMENT => Flow::AtTheStart(events),
        _ => Flow::Flowing(arrivals.iter().filter(|arrival| arrival.events > 0).count()),
    }
}

/// The events of the first moment, if they came at once after the request.
fn first_burst(moments: &[Moment]) -> usize {
    moments.first().filter(|first| first.silence < SILENCE).map_or(0, |first| first.events)
}

fn moments(arrivals: &[Arrival]) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for arrival in arrivals {
        let last = moments.last_mut();
        match last {
            Some(last) if arrival.at.saturating_sub(last.to) < MOMENT => {
                last.to = arrival.at;
                last.bytes += arrival.bytes;
                last.events += arrival.events;
                last.stamps = joined(last.stamps, arrival.stamps);
            }
            _ => {
                let silence = arrival.at.saturating_sub(last.map_or(Duration::ZERO, |last| last.to));
                let Arrival { at, bytes, events, stamps } = *arrival;
                moments.push(Moment { from: at, to: at, silence, bytes, events, stamps });
            }
        }
    }
    moments
}

/// The earliest and the latest of two ranges.
pub(super) fn joined(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (one, other) {
        (Some((from, to)), Some((start, end))) => Some((from.min(start), to.max(end))),
        (range, None) | (None, range) => range,
    }
}

fn proof(lumps: &[Moment]) -> Proof {
    if let Some(apart) = lumps.iter().filter_map(Moment::apart).filter(|apart| *apart >= APART).max() {
        return Proof::Times(apart);
    }
    let is_full = |size: usize| lumps.iter().all(|lump| lump.bytes % size == 0);
    BUFFERS.into_iter().find(|size| lumps.len() >= 2 && is_full(*size)).map_or(Proof::None, Proof::Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrivals, and how the events in them came.
    type Case<'a, A> = (&'a [A], Flow);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// An arrival of events without times.
    fn plain((at, bytes, events): (u64, usize, usize)) -> Arrival {
        Arrival { at: ms(at), bytes, events, stamps: None }
    }

    fn stamped((at, events, first, last): (u64, usize, i64, i64)) -> Arrival {
        Arrival { at: ms(at), bytes: 50, events, stamps: Some((first, last)) }
    }

    fn lumps(lumps: usize, events: usize, largest: (usize, u64, u64), proof: Proof) -> Flow {
        let largest = (largest.0, ms(largest.1), ms(largest.2));
        Flow::Lumps(Lumps { lumps, events, largest, smallest: 0, proof })
    }

    /// The flow without the bytes of the smallest lump.
    fn bare(flow: Flow) -> Flow {
        match flow {
            Flow::Lumps(lumps) => Flow::Lumps(Lumps { smallest: 0, ..lumps }),
            other => other,
        }
    }

    #[test]
    fn the_smallest_lump_tells_whether_a_buffer_can_have_been_full() {
        let arrivals = [(4000, 9000, 9), (8000, 200, 4)].map(plain);
        assert!(matches!(flow(&arrivals), Flow::Lumps(Lumps { smallest: 200, .. })));
    }

    #[test]
    fn without_times_only_the_pattern_counts() {
        let every_second: Vec<_> = (0..10).map(|n| (n * 1000 + 5, 40, 1)).collect();
        let fast: Vec<_> = (0..500).map(|n| (n * 20, 40, 1)).collect();
        let history: Vec<_> = [(8, 400, 10)].into_iter().chain((1..6).map(|n| (n * 1000, 40, 1))).collect();
        let cases: [Case<(u64, usize, usize)>; 13] = [
            (&[], Flow::TooFew(0)),
            (&[(5, 40, 1), (9000, 40, 1)], Flow::TooFew(2)),
            (&every_second, Flow::Flowing(10)),
            (&fast, Flow::Flowing(500)),
            (&history, Flow::Flowing(6)),
            // Everything came at once, right after the request. Such events may be old.
            (&[(8, 400, 10)], Flow::AtTheStart(10)),
            // Everything came at once, after a silence.
            (&[(8000, 200, 6), (8003, 200, 6)], lumps(1, 12, (12, 3, 8000), Proof::None)),
            (&[(5, 10, 0), (8000, 400, 12)], lumps(1, 12, (12, 0, 7995), Proof::None)),
            (&[(4000, 200, 4), (8000, 240, 5)], lumps(2, 9, (5, 0, 4000), Proof::None)),
            (&[(4000, 200, 4), (6000, 40, 1), (8000, 240, 5)], lumps(2, 9, (5, 0, 2000), Proof::None)),
            // As many events come alone.
            (&[(4000, 200, 4), (5000, 40, 1), (6000, 40, 1), (7000, 40, 1), (8000, 240, 1)], Flow::Flowing(5)),
            (&[(4000, 4096, 40), (8000, 4096, 40), (12000, 4096, 40)], lumps(3, 120, (40, 0, 4000), Proof::Size(4096))),
            (&[(4000, 16384, 9), (8000, 8192, 4)], lumps(2, 13, (9, 0, 4000), Proof::Size(8192))),
        ];
        for (arrivals, expected) in cases {
            let arrivals: Vec<_> = arrivals.iter().copied().map(plain).collect();
            assert_eq!(bare(flow(&arrivals)), expected, "{arrivals:?}");
        }
    }

    #[test]
    fn times_in_the_events_prove_that_they_waited() {
        let cases: [Case<(u64, usize, i64, i64)>; 6] = [
            // Five events were made within 4 s, and came together.
            (&[(5000, 5, 100, 4100)], lumps(1, 5, (5, 0, 5000), Proof::Times(ms(4000)))),
            (
                &[(5000, 5, 100, 4100), (5500, 1, 5400, 5400), (6000, 1, 5900, 5900), (6500, 1, 6400, 6400)],
                lumps(1, 5, (5, 0, 5000), Proof::Times(ms(4000))),
            ),
            // Five events were made together every second. That is a group, and still a pattern.
            (
                &[(1000, 5, 990, 995), (2000, 5, 1990, 1995), (3000, 5, 2990, 2995)],
                lumps(3, 15, (5, 0, 1000), Proof::None),
            ),
            // The events are from before the request: the origin sent old ones.
            (&[(2000, 50, -600_000, 1900)], Flow::AtTheStart(50)),
            (&[(5, 50, -600_000, 0)], Flow::AtTheStart(50)),
            (&[(5, 50, -600_000, 0), (1000, 1, 990, 990), (2000, 1, 1990, 1990)], Flow::Flowing(3)),
        ];
        for (arrivals, expected) in cases {
            let arrivals: Vec<_> = arrivals.iter().copied().map(stamped).collect();
            assert_eq!(bare(flow(&arrivals)), expected, "{arrivals:?}");
        }
    }
}
