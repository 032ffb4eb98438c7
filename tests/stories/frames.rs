//! A client of HTTP/2 that sends and receives single frames. It can send frames that no library would send, and it sees
//! exactly the frames that come back.

use crate::at_once::AtOnce;
use crate::gateway::Gateway;
use crate::guard::guarded;
use crate::origin::Authority;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The connection preface (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// Codes of errors (RFC 9113 section 7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub const WINDOW: u16 = 4;

/// Sets `SETTINGS_HEADER_TABLE_SIZE` to 0, so that each head can be read without those before it.
const NO_TABLE: (u16, u32) = (1, 0);

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A whole response came, with this status and this body.
    Answered(u16, Vec<u8>),
    /// The stream was reset, with this code.
    Reset(u32),
    /// The connection ended. Before that came a GOAWAY with this code, or none.
    Over(Option<u32>),
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// A whole head.
    pub fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Self {
        Self::new(HEADERS, flags | END_HEADERS, stream, block(fields))
    }

    /// A whole GET.
    pub fn get(stream: u32, path: &str) -> Self {
        Self::head(stream, END_STREAM, &request("GET", path))
    }

    pub fn window_update(stream: u32, bytes: u32) -> Self {
        Self::new(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = u32::try_from(self.payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub fn is(&self, kind: u8, stream: u32) -> bool {
        (self.kind, self.stream) == (kind, stream)
    }

    pub fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// The code of a RST_STREAM or a GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        // A change of the table's size may come before the first field (RFC 7541 section 6.3).
        let first = self.payload.iter().position(|byte| byte & 0xe0 != 0x20).unwrap();
        let field = &self.payload[first..];
        match field[0] {
            // These are entries of the static table (RFC 7541 appendix A). `:status` begins at entry 8.
            0x88 => 200,
            0x89 => 204,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            0x08 | 0x18 | 0x48 => match &field[1..] {
                [0x83, value @ ..] => digits(value, 3),
                [0x03, value @ ..] => std::str::from_utf8(&value[..3]).unwrap().parse().unwrap(),
                other => panic!("a status of {other:x?}"),
            },
            other => panic!("no status but {other:x}"),
        }
    }
}

/// Reads a number of three digits in the Huffman code (RFC 7541 appendix B), which takes `bytes` bytes. In that code
/// the digits 0 to 2 have five bits, and the others six.
fn digits(code: &[u8], bytes: usize) -> u16 {
    let mut bits = code[..bytes].iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut take = |n: usize| bits.by_ref().take(n).fold(0, |value, bit| value << 1 | bit);
    (0..3).fold(0, |number, _| {
        let five = take(5);
        number * 10 + if five < 3 { five } else { (five << 1 | take(1)) - 0b01_1001 + 3 }
    })
}

/// The fields that each request has.
pub fn request<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
}

/// Fields as a field block, without compression.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // A length that does not fit into seven bits goes on in further bytes (RFC 7541 section 5.1).
            if text.len() < 127 {
                block.push(u8::try_from(text.len()).unwrap());
            } else {
                let mut rest = text.len() - 127;
                block.push(127);
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128 + 128).unwrap());
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// What frames are sent over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection on which the story sends and receives each frame itself.
pub struct Frames {
    stream: Box<dyn Wire>,
    held: Vec<u8>,
}

impl Frames {
    /// A connection on which the preface and these settings were sent.
    pub async fn open(gateway: &Gateway, settings: &[(u16, u32)]) -> Self {
        Self::open_with(gateway, None, settings).await
    }

    /// A connection like that of [`Self::open`], but with a receive buffer of only a few bytes.
    pub async fn open_small(gateway: &Gateway, settings: &[(u16, u32)]) -> Self {
        Self::open_with(gateway, Some(1024), settings).await
    }

    async fn open_with(gateway: &Gateway, receive_buffer: Option<u32>, settings: &[(u16, u32)]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).unwrap();
        }
        let stream = guarded("a connection", socket.connect(gateway.addr())).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::begun(Box::new(stream), settings).await
    }

    /// A connection like that of [`Self::open`] over TLS, to a gateway with the certificate of this authority.
    pub async fn open_tls(gateway: &Gateway, authority: &Authority, settings: &[(u16, u32)]) -> Self {
        let stream = guarded("a connection", TcpStream::connect(gateway.tls_addr().unwrap())).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = guarded("a handshake", authority.connector(&["h2"]).connect(name, stream)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::begun(Box::new(stream), settings).await
    }

    /// The same, except that all that is sent until a frame is awaited comes together with the end of the handshake.
    pub async fn open_tls_at_once(gateway: &Gateway, authority: &Authority) -> Self {
        let stream = guarded("a connection", TcpStream::connect(gateway.tls_addr().unwrap())).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connect = authority.connector(&["h2"]).connect(name, AtOnce::new(stream));
        Self::begun(Box::new(guarded("a handshake", connect).await.unwrap()), &[]).await
    }

    async fn begun(stream: Box<dyn Wire>, settings: &[(u16, u32)]) -> Self {
        let mut connection = Self { stream, held: Vec::new() };
        let settings: Vec<u8> = [&[NO_TABLE], settings]
            .concat()
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        connection.bytes(PREFACE).await;
        connection.send(&[Frame::new(SETTINGS, 0, 0, settings)]).await;
        connection
    }

    /// Sends frames at once. An error is ignored: if the gateway has closed the connection, the frames that come back
    /// show that.
    pub async fn send(&mut self, frames: &[Frame]) {
        self.bytes(&frames.iter().flat_map(Frame::to_bytes).collect::<Vec<_>>()).await;
    }

    /// Sends bytes.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        drop(guarded("bytes to be taken", sent).await);
    }

    /// The next frame. `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        guarded("a frame", async {
            loop {
                if let Some(frame) = self.take() {
                    if frame.is(SETTINGS, 0) && frame.flags & ACK == 0 {
                        self.send(&[Frame::new(SETTINGS, ACK, 0, [])]).await;
                    }
                    return Some(frame);
                }
                match self.stream.read_buf(&mut self.held).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    fn take(&mut self) -> Option<Frame> {
        let header = self.held.get(..9)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let (kind, flags) = (header[3], header[4]);
        let stream = u32::from_be_bytes(header[5..9].try_into().unwrap());
        let payload = self.held.get(9..9 + length)?.to_vec();
        self.held.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }

    /// The next frame of this type on this stream. Other frames are dropped. `None`: the connection has ended.
    pub async fn find(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        guarded(format!("a frame of type {kind} on stream {stream}"), async {
            loop {
                let frame = self.next().await?;
                if frame.is(kind, stream) {
                    return Some(frame);
                }
            }
        })
        .await
    }

    /// The status of the answer on this stream.
    pub async fn status(&mut self, stream: u32) -> u16 {
        self.find(HEADERS, stream).await.expect("an answer").status()
    }

    /// How the exchange on this stream ends.
    pub async fn ended(&mut self, stream: u32) -> Ended {
        guarded(format!("the end of stream {stream}"), self.end_of(stream)).await
    }

    async fn end_of(&mut self, stream: u32) -> Ended {
        let (mut status, mut body, mut code) = (0, Vec::new(), None);
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY => code = Some(frame.code()),
                RST_STREAM if frame.stream == stream => return Ended::Reset(frame.code()),
                HEADERS if frame.stream == stream => status = frame.status(),
                DATA if frame.stream == stream => body.extend(&frame.payload),
                _ => continue,
            }
            if matches!(frame.kind, DATA | HEADERS) && frame.stream == stream && frame.ends_stream() {
                return Ended::Answered(status, body);
            }
        }
        Ended::Over(code)
    }

    /// Reads to the end of the connection. Returns the code of the last GOAWAY.
    pub async fn over(&mut self) -> Option<u32> {
        guarded("the end of a connection", async {
            let mut code = None;
            while let Some(frame) = self.next().await {
                if frame.kind == GOAWAY {
                    code = Some(frame.code());
                }
            }
            code
        })
        .await
    }
}
