//! Whatever is appended, dropped, held and read, a log holds, gives and resumes as its oracle says, which never drops
//! anything.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| manifold::replay::try_positions(input));
