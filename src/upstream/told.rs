//! What the log is told of one stream.

use crate::hub::End;

/// A stream is over. `names`: its route and its key.
pub(super) fn closed(names: &str, end: &End) {
    match end {
        End::Unusable(why) => log::warn!("stream refused {names} why=\"{why}\""),
        // The outage is told for all streams of the origin.
        End::Failed(why) | End::HoldExpired(why) => log::debug!("stream closed {names} end={end} why=\"{why}\""),
        End::OriginClosed | End::NoContent | End::Refused(_) | End::Unshareable | End::Idle | End::PublisherGone => {
            log::info!("stream closed {names} end={end}")
        }
    }
}

/// What an answer is that is no stream, where there was one before.
pub(super) fn no_stream(end: &End) -> String {
    match end {
        End::Refused(answer) => format!("origin answered {}, which is no stream", answer.status.as_u16()),
        End::Unusable(why) => why.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Answer;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use std::sync::Arc;

    #[test]
    fn an_answer_that_is_no_stream_is_told_in_plain_words() {
        let answer = Answer { status: StatusCode::NOT_FOUND, headers: HeaderMap::new(), body: Bytes::new() };
        let refused = End::Refused(Arc::new(answer));
        assert_eq!(no_stream(&refused), "origin answered 404, which is no stream");
        let html = "origin answered 200 with text/html, not text/event-stream";
        assert_eq!(no_stream(&End::Unusable(html.to_owned())), html);
    }
}
