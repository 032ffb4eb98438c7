//! What each header field is, and so where it goes: the one table that every side of the gateway asks.

use super::list::members;
use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::collections::HashSet;

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Of one connection, so that it never crosses a proxy (RFC 9110 sections 7.6.1 and 11.7). `Trailer` is one because
    /// trailers do not cross.
    HopByHop,
    /// How a body comes: whoever writes the message says it.
    Framing,
    /// About the exact bytes of a body, and false of any others.
    Bytes,
    /// What a body is.
    Content,
    /// Asks for a part of a response, or for one on a condition.
    Partial,
    /// Of a request: always manifold's.
    Own,
    /// Of a request for a shared stream: manifold's, where the route forwards none.
    Usual,
    /// Where a client resumes. It is no part of a stream's name.
    Resume,
    /// What a browser says of the page that asks, and what an origin answers to it.
    Page,
    /// Who a client is.
    Credential,
    /// Where the origin itself can be reached.
    Place,
    /// For the other end: every field that has no other nature.
    EndToEnd,
}

/// Which of an origin's responses bear a field to many clients, whom the origin never saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shared {
    /// None.
    No,
    /// Refusals: it says what the body is, where to go, when to come back, or how to authenticate.
    Refusals,
    /// All: it is about the resource itself. So are its language, its relations to others (by `Link` a Mercure hub is found),
    /// and the order not to guess its type.
    All,
}

use Nature::{Bytes, Content, Credential, EndToEnd, Framing, HopByHop, Own, Page, Partial, Place, Resume, Usual};

/// The fields that are known. Any other has the nature of its family, or none but being for the other end; it is shared by
/// nobody.
const TABLE: [(&str, Nature, Shared); 38] = [
    ("accept", Usual, Shared::No),
    ("accept-encoding", Own, Shared::No),
    ("accept-ranges", Bytes, Shared::No),
    ("alt-svc", Place, Shared::No),
    ("authorization", Credential, Shared::No),
    ("connection", HopByHop, Shared::No),
    ("content-digest", Bytes, Shared::No),
    ("content-encoding", Content, Shared::Refusals),
    ("content-language", Content, Shared::All),
    ("content-length", Framing, Shared::No),
    ("content-md5", Bytes, Shared::No),
    ("content-range", Bytes, Shared::No),
    ("content-type", Content, Shared::Refusals),
    ("cookie", Credential, Shared::No),
    ("digest", Bytes, Shared::No),
    ("etag", Bytes, Shared::No),
    ("expect", Framing, Shared::No),
    ("host", Own, Shared::No),
    ("http2-settings", HopByHop, Shared::No),
    ("keep-alive", HopByHop, Shared::No),
    ("last-event-id", Resume, Shared::No),
    ("link", EndToEnd, Shared::All),
    ("location", EndToEnd, Shared::Refusals),
    ("origin", Page, Shared::No),
    ("proxy-authenticate", HopByHop, Shared::No),
    ("proxy-authentication-info", HopByHop, Shared::No),
    ("proxy-authorization", HopByHop, Shared::No),
    ("proxy-connection", HopByHop, Shared::No),
    ("range", Partial, Shared::No),
    ("repr-digest", Bytes, Shared::No),
    ("retry-after", EndToEnd, Shared::Refusals),
    ("set-cookie", Credential, Shared::No),
    ("te", HopByHop, Shared::No),
    ("trailer", HopByHop, Shared::No),
    ("transfer-encoding", HopByHop, Shared::No),
    ("upgrade", HopByHop, Shared::No),
    ("www-authenticate", EndToEnd, Shared::Refusals),
    ("x-content-type-options", EndToEnd, Shared::All),
];

/// Families of fields, by how their names begin.
const FAMILIES: [(&str, Nature); 3] = [("access-control-", Page), ("content-", Content), ("if-", Partial)];

impl Nature {
    /// Of the field of this name.
    pub(crate) fn of(name: &HeaderName) -> Self {
        let family = || FAMILIES.iter().find(|(beginning, _)| name.as_str().starts_with(beginning));
        match row(name) {
            Some((_, nature, _)) => *nature,
            None => family().map_or(EndToEnd, |(_, nature)| *nature),
        }
    }
}

fn row(name: &HeaderName) -> Option<&'static (&'static str, Nature, Shared)> {
    TABLE.iter().find(|(known, ..)| *known == name.as_str())
}

/// Whether a field is of one connection by its nature.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    Nature::of(name) == HopByHop
}

/// The fields of a head that may cross a proxy: neither hop-by-hop by nature nor named in `Connection`.
pub(crate) fn end_to_end(head: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    // Read once: strangers choose how many names there are.
    let named: HashSet<HeaderName> =
        members(head, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    head.iter().filter(move |(name, _)| !is_hop_by_hop(name) && !named.contains(*name))
}

/// Whether a route may have the request of a shared stream bear a client's field of this name, which then is part of the
/// stream's name. What may not is dropped even if the route names it.
pub(crate) fn is_forwardable(name: &HeaderName) -> bool {
    match Nature::of(name) {
        Usual | Page | Credential | Place | EndToEnd => true,
        HopByHop | Framing | Bytes | Content | Partial | Own | Resume => false,
    }
}

/// Whether a field of a client's own request goes to the origin, where nobody shares the response. The request has no body.
pub(crate) fn is_the_clients_own(name: &HeaderName) -> bool {
    !matches!(Nature::of(name), HopByHop | Framing | Own) && !becomes_another(name)
}

/// Whether a field has the name of another one once CGI and its kin have read it: `X_Forwarded_For` is then what only a proxy
/// says, and `Content_Length` the length of a body.
pub(crate) fn becomes_another(name: &HeaderName) -> bool {
    name.as_str().contains('_')
}

/// Whether a field of a request is the same in all requests for a stream, or no part of its name on purpose: a response that
/// varies on it is the same for all.
///
/// What is the origin's to know of the page that asks is never sent, and CORS middleware names it in every response.
pub(crate) fn is_same_for_all(name: &HeaderName) -> bool {
    matches!(Nature::of(name), Own | Usual | Resume | Page)
}

/// Whether an origin's field goes to many clients, with a stream or with a refusal.
pub(crate) fn is_shared(name: &HeaderName, is_refusal: bool) -> bool {
    match row(name).map_or(Shared::No, |(_, _, shared)| *shared) {
        Shared::No => false,
        Shared::Refusals => is_refusal,
        Shared::All => true,
    }
}

/// Whether an origin's field stays true of a body that manifold puts lines into.
pub(crate) fn survives_lines(name: &HeaderName) -> bool {
    !matches!(Nature::of(name), HopByHop | Framing | Bytes)
}

/// Whether a field says who a client is.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    Nature::of(name) == Credential
}

/// Whether a field is of CORS.
pub(crate) fn is_cors(name: &HeaderName) -> bool {
    Nature::of(name) == Page
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
