//! Whatever a token says, it is good only if an oracle that reads it by itself says so, too, and permits only the paths of its subject.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| manifold::auth::try_tokens(input));
