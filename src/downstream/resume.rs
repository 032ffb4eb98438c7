//! The `Last-Event-ID` of a client, and its query without that id.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;
use url::form_urlencoded;

/// The field of the HTML standard (section 9.2.3).
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query parameters for clients that cannot set a header field: a page's first `EventSource`, and polyfills. The
/// first parameter is that of most servers and polyfills, the second is Mercure's, and the third is the name of the
/// field.
pub const LAST_EVENT_ID_PARAMETERS: [&str; 3] = ["lastEventId", "lastEventID", "last-event-id"];

/// The id of the last event that a client saw, as UTF-8 bytes. `None` if the client names no id.
///
/// The field takes precedence over the query parameters, because a browser that reconnects to the URL of its first
/// request sends both. Space and tab around the field's value are not part of it. An empty value counts as no value,
/// and of several fields the first that is not empty counts. A parameter is form-urlencoded, and its value is taken
/// unchanged.
///
/// A value that cannot be an id, because it is too long or holds bytes that no id holds, is taken as an id that no
/// event has. Its client is told a gap like any other whose event is not there. It is not refused, because an
/// `EventSource` that is refused never comes back.
#[must_use]
pub fn last_event_id(headers: &HeaderMap, query: Option<&str>) -> Option<Bytes> {
    let mut in_headers = headers.get_all(&LAST_EVENT_ID).iter().map(|value| value.as_bytes().trim_ascii());
    match in_headers.find(|id| !id.is_empty()) {
        Some(id) => Some(Bytes::copy_from_slice(id)),
        None => query.and_then(in_query).map(|id| Bytes::from(id.into_owned())),
    }
}

/// The query without its [`LAST_EVENT_ID_PARAMETERS`]. The rest is unchanged, byte for byte.
///
/// `None` if there was no query, or if it held nothing else.
#[must_use]
pub fn without_last_event_id(query: Option<&str>) -> Option<Cow<'_, str>> {
    let query = query?;
    if !query.split('&').any(is_last_event_id) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_last_event_id(pair)).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

/// The first of these parameters that is not empty.
fn in_query(query: &str) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (is_name(&name) && !value.trim_matches([' ', '\t']).is_empty()).then_some(value))
}

fn is_last_event_id(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| is_name(&name))
}

fn is_name(name: &str) -> bool {
    LAST_EVENT_ID_PARAMETERS.contains(&name)
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
            (&[], Some("lastEventID=5"), Some("5")),
            (&[], Some("last-event-id=5"), Some("5")),
            (&[], Some("last%2Devent-id=5&lastEventId=6"), Some("5")),
            (&[], Some("lastEventID=&lastEventId=6"), Some("6")),
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
            (&[], Some("lastEventId=+%09"), None),
            (&[], Some("lastEventId"), None),
        ] {
            let expected = expected.map(|id| Bytes::copy_from_slice(id.as_bytes()));
            assert_eq!(last_event_id(&headers(lines), query), expected, "{lines:?} {query:?}");
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_one_that_nobody_knows() {
        let long = "x".repeat(9 << 10);
        for (value, id) in [("%00", "\0"), ("a%0Db", "a\rb"), ("a%0A", "a\n"), (&*long, &*long)] {
            let query = format!("lastEventId={value}");
            assert_eq!(last_event_id(&HeaderMap::new(), Some(&query)).unwrap(), id);
            assert_eq!(last_event_id(&headers(&["5"]), Some(&query)).unwrap(), "5", "the header wins");
        }
        assert_eq!(last_event_id(&headers(&[&long]), None).unwrap(), long);
    }

    #[test]
    fn the_rest_of_the_query_stays_as_it_was_written() {
        for (query, expected) in [
            (None, None),
            (Some(""), Some("")),
            (Some("lastEventId=5"), None),
            (Some("lastEventId"), None),
            (Some("lastEventID=5"), None),
            (Some("a=1&last-event-id=5&lastEventID&b=2&lastEventId=7"), Some("a=1&b=2")),
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
