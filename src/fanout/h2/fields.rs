//! A list of header fields in one piece of memory.

use std::fmt;

/// What a field counts beyond its name and its value (RFC 9113, section 6.5.2, and RFC 7541, section 4.1).
pub(super) const FIELD_BYTES: usize = 32;

/// Header fields, in the order in which they came.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Names and values, one after the other.
    text: Vec<u8>,
    spans: Vec<Span>,
}

/// Where the name and the value of a field end in the text. The name begins where the field before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    name: u32,
    value: u32,
}

impl Fields {
    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.from(0)
    }

    /// Names and values from the field at this index on.
    pub(super) fn from(&self, index: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        (index..self.spans.len()).map(|index| self.at(index))
    }

    /// The field at this index. Empty: there is none.
    pub(super) fn at(&self, index: usize) -> (&[u8], &[u8]) {
        let begin = index.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |before| before.value);
        let Some(span) = self.spans.get(index) else { return (b"", b"") };
        let text = |from: u32, to: u32| self.text.get(from as usize..to as usize).unwrap_or_default();
        (text(begin, span.name), text(span.name, span.value))
    }

    /// What the list counts.
    pub(super) fn size(&self) -> usize {
        self.text.len().saturating_add(self.spans.len().saturating_mul(FIELD_BYTES))
    }

    /// The text, to which the name and the value of the next field are added. See [`Self::end_field`].
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// The text of the field that is being added.
    pub(super) fn open(&self) -> &[u8] {
        self.text.get(self.end()..).unwrap_or_default()
    }

    /// Where the last field ends.
    fn end(&self) -> usize {
        self.spans.last().map_or(0, |last| last.value as usize)
    }

    /// A name of this length and a value were added to the text.
    pub(super) fn end_field(&mut self, name: usize) {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.spans.push(Span { name: offset(self.end().saturating_add(name)), value: offset(self.text.len()) });
    }

    /// Forgets the field that was being added.
    pub(super) fn drop_field(&mut self) {
        self.text.truncate(self.end());
    }

    /// Bytes of memory, for tests.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be credentials.
        f.debug_list().entries(self.iter().map(|(name, _)| name.escape_ascii().to_string())).finish()
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(pairs: I) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            fields.text.extend_from_slice(name);
            fields.text.extend_from_slice(value);
            fields.end_field(name.len());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_order_and_counted_with_32_bytes_each() {
        let pairs = [(&b"a"[..], &b"bc"[..]), (b"", b""), (b"name", b"")];
        let mut fields: Fields = pairs.into_iter().collect();
        assert_eq!(fields.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((fields.len(), fields.size()), (3, 7 + 3 * 32));
        fields.text().extend_from_slice(b"half a field");
        assert_eq!(fields.open(), b"half a field");
        fields.drop_field();
        assert_eq!((fields.iter().count(), fields.size()), (3, 7 + 3 * 32));
        assert_eq!(fields.at(3), (&b""[..], &b""[..]));
        assert_eq!(fields.from(2).collect::<Vec<_>>(), pairs[2..]);
    }

    #[test]
    fn a_value_is_not_in_the_log() {
        let fields: Fields = [(&b"cookie"[..], &b"secret"[..])].into_iter().collect();
        assert_eq!(format!("{fields:?}"), r#"["cookie"]"#);
    }
}
