//! A request, from its fields (RFC 9113, sections 8.2 and 8.3).
//!
//! What is decoded here may be sent to an origin in HTTP/1.1. A field that means something else there could smuggle a
//! second request. So everything that the standard calls malformed is refused.

#[cfg(test)]
mod tests;

use super::fields::Fields;

/// A request that is well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    fields: Fields,
    pseudo: Pseudo,
    content_length: Option<u64>,
}

/// Which of the first fields is which pseudo field. They are at most four.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Pseudo {
    method: Option<u8>,
    scheme: Option<u8>,
    authority: Option<u8>,
    path: Option<u8>,
    /// Their number, and so the index of the first other field.
    count: u8,
}

/// Why a request is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A pseudo field is unknown, comes twice, or after other fields.
    Pseudo,
    /// A pseudo field is missing, or must not be there.
    Missing,
    /// The method is no token.
    Method,
    /// The scheme is none.
    Scheme,
    /// The path is none.
    Path,
    /// The authority is none, or differs from `host`.
    Authority,
    /// The name of a field is no token in lower case.
    Name,
    /// The value of a field has a character that it must not have, or begins or ends with a space.
    Value,
    /// A field that concerns the connection.
    ConnectionField,
    /// The length of the body is said twice, or is no number.
    ContentLength,
}

/// The fields that concern the connection (RFC 9113, section 8.2.2). `te` may say `trailers`.
const CONNECTION_FIELDS: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

impl Request {
    /// The request with these fields.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn new(fields: Fields) -> Result<Self, Malformed> {
        let pseudo = Pseudo::of(&fields)?;
        check_fields(&fields, pseudo.count)?;
        let content_length = content_length(&fields)?;
        let request = Self { fields, pseudo, content_length };
        request.check_target()?;
        Ok(request)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.value(self.pseudo.method)
    }

    /// The scheme. It is empty if the method is CONNECT.
    #[must_use]
    pub fn scheme(&self) -> &[u8] {
        self.value(self.pseudo.scheme)
    }

    /// The host and the port, from `:authority` or else from `host`.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        match self.pseudo.authority {
            None => self.hosts().next().unwrap_or_default(),
            authority => self.value(authority),
        }
    }

    /// The path and the query. They are empty if the method is CONNECT.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.value(self.pseudo.path)
    }

    /// The fields that are no pseudo fields.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.from(self.pseudo.count.into())
    }

    /// What the fields count, as RFC 9113, section 6.5.2 has it: 32 bytes more for each.
    #[must_use]
    pub fn size(&self) -> usize {
        self.fields.size()
    }

    /// The length of the body, if the request says it.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    fn value(&self, index: Option<u8>) -> &[u8] {
        index.map_or(b"", |index| self.fields.at(index.into()).1)
    }

    fn hosts(&self) -> impl Iterator<Item = &[u8]> {
        self.fields().filter(|(name, _)| *name == b"host").map(|(_, value)| value)
    }

    /// Checks the pseudo fields (RFC 9113, sections 8.3.1 and 8.5) and `host`.
    fn check_target(&self) -> Result<(), Malformed> {
        if !is_token(self.method(), is_token_byte) {
            return Err(Malformed::Method);
        }
        let is_connect = self.method() == b"CONNECT";
        if self.pseudo.scheme.is_none() != is_connect || self.pseudo.path.is_none() != is_connect {
            return Err(Malformed::Missing);
        }
        if !is_connect {
            self.check_scheme_and_path()?;
        }
        self.check_authority(is_connect)
    }

    fn check_scheme_and_path(&self) -> Result<(), Malformed> {
        let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !self.scheme().first().is_some_and(u8::is_ascii_alphabetic) || !is_token(self.scheme(), is_scheme_byte) {
            return Err(Malformed::Scheme);
        }
        let is_path = self.path().starts_with(b"/") || (self.path() == b"*" && self.method() == b"OPTIONS");
        let is_path_byte = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if is_path && is_token(self.path(), is_path_byte) { Ok(()) } else { Err(Malformed::Path) }
    }

    fn check_authority(&self, is_connect: bool) -> Result<(), Malformed> {
        if is_connect && self.pseudo.authority.is_none() {
            return Err(Malformed::Missing);
        }
        let is_authority_byte = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\\"<>^`{|}".contains(&byte);
        let authority = self.authority();
        let mut hosts = self.hosts();
        // The second `host` would be as wrong as one that differs.
        let agrees = hosts.next().is_none_or(|host| host.eq_ignore_ascii_case(authority)) && hosts.next().is_none();
        if agrees && is_token(authority, is_authority_byte) { Ok(()) } else { Err(Malformed::Authority) }
    }
}

impl Pseudo {
    /// "All pseudo-header fields MUST appear in a field block before all regular field lines", and "the same
    /// pseudo-header field name MUST NOT appear more than once in a field block".
    fn of(fields: &Fields) -> Result<Self, Malformed> {
        let mut pseudo = Self::default();
        for (name, _) in fields.iter().take_while(|(name, _)| name.starts_with(b":")) {
            let place = match name {
                b":method" => &mut pseudo.method,
                b":scheme" => &mut pseudo.scheme,
                b":authority" => &mut pseudo.authority,
                b":path" => &mut pseudo.path,
                _ => return Err(Malformed::Pseudo),
            };
            if place.replace(pseudo.count).is_some() {
                return Err(Malformed::Pseudo);
            }
            pseudo.count = pseudo.count.saturating_add(1);
        }
        Ok(pseudo)
    }
}

/// Checks the fields after a request's body.
///
/// # Errors
/// When they are malformed.
pub(super) fn check_trailers(fields: &Fields) -> Result<(), Malformed> {
    check_fields(fields, 0)
}

/// Checks the fields from an index on.
fn check_fields(fields: &Fields, from: u8) -> Result<(), Malformed> {
    fields.from(from.into()).try_for_each(|(name, value)| check_field(name, value))?;
    let pseudo = fields.iter().take(from.into());
    if pseudo.into_iter().all(|(_, value)| is_value(value)) { Ok(()) } else { Err(Malformed::Value) }
}

fn check_field(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    if name.starts_with(b":") {
        return Err(Malformed::Pseudo);
    }
    if !is_token(name, |byte| is_token_byte(byte) && !byte.is_ascii_uppercase()) {
        return Err(Malformed::Name);
    }
    if !is_value(value) {
        return Err(Malformed::Value);
    }
    let is_te = name == b"te" && !value.eq_ignore_ascii_case(b"trailers");
    if is_te || CONNECTION_FIELDS.contains(&name) { Err(Malformed::ConnectionField) } else { Ok(()) }
}

/// Whether there is a byte, and each is one of these.
fn is_token(text: &[u8], is_byte: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_byte(*byte))
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// "A field value MUST NOT contain the zero value (ASCII NUL, 0x00), line feed (ASCII LF, 0x0a), or carriage return
/// (ASCII CR, 0x0d) at any position. A field value MUST NOT start or end with an ASCII whitespace character." Other
/// control characters are forbidden by RFC 9110, section 5.5.
fn is_value(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    !is_space(value.first()) && !is_space(value.last()) && !value.iter().any(is_control)
}

/// The length that the request says. Two lengths are refused even if they are the same.
fn content_length(fields: &Fields) -> Result<Option<u64>, Malformed> {
    let mut lengths = fields.iter().filter(|(name, _)| *name == b"content-length").map(|(_, value)| value);
    let Some(length) = lengths.next() else { return Ok(None) };
    let length = str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = length.and_then(|text| text.parse().ok()).filter(|_| lengths.next().is_none());
    length.map(Some).ok_or(Malformed::ContentLength)
}
