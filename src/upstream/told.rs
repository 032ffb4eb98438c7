//! The log lines about the end of a stream, and about answers that show a fault of the configuration.

use super::Origin;
use super::connect::Connector;
use super::exchange::Outcome;
use crate::hub::End;
use crate::quoted::{Word, reason};
use http::StatusCode;
use log::Level;
use std::sync::Arc;

/// Logs that a stream is closed. `names`: its route and its key, in words for the log.
pub(super) fn closed(names: &str, end: &End) {
    match end {
        End::Unusable(why) => log::warn!("stream refused {names} why={}", reason(why)),
        // The outage is logged once for all streams of the origin.
        End::Failed(why) | End::HoldExpired(why) => {
            log::debug!("stream closed {names} end={end} why={}", reason(why));
        }
        // The lack of descriptors is logged once for all streams.
        End::NoDescriptor => log::debug!("stream closed {names} end={end}"),
        End::OriginClosed
        | End::NoContent
        | End::Refused(_)
        | End::Unshareable
        | End::Dismissed
        | End::Idle
        | End::PublisherGone => {
            log::info!("stream closed {names} end={end}")
        }
    }
}

/// Logs that a response ended within an event of `bytes` bytes.
pub(super) fn unfinished(names: &str, bytes: u64, is_news: bool) {
    log::log!(
        if is_news { Level::Warn } else { Level::Debug },
        "response ended within an event, which is dropped: the empty line after it is missing {names} bytes={bytes}"
    );
}

/// The facts about an answer of a route's origin. If the route has never worked and the answer shows a fault of the
/// configuration, advice is logged once for the route.
#[derive(Debug, Clone, Copy)]
pub struct FirstAnswer<'a> {
    /// The connector that asked.
    pub connector: &'a Connector,
    /// The route's name.
    pub route: &'a Arc<str>,
    /// The route's origin.
    pub origin: &'a Origin,
    /// The path and the query that the origin was asked for.
    pub path_and_query: &'a str,
}

impl FirstAnswer<'_> {
    /// Takes note of the answer to the request of a shared stream.
    pub(super) fn tell(self, outcome: &Outcome) {
        match outcome {
            Outcome::Stream(_) => self.works(),
            Outcome::Final(End::Refused(answer)) => self.refused(answer.status, &answer.body),
            Outcome::Failed(_) | Outcome::Final(_) => {}
        }
    }

    /// The route works: its origin answered with 200.
    pub fn works(self) {
        self.connector.met().works(self.route);
    }

    /// The origin answered with another status. `body`: the first bytes of the body.
    pub fn refused(self, status: StatusCode, body: &[u8]) {
        let Self { connector, route, origin, path_and_query } = self;
        if let Some(advice) = advice(status, body, origin)
            && connector.met().is_news_of(route)
        {
            let path = path_and_query.split('?').next().unwrap_or_default();
            let (status, root, path) = (status.as_u16(), origin.root_url(), Word(path));
            log::warn!("origin answered {status} route={route} url={root}{path}: {advice}");
        }
    }
}

/// The advice on the configuration for a refusal. `None` if the refusal shows no fault of the configuration.
fn advice(status: StatusCode, body: &[u8], origin: &Origin) -> Option<&'static str> {
    match status {
        StatusCode::NOT_FOUND => Some(
            "if this is not the URL of the stream, correct the route's origin or strip_prefix: the path of the request \
             is appended to the path of the origin",
        ),
        StatusCode::BAD_REQUEST if !origin.is_tls() && wants_tls(body) => {
            Some("the origin speaks TLS: its URL must begin with https://")
        }
        _ => None,
    }
}

/// Whether a body says that plain HTTP came to a port for TLS. It knows the words of nginx, Go and Apache.
fn wants_tls(body: &[u8]) -> bool {
    let said = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["plain http request was sent to https port", "http request to an https server", "plain http to an ssl-enabled"]
        .iter()
        .any(|words| said.contains(words))
}

/// Why an answer is not a stream, in words for the log.
pub(super) fn no_stream(end: &End) -> String {
    match end {
        End::Refused(answer) => format!("origin answered {}, which is not a stream", answer.status.as_u16()),
        End::Unusable(why) => why.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Answer;
    use bytes::Bytes;
    use http::HeaderMap;

    #[test]
    fn refusals_that_show_a_fault_of_the_configuration_have_advice() {
        for (status, body, url, told) in [
            (404, "", "http://o", true),
            (404, "", "https://o", true),
            (400, "<center>The plain HTTP request was sent to HTTPS port</center>", "http://o", true),
            (400, "Client sent an HTTP request to an HTTPS server.\n", "http://o", true),
            (400, "You're speaking plain HTTP to an SSL-enabled server port.<br />", "http://o", true),
            (400, "Client sent an HTTP request to an HTTPS server.\n", "https://o", false),
            (400, "no", "http://o", false),
            (403, "", "http://o", false),
            (410, "", "http://o", false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let advice = advice(status, body.as_bytes(), &Origin::parse(url).unwrap());
            assert_eq!(advice.is_some(), told, "{status} {body} {url}");
        }
    }

    #[test]
    fn an_answer_that_is_no_stream_is_told_in_plain_words() {
        let answer = Answer { status: StatusCode::NOT_FOUND, headers: HeaderMap::new(), body: Bytes::new() };
        let refused = End::Refused(Arc::new(answer));
        assert_eq!(no_stream(&refused), "origin answered 404, which is not a stream");
        let html = "origin answered 200 with text/html, not text/event-stream";
        assert_eq!(no_stream(&End::Unusable(html.to_owned())), html);
    }
}
