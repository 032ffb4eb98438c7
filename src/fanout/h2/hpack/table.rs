//! The tables of HPACK (RFC 7541, section 2.3): the static one, and the dynamic one of a connection.

use super::super::fields::FIELD_BYTES;
use super::super::limits::FIRST_TABLE_BYTES;
use std::collections::VecDeque;

/// The static table (RFC 7541, appendix A). Its first entry has the index 1.
pub(in super::super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// A dynamic table. Its newest entry has the index 62.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The newest entry is the first.
    entries: VecDeque<Entry>,
    /// What the entries count (RFC 7541, section 4.1).
    size: usize,
}

/// A field in the table.
#[derive(Debug)]
struct Entry {
    /// The name and the value, one after the other.
    text: Box<[u8]>,
    /// Bytes of the name.
    name: usize,
}

impl Entry {
    fn size(&self) -> usize {
        self.text.len().saturating_add(FIELD_BYTES)
    }
}

impl Table {
    /// The text of the entry with this index, 0 for the newest one, and the length of its name.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], usize)> {
        self.entries.get(index).map(|entry| (&*entry.text, entry.name))
    }

    /// Adds a field. `most`: the size of the table. Older entries make room. A field that is larger than the table
    /// empties it (RFC 7541, section 4.4).
    pub(super) fn add(&mut self, text: &[u8], name: usize, most: usize) {
        debug_assert!(most <= FIRST_TABLE_BYTES);
        let size = text.len().saturating_add(FIELD_BYTES);
        self.shrink(most.saturating_sub(size));
        if size <= most {
            self.entries.push_front(Entry { text: text.into(), name });
            self.size = self.size.saturating_add(size);
        }
    }

    /// The names and values of all entries.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().rev().filter_map(|entry| entry.text.split_at_checked(entry.name))
    }

    /// Drops the oldest entries until the others count at most so many bytes.
    pub(super) fn shrink(&mut self, most: usize) {
        while self.size > most {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size = self.size.saturating_sub(oldest.size());
        }
    }

    /// What the entries count.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }
}
