//! The frames of HTTP/2: RFC 9113, sections 4 and 6.

/// What a client sends before its first frame (section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// The longest payload that a server may send to a client that has not allowed more.
pub(super) const LONGEST: usize = 16_384;

/// The types of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// The flags of frames. `ACK` has the same bit as `END_STREAM`, in other frames.
pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// The settings (section 6.5.2).
pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// The number of bytes after the head.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0: the frame is about the connection.
    pub(super) stream: u32,
}

impl FrameHead {
    pub(super) fn parse([a, b, c, kind, flags, stream @ ..]: [u8; HEAD]) -> Self {
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // The highest bit is reserved, and ignored (section 4.1).
        Self { length, kind, flags, stream: u32::from_be_bytes(stream) & u32::MAX >> 1 }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame to `out`. `payload` is not longer than [`LONGEST`].
pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    debug_assert!(payload.len() <= LONGEST);
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends a frame with settings to `out`.
pub(super) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let mut payload = Vec::new();
    for (setting, value) in settings {
        payload.extend_from_slice(&setting.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    put(out, SETTINGS, 0, 0, &payload);
}

/// Appends a frame that opens the window of `stream`, or that of the connection if it is 0, by `more` bytes.
pub(super) fn put_window(out: &mut Vec<u8>, stream: u32, more: u32) {
    put(out, WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
}

/// The settings in the payload of such a frame. `None`: a setting is cut off.
pub(super) fn settings(payload: &[u8]) -> Option<impl Iterator<Item = (u16, u32)>> {
    let (settings, rest) = payload.as_chunks::<6>();
    let setting = |&[a, b, value @ ..]: &[u8; 6]| (u16::from_be_bytes([a, b]), u32::from_be_bytes(value));
    rest.is_empty().then(|| settings.iter().map(setting))
}

/// The payload of a DATA or HEADERS frame without its padding and its priority. `None`: they are longer than it.
pub(super) fn content(head: FrameHead, mut payload: &[u8]) -> Option<&[u8]> {
    if head.has(PADDED) {
        let (&padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(padding))?)?;
    }
    if head.kind == HEADERS && head.has(PRIORITY) {
        payload = payload.get(5..)?;
    }
    Some(payload)
}
