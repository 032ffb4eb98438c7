//! Whatever clients of a shard do, each gets every event once and in order, or is told how many it does not get, or its
//! response ends.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    manifold::fanout::try_operations(input);
});
