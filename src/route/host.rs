//! Host names, and the form in which they are compared.

use std::net::Ipv6Addr;

/// The longest name in DNS (RFC 1035, section 2.3.4).
const MAX_NAME_LEN: usize = 253;

/// Why a text is not a host name for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// The text holds a `*`.
    #[error("must be a whole host name without wildcards: write a list of names, or \"any\"")]
    Wildcard,
    /// The text holds a `:` and is not an IPv6 address.
    #[error("must be a host name without a scheme or a port")]
    Port,
    /// The text is not a host name for another reason.
    #[error("must be a host name such as \"example.com\" (other scripts in the form \"xn--..\")")]
    Name,
}

/// Reads a host name or an IP address into its [canonical form](canonical_host). An IPv6 address may be in brackets.
///
/// # Errors
/// When the text is neither.
pub fn host_name(text: &str) -> Result<String, InvalidHost> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    if text.contains('*') {
        return Err(InvalidHost::Wildcard);
    }
    if text.contains(':') {
        return Err(InvalidHost::Port);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let in_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| !label.is_empty() && label.chars().all(in_label);
    if name.len() > MAX_NAME_LEN || !name.split('.').all(is_label) {
        return Err(InvalidHost::Name);
    }
    Ok(name.to_ascii_lowercase())
}

/// The canonical form of the host in a `Host` header or an authority: in lower case, without the port and a final
/// dot. An IPv6 address is in brackets and in its shortest form.
#[must_use]
pub fn canonical_host(authority: &str) -> String {
    if let Some((literal, _port)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match literal.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => format!("[{}]", literal.to_ascii_lowercase()),
        };
    }
    let host = authority.split_once(':').map_or(authority, |(host, _port)| host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_port_case_and_final_dot() {
        for (written, canonical) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0:0::1]:8080", "[::1]"),
            ("[X]:1", "[x]"),
            ("", ""),
            (":80", ""),
        ] {
            assert_eq!(canonical_host(written), canonical, "{written}");
        }
    }

    #[test]
    fn a_route_names_a_host_in_any_spelling_but_no_port_and_no_pattern() {
        for (text, read) in [
            ("Example.com.", Ok("example.com")),
            ("a_b.internal", Ok("a_b.internal")),
            ("10.0.0.1", Ok("10.0.0.1")),
            ("0::1", Ok("[::1]")),
            ("[::1]", Ok("[::1]")),
            ("*.example.com", Err(InvalidHost::Wildcard)),
            ("example.com:80", Err(InvalidHost::Port)),
            ("https://example.com", Err(InvalidHost::Port)),
            ("", Err(InvalidHost::Name)),
            (".", Err(InvalidHost::Name)),
            ("a..b", Err(InvalidHost::Name)),
            ("b\u{fc}cher.de", Err(InvalidHost::Name)),
            ("a/b", Err(InvalidHost::Name)),
        ] {
            assert_eq!(host_name(text), read.map(str::to_owned), "{text}");
        }
    }
}
