//! Parses the header of the PROXY protocol, versions 1 and 2. With it a proxy describes its client before any HTTP.
//!
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>

use ppp::{HeaderResult, PartialResult, v1, v2};
use std::net::SocketAddr;

/// The type of the value that says how the client used TLS (section 2.2.6).
const TYPE_SSL: u8 = 0x20;

/// The bit that says that the client used TLS, in the first byte of a value of type [`TYPE_SSL`].
const CLIENT_SSL: u8 = 0x01;

/// The most bytes of a version 2 header that are accepted.
const MOST_BYTES: usize = 4 << 10;

/// The beginning of a version 1 header, which is one line of text.
const VERSION_1: &[u8] = b"PROXY ";

/// The length of the longest version 1 header, including CR LF.
const LONGEST_LINE: usize = 107;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    Incomplete,
    /// Another protocol, or a malformed header.
    Malformed,
    Whole(Told),
}

/// What a header says about the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The length of the header.
    pub(super) bytes: usize,
    /// The client's address. `None`: the proxy does not know it, or connects for itself, as in a health check.
    pub(super) client: Option<SocketAddr>,
    /// Whether the client used TLS.
    pub(super) is_tls: bool,
}

/// Reads the header at the beginning of `bytes`.
pub(super) fn proxy_header(bytes: &[u8]) -> ProxyHeader {
    let begun = bytes.get(..VERSION_1.len()).unwrap_or(bytes);
    let is_version_1 = !begun.is_empty() && VERSION_1.starts_with(begun);
    let header = HeaderResult::parse(bytes);
    let (is_incomplete, most) = if is_version_1 {
        // A line is read only when it is complete. A line that is cut within an address looks like a line with
        // another address.
        (!bytes.iter().take(LONGEST_LINE).any(|byte| *byte == b'\n'), LONGEST_LINE)
    } else {
        (header.is_incomplete(), MOST_BYTES)
    };
    if is_incomplete {
        return if bytes.len() < most { ProxyHeader::Incomplete } else { ProxyHeader::Malformed };
    }
    match header {
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Tcp4(addresses) => Some((addresses.source_address, addresses.source_port).into()),
                v1::Addresses::Tcp6(addresses) => Some((addresses.source_address, addresses.source_port).into()),
                v1::Addresses::Unknown => None,
            };
            ProxyHeader::Whole(Told { bytes: header.header.len(), client, is_tls: false })
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => {
                    Some((addresses.source_address, addresses.source_port).into())
                }
                (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => {
                    Some((addresses.source_address, addresses.source_port).into())
                }
                _ => None,
            };
            let mut values = header.tlvs().filter_map(Result::ok);
            let ssl = values.find(|value| value.kind == TYPE_SSL);
            let is_tls = ssl.and_then(|ssl| ssl.value.first().copied()).is_some_and(|client| client & CLIENT_SSL != 0);
            ProxyHeader::Whole(Told { bytes: header.len(), client, is_tls })
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => ProxyHeader::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: usize, client: Option<&str>, is_tls: bool) -> ProxyHeader {
        ProxyHeader::Whole(Told { bytes, client: client.map(|client| client.parse().unwrap()), is_tls })
    }

    /// A version 2 header with this command, this family and this rest.
    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x20 | command, family], &length, rest].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0, 80];

    #[test]
    fn a_header_tells_the_client() {
        let ssl = [&IPV4[..], &[TYPE_SSL, 0, 5, CLIENT_SSL, 0, 0, 0, 0]].concat();
        let plain = [&IPV4[..], &[TYPE_SSL, 0, 5, 0, 0, 0, 0, 0]].concat();
        let ipv6: Vec<u8> = [[0x20, 1].as_slice(), &[0; 13], &[1], &[0; 15], &[1], &[0, 9, 0, 80]].concat();
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(), whole(39, Some("192.0.2.1:4711"), false)),
            (b"PROXY TCP6 2001:db8::1 ::1 9 80\r\n".to_vec(), whole(33, Some("[2001:db8::1]:9"), false)),
            (b"PROXY UNKNOWN\r\n".to_vec(), whole(15, None, false)),
            (version_2(1, 0x11, &IPV4), whole(28, Some("192.0.2.1:4711"), false)),
            (version_2(1, 0x11, &ssl), whole(36, Some("192.0.2.1:4711"), true)),
            (version_2(1, 0x11, &plain), whole(36, Some("192.0.2.1:4711"), false)),
            (version_2(1, 0x21, &ipv6), whole(52, Some("[2001::1]:9"), false)),
            (version_2(0, 0x11, &IPV4), whole(28, None, false)),
            (version_2(0, 0, &[]), whole(16, None, false)),
        ] {
            for end in 0..header.len() {
                assert_eq!(proxy_header(&header[..end]), ProxyHeader::Incomplete, "{end} of {}", header.escape_ascii());
            }
            assert_eq!(proxy_header(&header), expected, "{}", header.escape_ascii());
            assert_eq!(proxy_header(&[&header[..], b"GET / HTTP/1.1\r\n"].concat()), expected);
        }
    }

    #[test]
    fn anything_else_is_no_header() {
        for bytes in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n".to_vec(),
            b"PROXY TCP5 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 99999\r\n".to_vec(),
            b"PROXY TCP4 192.0.2 10.0.0.1 4711 80\r\n".to_vec(),
            [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200], b"\r\n".to_vec()].concat(),
            version_2(3, 0x11, &IPV4),
            version_2(1, 0x11, &IPV4[..8]),
            b"\r\n\r\n\0\r\nQUIX\n".to_vec(),
        ] {
            assert_eq!(proxy_header(&bytes), ProxyHeader::Malformed, "{}", bytes.escape_ascii());
        }
        let endless = version_2(1, 0x11, &[0; 60_000]);
        assert_eq!(proxy_header(&endless[..50_000]), ProxyHeader::Malformed);
    }
}
