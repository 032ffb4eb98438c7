//! The request of one client, as a private route passes it to the origin. All fields pass, except for those about the
//! client's connection or a body, those that manifold sets itself, and those with an underscore in their names.

use super::client::ClientFacts;
use super::proxy::{Names, host};
use crate::fields::{becomes_another, end_to_end, is_credential, is_the_clients_own, joined_cookies};
use crate::route::Route;
use crate::upstream;
use bytes::Bytes;
use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The request of one client on a private route.
#[derive(Debug)]
pub(super) struct OwnRequest {
    /// The request for the origin.
    pub(super) request: upstream::Request,
    /// The names that the origin may use for itself in its response, besides its own address.
    pub(super) names: Names,
    /// Whether fields were dropped because of their names.
    pub(super) has_odd_names: bool,
}

/// The parts of a client's request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// All fields that the client sent.
    pub(super) headers: &'a HeaderMap,
    /// The path and the query of the target, as they came.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// The id to resume after, from the header or the query.
    pub(super) last_event_id: Option<&'a Bytes>,
    /// What the client's credential says, for the origin.
    pub(super) claims: &'a [(HeaderName, HeaderValue)],
}

impl OwnRequest {
    /// The request for the origin of `route`, with the fields that describe `client`.
    pub(super) fn new(asked: Asked<'_>, route: &Route, client: &ClientFacts) -> Self {
        let Asked { headers, path, query, last_event_id, claims } = asked;
        let passing = end_to_end(headers).filter(|(name, _)| is_the_clients_own(name));
        let passing: HeaderMap = passing.map(|(name, value)| (name.clone(), value.clone())).collect();
        // The fields about the client are set after the connection fields were removed. So the client cannot remove
        // them by naming them in `Connection`.
        let mut fields = client.applied(&passing);
        if let Some(cookie) = joined_cookies(&fields) {
            fields.insert(COOKIE, cookie);
        }
        if let Some(id) = last_event_id.filter(|_| !headers.contains_key(&LAST_EVENT_ID))
            && let Ok(id) = HeaderValue::from_maybe_shared(id.clone())
        {
            fields.insert(LAST_EVENT_ID.clone(), id);
        }
        // A client cannot say what its credential does not.
        for named in route.stream().map(|policy| &policy.share.claims[..]).unwrap_or_default() {
            fields.remove(&named.field);
        }
        for (name, value) in claims {
            fields.insert(name.clone(), value.clone());
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
