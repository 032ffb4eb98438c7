//! The headers of a client's request that go to the origin.

use crate::fields::{is_credential, is_forwardable};
use crate::hub::{CookiePolicy, Credentials, ShareOptions};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The headers that go to the origin, in the order of the policy and not of the client.
#[derive(Clone)]
pub(in crate::hub) struct Forwarded {
    /// The values of one name stand together, in the order in which the client sent them.
    pub(in crate::hub) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether one of the headers is a credential. An empty header is none, because it names no one.
    pub(in crate::hub) has_credentials: bool,
}

/// Names of headers are shown, values are not.
impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_tuple("Forwarded").field(&names).finish()
    }
}

impl Forwarded {
    pub(super) fn new(options: &ShareOptions, client: &HeaderMap) -> Self {
        let mut forwarded = Self { headers: Vec::new(), has_credentials: false };
        for name in &options.headers {
            forwarded.take(name, options, client);
        }
        if options.credentials == Credentials::Isolate {
            for name in &options.credential_headers {
                forwarded.take(name, options, client);
            }
            forwarded.take_cookies(options, client);
        }
        forwarded
    }

    /// Forwards all values of one header, once.
    fn take(&mut self, name: &HeaderName, options: &ShareOptions, client: &HeaderMap) {
        if !is_forwardable(name) || self.holds(name) {
            return;
        }
        if name == COOKIE {
            // The route names `Cookie` itself, so the whole header goes to the origin, whatever the cookie policy
            // says.
            return self.push_cookies(join_cookies(client, |_| true));
        }
        let credential = is_credential(name) || options.credential_headers.contains(name);
        // Copied, because a clone would be a part of the buffer that holds the whole head, and would keep it for as
        // long as the stream lasts.
        let copies = client.get_all(name).iter().filter_map(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        for mut value in copies {
            value.set_sensitive(credential);
            self.has_credentials |= credential && is_told(name, value.as_bytes());
            self.headers.push((name.clone(), value));
        }
    }

    /// Forwards the cookies that the policy names.
    fn take_cookies(&mut self, options: &ShareOptions, client: &HeaderMap) {
        if self.holds(&COOKIE) {
            return;
        }
        match &options.cookies {
            CookiePolicy::Only(names) => self.push_cookies(join_cookies(client, |cookie| is_named(cookie, names))),
            CookiePolicy::All => self.push_cookies(join_cookies(client, |_| true)),
        }
    }

    fn push_cookies(&mut self, cookies: Option<HeaderValue>) {
        if let Some(mut cookies) = cookies {
            cookies.set_sensitive(true);
            self.has_credentials |= cookies.as_bytes().split(|byte| *byte == b';').any(has_value);
            self.headers.push((COOKIE, cookies));
        }
    }

    fn holds(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|(held, _)| held == name)
    }
}

/// Whether a credential header holds a credential. It does not if it is empty, or if a scheme stands alone in it, as
/// a page without a token may send it.
fn is_told(name: &HeaderName, value: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];
    let value = value.trim_ascii();
    let is_bare_scheme = *name == AUTHORIZATION && SCHEMES.iter().any(|scheme| value.eq_ignore_ascii_case(scheme));
    !value.is_empty() && !is_bare_scheme
}

/// Whether a `name=value` pair has a value. Text without `=` counts as a value.
fn has_value(cookie: &[u8]) -> bool {
    let value =
        cookie.iter().position(|byte| *byte == b'=').map_or(cookie, |at| cookie.get(at + 1..).unwrap_or_default());
    let value = value.trim_ascii();
    !value.is_empty() && value != b"\"\""
}

/// One `Cookie` header with the wanted cookies, in the order in which the client sent them. `None`: there are none.
///
/// An HTTP/2 client may send each cookie in a header of its own. Toward HTTP/1.1 they are joined by `; ` (RFC 9113,
/// section 8.2.3).
fn join_cookies(client: &HeaderMap, wanted: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut joined = Vec::new();
    let values = client.get_all(COOKIE).iter();
    for cookie in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii) {
        if cookie.is_empty() || !wanted(cookie) {
            continue;
        }
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(cookie);
    }
    // Parts of valid values make a valid value. If they did not, no cookie would be forwarded, and the key would
    // agree.
    if joined.is_empty() { None } else { HeaderValue::from_bytes(&joined).ok() }
}

/// Whether a `name=value` pair has one of the names. Cookie names are case-sensitive (RFC 6265, section 5.3).
fn is_named(cookie: &[u8], names: &[String]) -> bool {
    let mut parts = cookie.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default().trim_ascii();
    parts.next().is_some() && names.iter().any(|listed| listed.as_bytes() == name)
}
