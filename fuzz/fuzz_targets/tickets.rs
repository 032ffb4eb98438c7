//! Only what was sealed is a ticket, and a ticket is good only for what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| manifold::auth::try_tickets(input));
