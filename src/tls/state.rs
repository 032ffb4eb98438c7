//! A channel while no process serves it: on its way from one process to the next.

use super::channel::{Aside, Channel};
use super::keys::{Algorithm, Keys, Secret};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroize;

/// Everything that a channel is. It holds the secrets of the connection, so it is never shown, and is overwritten when it
/// is dropped.
#[derive(Serialize, Deserialize)]
pub struct ChannelState {
    algorithm: u8,
    tx_secret: Vec<u8>,
    tx_seq: u64,
    rx_secret: Vec<u8>,
    rx_seq: u64,
    /// Sealed bytes that go before everything else.
    pending: Vec<u8>,
    /// The beginning of a record that has not arrived completely.
    arriving: Vec<u8>,
    idle_left: u16,
    key_update_bytes: u8,
    answers: bool,
    is_closed: bool,
}

impl Channel {
    /// What another process needs to go on. Only one of the two may: a nonce must never serve two plaintexts. Nothing may
    /// be between [`seal`](Self::seal) and [`settle`](Self::settle).
    #[must_use]
    pub fn state(&self) -> ChannelState {
        let algorithm = self.algorithm();
        let aside = self.aside.as_ref();
        let (pending, arriving) =
            aside.map(|aside| (aside.pending.clone(), aside.arriving.clone())).unwrap_or_default();
        ChannelState {
            algorithm: algorithm.number(),
            tx_secret: self.tx_secret.bytes(algorithm).to_vec(),
            tx_seq: self.tx.seq,
            rx_secret: self.rx_secret.bytes(algorithm).to_vec(),
            rx_seq: self.rx_seq,
            pending,
            arriving,
            idle_left: self.idle_left,
            key_update_bytes: self.key_update_bytes,
            answers: self.answers,
            is_closed: self.is_closed,
        }
    }

    /// The channel with this state. `None`: no channel has this state.
    #[must_use]
    pub fn of_state(mut state: ChannelState) -> Option<Self> {
        let algorithm = Algorithm::of(state.algorithm)?;
        let tx_secret = Secret::new(algorithm, &state.tx_secret)?;
        let rx_secret = Secret::new(algorithm, &state.rx_secret)?;
        let tx = Keys::of(algorithm, &tx_secret, state.tx_seq).ok()?;
        let aside =
            Aside { pending: std::mem::take(&mut state.pending), arriving: std::mem::take(&mut state.arriving) };
        Some(Self {
            tx,
            tx_secret,
            rx_secret,
            rx_seq: state.rx_seq,
            aside: (!aside.is_empty()).then(|| Box::new(aside)),
            idle_left: state.idle_left,
            key_update_bytes: state.key_update_bytes,
            answers: state.answers,
            is_closed: state.is_closed,
        })
    }
}

impl Drop for ChannelState {
    fn drop(&mut self) {
        self.tx_secret.zeroize();
        self.rx_secret.zeroize();
    }
}

impl fmt::Debug for ChannelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelState").finish_non_exhaustive()
    }
}
