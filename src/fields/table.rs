//! The table that says of each header field what kind of field it is. Every part of manifold that passes or drops
//! fields decides by this table.

use super::list::members;
use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::collections::HashSet;

/// What a header field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// The field is about one connection, so it does not cross a proxy (RFC 9110 sections 7.6.1 and 11.7). `Trailer` is
    /// among these fields, because only a proxied response to an HTTP/2 client keeps its trailers.
    HopByHop,
    /// The field says how a body is sent. The sender of each message sets it anew.
    Framing,
    /// The field is about the exact bytes of a body. It is wrong once these bytes are changed.
    Bytes,
    /// The field says what a body is.
    Content,
    /// The field asks for a part of a response, or makes a request conditional.
    Partial,
    /// manifold always sets this field of an upstream request itself.
    Own,
    /// manifold sets this field of a shared stream's request, unless the route forwards the client's field.
    Usual,
    /// The field says where a client resumes. It is not part of a stream's key.
    Resume,
    /// The field is about the web page that sends the request, or is an answer to that page (CORS).
    Page,
    /// The field says who a client is.
    Credential,
    /// The field says at which address the origin itself can be reached.
    Place,
    /// The field is for the other end of the exchange. This is the nature of all fields that have no other.
    EndToEnd,
}

/// Which shared responses of an origin pass a field on. Few fields are passed on, because a shared response goes to
/// many clients whose requests the origin never saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shared {
    /// No response passes it on.
    No,
    /// Refusals pass it on. The field says what the body is, where to go, when to come back, or how to authenticate.
    Refusals,
    /// Streams and refusals pass it on. The field is about the resource itself: its language, its relations to other
    /// resources (clients find a Mercure hub by `Link`), or the order not to guess its type.
    All,
}

use Nature::{Bytes, Content, Credential, EndToEnd, Framing, HopByHop, Own, Page, Partial, Place, Resume, Usual};

/// The known fields, in the order of their names. Any other field has the nature of its family or is `EndToEnd`, and no
/// shared response passes it on.
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

/// The families of fields, by how their names begin.
const FAMILIES: [(&str, Nature); 3] = [("access-control-", Page), ("content-", Content), ("if-", Partial)];

impl Nature {
    /// The nature of the field of this name.
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

/// Whether a field is about one connection, so that it does not cross a proxy.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    Nature::of(name) == HopByHop
}

/// The fields of a head that may cross a proxy. They are not hop-by-hop, and `Connection` does not name them.
pub(crate) fn end_to_end(head: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    // `Connection` is read only once, because a stranger chooses how many names it has.
    let named: HashSet<HeaderName> =
        members(head, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    head.iter().filter(move |(name, _)| !is_hop_by_hop(name) && !named.contains(*name))
}

/// Whether a route may forward this field of a client on a shared stream. The field is then part of the stream's key.
/// Other fields are dropped even if the route names them.
pub(crate) fn is_forwardable(name: &HeaderName) -> bool {
    match Nature::of(name) {
        Usual | Page | Credential | Place | EndToEnd => true,
        HopByHop | Framing | Bytes | Content | Partial | Own | Resume => false,
    }
}

/// Whether a private route passes this field of a client's request to the origin. Fields about a body do not pass,
/// because such a request has none.
pub(crate) fn is_the_clients_own(name: &HeaderName) -> bool {
    !matches!(Nature::of(name), HopByHop | Framing | Own) && !becomes_another(name)
}

/// Whether CGI and similar interfaces mistake this field for another one, because they do not distinguish `_` from `-`.
/// They read `X_Forwarded_For` as `X-Forwarded-For`, which only a proxy may set. They read `Content_Length` as the
/// length of the body.
pub(crate) fn becomes_another(name: &HeaderName) -> bool {
    name.as_str().contains('_')
}

/// Whether a shared response may name this field in `Vary` and is still the same for all clients. Such a field is the
/// same in all requests for a stream, or it is left out of the stream's key on purpose.
///
/// Fields about the web page are not sent to the origin, so they cannot change the response. They are among these
/// fields because CORS middleware names them in the `Vary` of every response.
pub(crate) fn is_same_for_all(name: &HeaderName) -> bool {
    matches!(Nature::of(name), Own | Usual | Resume | Page)
}

/// Whether a shared stream passes on this field of the origin. With `is_refusal`: whether a shared refusal does.
pub(crate) fn is_shared(name: &HeaderName, is_refusal: bool) -> bool {
    match row(name).map_or(Shared::No, |(_, _, shared)| *shared) {
        Shared::No => false,
        Shared::Refusals => is_refusal,
        Shared::All => true,
    }
}

/// Whether this field of the origin is still true after manifold has put lines into the body.
pub(crate) fn survives_lines(name: &HeaderName) -> bool {
    !matches!(Nature::of(name), HopByHop | Framing | Bytes)
}

/// Whether the field says who a client is.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    Nature::of(name) == Credential
}

/// Whether the field belongs to CORS.
pub(crate) fn is_cors(name: &HeaderName) -> bool {
    Nature::of(name) == Page
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
