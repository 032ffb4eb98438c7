//! Which side caused a failure of a proxied request, and the status for it.

use pingora::{Error, ErrorSource, ErrorType};

/// The names of pingora's errors about bodies.
const INVALID_CHUNK: ErrorType = ErrorType::new("InvalidChunk");
const INVALID_TRAILER_END: ErrorType = ErrorType::new("InvalidTrailerEnd");
const PREMATURE_BODY_END: ErrorType = ErrorType::new("PrematureBodyEnd");

/// The status that the client is sent for a failure. `None`: no answer can reach the client. `is_whole`: the whole
/// request was read.
pub(super) fn status(error: &Error, is_whole: bool) -> Option<u16> {
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(status)) => Some(*status),
        (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout | ErrorType::ConnectTimedout) => {
            Some(504)
        }
        (ErrorSource::Upstream, _) => Some(502),
        (ErrorSource::Internal, _) => Some(500),
        (ErrorSource::Downstream, kind) if is_malformed(kind) => Some(400),
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Some(408),
        // The client closed its side within the request body. It may still read an answer.
        (ErrorSource::Downstream, ErrorType::ConnectionClosed) if !is_whole => Some(400),
        // The client is gone.
        (ErrorSource::Downstream | ErrorSource::Unset, _) => None,
    }
}

/// Whether an error means that the client sent a malformed request.
fn is_malformed(kind: &ErrorType) -> bool {
    let of_bodies = [INVALID_CHUNK, INVALID_TRAILER_END, PREMATURE_BODY_END];
    of_bodies.contains(kind) || matches!(kind, ErrorType::InvalidHTTPHeader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_has_its_own_faults() {
        for (source, kind, expected) in [
            (ErrorSource::Upstream, ErrorType::ReadTimedout, Some(504)),
            (ErrorSource::Upstream, ErrorType::WriteTimedout, Some(504)),
            (ErrorSource::Upstream, ErrorType::ConnectTimedout, Some(504)),
            (ErrorSource::Upstream, ErrorType::ConnectRefused, Some(502)),
            (ErrorSource::Upstream, INVALID_CHUNK, Some(502)),
            (ErrorSource::Internal, ErrorType::InternalError, Some(500)),
            (ErrorSource::Downstream, INVALID_CHUNK, Some(400)),
            (ErrorSource::Downstream, PREMATURE_BODY_END, Some(400)),
            (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader, Some(400)),
            (ErrorSource::Downstream, ErrorType::ReadTimedout, Some(408)),
            (ErrorSource::Downstream, ErrorType::HTTPStatus(413), Some(413)),
            (ErrorSource::Downstream, ErrorType::ConnectionClosed, None),
            (ErrorSource::Downstream, ErrorType::WriteTimedout, None),
        ] {
            let mut error = Error::new(kind);
            error.esource = source;
            assert_eq!(status(&error, true), expected, "{error}");
        }
        assert_eq!(status(&Error::new_down(ErrorType::ConnectionClosed), false), Some(400));
    }
}
