//! HTTP/1.x, read strictly and without a library, for both ends of the gateway.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// A connection of any kind.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Header fields as they were sent: in order, with repeats, and with the case of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The value of the field `name`, in any case. The test fails if the field came twice.
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// Every value of the field `name`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The names, in lower case and sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

impl From<&http::HeaderMap> for Headers {
    fn from(map: &http::HeaderMap) -> Self {
        Self(map.iter().map(|(name, value)| (name.to_string(), latin1(value.as_bytes()))).collect())
    }
}

/// The head of a request or of a response.
#[derive(Debug, Clone)]
pub struct Head {
    /// The request line or the status line.
    pub first: String,
    /// The fields.
    pub headers: Headers,
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = latin1(bytes);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                assert!(!line.contains(['\r', '\n']), "a bare CR or LF in a head: {line:?}");
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("a field without a colon: {line:?}"));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        Self { first, headers: Headers(headers) }
    }
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By the last chunk (RFC 9112, section 7.1).
    Chunked,
    /// By counting. This many bytes are still to come.
    Length(usize),
    /// By the end of the connection.
    UntilClose,
}

impl Framing {
    /// The framing by RFC 9112, section 6.3. `without` is the framing of a message whose head names none.
    pub fn of(headers: &Headers, without: Self) -> Self {
        if headers.one("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            assert_eq!(headers.one("content-length"), None, "chunked and a length: {headers:?}");
            return Self::Chunked;
        }
        headers.one("content-length").map_or(without, |length| Self::Length(length.parse().unwrap()))
    }
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the body, without their framing.
    Data(Bytes),
    /// The body is complete by its framing.
    Complete,
    /// The connection ended first.
    Fin,
}

/// A buffered reader. Every method is cancel-safe.
#[derive(Debug)]
pub struct Reader<R> {
    io: R,
    buffer: BytesMut,
    /// The bytes of the present chunk that are still to come.
    chunk: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// A reader over `io`.
    pub fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new(), chunk: 0 }
    }

    /// Reads once; `false` at the end of the connection.
    pub async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(64 * 1024);
        Ok(self.io.read_buf(&mut self.buffer).await? > 0)
    }

    /// Takes the bytes that were read and not taken yet.
    pub fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    /// The next head. `None`: the connection ended before it.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                return Ok(Some(Head::parse(&head[..end])));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next piece of a body. A malformed chunk fails the test.
    pub async fn piece(&mut self, framing: &mut Framing) -> io::Result<Piece> {
        loop {
            let ready = match framing {
                Framing::Chunked => self.chunk_piece(),
                Framing::Length(0) => Some(Piece::Complete),
                Framing::Length(left) => {
                    let piece = self.buffer.split_to(self.buffer.len().min(*left)).freeze();
                    *left -= piece.len();
                    (!piece.is_empty()).then_some(Piece::Data(piece))
                }
                Framing::UntilClose => (!self.buffer.is_empty()).then(|| Piece::Data(self.take())),
            };
            if let Some(piece) = ready {
                return Ok(piece);
            }
            if !self.fill().await? {
                return Ok(Piece::Fin);
            }
        }
    }

    /// A whole body.
    pub async fn body(&mut self, mut framing: Framing) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Piece::Data(data) = self.piece(&mut framing).await? {
            body.extend_from_slice(&data);
        }
        Ok(body)
    }

    /// Reads a chunk (RFC 9112, section 7.1) without extensions and trailers.
    fn chunk_piece(&mut self) -> Option<Piece> {
        const CRLF: usize = 2;
        if self.chunk == 0 {
            let end = find(&self.buffer, b"\r\n")?;
            let size = std::str::from_utf8(&self.buffer[..end]).unwrap();
            let valid = !size.is_empty() && size.bytes().all(|digit| digit.is_ascii_hexdigit());
            assert!(valid, "not a chunk size: {size:?}");
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                let last = self.buffer.get(end..end + 2 * CRLF)?;
                assert_eq!(last, b"\r\n\r\n", "the last chunk has something after it");
                let _last = self.buffer.split_to(end + 2 * CRLF);
                return Some(Piece::Complete);
            }
            let _line = self.buffer.split_to(end + CRLF);
            self.chunk = size + CRLF;
        }
        if self.chunk > CRLF {
            let data = self.buffer.split_to(self.buffer.len().min(self.chunk - CRLF)).freeze();
            self.chunk -= data.len();
            return (!data.is_empty()).then_some(Piece::Data(data));
        }
        let end = self.buffer.get(..CRLF)?;
        assert_eq!(end, b"\r\n", "a chunk does not end where its size says");
        let _end = self.buffer.split_to(CRLF);
        self.chunk = 0;
        self.chunk_piece()
    }
}

/// Bytes as text, one character each.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
