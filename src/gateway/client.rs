//! The address, scheme and host of a request's client. They come from the connection, or from a trusted proxy.
//!
//! A proxy describes its client in `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, or in `Forwarded`
//! (RFC 7239). Anyone can write these fields. So they are believed only if a trusted proxy sends them. The fields that
//! other peers send are replaced.
//!
//! ```text
//!   X-Forwarded-For: forged, 203.0.113.7, 10.0.0.2      the other end of the socket: 10.0.0.1
//!                    ╰─────╯ ╰─────────╯  ╰──────╯                                   ╰──────╯
//!                    ignored the client   trusted                                    trusted
//! ```

use super::connection::Peer;
use super::head::is_host;
use crate::access;
use crate::caller::{Caller, X_REQUEST_ID};
use crate::config::Networks;
use crate::fields::{members, parts};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The prefix of fields that describe the client. Such fields of an untrusted peer are replaced or removed.
const FAMILY: &str = "x-forwarded-";

/// What is known of the client of a request.
#[derive(Debug, Clone)]
pub(super) struct ClientFacts {
    /// Who the client is.
    pub(super) caller: Caller,
    /// The client's address. `None`: it came through a Unix socket, or its address is hidden.
    pub(super) address: Option<IpAddr>,
    /// The scheme of the client's request.
    pub(super) scheme: Scheme,
    /// The host and port that the client asked for.
    pub(super) host: Option<String>,
    /// The address of the nearest hop. `None`: a Unix socket.
    hop: Option<IpAddr>,
    /// Whether that hop is a trusted proxy, whose fields about its client are believed.
    is_believed: bool,
}

/// The scheme of a client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn of(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "http" | "ws" => Some(Self::Http),
            "https" | "wss" => Some(Self::Https),
            _ => None,
        }
    }
}

/// What the fields of a trusted proxy say about the hops before it. The farthest hop comes first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// The addresses of the hops. `None`: the address is hidden or malformed.
    hops: Vec<Option<IpAddr>>,
    schemes: Vec<Option<Scheme>>,
    hosts: Vec<Option<String>>,
}

impl ClientFacts {
    /// The client of a request with these fields that came from `peer` and names `host`.
    pub(super) fn of(peer: &Peer, headers: &HeaderMap, host: Option<&str>, trusted: &Networks) -> Self {
        let facts = Self::told(peer, headers, host, trusted);
        Self { caller: Caller::of(headers, facts.address, access::keeps_callers()), ..facts }
    }

    fn told(peer: &Peer, headers: &HeaderMap, host: Option<&str>, trusted: &Networks) -> Self {
        let hop = peer.address();
        let own = Self {
            caller: Caller::default(),
            address: hop,
            scheme: if peer.is_tls { Scheme::Https } else { Scheme::Http },
            host: host.map(str::to_owned),
            hop,
            is_believed: trusted.trusts(hop),
        };
        if !own.is_believed {
            return own;
        }
        let told = Told::by(headers);
        // The hops are searched from the nearest to the farthest. The first hop that is not trusted is the client. If
        // all hops are trusted, the farthest one is the client.
        let is_client = |hop: &Option<IpAddr>| hop.is_none_or(|address| !trusted.contains(address));
        let at = told.hops.iter().rposition(is_client).unwrap_or(0);
        Self {
            address: told.hops.get(at).copied().unwrap_or(own.address),
            scheme: told.of(&told.schemes, at).unwrap_or(own.scheme),
            host: told.of(&told.hosts, at).or(own.host),
            ..own
        }
    }

    /// The fields that describe the client to the origin. The caller sets each field or, if it is `None`, removes it.
    pub(super) fn fields(&self, headers: &HeaderMap) -> Vec<(HeaderName, Option<HeaderValue>)> {
        let mut fields = Vec::with_capacity(7);
        if !self.is_believed {
            let strange = headers.keys().filter(|name| name.as_str().starts_with(FAMILY) || **name == X_REAL_IP);
            fields.extend(strange.map(|name| (name.clone(), None)));
        }
        let hop = self.hop.map_or_else(|| "unknown".to_owned(), |hop| hop.to_string());
        let chain = |name: &HeaderName, own: String| {
            let mut parts: Vec<&[u8]> = members(headers, name).filter(|_| self.is_believed).collect();
            // A trusted proxy may describe its client in `Forwarded` only. The client is then missing in the other
            // field.
            let client = self.address.filter(|address| parts.is_empty() && Some(*address) != self.hop);
            let client = client.filter(|_| *name == X_FORWARDED_FOR).map(|address| address.to_string());
            parts.extend(client.as_ref().map(String::as_bytes));
            parts.push(own.as_bytes());
            HeaderValue::from_bytes(&parts.join(&b", "[..])).ok()
        };
        fields.push((FORWARDED, None));
        if self.is_believed && headers.contains_key(FORWARDED) {
            fields.push((FORWARDED, chain(&FORWARDED, self.forwarded())));
        }
        fields.push((X_FORWARDED_FOR.clone(), chain(&X_FORWARDED_FOR, hop)));
        fields.push((X_FORWARDED_PROTO.clone(), Some(HeaderValue::from_static(self.scheme.as_str()))));
        let host = self.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
        fields.push((X_FORWARDED_HOST.clone(), host));
        let id = self.caller.request_id().and_then(|id| HeaderValue::try_from(id.to_string()).ok());
        fields.push((X_REQUEST_ID.clone(), id));
        fields
    }

    /// Whether a field of this name describes the client, so that only the gateway sets it.
    pub(super) fn is_told_in(name: &HeaderName) -> bool {
        name.as_str().starts_with(FAMILY) || *name == FORWARDED || *name == X_REAL_IP
    }

    /// The fields of a request, with the fields that describe the client set.
    pub(super) fn applied(&self, headers: &HeaderMap) -> HeaderMap {
        let mut applied = headers.clone();
        for (name, value) in self.fields(headers) {
            applied.remove(&name);
            if let Some(value) = value {
                applied.insert(name, value);
            }
        }
        applied
    }

    /// The element of `Forwarded` for the nearest hop (RFC 7239, section 4).
    fn forwarded(&self) -> String {
        let mut element = match self.hop {
            Some(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
            Some(IpAddr::V4(address)) => format!("for={address}"),
            None => "for=unknown".to_owned(),
        };
        let written = write!(element, ";proto={}", self.scheme.as_str());
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        element
    }
}

impl Told {
    /// Reads the `X-Forwarded-*` fields, and `Forwarded` for what they leave out.
    fn by(headers: &HeaderMap) -> Self {
        let list = |name: &HeaderName| -> Vec<String> {
            members(headers, name).map(|item| String::from_utf8_lossy(item).into_owned()).collect()
        };
        let elements: Vec<Element> = members(headers, &FORWARDED).map(Element::read).collect();
        let mut told = Self {
            hops: list(&X_FORWARDED_FOR).iter().map(|hop| address(hop)).collect(),
            schemes: list(&X_FORWARDED_PROTO).iter().map(|scheme| Scheme::of(scheme)).collect(),
            hosts: list(&X_FORWARDED_HOST).into_iter().map(host).collect(),
        };
        if told.hops.is_empty() {
            told.hops = elements.iter().map(|element| element.hop).collect();
        }
        if told.schemes.is_empty() {
            told.schemes = elements.iter().map(|element| element.scheme).collect();
        }
        if told.hosts.is_empty() {
            told.hosts = elements.into_iter().map(|element| element.host).collect();
        }
        told
    }

    /// The item of a list that belongs to the hop at this index. If the list is as long as the list of hops, the same
    /// proxies wrote both, and the item has the same index. Of any other list the first item counts, as in most
    /// servers.
    fn of<T: Clone>(&self, list: &[Option<T>], at: usize) -> Option<T> {
        let at = if list.len() == self.hops.len() { at } else { 0 };
        list.get(at).cloned().flatten()
    }
}

/// One element of `Forwarded`.
#[derive(Debug, Default)]
struct Element {
    hop: Option<IpAddr>,
    scheme: Option<Scheme>,
    host: Option<String>,
}

impl Element {
    fn read(element: &[u8]) -> Self {
        let mut read = Self::default();
        for pair in parts(element, b';') {
            let Some((name, value)) = std::str::from_utf8(pair).ok().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => read.hop = address(value),
                "proto" => read.scheme = Scheme::of(value),
                "host" => read.host = host(value.to_owned()),
                _ => {}
            }
        }
        read
    }
}

/// Reads an address with or without a port. An IPv6 address may be in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(address, _)| address);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// A host with or without a port. `None`: the text cannot be a host.
fn host(text: String) -> Option<String> {
    is_host(text.as_bytes()).then_some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Trusted;

    fn trusted(list: &[&str]) -> Networks {
        list.iter().map(|network| Trusted::Network(network.parse().unwrap())).collect()
    }

    fn fields(lines: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines.lines().map(|line| line.split_once(": ").unwrap()) {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn peer(address: &str) -> Peer {
        Peer {
            socket: Some(SocketAddr::new(address.parse().unwrap(), 4711)),
            told: None,
            is_tls: false,
            certificate: None,
        }
    }

    /// The facts, written as `address scheme host`.
    fn facts(from: &str, lines: &str) -> String {
        let trusted = trusted(&["10.0.0.0/8", "2001:db8::1/128"]);
        let facts = ClientFacts::of(&peer(from), &fields(lines), Some("here"), &trusted);
        let address = facts.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        format!("{address} {} {}", facts.scheme.as_str(), facts.host.unwrap_or_default())
    }

    #[test]
    fn what_a_trusted_proxy_tells_of_the_client_is_believed_and_nothing_else() {
        for (from, lines, expected) in [
            ("192.0.2.1", "", "192.0.2.1 http here"),
            ("192.0.2.1", "x-forwarded-for: 1.1.1.1\nx-forwarded-proto: https", "192.0.2.1 http here"),
            ("192.0.2.1", "forwarded: for=1.1.1.1;proto=https;host=there", "192.0.2.1 http here"),
            ("10.0.0.1", "", "10.0.0.1 http here"),
            ("::ffff:10.0.0.1", "x-forwarded-for: 1.1.1.1", "1.1.1.1 http here"),
            ("10.0.0.1", "x-forwarded-for: 1.1.1.1", "1.1.1.1 http here"),
            ("10.0.0.1", "x-forwarded-for: 9.9.9.9, 1.1.1.1", "1.1.1.1 http here"),
            ("10.0.0.1", "x-forwarded-for: 9.9.9.9, 1.1.1.1, 10.1.1.1", "1.1.1.1 http here"),
            ("10.0.0.1", "x-forwarded-for: 9.9.9.9\nx-forwarded-for: 1.1.1.1, 10.1.1.1", "1.1.1.1 http here"),
            ("10.0.0.1", "x-forwarded-for: 10.2.2.2, 10.1.1.1", "10.2.2.2 http here"),
            ("10.0.0.1", "x-forwarded-for: 1.1.1.1:80", "1.1.1.1 http here"),
            ("10.0.0.1", "x-forwarded-for: [2001:db8::2]:80, 2001:db8::1", "2001:db8::2 http here"),
            ("10.0.0.1", "x-forwarded-for: 9.9.9.9, unknown", "- http here"),
            ("10.0.0.1", "x-forwarded-proto: https\nx-forwarded-host: there:8443", "10.0.0.1 https there:8443"),
            ("10.0.0.1", "x-forwarded-proto: WSS", "10.0.0.1 https here"),
            ("10.0.0.1", "x-forwarded-proto: gopher\nx-forwarded-host: a b", "10.0.0.1 http here"),
            ("10.0.0.1", "x-forwarded-proto: https, http", "10.0.0.1 https here"),
            (
                "10.0.0.1",
                "x-forwarded-for: 9.9.9.9, 1.1.1.1, 10.1.1.1\nx-forwarded-proto: http, https, http",
                "1.1.1.1 https here",
            ),
            ("10.0.0.1", "forwarded: for=1.1.1.1;proto=https;host=there", "1.1.1.1 https there"),
            (
                "10.0.0.1",
                "forwarded: for=9.9.9.9;proto=http, For=\"[2001:db8::2]:80\";Proto=https;host=\"there:1\", for=10.1.1.1",
                "2001:db8::2 https there:1",
            ),
            ("10.0.0.1", "forwarded: for=_hidden;proto=https", "- https here"),
            ("10.0.0.1", "forwarded: for=1.1.1.1;host=there\nx-forwarded-for: 2.2.2.2", "2.2.2.2 http there"),
        ] {
            assert_eq!(facts(from, lines), expected, "{from} {lines}");
        }
    }

    #[test]
    fn the_address_of_the_proxy_protocol_is_the_nearest_hop() {
        let trusted = trusted(&["10.0.0.0/8"]);
        let told = |address: &str| Some(SocketAddr::new(address.parse().unwrap(), 1));
        for (told, expected) in [(told("1.1.1.1"), "1.1.1.1"), (told("10.0.0.2"), "9.9.9.9"), (None, "9.9.9.9")] {
            let peer = Peer { told, ..peer("10.0.0.1") };
            let facts = ClientFacts::of(&peer, &fields("x-forwarded-for: 9.9.9.9"), None, &trusted);
            assert_eq!(facts.address.unwrap().to_string(), expected);
        }
    }

    /// The fields that describe the client to the origin.
    fn told_to_origin(from: &str, lines: &str) -> String {
        let trusted = trusted(&["10.0.0.0/8"]);
        let headers = fields(lines);
        let facts = ClientFacts::of(&peer(from), &headers, Some("here"), &trusted);
        let applied = facts.applied(&headers);
        let mut told: Vec<_> = applied.iter().filter(|(name, _)| ClientFacts::is_told_in(name)).collect();
        told.sort_by_key(|(name, _)| name.as_str());
        told.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_strangers_fields_are_replaced_and_a_proxys_are_added_to() {
        for (from, lines, expected) in [
            (
                "192.0.2.1",
                "x-forwarded-for: 1.1.1.1\nx-forwarded-proto: https\nx-forwarded-host: a\nx-forwarded-port: 1\n\
                 x-real-ip: 1.1.1.1\nforwarded: for=1.1.1.1",
                "x-forwarded-for: 192.0.2.1\nx-forwarded-host: here\nx-forwarded-proto: http\n",
            ),
            (
                "10.0.0.1",
                "x-forwarded-for: 1.1.1.1\nx-forwarded-proto: https\nx-forwarded-port: 1\nx-real-ip: 1.1.1.1",
                "x-forwarded-for: 1.1.1.1, 10.0.0.1\nx-forwarded-host: here\nx-forwarded-port: 1\n\
                 x-forwarded-proto: https\nx-real-ip: 1.1.1.1\n",
            ),
            (
                "10.0.0.1",
                "forwarded: for=1.1.1.1;proto=https;host=there",
                "forwarded: for=1.1.1.1;proto=https;host=there, for=10.0.0.1;proto=https\nx-forwarded-for: 1.1.1.1, 10.0.0.1\n\
                 x-forwarded-host: there\nx-forwarded-proto: https\n",
            ),
        ] {
            assert_eq!(told_to_origin(from, lines), expected, "{from} {lines}");
        }
    }
}
