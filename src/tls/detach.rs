//! From a connection of rustls to a [`Channel`].

use super::capture::Capture;
use super::channel::Channel;
use super::keys::{Algorithm, Keys, Secret};
use ring::error::Unspecified;
use rustls::{CipherSuite, ConnectionTrafficSecrets, ProtocolVersion, ServerConnection};
use thiserror::Error;

/// Why a connection stays with rustls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It has no keys of this kind.
    #[error("it is not TLS 1.3")]
    Version,
    /// The handshake goes on.
    #[error("its handshake is not complete")]
    Handshake,
    /// Bytes would be lost that rustls has read.
    #[error("a record has not arrived completely")]
    HalfRecord,
    /// Bytes would be lost that rustls has opened.
    #[error("its client sent data that was not read")]
    Unread,
    /// Bytes would be lost that rustls has sealed.
    #[error("data for its client was not sent")]
    Unwritten,
    /// There is nobody to serve.
    #[error("its client has closed it")]
    Closed,
    /// A client that asked for new keys waits for an answer that rustls does not give away.
    #[error("its client padded records, or sent other records than data")]
    Hidden,
    /// rustls does not give its keys away: it was not configured to, or the client broke the protocol.
    #[error("rustls keeps its keys")]
    Kept,
    /// The keys are not those that the captured secrets stand for.
    #[error("its keys are not the first ones")]
    Keys,
}

/// Whether a connection can be taken apart now, without a byte being lost.
///
/// `at_boundary` and `counted`: what [`RecordIo`](super::RecordIo) says of it. `read`: the number of plaintext bytes that
/// were read from it since `RecordIo` began to count.
///
/// # Errors
/// When it cannot. The connection is as before.
pub fn may_detach(
    connection: &mut ServerConnection,
    at_boundary: bool,
    counted: u64,
    read: u64,
) -> Result<(), Refusal> {
    let state = connection.process_new_packets().map_err(|_| Refusal::Kept)?;
    let refused = [
        (connection.is_handshaking(), Refusal::Handshake),
        (connection.protocol_version() != Some(ProtocolVersion::TLSv1_3), Refusal::Version),
        (state.peer_has_closed(), Refusal::Closed),
        (!at_boundary, Refusal::HalfRecord),
        (state.plaintext_bytes_to_read() > 0, Refusal::Unread),
        (state.tls_bytes_to_write() > 0, Refusal::Unwritten),
        (counted != read, Refusal::Hidden),
    ];
    refused.into_iter().find(|(is_so, _)| *is_so).map_or(Ok(()), |(_, why)| Err(why))
}

impl Channel {
    /// Takes the keys out of a connection, which [may be detached](may_detach). `capture` must have been its key log.
    ///
    /// # Errors
    /// When the keys cannot be taken. The connection is lost then.
    pub fn of(connection: ServerConnection, capture: &Capture) -> Result<Self, Refusal> {
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let algorithm = match suite {
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => Algorithm::Aes128Gcm,
            Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => Algorithm::Aes256Gcm,
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => Algorithm::ChaCha20Poly1305,
            _ => return Err(Refusal::Version),
        };
        let extracted = connection.dangerous_extract_secrets().map_err(|_| Refusal::Kept)?;
        let captured = capture.take();
        let checked = |secret: &[u8], (seq, given): &(u64, ConnectionTrafficSecrets)| {
            let secret = Secret::new(algorithm, secret).ok_or(Refusal::Keys)?;
            let keys = Keys::of(algorithm, &secret, *seq).map_err(|Unspecified| Refusal::Keys)?;
            if are(&keys, given) { Ok((secret, *seq)) } else { Err(Refusal::Keys) }
        };
        let tx = checked(&captured.server, &extracted.tx)?;
        let rx = checked(&captured.client, &extracted.rx)?;
        Self::new(algorithm, tx, rx).map_err(|Unspecified| Refusal::Keys)
    }
}

fn are(keys: &Keys, given: &ConnectionTrafficSecrets) -> bool {
    let (algorithm, key, iv) = match given {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Algorithm::Aes128Gcm, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Algorithm::Aes256Gcm, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (Algorithm::ChaCha20Poly1305, key, iv),
        _ => return false,
    };
    keys.algorithm == algorithm && keys.are(key.as_ref(), iv.as_ref())
}
