//! Inputs that are nearly right.

/// Changes, cuts and adds some bytes.
pub(super) fn mangle(input: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..input.len());
        match rng.u8(..3) {
            0 => input[at] = rng.u8(..),
            1 => input.truncate(at.max(1)),
            _ => input.insert(at, rng.choice([0xff, 0xc4, 0xdd, 0xcf, 0]).unwrap()),
        }
    }
}
