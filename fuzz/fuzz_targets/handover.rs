//! Whatever a message of a hand-over holds, it is refused, or makes streams, clients and connections that hold together.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| manifold::service::try_message(input));
