//! Properties of sequences of operations, beside the naive oracle.

use super::beside::{Both, Step};
use super::*;
use crate::replay::ids::MintedId;
use crate::replay::log::Delivery;
use crate::replay::{Continuation, Fate, trimmed};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Every run uses the same cases.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 600, failure_persistence: None, rng_seed: RngSeed::Fixed(108), ..ProptestConfig::default() }
}

fn step() -> impl Strategy<Value = Step> {
    let id = prop::option::of(prop::sample::select(vec!["a", "b", "c", "", " ", " a\t"]));
    let checkpoint = prop::option::of(prop::sample::select(vec!["a", "b", " c", ""]));
    prop_oneof![
        6 => (id, 0..60_usize).prop_map(|(id, len)| Step::Event(id, len)),
        4 => Just(Step::Fresh),
        1 => Just(Step::Mark),
        2 => checkpoint.prop_map(Step::Checkpoint),
        2 => (0..8_u64).prop_map(Step::Wait),
        1 => (0..4_usize).prop_map(Step::Join),
        3 => (0..4_usize, 0..6_usize).prop_map(|(client, most)| Step::Read(client, most)),
        1 => (0..4_usize).prop_map(Step::Leave),
        1 => (0..2000_usize).prop_map(Step::GiveUp),
        1 => (0..8_u64).prop_map(Step::Restart),
    ]
}

fn options() -> impl Strategy<Value = ReplayOptions> {
    let most = prop_oneof![1 => Just(None), 8 => (1..8_usize).prop_map(NonZeroUsize::new)];
    let bytes = prop_oneof![Just(1 << 20), 1..1500_usize];
    let age = prop::option::of((0..20_u64).prop_map(Duration::from_secs));
    let start = prop_oneof![Just(Start::Live), Just(Start::All), (1..5_usize).prop_map(back)];
    let ids = prop_oneof![Just(IdPolicy::Auto), Just(IdPolicy::Origin)];
    (most, bytes, age, start, ids).prop_map(|(events, bytes, age, start, ids)| ReplayOptions {
        events,
        bytes,
        age,
        start,
        ids,
        ..ReplayOptions::default()
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_log_holds_and_gives_what_the_oracle_says(
        options in options(),
        base in prop::sample::select(vec!["", "a"]),
        steps in prop::collection::vec(step(), 0..40),
        (together, beside) in (0..2000_usize, 0..1000_usize),
    ) {
        let mut both = Both::new(&options, base);
        both.tape.log.delivery = Delivery { together, beside };
        for step in &steps {
            both.take(step);
            both.compare();
        }
    }

    /// A client gets each later event exactly once under `ids = "auto"`, at least once under `ids = "origin"`, or it
    /// is told a gap. It never misses an event in silence.
    #[test]
    fn a_client_that_resumes_gets_every_later_event_or_is_told(
        options in options(),
        base in prop::sample::select(vec!["", "base"]),
        steps in prop::collection::vec(step(), 1..60),
        left_at in any::<prop::sample::Index>(),
        seen in any::<prop::sample::Index>(),
    ) {
        // An id that comes again later identifies nothing. Under `ids = "origin"`, events without an id share the
        // last one.
        let unique = |step: &Step| match step {
            Step::Event(Some(_), _) => Step::Fresh,
            Step::Checkpoint(_) => Step::Checkpoint(None),
            other => other.clone(),
        };
        let mut both = Both::new(&options, base);
        let (before, after) = steps.split_at(left_at.index(steps.len()));
        before.iter().for_each(|step| both.take(&unique(step)));
        // The last event that the client got. `None`: it got no event and has the id that it came with.
        let events = both.oracle.all.iter().enumerate().filter(|(_, entry)| entry.id.is_some()).map(|(seq, _)| seq);
        let last_seen = std::iter::once(None).chain(events.map(Some)).collect::<Vec<_>>();
        let last_seen = last_seen[seen.index(last_seen.len())];
        after.iter().for_each(|step| both.take(&unique(step)));

        let id = last_seen.map_or_else(|| base.to_owned(), |seq| both.oracle.all[seq].id.clone().unwrap());
        let next = last_seen.map_or(0, |seq| seq + 1);
        if !id.is_empty() && let Position::Known(Seq(known)) = both.tape.log.position(id.as_bytes()) {
            let known = usize::try_from(known).unwrap();
            prop_assert!(known <= next, "silence about {}..{}", next, known);
            prop_assert!(known == next || options.ids == IdPolicy::Origin, "{}..{} twice", known, next);
            let mut given = Vec::new();
            let read = both.tape.log.read(Seq(known as u64), ALL, &mut given);
            prop_assert_eq!(read, Ok(both.tape.log.end()));
            let given: Vec<_> = given.iter().map(brief).collect();
            let due: Vec<_> = both.oracle.all[known..].iter().map(|entry| entry.data.clone()).collect();
            prop_assert_eq!(given, due);
        }
    }

    /// However far back the origin begins, the log takes each event once.
    #[test]
    fn what_a_resumed_origin_sends_again_is_dropped(
        steps in prop::collection::vec(step(), 1..40),
        from in any::<prop::sample::Index>(),
        origin in any::<bool>(),
        checkpoints_again in any::<bool>(),
    ) {
        let unique = |step: &Step| match step {
            Step::Event(Some(_), _) => Step::Fresh,
            Step::Checkpoint(_) => Step::Checkpoint(None),
            other => other.clone(),
        };
        let stream: Vec<Event> = {
            let blocks = steps.iter().map(unique).enumerate().filter_map(|(n, step)| match step {
                Step::Fresh => Some(format!("id: {n}|data: x||")),
                Step::Event(..) => Some("data: x||".to_owned()),
                Step::Checkpoint(_) => Some(format!("id: {n}||")),
                _ => None,
            });
            decode(&mut Decoder::new(1 << 20), &blocks.collect::<String>())
        };
        let mut tape = Tape::new(if origin { origin_ids(100) } else { events(100) });
        for event in &stream {
            tape.append(event);
        }
        let newest = stream.iter().rposition(|event| event.id.is_some());
        if let Some(newest) = newest {
            // The response begins with an event that has an id, or right after the id that the origin was asked to
            // resume after.
            let starts: Vec<usize> =
                (0..=newest).filter(|at| stream[*at].id.is_some()).chain([newest + 1]).collect();
            let (first, rest) = stream[starts[from.index(starts.len())]..].split_first().unzip();
            // The origin may or may not send its checkpoints again.
            let rest = rest.into_iter().flatten().filter(|event| checkpoints_again || !event.is_checkpoint);
            let mut continuation = Continuation::after(stream[newest].id.clone().unwrap(), false, false);
            let fates: Vec<Fate> =
                first.into_iter().chain(rest).map(|event| continuation.judge(&tape.log, event)).collect();
            prop_assert!(fates.iter().all(|fate| *fate == Fate::Repeat), "{:?}", fates);
            prop_assert_eq!(continuation.judge(&tape.log, &Event::of_type("", "new")), Fate::New);
        }
    }

    #[test]
    fn a_minted_id_reads_back(epoch in any::<u64>(), seq in any::<u64>(), behind in "[~a-f0-9 -]{0,12}") {
        let (epoch, seq) = (Epoch::new(epoch), Seq(seq));
        let id = epoch.mint(seq, behind.as_bytes());
        prop_assert_eq!(MintedId::parse(&id), Some(MintedId { epoch, seq, behind: trimmed(behind.as_bytes()) }));
    }
}
