//! The `Via` field (RFC 9110 section 7.6.3): the gateways that a message has passed, and whether this process is one of
//! them.

use http::header::VIA;
use http::{HeaderMap, HeaderValue};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The name of this process in requests to origins. A random number distinguishes it from other processes, so that one
/// manifold may be the origin of another.
static OWN: LazyLock<String> = LazyLock::new(|| format!("1.1 manifold-{:08x}", fastrand::u32(..)));

/// The `Via` of a request to an origin: the gateways of the client's request, and this process last.
#[must_use]
pub fn request_via(before: &HeaderMap) -> HeaderValue {
    appended(before, &OWN)
}

/// Whether a request has passed this process before. The process is then its own origin, directly or through others.
#[must_use]
pub fn has_come_back(request: &HeaderMap) -> bool {
    names(request, &OWN)
}

/// All lines of `Via` as one, with another gateway at the end.
#[must_use]
pub fn appended(before: &HeaderMap, gateway: &str) -> HeaderValue {
    let mut all = String::new();
    for line in before.get_all(VIA).iter().filter_map(|line| line.to_str().ok()).filter(|line| !line.is_empty()) {
        // Writing to a string does not fail.
        let _written = write!(all, "{line}, ");
    }
    all += gateway;
    HeaderValue::from_str(&all).unwrap_or_else(|_| HeaderValue::from_static("1.1 manifold"))
}

fn names(message: &HeaderMap, gateway: &str) -> bool {
    let says = |line: &HeaderValue| line.to_str().is_ok_and(|line| line.split(',').any(|by| by.trim() == gateway));
    message.get_all(VIA).iter().any(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (VIA, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_gateway_comes_behind_those_before_it() {
        for (before, all) in [
            (&[][..], "1.1 x"),
            (&[""], "1.1 x"),
            (&["1.0 a"], "1.0 a, 1.1 x"),
            (&["1.0 a, 1.1 b (odd)", "2 c"], "1.0 a, 1.1 b (odd), 2 c, 1.1 x"),
        ] {
            assert_eq!(appended(&message(before), "1.1 x"), all);
        }
    }

    #[test]
    fn a_request_comes_back_only_where_this_process_sent_it() {
        let sent = request_via(&message(&["1.0 a"]));
        assert!(has_come_back(&message(&[sent.to_str().unwrap(), "1.1 b"])));
        for before in [&[][..], &["1.1 manifold"], &["1.1 manifold-", "1.1 b"]] {
            assert!(!has_come_back(&message(before)), "{before:?}");
        }
    }
}
