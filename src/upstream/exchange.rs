//! One attempt to get a shared stream: the request, its redirects, and what the origin's answer means.

use super::connect::{ConnectError, Connector, Request, Response};
use super::redirect::{Carried, hide_origin, is_followed, seen_from_anywhere, set_cookies, within};
use super::{OnError, Origin, UpstreamOptions};
use crate::fields::members;
use crate::hub::{Answer, End, Failure};
use crate::sse::is_event_stream;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// The most redirects that are followed in one attempt.
const MAX_REDIRECTS: usize = 5;

/// The most bytes of a refusal's body that are passed on.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// How long reading the body of a refusal may take. A client waits three seconds for the answer and is then sent a 200.
/// So this time must be well below three seconds.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// The result of an attempt.
#[derive(Debug)]
pub enum Outcome {
    /// The origin streams.
    Stream(Box<Response>),
    /// The attempt failed, and another may succeed.
    Failed(Failure),
    /// The origin's answer is final.
    Final(End),
}

/// Sends the request for a shared stream and judges the answer. Redirects within the origin's scheme, host and port are
/// followed, with the cookies that they set.
pub async fn attempt(
    connector: &Connector,
    origin: &Origin,
    options: &UpstreamOptions,
    mut request: Request,
) -> Outcome {
    let mut carried = Carried::default();
    let mut may_repeat = true;
    let mut redirects = 0;
    loop {
        let mut response = match send(connector, origin, options, &request, &mut may_repeat).await {
            Ok(response) => response,
            Err(failure) => return Outcome::Failed(failure),
        };
        if is_followed(response.status)
            && let Some(path_and_query) = within(origin, &request.path_and_query, &response.headers)
        {
            if redirects == MAX_REDIRECTS {
                return Outcome::Final(End::Unusable(format!("more than {MAX_REDIRECTS} redirects")));
            }
            redirects += 1;
            carried.take(&response.headers);
            set_cookies(&mut request.headers, &response.headers, SystemTime::now());
            request.path_and_query = path_and_query;
            continue;
        }
        carried.join(&mut response.headers);
        if redirects > 0 {
            seen_from_anywhere(origin, &request.path_and_query, &mut response.headers);
        }
        let leads_beside = hide_origin(origin, &request.path_and_query, &mut response.headers);
        if is_followed(response.status) {
            return unfollowed(response, options.on_error, leads_beside).await;
        }
        if leads_beside {
            response.headers.remove(LOCATION);
            response.headers.remove(CONTENT_LOCATION);
        }
        return judge(response, options.on_error).await;
    }
}

/// Sends a request. If the origin answers 401 and the file of an upstream header has changed, the request is sent once
/// more. `may_repeat`: whether that is still allowed. It is set to false when it is done.
pub(super) async fn send(
    connector: &Connector,
    origin: &Origin,
    options: &UpstreamOptions,
    request: &Request,
    may_repeat: &mut bool,
) -> Result<Response, Failure> {
    loop {
        let sent = options.header_values();
        let response = match connector.send(origin, options, request, options.head_patience()).await {
            Ok(response) => response,
            Err(ConnectError::HeadTimeout) => return Err(Failure::HeadTimeout),
            Err(ConnectError::Full(most)) => return Err(Failure::Full(most)),
            Err(ConnectError::Unreachable(why)) => return Err(Failure::Unreachable(why)),
        };
        let is_refused = response.status == StatusCode::UNAUTHORIZED;
        if !is_refused || !std::mem::take(may_repeat) || !options.read_headers_anew(&sent) {
            return Ok(response);
        }
    }
}

/// The outcome of a redirect that is not followed. `leads_beside`: the redirect leads to the origin's host with another
/// scheme or port.
async fn unfollowed(response: Response, on_error: OnError, leads_beside: bool) -> Outcome {
    if on_error == OnError::Reflect && !leads_beside {
        return Outcome::Final(End::Refused(Arc::new(answer(response).await)));
    }
    Outcome::Final(End::Unusable(not_followed(response.status, &response.headers, leads_beside)))
}

/// What the log says of a redirect that is not followed.
pub(super) fn not_followed(status: StatusCode, headers: &HeaderMap, leads_beside: bool) -> String {
    let location = headers.get(LOCATION).and_then(|l| l.to_str().ok()).map_or("nowhere", shown);
    let advice = if leads_beside { ": correct the scheme or the port of the route's origin" } else { "" };
    format!("origin redirects ({}) to {location}, which is not followed{advice}", status.as_u16())
}

/// The part of a redirect's target that is logged, without its query and without credentials.
fn shown(location: &str) -> &str {
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    if bare.contains('@') { "a target that is not shown" } else { bare }
}

async fn judge(response: Response, on_error: OnError) -> Outcome {
    let status = response.status;
    if status == StatusCode::OK {
        return match unusable(&response.headers) {
            Some(why) => Outcome::Final(End::Unusable(why)),
            None => Outcome::Stream(Box::new(response)),
        };
    }
    if status == StatusCode::NO_CONTENT {
        return Outcome::Final(End::NoContent);
    }
    if asks_to_return(status) {
        let answer = match on_error {
            // No client sees this answer, because another attempt follows.
            OnError::Hold => without_body(response),
            OnError::Reflect => answer(response).await,
        };
        return Outcome::Failed(Failure::Status(Arc::new(answer)));
    }
    // No upgrade was asked for, so a 1xx status is never shown to clients.
    let is_reflected = on_error == OnError::Reflect && !status.is_informational();
    if status.is_client_error() || status.is_redirection() || is_reflected {
        return Outcome::Final(End::Refused(Arc::new(answer(response).await)));
    }
    Outcome::Final(End::Unusable(format!(
        "origin answered {}, which is neither a stream nor a refusal",
        status.as_u16()
    )))
}

/// Whether a status asks the client to try again later.
pub fn asks_to_return(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

/// Why a 200 with this head is not a stream that events can be read from. `None` if it is one.
pub fn unusable(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE);
    if !content_type.is_some_and(is_event_stream) {
        let came = content_type.map_or("no Content-Type", |value| value.to_str().unwrap_or("a non-ASCII Content-Type"));
        return Some(format!(
            "origin answered 200 with {came}, not text/event-stream: if it is not a stream, its route needs kind = \
             'proxy'"
        ));
    }
    let coding = foreign_coding(headers)
        .map(|coding| format!("origin answered with Content-Encoding {coding:?} although identity was asked for"));
    coding.or_else(|| misframed(headers))
}

/// Why the body of a response with this head cannot be read: it has a transfer coding other than chunked.
pub(super) fn misframed(headers: &HeaderMap) -> Option<String> {
    let coding = members(headers, &TRANSFER_ENCODING).find(|coding| !coding.eq_ignore_ascii_case(b"chunked"))?;
    Some(format!(
        "origin answered with Transfer-Encoding {:?}, which was not asked for",
        String::from_utf8_lossy(coding)
    ))
}

/// The `Content-Encoding` of a body that is encoded. `None` if the field names no real coding: some origins put the
/// charset there, and some say `none` to keep proxies from compressing.
fn foreign_coding(headers: &HeaderMap) -> Option<String> {
    const IDENTITY: [&str; 4] = ["", "identity", "none", "utf-8"];
    let lines: Vec<_> =
        headers.get_all(CONTENT_ENCODING).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let mut codings = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    let is_identity = codings.all(|coding| IDENTITY.iter().any(|known| coding.eq_ignore_ascii_case(known)));
    (!is_identity).then(|| lines.join(", "))
}

/// The answer without its body and the fields that describe it.
fn without_body(response: Response) -> Answer {
    let mut headers = response.headers;
    for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
        headers.remove(name);
    }
    Answer { status: response.status, headers, body: Bytes::new() }
}

/// Reads an answer's body, up to a size and for a limited time. A longer or slower body is cut.
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
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[test]
    fn codings_that_are_none_are_told_from_those_that_are_some() {
        for (lines, foreign) in [
            (&[][..], None),
            (&[""], None),
            (&["identity"], None),
            (&["None"], None),
            (&["UTF-8"], None),
            (&["utf-8, identity,,none "], None),
            (&["", "identity"], None),
            (&["gzip"], Some("gzip")),
            (&["utf-8, br"], Some("utf-8, br")),
            (&["none", "gzip"], Some("none, gzip")),
            (&["utf-16"], Some("utf-16")),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(foreign_coding(&headers).as_deref(), foreign);
        }
    }

    #[test]
    fn a_body_is_framed_by_chunks_or_not_at_all() {
        for (lines, told) in [
            (&[][..], false),
            (&["chunked"], false),
            (&["Chunked"], false),
            (&["gzip, chunked"], true),
            (&["gzip", "chunked"], true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            for line in lines {
                headers.append(TRANSFER_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(misframed(&headers).is_some(), told, "{lines:?}");
            assert_eq!(unusable(&headers).is_some(), told, "{lines:?}");
        }
    }

    /// An origin and its server. The server answers one request with `bytes`, and sends no more.
    async fn answering(bytes: &'static [u8]) -> (Origin, impl Future<Output = ()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let serving = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            std::future::pending::<()>().await;
        };
        (origin, serving)
    }

    fn request() -> Request {
        Request { path_and_query: "/".to_owned(), headers: Vec::new() }
    }

    #[tokio::test]
    async fn the_body_of_a_refusal_is_waited_for_for_less_long_than_a_client_waits() {
        const CLIENT: Duration = Duration::from_secs(3);
        let (origin, serving) = answering(b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nslow").await;
        let (connector, options) = (Connector::new(), UpstreamOptions::default());
        let refused = async {
            let response = connector.send(&origin, &options, &request(), None).await.unwrap();
            tokio::time::pause();
            timeout(CLIENT.mul_f64(0.8), answer(response)).await
        };
        let refused = tokio::select! {
            refused = refused => refused,
            () = serving => unreachable!(),
        };
        assert_eq!(refused.expect("an answer in time").status, 404);
    }

    #[tokio::test]
    async fn the_body_of_a_failure_that_nobody_sees_is_not_waited_for() {
        let head = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\n";
        let (origin, serving) = answering(head).await;
        let (_open, waits) = std::sync::mpsc::channel::<()>();
        // tokio does not advance the paused clock while this blocking task runs, so no time limit ends.
        let in_vain = tokio::task::spawn_blocking(move || waits.recv_timeout(Duration::from_secs(60)));
        tokio::time::pause();
        let (connector, options) = (Connector::new(), UpstreamOptions::default());
        let outcome = tokio::select! {
            outcome = attempt(&connector, &origin, &options, request()) => outcome,
            () = serving => unreachable!(),
            _ = in_vain => panic!("the body was waited for"),
        };
        let Outcome::Failed(Failure::Status(answer)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!(answer.headers.get(CONTENT_TYPE), None, "an answer without a body has no type");
    }
}
