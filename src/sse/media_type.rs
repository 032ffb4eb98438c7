//! The media type of an event stream.

use http::HeaderValue;

/// The media type of every event stream.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Whether a `Content-Type` is that of an event stream. Its essence is then `text/event-stream`, with any parameters.
///
/// By the MIME Sniffing standard, bad parameters do not invalidate a type: `text/event-stream;x=y`,
/// `text/event-stream;` and `TEXT/Event-Stream; x bogus` are event streams.
#[must_use]
pub fn is_event_stream(content_type: &HeaderValue) -> bool {
    essence(content_type.as_bytes()).eq_ignore_ascii_case(EVENT_STREAM)
}

/// Everything before the first `;`.
fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stream_is_known_by_the_essence_of_its_type() {
        for (text, expected) in [
            ("text/event-stream", true),
            ("text/event-stream;", true),
            ("text/event-stream ; charset=utf-8", true),
            ("text/event-stream;x=y", true),
            ("text/event-stream;x bogus", true),
            ("text/event-stream;;charset=\"", true),
            ("TEXT/Event-Stream", true),
            ("text/event-stream x bogus", false),
            ("text/event-stream, text/html", false),
            ("text/ event-stream", false),
            ("text /event-stream", false),
            ("text/event-streams", false),
            ("text/event", false),
            ("text/html; text/event-stream", false),
            ("application/json", false),
            ("", false),
            (";", false),
        ] {
            assert_eq!(is_event_stream(&HeaderValue::from_static(text)), expected, "{text}");
        }
    }
}
