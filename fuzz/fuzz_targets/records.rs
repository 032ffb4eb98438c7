//! Whatever a client of TLS 1.3 sends, and however it is cut: what it says is heard once, up to what it must not send.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    manifold::tls::try_records(input);
});
