//! The `Last-Event-ID` that a client comes with, and the query without it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;
use url::form_urlencoded;

/// The header of the HTML standard (section 9.2.3).
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query parameter for clients that cannot set a header: a page's first `EventSource`, and polyfills.
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

/// The longest id that a client may come with, in bytes.
///
/// An origin behind other proxies could not be asked to resume from a longer one: 8 KiB is their usual limit for a line of
/// a head. Ids that carry positions in many logs reach 1 KiB.
pub const MAX_LAST_EVENT_ID_BYTES: usize = 8 << 10;

/// Why what a client came with cannot be an id. The answer is 400: it is no id that a stream ever had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLastEventId {
    /// It is over [`MAX_LAST_EVENT_ID_BYTES`].
    #[error("the last event id is over {MAX_LAST_EVENT_ID_BYTES} bytes")]
    TooLong,
    /// It holds NUL, CR or LF, which no id on the wire can.
    #[error("the last event id holds NUL, CR or LF")]
    ForbiddenByte,
}

/// The id of the last event that a client saw, as UTF-8 bytes; `None` if it saw none.
///
/// The header wins over the query parameter, because a browser that reconnects to the URL of its first request sends
/// both. Space and tab around the header's value are not part of it, an empty value is none, and of several the first
/// that is not empty counts. The parameter is form-urlencoded and taken as it is.
///
/// # Errors
/// When the id is too long or holds a byte that no id can hold.
pub fn last_event_id(headers: &HeaderMap, query: Option<&str>) -> Result<Option<Bytes>, InvalidLastEventId> {
    let mut in_headers = headers.get_all(&LAST_EVENT_ID).iter().map(|value| value.as_bytes().trim_ascii());
    let id = match in_headers.find(|id| !id.is_empty()) {
        Some(id) => Cow::Borrowed(id),
        None => match query.and_then(in_query) {
            Some(Cow::Borrowed(id)) => Cow::Borrowed(id.as_bytes()),
            Some(Cow::Owned(id)) => Cow::Owned(id.into_bytes()),
            None => return Ok(None),
        },
    };
    if id.len() > MAX_LAST_EVENT_ID_BYTES {
        return Err(InvalidLastEventId::TooLong);
    }
    if id.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(InvalidLastEventId::ForbiddenByte);
    }
    Ok(Some(Bytes::from(id.into_owned())))
}

/// The query without its `lastEventId` parameters, and otherwise byte for byte as it was written.
///
/// `None` when there was no query, or nothing else in it.
#[must_use]
pub fn without_last_event_id(query: Option<&str>) -> Option<Cow<'_, str>> {
    let query = query?;
    if !query.split('&').any(is_last_event_id) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_last_event_id(pair)).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

/// The first `lastEventId` that is not empty.
fn in_query(query: &str) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == LAST_EVENT_ID_PARAMETER && !value.is_empty()).then_some(value))
}

fn is_last_event_id(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| name == LAST_EVENT_ID_PARAMETER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (LAST_EVENT_ID.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn an_id_comes_in_the_header_or_else_in_the_query() {
        for (lines, query, expected) in [
            (&[][..], None, None),
            (&[], Some(""), None),
            (&[], Some("a=1&lasteventid=2&LastEventId=3&Last-Event-ID=4"), None),
            (&["5"], None, Some("5")),
            (&[" \t5 6\t "], None, Some("5 6")),
            (&["5"], Some("lastEventId=6"), Some("5")),
            (&["", "5", "6"], None, Some("5")),
            (&[""], Some("lastEventId=6"), Some("6")),
            (&[" "], Some("lastEventId="), None),
            (&["é…"], None, Some("é…")),
            (&[], Some("lastEventId=5"), Some("5")),
            (&[], Some("a=1&lastEventId=&lastEventId=5&lastEventId=6"), Some("5")),
            (&[], Some("lastEventId=a+b%20c%2Bd%26e=f"), Some("a b c+d&e=f")),
            (&[], Some("last%45ventId=%E2%80%A6"), Some("…")),
            (&[], Some("lastEventId=%FF"), Some("\u{FFFD}")),
            (&[], Some("lastEventId=%zz"), Some("%zz")),
            (&[], Some("lastEventId=+5+"), Some(" 5 ")),
            (&[], Some("lastEventId"), None),
        ] {
            let expected = expected.map(|id| Bytes::copy_from_slice(id.as_bytes()));
            assert_eq!(last_event_id(&headers(lines), query), Ok(expected), "{lines:?} {query:?}");
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_refused() {
        for bad in ["%00", "a%0Db", "a%0A"] {
            let query = format!("lastEventId={bad}");
            assert_eq!(last_event_id(&HeaderMap::new(), Some(&query)), Err(InvalidLastEventId::ForbiddenByte), "{bad}");
        }
        let longest = "x".repeat(MAX_LAST_EVENT_ID_BYTES);
        let too_long = format!("{longest}x");
        assert_eq!(last_event_id(&headers(&[&longest]), None).unwrap().unwrap().len(), MAX_LAST_EVENT_ID_BYTES);
        assert_eq!(last_event_id(&headers(&[&too_long]), None), Err(InvalidLastEventId::TooLong));
        let query = format!("lastEventId={too_long}");
        assert_eq!(last_event_id(&HeaderMap::new(), Some(&query)), Err(InvalidLastEventId::TooLong));
        assert_eq!(last_event_id(&headers(&["5"]), Some(&query)).unwrap().unwrap(), "5", "the header wins");
    }

    #[test]
    fn the_rest_of_the_query_stays_as_it_was_written() {
        for (query, expected) in [
            (None, None),
            (Some(""), Some("")),
            (Some("lastEventId=5"), None),
            (Some("lastEventId"), None),
            (Some("lastEventId=5&lastEventId=6"), None),
            (Some("a=1&lastEventId=5&b=2"), Some("a=1&b=2")),
            (Some("lastEventId=5&a=%41+b"), Some("a=%41+b")),
            (Some("a=1&last%45ventId=5"), Some("a=1")),
            (Some("a=1&&lastEventId=5"), Some("a=1&")),
            (
                Some("lasteventid=5&x=lastEventId&lastEventIds=1&&"),
                Some("lasteventid=5&x=lastEventId&lastEventIds=1&&"),
            ),
        ] {
            assert_eq!(without_last_event_id(query).as_deref(), expected, "{query:?}");
        }
        assert!(matches!(without_last_event_id(Some("a=1")), Some(Cow::Borrowed(_))));
    }
}
