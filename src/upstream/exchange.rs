//! One attempt: the request, redirects, and what the origin's answer means.

use super::connect::{ConnectError, Connector, Request, Response};
use super::{OnError, Origin, UpstreamOptions};
use crate::hub::{Answer, End, Failure};
use crate::sse::is_event_stream;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Redirects followed in one attempt.
const MAX_REDIRECTS: usize = 5;

/// How much of the body of an answer that is no stream is passed on.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// How long that body may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// What one attempt came to.
#[derive(Debug)]
pub enum Outcome {
    /// The origin streams. Of one client: it answered 200, whatever that is.
    Stream(Box<Response>),
    /// It may heal.
    Failed(Failure),
    /// It is the origin's word.
    Final(End),
}

/// Who the answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Any number of clients: it must be a stream.
    Shared,
    /// One client, whose request this is, but for what manifold adds.
    Private {
        /// Whether a page of another origin asks: then each redirect is for its browser to judge.
        cross_origin: bool,
    },
}

/// Sends the request and judges the answer. Redirects within the origin's scheme, host and port are followed; of one client
/// only those whose `Location` is absolute, since it may not reach the origin's address itself.
pub async fn attempt(
    connector: &Connector,
    origin: &Origin,
    options: &UpstreamOptions,
    audience: Audience,
    mut request: Request,
) -> Outcome {
    for _ in 0..=MAX_REDIRECTS {
        let response = match connector.send(origin, options, &request).await {
            Ok(response) => response,
            Err(ConnectError::HeadTimeout) => return Outcome::Failed(Failure::HeadTimeout),
            Err(ConnectError::Unreachable(why)) => return Outcome::Failed(Failure::Unreachable(why)),
        };
        if !is_followed(response.status) {
            return judge(response, options.on_error, audience).await;
        }
        let target = within(origin, &request.path_and_query, &response.headers);
        match target.filter(|_| audience.follows(&response.headers)) {
            Some(path_and_query) => request.path_and_query = path_and_query,
            None => return unfollowed(response, options.on_error).await,
        }
    }
    Outcome::Final(End::Unusable(format!("more than {MAX_REDIRECTS} redirects")))
}

impl Audience {
    /// Whether a redirect within the origin is followed here.
    fn follows(self, headers: &HeaderMap) -> bool {
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
        match self {
            Self::Shared => true,
            Self::Private { cross_origin } => !cross_origin && url::Url::parse(location).is_ok(),
        }
    }
}

fn is_followed(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// The path and query of a redirect that stays at the origin (RFC 9110 section 10.2.2: the reference may be relative).
fn within(origin: &Origin, from: &str, headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok().filter(|location| !location.is_empty())?;
    let scheme = if origin.is_tls() { "https" } else { "http" };
    let base = url::Url::parse(&format!("{scheme}://{}{from}", origin.authority())).ok()?;
    let target = base.join(location).ok()?;
    let same = target.scheme() == base.scheme()
        && target.host_str() == base.host_str()
        && target.port_or_known_default() == base.port_or_known_default();
    same.then(|| match target.query() {
        Some(query) => format!("{}?{query}", target.path()),
        None => target.path().to_owned(),
    })
}

async fn unfollowed(response: Response, on_error: OnError) -> Outcome {
    match on_error {
        OnError::Reflect => Outcome::Final(End::Refused(Arc::new(answer(response).await))),
        OnError::Hold => {
            let location = response.headers.get(LOCATION).and_then(|l| l.to_str().ok()).map_or("nowhere", shown);
            let why = format!("origin redirects ({}) to {location}, which is not followed", response.status.as_u16());
            Outcome::Final(End::Unusable(why))
        }
    }
}

/// What of a redirect's target goes into a log: neither its query nor its credentials.
fn shown(location: &str) -> &str {
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    if bare.contains('@') { "a place that is not shown" } else { bare }
}

async fn judge(response: Response, on_error: OnError, audience: Audience) -> Outcome {
    let status = response.status;
    if audience != Audience::Shared && status == StatusCode::OK {
        return Outcome::Stream(Box::new(response));
    }
    if status == StatusCode::OK {
        return match unusable(&response.headers) {
            Some(why) => Outcome::Final(End::Unusable(why)),
            None => Outcome::Stream(Box::new(response)),
        };
    }
    if audience == Audience::Shared && status == StatusCode::NO_CONTENT {
        return Outcome::Final(End::NoContent);
    }
    let asks_to_return = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if asks_to_return {
        return Outcome::Failed(Failure::Status(Arc::new(answer(response).await)));
    }
    // An upgrade was never asked for; all others are the client's to see.
    let is_reflected = on_error == OnError::Reflect && !status.is_informational();
    if status.is_client_error() || status.is_redirection() || is_reflected {
        return Outcome::Final(End::Refused(Arc::new(answer(response).await)));
    }
    Outcome::Final(End::Unusable(format!(
        "origin answered {}, which is neither a stream nor a refusal",
        status.as_u16()
    )))
}

/// Why a 200 with this head is no stream that events can be read from.
pub fn unusable(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE);
    if !content_type.is_some_and(is_event_stream) {
        let came =
            content_type.map_or("no Content-Type", |value| value.to_str().unwrap_or("a Content-Type beyond ASCII"));
        return Some(format!(
            "origin answered 200 with {came}, not text/event-stream: if it is no stream, its route needs kind = 'proxy'"
        ));
    }
    let coding = headers.get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))?;
    Some(format!("origin answered with Content-Encoding {coding:?} although identity was asked for"))
}

/// Takes an answer's body, up to a limit and for a while: a slow or endless body is cut.
async fn answer(mut response: Response) -> Answer {
    let mut body = BytesMut::new();
    let read = async {
        while body.len() < MAX_ANSWER_BYTES {
            match response.read().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let in_time = timeout(ANSWER_PATIENCE, read).await.is_ok();
    if !in_time {
        log::debug!("body of an origin's answer cut status={}", response.status.as_u16());
    }
    body.truncate(MAX_ANSWER_BYTES);
    Answer { status: response.status, headers: response.headers, body: Bytes::from(body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_redirect_stays_at_the_origin_or_is_not_followed() {
        let origin = Origin::parse("http://127.0.0.1:9000/base").unwrap();
        for (location, path) in [
            ("/other?x=1#f", Some("/other?x=1")),
            ("other", Some("/base/other")),
            ("http://127.0.0.1:9000/a", Some("/a")),
            ("//127.0.0.1:9000/a", Some("/a")),
            ("http://127.0.0.1:9001/a", None),
            ("https://127.0.0.1:9000/a", None),
            ("http://elsewhere:9000/a", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            assert_eq!(within(&origin, "/base/ticks", &headers).as_deref(), path, "{location}");
        }
        assert_eq!(within(&origin, "/base/ticks", &HeaderMap::new()), None);
    }
}
