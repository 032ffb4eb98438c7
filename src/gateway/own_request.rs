//! A client's own request, as its origin gets it where nobody shares the response: whole, but for what belongs to the connection and
//! what manifold says itself.

use super::client::ClientFacts;
use super::proxy::{Names, host};
use crate::fields::{becomes_another, end_to_end, is_credential, is_the_clients_own};
use crate::route::Route;
use crate::upstream;
use bytes::Bytes;
use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A client's own request.
#[derive(Debug)]
pub(super) struct OwnRequest {
    /// For the origin.
    pub(super) request: upstream::Request,
    /// What the origin may call itself in its answer, beside its own name.
    pub(super) names: Names,
    /// Fields were left behind because of their names.
    pub(super) has_odd_names: bool,
}

/// What an own request is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// All fields that the client sent.
    pub(super) headers: &'a HeaderMap,
    /// The path and the query of the target, as they came.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// Where the client resumes, as it says in the header or in the query.
    pub(super) last_event_id: Option<&'a Bytes>,
}

impl OwnRequest {
    /// The request for the origin of a route, which is told of the client.
    pub(super) fn new(asked: Asked<'_>, route: &Route, client: &ClientFacts) -> Self {
        let Asked { headers, path, query, last_event_id } = asked;
        let passing = end_to_end(headers).filter(|(name, _)| is_the_clients_own(name));
        let passing: HeaderMap = passing.map(|(name, value)| (name.clone(), value.clone())).collect();
        // What is said of the client is said last, so that no `Connection` takes it off.
        let mut fields = client.applied(&passing);
        join_cookies(&mut fields);
        if let Some(id) = last_event_id.filter(|_| !headers.contains_key(&LAST_EVENT_ID))
            && let Ok(id) = HeaderValue::from_maybe_shared(id.clone())
        {
            fields.insert(LAST_EVENT_ID.clone(), id);
        }
        let (host, names) = host(route, Some(client));
        fields.extend(HeaderValue::from_str(&host).ok().map(|host| (HOST, host)));
        for (name, value) in &mut fields {
            value.set_sensitive(is_credential(name));
        }
        let path = route.upstream_path(path);
        let path_and_query = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let headers = fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let has_odd_names = asked.headers.keys().any(becomes_another);
        Self { request: upstream::Request { path_and_query, headers }, names, has_odd_names }
    }
}

/// An HTTP/2 client may send each cookie in a field of its own; an origin of HTTP/1.1 knows one (RFC 9113 section 8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        fields.insert(COOKIE, cookie);
    }
}
