//! Decides what follows when an exchange with an origin fails: whether to try again, and how.

use http::Method;
use pingora::ErrorType;

/// An exchange that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure<'a> {
    pub(super) kind: &'a ErrorType,
    /// The origin failed, and not the client or this process.
    pub(super) is_upstream: bool,
    /// pingora itself would try again.
    pub(super) is_retried: bool,
    /// The connection had served another request before.
    pub(super) is_kept: bool,
    /// The exchange used HTTP/2, and HTTP/1.1 was not tried yet.
    pub(super) may_fall: bool,
    /// The client was sent a part of a final response.
    pub(super) is_answered: bool,
}

/// The request that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// The part of the body that was read is held, and can be sent again.
    pub(super) is_held: bool,
    /// The request has a body, and the origin was sent none of it.
    pub(super) is_unbegun: bool,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Do not try again. The client is told of the failure.
    Nothing,
    /// Try the same address on another connection.
    Same,
    /// Try the same address with HTTP/1.1.
    Http1,
    /// Try another address.
    Another,
}

/// Decides what to do after a failure.
///
/// A request is tried again if its method is idempotent (RFC 9110, section 9.2.2), or if the origin cannot have acted
/// on it. The origin cannot have acted on it if it says so, or if it was sent none of the request's body.
pub(super) fn next(asked: Asked<'_>, failure: Failure<'_>) -> Next {
    let is_late = matches!(failure.kind, ErrorType::ReadTimedout | ErrorType::WriteTimedout);
    if failure.is_answered || !failure.is_upstream || is_late || !asked.is_held {
        return Next::Nothing;
    }
    // Such an error means that the origin refused HTTP/2 as such, or was closing the connection.
    let is_unheard =
        failure.is_retried && matches!(failure.kind, ErrorType::H2Downgrade | ErrorType::H2Error) || asked.is_unbegun;
    if !asked.method.is_idempotent() && !is_unheard {
        return Next::Nothing;
    }
    match failure.kind {
        ErrorType::H2Downgrade | ErrorType::InvalidH2 if failure.may_fall => Next::Http1,
        _ if failure.is_retried || failure.is_kept && is_closed(failure.kind) => Next::Same,
        _ if failure.may_fall && is_closed(failure.kind) => Next::Http1,
        _ => Next::Another,
    }
}

/// Whether the connection ended, in any way.
fn is_closed(kind: &ErrorType) -> bool {
    matches!(kind, ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError | ErrorType::H2Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Failure<'static> = Failure {
        kind: &ErrorType::ConnectionClosed,
        is_upstream: true,
        is_retried: false,
        is_kept: false,
        may_fall: false,
        is_answered: false,
    };
    const GET: Asked<'static> = Asked { method: &Method::GET, is_held: true, is_unbegun: false };
    const POST: Asked<'static> = Asked { method: &Method::POST, ..GET };

    #[test]
    fn a_request_is_asked_again_where_that_does_no_harm() {
        let kept = Failure { is_kept: true, ..CLOSED };
        for (asked, failure, expected) in [
            (GET, kept, Next::Same),
            (GET, Failure { is_retried: true, ..CLOSED }, Next::Same),
            (GET, CLOSED, Next::Another),
            (Asked { method: &Method::PUT, ..GET }, kept, Next::Same),
            (Asked { is_held: false, ..GET }, kept, Next::Nothing),
            (GET, Failure { is_answered: true, ..kept }, Next::Nothing),
            (GET, Failure { is_upstream: false, ..kept }, Next::Nothing),
            (GET, Failure { kind: &ErrorType::ReadTimedout, ..kept }, Next::Nothing),
            (GET, Failure { kind: &ErrorType::InvalidHTTPHeader, ..kept }, Next::Another),
            (POST, kept, Next::Nothing),
            (POST, CLOSED, Next::Nothing),
            (Asked { is_unbegun: true, ..POST }, kept, Next::Same),
            (Asked { is_unbegun: true, is_held: false, ..POST }, kept, Next::Nothing),
        ] {
            assert_eq!(next(asked, failure), expected, "{asked:?} {failure:?}");
        }
    }

    #[test]
    fn http2_falls_to_http1_once() {
        let falls = Failure { may_fall: true, ..CLOSED };
        let refused = Failure { kind: &ErrorType::H2Downgrade, is_retried: true, ..falls };
        let invalid = Failure { kind: &ErrorType::InvalidH2, is_retried: true, ..falls };
        for (asked, failure, expected) in [
            (GET, refused, Next::Http1),
            (GET, invalid, Next::Http1),
            (GET, falls, Next::Http1),
            (GET, Failure { may_fall: false, ..refused }, Next::Same),
            (GET, Failure { kind: &ErrorType::H2Error, is_retried: true, ..falls }, Next::Same),
            // The origin did not look at the request.
            (POST, refused, Next::Http1),
            (POST, Failure { kind: &ErrorType::H2Error, is_retried: true, ..falls }, Next::Same),
            // The origin may have acted on the request.
            (POST, invalid, Next::Nothing),
            (POST, falls, Next::Nothing),
        ] {
            assert_eq!(next(asked, failure), expected, "{asked:?} {failure:?}");
        }
    }
}
