//! One request on one connection, and the head of its response.

use super::http1::Http1;
use super::http2::{Carrier, Seat, Unanswered};
use super::response::Response;
use super::transport::Transport;
use super::{MAX_INFORMATIONAL, Request};
use crate::upstream::via::request_via;
use crate::upstream::{Origin, UpstreamOptions};
use http::header::{ACCEPT_ENCODING, HOST, VIA};
use http::uri::Authority;
use http::{Method, StatusCode, Uri, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::{Error, ErrorType};
use std::time::Duration;
use tokio::time::timeout;

/// Why an exchange brought no final head.
pub(super) enum NoHead {
    Late,
    Broken(Box<Error>),
    /// There were too many informational responses.
    Endless,
    /// The origin has not begun to work on the request.
    Unsent,
}

/// The head of a request, as HTTP/1 sends it.
///
/// # Errors
/// When the request cannot be sent.
pub(super) fn request_head(
    origin: &Origin,
    options: &UpstreamOptions,
    request: &Request,
) -> pingora::Result<RequestHeader> {
    let mut head = RequestHeader::build(Method::GET, request.path_and_query.as_bytes(), None)?;
    head.insert_header(HOST, origin.authority())?;
    head.insert_header(ACCEPT_ENCODING, "identity")?;
    // The fields of the request replace these.
    for (name, _) in &request.headers {
        head.remove_header(name);
    }
    for (name, value) in &request.headers {
        head.append_header(name, value)?;
    }
    let via = request_via(&head.headers);
    head.insert_header(VIA, via)?;
    for (name, value) in &options.headers {
        head.insert_header(name, value.now())?;
    }
    Ok(head)
}

/// The same head for HTTP/2. Its host is `:authority` (RFC 9113 section 8.3.1).
fn http2_head(head: &RequestHeader, origin: &Origin) -> pingora::Result<http::Request<()>> {
    let invalid = |why: String| Error::explain(ErrorType::InvalidHTTPHeader, why);
    let host = head.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    let authority = Authority::try_from(host).map_err(|error| invalid(format!("Host: {error}")))?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let scheme = if origin.is_tls() { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    let mut request = http::Request::new(());
    *request.uri_mut() = uri.map_err(|error| invalid(error.to_string()))?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = head.headers.clone();
    request.headers_mut().remove(HOST);
    Ok(request)
}

/// Sends a request on a connection that is for it alone.
pub(super) async fn exchange(
    transport: Transport,
    head: &RequestHeader,
    origin: &Origin,
    head_timeout: Option<Duration>,
) -> Result<Response, NoHead> {
    if !transport.speaks_http2() {
        return within(head_timeout, by_http1(transport, head)).await;
    }
    let begun = async {
        let carrier = Carrier::single(transport).await.map_err(|error| NoHead::Broken(broken(error)))?;
        carrier.seat().ok_or(NoHead::Unsent)
    };
    let seat = begun.await?;
    by_http2(seat, head, origin, head_timeout).await
}

/// Sends a request on a connection of HTTP/2.
pub(super) async fn by_http2(
    seat: Seat,
    head: &RequestHeader,
    origin: &Origin,
    head_timeout: Option<Duration>,
) -> Result<Response, NoHead> {
    let request = http2_head(head, origin).map_err(NoHead::Broken)?;
    let answered = async {
        match seat.ask(request).await {
            Ok(response) => Ok(response),
            Err(Unanswered::Unsent) => Err(NoHead::Unsent),
            Err(Unanswered::Broken(error)) => {
                let why = seat.carrier().words(&error);
                Err(NoHead::Broken(Error::explain(ErrorType::H2Error, why).into_up()))
            }
        }
    };
    let response = within(head_timeout, answered).await?;
    Ok(Response::http2(seat, response))
}

async fn within<T>(patience: Option<Duration>, answered: impl Future<Output = Result<T, NoHead>>) -> Result<T, NoHead> {
    match patience {
        Some(patience) => timeout(patience, answered).await.unwrap_or(Err(NoHead::Late)),
        None => answered.await,
    }
}

async fn by_http1(mut transport: Transport, head: &RequestHeader) -> Result<Response, NoHead> {
    transport.begin_head();
    let mut session = Box::new(HttpSession::new(Box::new(transport)));
    let answered = async {
        session.write_request_header(Box::new(head.clone())).await?;
        session.finish_body().await?;
        for _ in 0..MAX_INFORMATIONAL {
            session.read_response().await?;
            if let Some(head) = session.resp_header().filter(|head| is_final(head.status)) {
                return Ok(Some((head.status, head.headers.clone())));
            }
        }
        Ok::<_, Box<Error>>(None)
    };
    match answered.await {
        Err(error) => Err(NoHead::Broken(error)),
        Ok(None) => Err(NoHead::Endless),
        Ok(Some((status, headers))) => {
            // The session kept no byte behind the head.
            let transport = Transport::of(session.into_inner());
            let transport = transport.ok_or_else(|| NoHead::Broken(Error::new(ErrorType::InternalError)))?;
            Ok(Response::http1(Http1::new(transport, status, &headers), status, headers))
        }
    }
}

/// Whether a response with this status is the last one. After an upgrade (101) the origin goes on in another protocol,
/// even if no upgrade was asked for.
fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

fn broken(error: h2::Error) -> Box<Error> {
    Error::because(ErrorType::H2Error, "while HTTP/2 began", error).into_up()
}
