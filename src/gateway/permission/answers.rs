//! The answers to clients about their credentials.

use crate::auth::Denial;
use crate::downstream::{CorsAnswer, refusal_head};
use crate::gateway::reply::{COME_AGAIN, Reply};
use http::header::{ACCESS_CONTROL_ALLOW_METHODS, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// The answer to a client that may not have what it asks for (RFC 6750, section 3). It does not say what is wrong with a
/// credential.
pub(in crate::gateway) fn denied(denial: &Denial, cors: Option<&CorsAnswer>) -> Reply {
    let challenge = HeaderValue::from_static;
    match denial {
        Denial::Missing => {
            Reply::text(StatusCode::UNAUTHORIZED, "a credential is needed").with(WWW_AUTHENTICATE, challenge("Bearer"))
        }
        Denial::Invalid(_) => Reply::text(StatusCode::UNAUTHORIZED, "the credential is not good")
            .with(WWW_AUTHENTICATE, challenge("Bearer error=\"invalid_token\"")),
        Denial::Forbidden => Reply::text(StatusCode::FORBIDDEN, "the credential does not permit this")
            .with(WWW_AUTHENTICATE, challenge("Bearer error=\"insufficient_scope\"")),
        Denial::Answered(answered) => {
            let headers = refusal_head(&answered.headers, cors);
            Reply { status: answered.status, headers, body: answered.body.clone() }.sized()
        }
        Denial::Unavailable(_) => {
            let reply = Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the credential cannot be checked now");
            reply.with(RETRY_AFTER, COME_AGAIN)
        }
    }
}

impl Reply {
    /// A ticket, which nobody may store.
    pub(in crate::gateway) fn ticket(body: &str, cors: Option<&CorsAnswer>) -> Self {
        let mut reply = Self::text(StatusCode::OK, body);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(cors) = cors {
            cors.apply(&mut reply.headers);
        }
        reply
    }

    /// The answer to a preflight of POST.
    #[must_use]
    pub(in crate::gateway) fn for_post(mut self) -> Self {
        if self.headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS) {
            self.headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        }
        self
    }
}
