//! Flow control (RFC 9113, section 5.2): how much may be sent to a client, and how much it may send.

use super::frame::Code;
use super::limits::{CONNECTION_BYTES, LEAST_SHARE_BYTES};
use serde::{Deserialize, Serialize};

/// A window: the bytes that its receiver still takes. It is negative if the receiver asked for a smaller one after more
/// was sent (RFC 9113, section 6.9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window(i32);

impl Window {
    pub(super) fn new(bytes: i32) -> Self {
        Self(bytes)
    }

    /// The bytes that may be sent now.
    pub(super) fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or_default()
    }

    /// Changes the window.
    ///
    /// # Errors
    /// `FLOW_CONTROL_ERROR` if it became larger than 2^31 - 1 bytes.
    pub(super) fn shift(&mut self, by: i32) -> Result<(), Code> {
        self.0 = self.0.checked_add(by).ok_or(Code::FLOW_CONTROL_ERROR)?;
        Ok(())
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// `FLOW_CONTROL_ERROR` if there are fewer.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Code> {
        if bytes > self.room() {
            return Err(Code::FLOW_CONTROL_ERROR);
        }
        self.shift(i32::try_from(bytes).map_or(0, i32::wrapping_neg))
    }
}

/// The window of what is sent, on a stream or on the whole connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sending {
    window: Window,
    /// The most that the window was. Less the window, it is what was sent and not acknowledged.
    largest: i32,
}

impl Sending {
    pub(super) fn new(bytes: i32) -> Self {
        Self { window: Window::new(bytes), largest: bytes }
    }

    /// The client acknowledged bytes, or takes more than before: a WINDOW_UPDATE.
    ///
    /// # Errors
    /// `FLOW_CONTROL_ERROR` if the window became too large.
    pub(super) fn grow(&mut self, by: u32) -> Result<(), Code> {
        self.window.shift(i32::try_from(by).map_err(|_| Code::FLOW_CONTROL_ERROR)?)?;
        self.largest = self.largest.max(self.window.0);
        Ok(())
    }

    /// The client changed the window that streams have at first: SETTINGS. This acknowledges nothing.
    ///
    /// # Errors
    /// `FLOW_CONTROL_ERROR` if the window became too large.
    pub(super) fn shift(&mut self, by: i32) -> Result<(), Code> {
        self.window.shift(by)?;
        self.largest = self.largest.saturating_add(by);
        Ok(())
    }

    /// The bytes that may be sent now.
    pub(super) fn room(self) -> usize {
        self.window.room()
    }

    /// The bytes that a stream may be sent now, by its window, by that of its connection and by its share of it.
    ///
    /// A reader that stops must not take the window from the others on its connection. So a stream has a share, which
    /// is what it may be sent without acknowledgement. It is a quarter of the connection's window, and at least 16 KiB.
    /// But most clients acknowledge only when they have read half of a window, and would never do so if they were sent
    /// less. So the share is also at least half of the stream's own window, and one byte more.
    pub(super) fn room_of_stream(self, connection: Self) -> usize {
        let quarter = connection.largest.wrapping_div(4);
        let half = self.largest.wrapping_div(2).saturating_add(1);
        let share = quarter.max(LEAST_SHARE_BYTES).max(half);
        let unacknowledged = self.largest.saturating_sub(self.window.0);
        let rest = usize::try_from(share.saturating_sub(unacknowledged)).unwrap_or_default();
        rest.min(self.room()).min(connection.room())
    }

    /// Bytes are sent. There must be room for them.
    pub(super) fn take(&mut self, bytes: usize) {
        let taken = self.window.take(bytes);
        debug_assert!(taken.is_ok(), "{self:?} has no room for {bytes}");
    }
}

/// The window of what a client sends, on a stream or on the whole connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receiving {
    window: Window,
    /// Bytes that were consumed, and that the client may send again when we tell it.
    owed: u32,
}

impl Receiving {
    pub(super) fn new(bytes: i32) -> Self {
        Self { window: Window::new(bytes), owed: 0 }
    }

    /// Whether the window of a connection can be like this: we never offer more than [`CONNECTION_BYTES`].
    pub(super) fn is_possible(self) -> bool {
        (0..=CONNECTION_BYTES).contains(&self.window.0)
    }

    /// The client sent bytes.
    ///
    /// # Errors
    /// `FLOW_CONTROL_ERROR` if the window does not allow it.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Code> {
        self.window.take(bytes)
    }

    /// Bytes were consumed. Returns the increment of a WINDOW_UPDATE if it is time to send one: when half of the whole
    /// window is owed.
    pub(super) fn give_back(&mut self, bytes: usize, whole: i32) -> Option<u32> {
        self.owed = self.owed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let by = i32::try_from(self.owed).ok().filter(|owed| *owed >= whole.wrapping_div(2))?;
        self.grow(by).then(|| std::mem::take(&mut self.owed))
    }

    /// Makes the window larger. Returns whether it did.
    pub(super) fn grow(&mut self, by: i32) -> bool {
        self.window.shift(by).is_ok()
    }

    /// The client knows our SETTINGS now, so its window differs from what it was at first.
    pub(super) fn shift(&mut self, by: i32) {
        let shifted = self.window.shift(by);
        debug_assert!(shifted.is_ok(), "our own windows are small");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: i32 = 65_535;

    /// Sends all that a stream may be sent. Returns the number of bytes.
    fn send(stream: &mut Sending, connection: &mut Sending) -> usize {
        let bytes = stream.room_of_stream(*connection);
        stream.take(bytes);
        connection.take(bytes);
        bytes
    }

    #[test]
    fn a_window_may_be_negative_and_never_too_large() {
        let mut window = Sending::new(FIRST);
        window.take(65_000);
        window.shift(1 - FIRST).unwrap();
        assert_eq!((window.window, window.room()), (Window(-64_999), 0));
        window.grow(65_000).unwrap();
        assert_eq!(window.room(), 1);
        assert_eq!(window.grow(i32::MAX as u32), Err(Code::FLOW_CONTROL_ERROR));
        assert_eq!(window.grow(u32::MAX), Err(Code::FLOW_CONTROL_ERROR));
        assert_eq!(window.shift(i32::MAX), Err(Code::FLOW_CONTROL_ERROR));
        assert_eq!(window.room(), 1, "what is refused changes nothing");
    }

    #[test]
    fn a_reader_that_stops_leaves_most_of_the_connection_to_the_others() {
        // As Chromium: 6 MB a stream, 15 MB a connection.
        let (mut stopped, mut connection) = (Sending::new(6 << 20), Sending::new(15 << 20));
        assert_eq!(send(&mut stopped, &mut connection), (15 << 20) / 4);
        assert_eq!(send(&mut stopped, &mut connection), 0);
        assert!(connection.room() > 11 << 20);
        // A small window of the connection.
        let (mut stopped, mut connection) = (Sending::new(20_000), Sending::new(FIRST));
        assert_eq!(send(&mut stopped, &mut connection), 16 << 10);
        stopped.grow(1000).unwrap();
        assert_eq!(send(&mut stopped, &mut connection), 1000, "what is acknowledged may be sent");
        // A small window of the stream.
        assert_eq!(send(&mut Sending::new(1), &mut connection), 1);
    }

    #[test]
    fn the_largest_window_counts_however_it_came_about() {
        // As Firefox: a small window by SETTINGS, and then an update.
        let (mut stream, mut connection) = (Sending::new(128 << 10), Sending::new(FIRST));
        stream.grow(12 << 20).unwrap();
        connection.grow(12 << 20).unwrap();
        assert_eq!(send(&mut stream, &mut connection), (128 << 10) / 2 + (6 << 20) + 1);
    }

    #[test]
    fn who_acknowledges_half_a_window_at_a_time_is_never_stuck() {
        for (of_stream, of_connection) in [(FIRST, FIRST), (12 << 20, 12 << 20), (6 << 20, 15 << 20), (1, 1), (3, 2)] {
            let (mut stream, mut connection) = (Sending::new(of_stream), Sending::new(of_connection));
            let (mut read_of_stream, mut read_of_connection) = (0, 0);
            for _ in 0..1000 {
                let sent = send(&mut stream, &mut connection);
                assert!(sent > 0, "{of_stream} {of_connection}");
                read_of_stream += sent;
                read_of_connection += sent;
                if read_of_stream > of_stream as usize / 2 {
                    stream.grow(read_of_stream as u32).unwrap();
                    read_of_stream = 0;
                }
                if read_of_connection > of_connection as usize / 2 {
                    connection.grow(read_of_connection as u32).unwrap();
                    read_of_connection = 0;
                }
            }
        }
    }

    #[test]
    fn beside_a_stopped_reader_another_with_the_first_windows_goes_on() {
        let mut connection = Sending::new(FIRST);
        let (mut stopped, mut other) = (Sending::new(FIRST), Sending::new(FIRST));
        send(&mut stopped, &mut connection);
        for _ in 0..100 {
            let sent = send(&mut other, &mut connection);
            assert!(sent >= FIRST as usize / 2, "half of the window, at which it is acknowledged");
            other.grow(sent as u32).unwrap();
            connection.grow(sent as u32).unwrap();
        }
    }

    #[test]
    fn settings_acknowledge_nothing() {
        let (mut stream, mut connection) = (Sending::new(40_000), Sending::new(FIRST));
        assert_eq!(send(&mut stream, &mut connection), 20_001);
        stream.shift(-8000).unwrap();
        assert_eq!(send(&mut stream, &mut connection), 0);
        stream.grow(20_001).unwrap();
        assert_eq!(send(&mut stream, &mut connection), 16_384);
    }

    #[test]
    fn what_is_consumed_is_given_back_by_halves() {
        let mut window = Receiving::new(100);
        window.take(100).unwrap();
        assert_eq!(window.take(1), Err(Code::FLOW_CONTROL_ERROR));
        assert_eq!(window.give_back(49, 100), None);
        assert_eq!(window.take(1), Err(Code::FLOW_CONTROL_ERROR), "the client does not know of it");
        assert_eq!(window.give_back(1, 100), Some(50));
        window.take(50).unwrap();
        window.shift(-10);
        assert_eq!(window.give_back(usize::MAX, 100), None, "nothing overflows");
    }
}
