//! Who is answered at the admin address.
//!
//! A page of any site can make a browser send requests to an address of the operator's own network, if the site's name
//! leads to that address (DNS rebinding). Such a request names the site in its `Host`. So only requests that name an
//! address, `localhost` or a configured name are answered.

use crate::config::AdminAccess;
use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It has no `Host`, or several, or one that is no host.
    NoHost,
    /// It names a host that this address is not known by.
    ForeignHost,
    /// It bears no token, or another one.
    NoToken,
}

impl Unanswered {
    /// The status of the answer, and its text.
    pub(super) fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "a request needs exactly one Host: an IP address, localhost or a name of server.admin_hosts\n",
            ),
            Self::ForeignHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "this Host is neither an IP address nor localhost: to allow this name, add it to server.admin_hosts\n",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "this request needs the token of server.admin_token_file: send Authorization: Bearer TOKEN\n",
            ),
        }
    }
}

/// Judges a request. `is_open`: who may ask for this path needs no token.
pub(super) fn admit(access: &AdminAccess, target: &Uri, headers: &HeaderMap, is_open: bool) -> Result<(), Unanswered> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Unanswered::NoHost) };
    let host = host.to_str().map_err(|_| Unanswered::NoHost)?;
    for host in [Some(host), target.authority().map(Authority::as_str)].into_iter().flatten() {
        let name = name_in(host).ok_or(Unanswered::NoHost)?;
        if !is_known(name, access) {
            return Err(Unanswered::ForeignHost);
        }
    }
    if is_open || access.token.as_ref().is_none_or(|token| bearer(headers).is_some_and(|given| token.is(given))) {
        Ok(())
    } else {
        Err(Unanswered::NoToken)
    }
}

/// The host of an authority, without its port. An IPv6 address keeps its brackets. `None`: it is none.
fn name_in(authority: &str) -> Option<&str> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (name, port) = authority.split_at_checked(end)?;
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    (!name.is_empty() && is_port).then_some(name)
}

fn is_known(name: &str, access: &AdminAccess) -> bool {
    let within_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match within_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            name.parse::<Ipv4Addr>().is_ok()
                || name.eq_ignore_ascii_case("localhost")
                || access.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
        }
    }
}

/// The token that a request bears. Of several `Authorization` fields none counts.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ServerConfig, SystemSources};
    use http::HeaderName;

    /// Judges a request with these header lines, under `[server]` keys.
    fn judged(keys: &str, target: &str, lines: &str, is_open: bool) -> Result<(), Unanswered> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "s3cret\n").unwrap();
        let text = format!("[[routes]]\npath = '/'\norigin = 'http://o'\n[server]\nadmin = '127.0.0.1:1'\n{keys}");
        let sources = SystemSources::beside(&directory.path().join("m.toml"));
        let config = crate::config::Config::parse(&text, &sources).unwrap();
        let ServerConfig { admin_access, .. } = config.server;
        let mut headers = HeaderMap::new();
        for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        admit(&admin_access, &target.parse().unwrap(), &headers, is_open)
    }

    #[test]
    fn only_addresses_and_known_names_are_answered() {
        use Unanswered::{ForeignHost, NoHost};
        for (host, expected) in [
            ("host: 127.0.0.1", Ok(())),
            ("host: 127.0.0.1:9090", Ok(())),
            ("host: 10.1.2.3:1", Ok(())),
            ("host: [::1]:9090", Ok(())),
            ("host: [2001:db8::1]", Ok(())),
            ("host: localhost:9090", Ok(())),
            ("host: LocalHost", Ok(())),
            ("host: ops.example", Ok(())),
            ("host: OPS.example:80", Ok(())),
            ("host: evil.example", Err(ForeignHost)),
            ("host: ops.example.evil.example", Err(ForeignHost)),
            ("host: localhost.evil.example", Err(ForeignHost)),
            ("host: 127.0.0.1.evil.example:9090", Err(ForeignHost)),
            ("host: 0x7f000001", Err(ForeignHost)),
            ("host: 127.1", Err(ForeignHost)),
            ("host: [evil]:1", Err(ForeignHost)),
            ("host: ::1", Err(NoHost)),
            ("host: 127.0.0.1:x", Err(NoHost)),
            ("host: 127.0.0.1@evil.example", Err(ForeignHost)),
            ("host: [::1", Err(NoHost)),
            ("host: [::1]evil", Err(NoHost)),
            ("host: ", Err(NoHost)),
            ("", Err(NoHost)),
            ("host: 127.0.0.1\nhost: 127.0.0.1", Err(NoHost)),
        ] {
            for is_open in [true, false] {
                assert_eq!(judged("admin_hosts = ['Ops.Example']", "/", host, is_open), expected, "{host}");
            }
        }
    }

    #[test]
    fn a_target_with_a_host_of_its_own_must_name_a_known_one_too() {
        for (target, expected) in
            [("http://127.0.0.1:1/metrics", Ok(())), ("http://evil.example/metrics", Err(Unanswered::ForeignHost))]
        {
            assert_eq!(judged("", target, "host: 127.0.0.1", true), expected, "{target}");
        }
    }

    #[test]
    fn with_a_token_file_requests_must_bear_the_token_unless_they_ask_for_health() {
        for (lines, bears) in [
            ("", false),
            ("authorization: Bearer s3cret", true),
            ("authorization: bearer s3cret", true),
            ("authorization: Bearer  s3cret", true),
            ("authorization: Bearer s3cre", false),
            ("authorization: Bearer s3cret2", false),
            ("authorization: Bearer ", false),
            ("authorization: Bearer", false),
            ("authorization: s3cret", false),
            ("authorization: Basic s3cret", false),
            ("authorization: Bearer s3cret\nauthorization: Bearer s3cret", false),
        ] {
            let lines = format!("host: 127.0.0.1\n{lines}");
            let expected = if bears { Ok(()) } else { Err(Unanswered::NoToken) };
            assert_eq!(judged("admin_token_file = 'token'", "/metrics", &lines, false), expected, "{lines}");
            assert_eq!(judged("admin_token_file = 'token'", "/healthz", &lines, true), Ok(()), "{lines}");
            assert_eq!(judged("", "/metrics", &lines, false), Ok(()), "{lines}");
        }
    }
}
