//! Steps of a log and its oracle that an input says.

#![allow(unreachable_pub, reason = "a fuzz target names it")]

use super::beside::{Both, Step};
use super::*;
use crate::choices::Choices;
use crate::replay::log::Delivery;

/// After each step, everything that the log tells is compared. So a run with more steps would take long.
const MOST_STEPS: usize = 80;

/// Takes the steps that `input` says, with a log and its oracle.
///
/// # Panics
/// The log holds or gives other entries than the oracle, or knows other positions.
pub fn try_positions(input: &[u8]) {
    let mut choices = Choices::new(input);
    let options = ReplayOptions {
        events: NonZeroUsize::new(choices.below(9)),
        bytes: choices.one_of(&[1 << 20, 1, 200, 600, 1200]),
        age: choices.one_of(&[None, Some(0), Some(3), Some(20)]).map(Duration::from_secs),
        start: choices.one_of(&[Start::Live, Start::All, back(1), back(4)]),
        ids: choices.one_of(&[IdPolicy::Auto, IdPolicy::Origin]),
        ..ReplayOptions::default()
    };
    let mut both = Both::new(&options, choices.one_of(&["", "a"]));
    both.tape.log.delivery = Delivery { together: 8 * choices.below(256), beside: 4 * choices.below(256) };
    for _ in 0..MOST_STEPS {
        if choices.are_over() {
            break;
        }
        both.take(&step(&mut choices));
        both.compare();
    }
}

fn step(choices: &mut Choices<'_>) -> Step {
    match choices.below(22) {
        0..5 => {
            let id = choices.one_of(&[None, Some("a"), Some("b"), Some("c"), Some(""), Some(" "), Some(" a\t")]);
            Step::Event(id, choices.below(60))
        }
        5..9 => Step::Fresh,
        9 => Step::Mark,
        10..12 => Step::Checkpoint(choices.one_of(&[None, Some("a"), Some("b"), Some(" c"), Some("")])),
        12..14 => Step::Wait(choices.one_of(&[0, 1, 2, 5, 30])),
        14..16 => Step::Join(choices.below(4)),
        16..19 => Step::Read(choices.below(4), choices.below(6)),
        19 => Step::Leave(choices.below(4)),
        20 => Step::GiveUp(8 * choices.below(256)),
        _ => Step::Restart(choices.one_of(&[0, 1, 2, 5, 30])),
    }
}

#[test]
fn the_log_holds_and_gives_what_the_oracle_says_after_any_steps() {
    // A holder that was left behind keeps nothing, also in a log whose entries have no age.
    try_positions(include_bytes!("../../../fuzz/seeds/positions/delivery-ends-without-an-age"));
    let mut rng = fastrand::Rng::with_seed(0);
    for _ in 0..60 {
        let input: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(250).collect();
        try_positions(&input);
    }
}
