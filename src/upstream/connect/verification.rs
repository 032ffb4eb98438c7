//! The verification of an origin's identity by the certificates of `ca_file`.
//!
//! rustls verifies that an authority of `ca_file` has signed the origin's certificate. It refuses a certificate that is
//! itself one of an authority (`CaUsedAsEndEntity`), even if the file holds that very certificate. `openssl req -x509`
//! makes such certificates by default. pingora lets no other code verify certificates in place of rustls. So if the
//! file holds a certificate for the origin's host, there are two ways to verify the origin:
//!
//! ```text
//!              rustls refuses the certificate's kind or name
//!   by rustls ──────────────────────────────────────────────▶ by the certificate itself
//!       ▲                                                                │
//!       └────────────────────────────────────────────────────────────────┘
//!              another certificate was presented
//! ```
//!
//! In the way "by the certificate itself", rustls checks only that the origin has the key of the certificate that it
//! presents. This module checks the rest before anything is sent. The certificate must be one of the file, byte for
//! byte. It must be for the host, and it must be valid now. An attempt changes from one way to the other at most once.

use super::Trust;
use super::reason::reason;
use super::trust::NotOwn;
use crate::upstream::{Origin, UpstreamOptions};
use parking_lot::Mutex;
use pingora::protocols::Digest;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use x509_parser::prelude::ASN1Time;

/// How the origin of one attempt is verified.
#[derive(Debug)]
pub(super) struct Verification {
    /// The file and the origin's host, if a certificate of the file may be the origin's own.
    own: Option<(Trust, String)>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Whether the origin is verified by its certificate itself, and not by rustls.
    by_itself: bool,
    has_changed: bool,
}

impl Verification {
    pub(super) fn new(origin: &Origin, options: &UpstreamOptions) -> Self {
        let host = origin.bare_host();
        let trust = options.trusted.as_ref().filter(|trust| origin.is_tls() && trust.holds_own_of(host));
        let by_itself = trust.is_some_and(Trust::presents_own);
        let own = trust.map(|trust| (trust.clone(), host.to_owned()));
        Self { own, state: Mutex::new(State { by_itself, has_changed: false }) }
    }

    /// Sets how pingora verifies a peer.
    pub(super) fn apply(&self, peer: &mut HttpPeer) {
        peer.options.verify_cert = !self.state.lock().by_itself;
    }

    /// Verifies a connection that rustls did not verify.
    ///
    /// # Errors
    /// Fails when the origin is not verified. Nothing may then be sent to it.
    pub(super) fn admit(&self, peer: &HttpPeer, connection: Option<&Digest>) -> pingora::Result<()> {
        if !peer.is_tls() || peer.options.verify_cert {
            return Ok(());
        }
        let tls = connection.and_then(|connection| connection.ssl_digest.as_ref());
        let judged = match (&self.own, tls) {
            (Some((trust, host)), Some(tls)) => {
                let judged = trust.judge(&tls.cert_digest, host, ASN1Time::now());
                trust.presented_own(judged != Err(NotOwn::Another));
                judged
            }
            _ => Err(NotOwn::Another),
        };
        judged.map_err(|why| Error::explain(ErrorType::TLSHandshakeFailure, why.to_string()).into_up())
    }

    /// Whether an attempt that failed with `error` is made once more, because the origin may be verified in the other
    /// way.
    pub(super) fn changes(&self, error: &Error) -> bool {
        let mut state = self.state.lock();
        if self.own.is_none() || state.has_changed || *error.etype() != ErrorType::TLSHandshakeFailure {
            return false;
        }
        let said = reason(error);
        let is_other = if state.by_itself {
            said.contains(&NotOwn::Another.to_string())
        } else {
            said.contains("CaUsedAsEndEntity") || said.contains("not valid for name")
        };
        if is_other {
            *state = State { by_itself: !state.by_itself, has_changed: true };
        }
        is_other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(words: &str) -> Box<Error> {
        Error::explain(ErrorType::TLSHandshakeFailure, words.to_owned())
    }

    #[test]
    fn an_attempt_is_made_in_the_other_way_once_and_only_where_that_may_help() {
        const KIND: &str = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
        const NAME: &str = "invalid peer certificate: certificate not valid for name \"localhost\"";
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        let trusted = Some(Trust::from_pem(own.as_bytes()).unwrap());
        let options = UpstreamOptions { trusted, ..UpstreamOptions::default() };
        let of = |url: &str, options: &UpstreamOptions| Verification::new(&Origin::parse(url).unwrap(), options);
        for words in [KIND, NAME] {
            let here = of("https://localhost", &options);
            assert!(here.changes(&failed(words)), "{words}");
            assert!(!here.changes(&failed(words)) && !here.changes(&failed(&NotOwn::Another.to_string())), "once");
        }
        for words in ["invalid peer certificate: UnknownIssuer", "certificate expired", &NotOwn::Another.to_string()] {
            assert!(!of("https://localhost", &options).changes(&failed(words)), "{words}");
        }
        assert!(!of("https://other", &options).changes(&failed(KIND)), "the file contains no certificate of this host");
        assert!(!of("https://localhost", &UpstreamOptions::default()).changes(&failed(KIND)), "there is no file");
        let refused = Error::explain(ErrorType::ConnectRefused, KIND);
        assert!(!of("https://localhost", &options).changes(&refused));
    }

    #[test]
    fn a_connection_that_nobody_verified_is_not_admitted() {
        let mut peer = HttpPeer::new("127.0.0.1:1", true, "localhost".to_owned());
        let verification = Verification::new(&Origin::parse("https://localhost").unwrap(), &UpstreamOptions::default());
        assert!(verification.admit(&peer, None).is_ok(), "rustls verified it");
        peer.options.verify_cert = false;
        assert!(verification.admit(&peer, None).is_err());
        assert!(verification.admit(&peer, Some(&Digest::default())).is_err());
    }
}
