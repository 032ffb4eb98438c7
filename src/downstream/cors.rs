//! The CORS protocol (Fetch standard section 3.3): manifold tells browsers which pages of other origins may read a
//! stream.

use super::{AllowedOrigins, CorsOptions};
use crate::fields::{is_token, members};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

/// The methods that a stream route answers.
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// The fields of a preflight that its answer depends on.
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

/// Whether the page that a request comes from may read the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsAnswer {
    /// Every page may, but without credentials. The answer is the same for all requests.
    Everyone,
    /// The page may, because its origin is listed.
    Page {
        /// The origin as it is in the request.
        origin: HeaderValue,
        /// Whether the request may carry credentials.
        credentials: bool,
    },
    /// The request has no `Origin`, so it does not come from a page of another origin.
    SameOrigin,
    /// The page may not, because its origin is not listed. The browser gets no CORS field, and so keeps the response
    /// from the page. The refusal is logged and counted (`cors_origin_refused`).
    Refused,
}

impl CorsOptions {
    /// The answer to a request with these fields.
    ///
    /// Origins are compared byte for byte (Fetch standard section 4.9). `null` is the origin of sandboxed pages and of
    /// files. It is allowed only if every origin is, or if the list names it.
    #[must_use]
    pub fn answer(&self, request: &HeaderMap) -> CorsAnswer {
        let AllowedOrigins::Only(allowed) = &self.origins else { return CorsAnswer::Everyone };
        let mut origins = request.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => CorsAnswer::SameOrigin,
            (Some(origin), None) if allowed.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) => {
                CorsAnswer::Page { origin: origin.clone(), credentials: self.credentials }
            }
            (Some(_), _) => CorsAnswer::Refused,
        }
    }
}

impl CorsAnswer {
    /// Adds the fields of the answer to a response head of any status. A page can then read errors too.
    ///
    /// `Vary: Origin` is added if the answer would differ for another origin.
    pub fn apply(&self, head: &mut HeaderMap) {
        match self {
            Self::Everyone => {
                head.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                return;
            }
            Self::Page { origin, credentials } => {
                head.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                if *credentials {
                    head.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                }
            }
            Self::SameOrigin | Self::Refused => {}
        }
        let said = members(head, &VARY).any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"));
        if !said {
            head.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

/// A CORS preflight: a browser asks whether it may send the request that a page wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// The header names that the page wants to send. `None` if there are none or one of them is not a token.
    asked_headers: Option<HeaderValue>,
}

impl Preflight {
    /// Reads a preflight. `None` if the request is not one: a preflight is OPTIONS with `Origin` and
    /// `Access-Control-Request-Method`.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let is_preflight = *method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        is_preflight.then(|| Self { asked_headers: asked_headers(headers) })
    }

    /// The head of the answer. Its status is 204, and it has no body.
    ///
    /// A page that is allowed may send GET and HEAD with all fields that it asked for. Which of them reach the origin
    /// is decided elsewhere. A page that is not allowed gets no CORS field, which browsers take for a refusal.
    #[must_use]
    pub fn head(&self, options: &CorsOptions, answer: &CorsAnswer) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(VARY, PREFLIGHT_VARY);
        answer.apply(&mut head);
        if matches!(answer, CorsAnswer::Everyone | CorsAnswer::Page { .. }) {
            head.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
            head.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(options.max_age.as_secs()));
            if let Some(asked) = &self.asked_headers {
                head.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
        }
        head
    }
}

fn asked_headers(headers: &HeaderMap) -> Option<HeaderValue> {
    let names: Vec<&[u8]> = members(headers, &ACCESS_CONTROL_REQUEST_HEADERS).collect();
    let usable = !names.is_empty() && names.iter().all(|name| is_token(name));
    if usable { HeaderValue::from_bytes(&names.join(&b", "[..])).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use std::time::Duration;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    fn lines(head: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> =
            head.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    fn only(origins: &[&str], credentials: bool) -> CorsOptions {
        let origins = AllowedOrigins::Only(origins.iter().map(ToString::to_string).collect());
        CorsOptions { origins, credentials, max_age: Duration::from_secs(60) }
    }

    #[test]
    fn an_answer_depends_on_the_origin_and_says_so() {
        let a = ("origin", "https://a.example");
        let listed = ["https://b.example", "https://a.example"];
        let allowed = "access-control-allow-origin: https://a.example";
        for (options, request, expected) in [
            (CorsOptions::default(), &[][..], &["access-control-allow-origin: *"][..]),
            (CorsOptions::default(), &[a], &["access-control-allow-origin: *"]),
            (CorsOptions::default(), &[("origin", "null")], &["access-control-allow-origin: *"]),
            (CorsOptions { credentials: true, ..CorsOptions::default() }, &[a], &["access-control-allow-origin: *"]),
            (only(&listed, false), &[a], &[allowed, "vary: origin"]),
            (only(&listed, true), &[a], &["access-control-allow-credentials: true", allowed, "vary: origin"]),
            (only(&listed, true), &[], &["vary: origin"]),
            (only(&listed, true), &[("origin", "null")], &["vary: origin"]),
            (only(&listed, true), &[("origin", "https://A.example")], &["vary: origin"]),
            (only(&listed, true), &[("origin", "https://a.example:443")], &["vary: origin"]),
            (only(&listed, true), &[("origin", "https://a.example.evil")], &["vary: origin"]),
            (only(&listed, true), &[a, a], &["vary: origin"]),
            (only(&["null"], false), &[("origin", "null")], &["access-control-allow-origin: null", "vary: origin"]),
        ] {
            let mut head = HeaderMap::new();
            options.answer(&headers(request)).apply(&mut head);
            assert_eq!(lines(&head), expected, "{options:?} {request:?}");
        }
    }

    #[test]
    fn a_refusal_is_a_fact_and_the_absence_of_an_origin_is_none() {
        let options = only(&["https://a.example"], false);
        assert_eq!(options.answer(&headers(&[("origin", "https://b.example")])), CorsAnswer::Refused);
        assert_eq!(options.answer(&headers(&[])), CorsAnswer::SameOrigin);
    }

    #[test]
    fn vary_is_not_said_twice() {
        for (vary, expected) in [("Accept, ORIGIN", 1), ("*", 1), ("Accept", 2)] {
            let mut head = headers(&[("vary", vary)]);
            CorsAnswer::Refused.apply(&mut head);
            assert_eq!(head.get_all(VARY).iter().count(), expected, "{vary}");
        }
    }

    #[test]
    fn a_preflight_is_known_by_method_and_headers() {
        let (origin, method) = (("origin", "https://a.example"), ("access-control-request-method", "GET"));
        assert!(Preflight::of(&Method::OPTIONS, &headers(&[origin, method])).is_some());
        for (other, lines) in
            [(Method::GET, &[origin, method][..]), (Method::OPTIONS, &[origin]), (Method::OPTIONS, &[method])]
        {
            assert_eq!(Preflight::of(&other, &headers(lines)), None, "{other} {lines:?}");
        }
    }

    #[test]
    fn a_preflight_is_answered_with_the_headers_it_asked_for() {
        let vary = "vary: origin, access-control-request-method, access-control-request-headers";
        let methods = "access-control-allow-methods: GET, HEAD";
        let (age, origin) = ("access-control-max-age: 60", "access-control-allow-origin: https://a.example");
        let asked = |value| ("access-control-request-headers", value);
        for (page, lines_asked, expected) in [
            ("https://a.example", &[][..], &[methods, origin, age, vary][..]),
            (
                "https://a.example",
                &[asked("last-event-id,authorization"), asked("X-A")],
                &["access-control-allow-headers: last-event-id, authorization, X-A", methods, origin, age, vary],
            ),
            ("https://a.example", &[asked("x-a, x b")], &[methods, origin, age, vary]),
            ("https://a.example", &[asked(" ,")], &[methods, origin, age, vary]),
            ("https://b.example", &[asked("x-a")], &[vary]),
        ] {
            let base = [("origin", page), ("access-control-request-method", "GET")];
            let request = headers(&[&base[..], lines_asked].concat());
            let options = only(&["https://a.example"], false);
            let preflight = Preflight::of(&Method::OPTIONS, &request).unwrap();
            assert_eq!(lines(&preflight.head(&options, &options.answer(&request))), expected, "{request:?}");
        }
    }
}
