//! Who may act. A page of another site can make a browser send requests here. It cannot make the browser send a header
//! of this name without asking first, and such a question is never answered.

use super::problem::Problem;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode};

/// The header that every action needs.
const ACTION: &str = "x-manifold-action";

/// Judges a request to act.
pub(super) fn admit_action(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    if headers.get(ACTION).is_none_or(|value| value != "1") {
        return refused("an action needs the header X-Manifold-Action: 1");
    }
    let is_of_here = |site: &http::HeaderValue| site == "same-origin" || site == "none";
    if !headers.get_all("sec-fetch-site").iter().all(is_of_here) {
        return refused("Sec-Fetch-Site: the request comes from a page of another site");
    }
    let host = headers.get(HOST).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let names_host = |origin: &http::HeaderValue| {
        let origin = origin.as_bytes();
        let rest = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        rest.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    if !headers.get_all(ORIGIN).iter().all(names_host) {
        return refused("Origin: the request comes from a page of another site");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn pages_of_other_sites_cannot_act() {
        for (lines, is_admitted) in [
            ("x-manifold-action: 1", true),
            ("x-manifold-action: 1\nsec-fetch-site: same-origin\norigin: http://127.0.0.1:1", true),
            ("x-manifold-action: 1\nsec-fetch-site: none", true),
            ("x-manifold-action: 1\norigin: https://127.0.0.1:1", true),
            ("", false),
            ("x-manifold-action: 0", false),
            ("content-type: application/json", false),
            ("x-manifold-action: 1\nsec-fetch-site: cross-site", false),
            ("x-manifold-action: 1\nsec-fetch-site: same-site", false),
            ("x-manifold-action: 1\norigin: http://127.0.0.1:2", false),
            ("x-manifold-action: 1\norigin: http://evil", false),
            ("x-manifold-action: 1\norigin: null", false),
            ("x-manifold-action: 1\norigin: http://127.0.0.1:1\norigin: http://evil", false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in format!("host: 127.0.0.1:1\n{lines}").lines().filter_map(|line| line.split_once(": "))
            {
                headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            assert_eq!(admit_action(&headers).is_ok(), is_admitted, "{lines}");
        }
    }
}
