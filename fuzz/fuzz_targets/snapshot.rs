//! Whatever the file of a snapshot holds, it is refused, or makes logs that hold together.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| manifold::service::try_snapshot(input));
