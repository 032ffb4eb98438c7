//! Whatever a request says, its head has one reading, and only what is in the key of its stream reaches the origin.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| manifold::gateway::try_plan(input));
