//! What the decoder of events does not tell: comments, and lines and blocks that break clients.

/// The first bytes of a line that are looked at. The rest of it only counts.
const KEPT: usize = 16 << 10;

/// The most bytes of an odd line that are shown.
const SHOWN: usize = 60;

/// The byte order mark in UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What was seen in the lines of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    /// Lines that begin with a colon.
    pub comments: usize,
    /// The stream begins with a byte order mark.
    pub has_bom: bool,
    /// Lines that are no UTF-8.
    pub bad_utf8: usize,
    /// The length of the longest line.
    pub longest: usize,
    /// Lines that are no field of an event, and the beginning of the first one.
    pub unknown: (usize, String),
    /// Values of `retry` that are no number.
    pub bad_retries: usize,
    /// Blocks with an `id` and without `data`.
    pub only_id: usize,
    /// Blocks with neither `id` nor `data`.
    pub only_others: usize,
    /// Whether the block that is being read has fields.
    pub is_within_block: bool,

    line: Vec<u8>,
    length: usize,
    after_cr: bool,
    has_begun: bool,
    block: Block,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Block {
    has_data: bool,
    has_id: bool,
    has_others: bool,
}

impl Lines {
    /// Reads the next bytes of the stream.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_lf_of_crlf = self.after_cr && part == b"\n";
            self.after_cr = part.ends_with(b"\r");
            if is_lf_of_crlf {
                continue;
            }
            let text = part.strip_suffix(b"\n").or_else(|| part.strip_suffix(b"\r")).unwrap_or(part);
            let room = KEPT.saturating_sub(self.line.len());
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            self.length += text.len();
            if text.len() < part.len() {
                let line = std::mem::take(&mut self.line);
                self.end_line(&line);
                self.length = 0;
            }
        }
    }

    /// Whether there is something that was meant as an event, perhaps: lines that are no fields, a block that was begun
    /// and not ended, or no whole line at all.
    pub(super) fn may_hold_events(&self) -> bool {
        self.unknown.0 > 0 || self.is_within_block || !self.has_begun
    }

    fn end_line(&mut self, line: &[u8]) {
        self.longest = self.longest.max(self.length);
        let line = match line.strip_prefix(BOM) {
            Some(rest) if !self.has_begun => {
                self.has_bom = true;
                rest
            }
            _ => line,
        };
        self.has_begun = true;
        if self.length <= KEPT && str::from_utf8(line).is_err() {
            self.bad_utf8 += 1;
        }
        if line.is_empty() {
            return self.end_block();
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"" => self.comments += 1,
            b"data" => self.block.has_data = true,
            b"id" => self.block.has_id = true,
            b"event" => self.block.has_others = true,
            b"retry" => {
                self.block.has_others = true;
                if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                    self.bad_retries += 1;
                }
            }
            _ => {
                self.block.has_others = true;
                self.unknown.0 += 1;
                if self.unknown.0 == 1 {
                    self.unknown.1 = String::from_utf8_lossy(line.get(..SHOWN).unwrap_or(line)).into_owned();
                }
            }
        }
        self.is_within_block = self.block != Block::default();
    }

    fn end_block(&mut self) {
        match std::mem::take(&mut self.block) {
            Block { has_data: true, .. } => {}
            Block { has_id: true, .. } => self.only_id += 1,
            Block { has_others: true, .. } => self.only_others += 1,
            Block { .. } => {}
        }
        self.is_within_block = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line of the table says of the lines.
    fn told(lines: &Lines) -> String {
        let Lines { comments, has_bom, bad_utf8, longest, unknown, bad_retries, only_id, only_others, .. } = lines;
        let (unknown, shown) = unknown;
        let parts = [
            ("comments", *comments),
            ("bom", usize::from(*has_bom)),
            ("utf8", *bad_utf8),
            ("unknown", *unknown),
            ("retries", *bad_retries),
            ("only_id", *only_id),
            ("only_others", *only_others),
            ("open", usize::from(lines.is_within_block)),
        ];
        let mut told = vec![longest.to_string()];
        told.extend(parts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name}={n}")));
        told.extend(Some(shown.clone()).filter(|shown| !shown.is_empty()));
        told.join(" ")
    }

    #[test]
    fn odd_lines_are_counted_at_any_split() {
        for (text, expected) in [
            (&b"data: 1\n\n"[..], "7"),
            (b"data: 1\r\n\r\nid: 1\rdata: 2\r\r", "7"),
            (b":\n: hello\n\ndata\n\n", "7 comments=2"),
            (b"\xEF\xBB\xBFdata: 1\n\n", "10 bom=1"),
            (b"data: 1\n\n\xEF\xBB\xBFdata: 1\n\n", "10 unknown=1 only_others=1 \u{feff}data: 1"),
            (b"data: \xff\n\n: \xfe\n", "7 comments=1 utf8=2"),
            (b"{\"a\":1}\n\n", "7 unknown=1 only_others=1 {\"a\":1}"),
            (b"id: 7\n\nretry: 5\n\nevent: x\n\n", "8 only_id=1 only_others=2"),
            (b"retry: 5s\nretry\ndata: x\n\n", "9 retries=2"),
            (b"data: 1\n\ndata: 2", "7"),
            (b"data: 1\n\ndata: 2\n", "7 open=1"),
            (b"", "0"),
        ] {
            for size in 1..=text.len().max(1) {
                let mut lines = Lines::default();
                text.chunks(size).for_each(|piece| lines.take(piece));
                assert_eq!(told(&lines), expected, "{} {size}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn what_was_meant_as_an_event_is_told_from_what_was_not() {
        for (text, expected) in [
            ("{\"a\":1}\n", true),
            ("data: 1\n", true),
            ("data: 1\ndata: 2\n", true),
            ("hello", true),
            (":\n", false),
            ("retry: 5\n\n", false),
            ("id: 5\n\n", false),
            ("\n", false),
        ] {
            let mut lines = Lines::default();
            lines.take(text.as_bytes());
            assert_eq!(lines.may_hold_events(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let mut lines = Lines::default();
        (0..1000).for_each(|_| lines.take(&[b'x'; 1000]));
        assert!(lines.line.capacity() <= 2 * KEPT);
        lines.take(b"\n");
        assert_eq!((lines.longest, lines.unknown.1.len()), (1_000_000, SHOWN));
    }
}
