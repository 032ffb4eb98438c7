//! Takes the traffic secrets of one connection out of rustls.

use parking_lot::Mutex;
use rustls::KeyLog;
use zeroize::Zeroizing;

/// The key log of one connection. A [`ServerConfig`](rustls::ServerConfig) cloned for the connection gets it as its
/// `key_log`. It keeps the two secrets that a KeyUpdate needs, and writes nothing anywhere.
#[derive(Default)]
pub struct Capture(Mutex<Captured>);

/// The first application traffic secrets of both directions. Empty: not captured yet.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) client: Zeroizing<Vec<u8>>,
    pub(super) server: Zeroizing<Vec<u8>>,
}

const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

impl Capture {
    /// Takes the secrets.
    pub(super) fn take(&self) -> Captured {
        std::mem::take(&mut *self.0.lock())
    }
}

impl KeyLog for Capture {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let mut captured = self.0.lock();
        match label {
            CLIENT => captured.client = Zeroizing::new(secret.to_vec()),
            SERVER => captured.server = Zeroizing::new(secret.to_vec()),
            _ => {}
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == CLIENT || label == SERVER
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Capture")
    }
}
