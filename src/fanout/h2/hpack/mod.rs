//! The decoder of HPACK (RFC 7541).
//!
//! A client may use a table of 4,096 bytes until it knows our SETTINGS, which offer none. So the table is there only in
//! the beginning of a connection:
//!
//! ```text
//!   at most 4,096 ──acknowledged()──▶ at most 0 ──size update to 0, or forget_table()──▶ no table
//! ```
//!
//! RFC 9113, section 4.3.1, wants an error if the size update does not come after the acknowledgement. There are
//! clients that never send it and go on to use their table. So it is not demanded, and the table is kept for some time.

mod huffman;
mod integer;
mod table;
#[cfg(test)]
mod tests;

use super::fields::{FIELD_BYTES, Fields};
use super::limits::{FIRST_TABLE_BYTES, MOST_LIST_BYTES, TABLE_BYTES};
use serde::{Deserialize, Serialize};
pub(super) use table::STATIC;
use table::Table;

/// Why a block cannot be decoded. Each is a connection error of the type COMPRESSION_ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The block ends within a field.
    Truncated,
    /// An integer has too many bytes.
    Integer,
    /// No table has an entry with this index.
    Index,
    /// A string is not in the Huffman code.
    Huffman,
    /// A size update is not at the beginning of a block, or to more than is allowed.
    SizeUpdate,
}

/// What a block contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// These fields.
    Fields(Fields),
    /// More fields than [`MOST_LIST_BYTES`]. They were decoded, because later blocks may refer to them, but not kept.
    TooLarge,
}

/// What another process needs to go on decoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderState {
    size: u16,
    most: u16,
    /// The names and values in the table. The oldest comes first.
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The decoder of a connection.
#[derive(Debug)]
pub struct Decoder {
    /// It is made for the first entry.
    table: Option<Box<Table>>,
    /// The size of the table that the client chose.
    size: u16,
    /// The largest size that the client may choose.
    most: u16,
}

impl Default for Decoder {
    fn default() -> Self {
        let first = u16::try_from(FIRST_TABLE_BYTES).unwrap_or(u16::MAX);
        Self { table: None, size: first, most: first }
    }
}

impl Decoder {
    /// What another process needs to go on.
    #[must_use]
    pub fn state(&self) -> DecoderState {
        let entries = self.table.iter().flat_map(|table| table.oldest_first());
        let entries = entries.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        DecoderState { size: self.size, most: self.most, entries }
    }

    /// The decoder of another process. `None`: no decoder has such a state.
    #[must_use]
    pub fn of_state(state: DecoderState) -> Option<Self> {
        let DecoderState { size, most, entries } = state;
        let first = Self::default();
        if size > first.size || most > first.most {
            return None;
        }
        let mut decoder = Self { table: None, size, most };
        if !entries.is_empty() && size > 0 {
            let table = decoder.table.get_or_insert_default();
            entries.iter().for_each(|(name, value)| table.add(&[&**name, value].concat(), name.len(), size.into()));
        }
        Some(decoder)
    }

    /// The client knows that we offer no table.
    pub fn acknowledged(&mut self) {
        self.most = u16::try_from(TABLE_BYTES).unwrap_or_default();
    }

    /// Whether the client has a table though it knows that we offer none.
    #[must_use]
    pub fn has_late_table(&self) -> bool {
        self.size > self.most && self.table.is_some()
    }

    /// Frees the table. If the client still uses it, it gets an error.
    pub fn forget_table(&mut self) {
        self.size = self.size.min(self.most);
        self.table = None;
    }

    /// Decodes a block.
    ///
    /// # Errors
    /// When the bytes are no block of HPACK. What follows on the connection cannot be decoded then.
    pub fn decode(&mut self, mut block: &[u8]) -> Result<Block, Error> {
        let mut fields = Fields::default();
        let (mut is_too_large, mut may_resize) = (false, true);
        while let Some(first) = block.first() {
            if first & 0xe0 == 0x20 {
                let size = integer::read(&mut block, 0x1f)?;
                self.resize(size, may_resize)?;
                continue;
            }
            may_resize = false;
            let name = self.field(*first, &mut block, &mut fields)?;
            is_too_large |= fields.size().saturating_add(FIELD_BYTES) > MOST_LIST_BYTES;
            if is_too_large { fields.drop_field() } else { fields.end_field(name) }
        }
        Ok(if is_too_large { Block::TooLarge } else { Block::Fields(fields) })
    }

    /// A size update (RFC 7541, section 6.3), which must be "at the beginning of the first header block following the
    /// change".
    fn resize(&mut self, size: usize, may_resize: bool) -> Result<(), Error> {
        let size = u16::try_from(size).ok().filter(|size| may_resize && *size <= self.most);
        self.size = size.ok_or(Error::SizeUpdate)?;
        match &mut self.table {
            Some(table) if self.size > 0 => table.shrink(self.size.into()),
            _ => self.table = None,
        }
        Ok(())
    }

    /// Adds the text of a field (RFC 7541, sections 6.1 and 6.2). Returns the length of the name.
    fn field(&mut self, first: u8, block: &mut &[u8], fields: &mut Fields) -> Result<usize, Error> {
        if first & 0x80 != 0 {
            let (name, value) = self.entry(integer::read(block, 0x7f)?)?;
            fields.text().extend_from_slice(name);
            fields.text().extend_from_slice(value);
            return Ok(name.len());
        }
        let is_for_the_table = first & 0x40 != 0;
        match integer::read(block, if is_for_the_table { 0x3f } else { 0x0f })? {
            0 => string(block, fields.text())?,
            index => fields.text().extend_from_slice(self.entry(index)?.0),
        }
        let name = fields.open().len();
        string(block, fields.text())?;
        if is_for_the_table && self.size > 0 {
            self.table.get_or_insert_default().add(fields.open(), name, self.size.into());
        }
        Ok(name)
    }

    /// The name and the value with this index in both tables (RFC 7541, section 2.3.3).
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Error> {
        let index = index.checked_sub(1).ok_or(Error::Index)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.table.as_ref().and_then(|table| table.get(index.saturating_sub(STATIC.len())));
        let (text, name) = entry.ok_or(Error::Index)?;
        text.split_at_checked(name).ok_or(Error::Index)
    }
}

/// Adds a string to `text` (RFC 7541, section 5.2).
fn string(block: &mut &[u8], text: &mut Vec<u8>) -> Result<(), Error> {
    let is_coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::read(block, 0x7f)?;
    let (string, rest) = block.split_at_checked(length).ok_or(Error::Truncated)?;
    *block = rest;
    if is_coded {
        huffman::decode(string, text)
    } else {
        text.extend_from_slice(string);
        Ok(())
    }
}
