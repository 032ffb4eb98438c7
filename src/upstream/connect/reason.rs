//! Explanations of failures between manifold and an origin.

use super::trust::NotOwn;
use crate::upstream::Origin;
use pingora::ErrorType;

/// Where its author has named an origin. Advice tells what to change there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// In the configuration, as the origin of a route.
    Route,
    /// On the command line of a probe, by a URL.
    Url,
}

impl NamedBy {
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Route => "the route's origin",
            Self::Url => "the URL",
        }
    }

    /// How certificates are named that are to be trusted.
    fn trusting(self) -> &'static str {
        match self {
            Self::Route => "in upstream.ca_file",
            Self::Url => "with --ca-file",
        }
    }

    /// Begins a sentence that ends with the right URL.
    fn is_then(self) -> &'static str {
        match self {
            Self::Route => "the route's origin is then",
            Self::Url => "it is then",
        }
    }
}

/// Explains a failure for one log line, with advice if there is any. `is_stranger`: the origin has never answered, so
/// its author may be wrong about whether it speaks TLS.
pub(super) fn advised(error: &pingora::Error, (origin, named_by): (&Origin, NamedBy), is_stranger: bool) -> String {
    let said = reason(error);
    match advice(error.etype(), &said, (origin, named_by), is_stranger) {
        Some(advice) => format!("{said}: {advice}"),
        None => said,
    }
}

/// Explains a failure in a few words.
#[must_use]
pub fn reason(error: &pingora::Error) -> String {
    let what = match error.etype() {
        ErrorType::ConnectRefused => return "connection refused".to_owned(),
        ErrorType::ConnectTimedout => return "connect timed out".to_owned(),
        ErrorType::TLSHandshakeTimedout => return "TLS handshake timed out".to_owned(),
        ErrorType::ConnectionClosed => return "closed by the origin".to_owned(),
        ErrorType::TLSHandshakeFailure => "TLS handshake failed",
        other => other.as_str(),
    };
    let root = root(error);
    if *root.etype() == ErrorType::InvalidHTTPHeader {
        return head_fault(root).to_owned();
    }
    let context = root.context.as_ref().map(ToString::to_string);
    let cause = root.cause.as_ref().map(ToString::to_string);
    let parts = [Some(what), context.as_deref(), cause.as_deref()];
    let said = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The explanation of a response head that does not begin like HTTP.
const NO_HTTP: &str = "the answer is not HTTP";

/// The fault of a response head. It does not quote the head, which may hold cookies.
fn head_fault(error: &pingora::Error) -> &'static str {
    let context = error.context.as_ref().map(|context| context.as_str()).unwrap_or_default();
    let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
    // These texts are of pingora's own limits and of its parser.
    match cause.as_str() {
        "too many headers" => "the response head has more than 256 fields, which is the limit",
        "invalid HTTP version" | "invalid token" | "invalid response status" => NO_HTTP,
        // The text quotes the head.
        _ if context.starts_with("buf:") => "a field of the response head is malformed",
        _ if context.starts_with("Response header larger") => {
            "the response head is larger than 1 MiB, which is the limit"
        }
        _ if context.contains("informational responses") => "more than 100 informational responses (1xx)",
        _ if context.contains("Content-Length") => "the response head has no valid Content-Length",
        _ if context.contains("Transfer-Encoding") => "the response head has no valid Transfer-Encoding",
        _ => "a field of the response head is malformed",
    }
}

/// The innermost error of a chain. The outer errors only pass it on.
fn root(error: &pingora::Error) -> &pingora::Error {
    let mut root = error;
    while let Some(cause) = root.cause.as_ref().and_then(|cause| cause.downcast_ref::<Box<pingora::Error>>()) {
        root = cause;
    }
    root
}

/// The advice to the author of the configuration. `said`: the explanation of the failure. It is searched for words of
/// rustls, because pingora keeps only the text of a failed handshake.
fn advice(kind: &ErrorType, said: &str, (origin, named_by): (&Origin, NamedBy), is_stranger: bool) -> Option<String> {
    match kind {
        ErrorType::ConnectRefused => Some(format!("start the origin, or correct {}", named_by.place())),
        ErrorType::TLSHandshakeFailure => of_handshake(said, origin, named_by),
        // Failed TCP connections get their advice elsewhere. Here the TCP connection was made, and the TLS handshake
        // timed out.
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout if origin.is_tls() => {
            Some(speaks_plainly(origin, named_by))
        }
        ErrorType::InvalidHTTPHeader if said == NO_HTTP && !origin.is_tls() => Some(speaks_tls(origin, named_by)),
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError
            if is_stranger && !origin.is_tls() =>
        {
            Some(speaks_tls(origin, named_by))
        }
        _ => None,
    }
}

/// The advice on a failed TLS handshake, chosen by the words of rustls. The first match counts.
fn of_handshake(said: &str, origin: &Origin, named_by: NamedBy) -> Option<String> {
    let (at, trusting, place) = (url("https", origin), named_by.trusting(), named_by.place());
    let host = origin.bare_host();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let advice = if says(&["UnknownIssuer"]) {
        format!("its certificate is not trusted: name the file of its authority {trusting}")
    } else if says(&["CaUsedAsEndEntity"]) {
        format!(
            "its certificate is one of an authority (CA:TRUE), as openssl req -x509 makes them: name the file of this \
             very certificate {trusting} if it is for {host}, or make a certificate for {host} with -addext \
             basicConstraints=critical,CA:FALSE"
        )
    } else if says(&["BadSignature"]) {
        format!(
            "another authority of the same name signed its certificate: name the file of the authority that signed the \
             certificate of {at} {trusting}"
        )
    } else if says(&["certificate expired", "Expired"]) {
        format!("renew the certificate of {at}, or set the clock of this machine")
    } else if says(&["not valid yet", "NotValidYet"]) {
        format!("set the clock of this machine, or issue the certificate of {at} again")
    } else if says(&["not valid for name", "NotValidForName"]) {
        format!("its certificate is not for {host}: {place} must name a host of the certificate")
    } else if says(&[&NotOwn::Another.to_string()]) {
        format!("name the file of the certificate of {at}, or of its authority, {trusting}")
    } else if says(&["UnsupportedCertVersion"]) {
        format!("the certificate of {at} is of X.509 version 1: make one of version 3, as openssl req -x509 does")
    } else if says(&["extended key usage", "InvalidPurpose"]) {
        format!("the certificate of {at} is not for servers: make one with -addext extendedKeyUsage=serverAuth")
    } else if says(&["UnrecognisedName"]) {
        format!("the origin does not serve the host {host}: {place} must name a host that it serves")
    } else if says(&["CertificateRequired"]) {
        format!("{at} demands a certificate from its clients, and manifold has none")
    } else if says(&["InvalidContentType", "InvalidMessage", "corrupt message"]) {
        format!("the origin did not answer in TLS: {}", speaks_plainly(origin, named_by))
    } else if says(&["reset", "eof", "EOF", "closed connection", "roken pipe", "peer closed"]) {
        speaks_plainly(origin, named_by)
    } else {
        return None;
    };
    Some(advice)
}

fn speaks_plainly(origin: &Origin, named_by: NamedBy) -> String {
    format!(
        "if the origin speaks plain HTTP, its URL must begin with http://: {} {}",
        named_by.is_then(),
        url("http", origin)
    )
}

fn speaks_tls(origin: &Origin, named_by: NamedBy) -> String {
    format!(
        "if the origin speaks TLS, its URL must begin with https://: {} {}",
        named_by.is_then(),
        url("https", origin)
    )
}

/// The URL of the origin with another scheme. It always names the port, which may be the default of the origin's
/// present scheme.
fn url(scheme: &str, origin: &Origin) -> String {
    format!("{scheme}://{}:{}", origin.host(), origin.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::{Error, ErrorType};

    #[test]
    fn advice_names_the_key_and_the_address() {
        const TLS: ErrorType = ErrorType::TLSHandshakeFailure;
        const PLAIN: &str = "if the origin speaks plain HTTP, its URL must begin with http://: the route's origin is \
                             then http://o:8443";
        for (kind, words, expected) in [
            (TLS, "invalid peer certificate: UnknownIssuer", "name the file of its authority in upstream.ca_file"),
            (TLS, "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "certificate in upstream.ca_file"),
            (TLS, "invalid peer certificate: BadSignature", "the certificate of https://o:8443 in upstream.ca_file"),
            (TLS, "invalid peer certificate: Expired", "renew the certificate of https://o:8443"),
            (TLS, "certificate expired: verification time 9 (UNIX)", "renew the certificate of https://o:8443"),
            (TLS, "certificate not valid yet: verification time 9", "issue the certificate of https://o:8443 again"),
            (TLS, "invalid peer certificate: NotValidYet", "set the clock of this machine"),
            (TLS, "certificate not valid for name \"o\"", "is not for o: the route's origin must name a host of"),
            (
                TLS,
                "invalid peer certificate: NotValidForName",
                "the route's origin must name a host of the certificate",
            ),
            (
                TLS,
                &NotOwn::Another.to_string(),
                "the certificate of https://o:8443, or of its authority, in upstream.ca_file",
            ),
            (TLS, &NotOwn::Late.to_string(), "renew the certificate of https://o:8443"),
            (TLS, &NotOwn::Early.to_string(), "issue the certificate of https://o:8443 again"),
            (TLS, &NotOwn::Name.to_string(), "the route's origin must name a host of the certificate"),
            (TLS, "received corrupt message of type InvalidContentType", PLAIN),
            (TLS, "Connection reset by peer (os error 104)", PLAIN),
            (TLS, "tls handshake eof", PLAIN),
            (ErrorType::ConnectTimedout, "", PLAIN),
        ] {
            let (error, origin) =
                (Error::explain(kind, words.to_owned()), Origin::parse("https://o:8443/base").unwrap());
            for is_stranger in [false, true] {
                let told = advised(&error, (&origin, NamedBy::Route), is_stranger);
                assert!(told.contains(expected), "{words}: {told}");
            }
        }
    }

    #[test]
    fn a_stranger_that_closes_may_speak_tls() {
        let (plain, tls) = (Origin::parse("http://o").unwrap(), Origin::parse("https://o").unwrap());
        let advice =
            ": if the origin speaks TLS, its URL must begin with https://: the route's origin is then https://o:80";
        let advised =
            |error: &Error, origin: &Origin, is_stranger| advised(error, (origin, NamedBy::Route), is_stranger);
        for kind in [ErrorType::ConnectionClosed, ErrorType::ReadError, ErrorType::WriteError] {
            let error = Error::new(kind);
            assert!(advised(&error, &plain, true).ends_with(advice));
            assert!(!advised(&error, &plain, false).contains("TLS"), "the origin spoke HTTP before");
            assert!(!advised(&error, &tls, true).contains("must begin"));
        }
    }

    #[test]
    fn advice_for_a_url_names_what_the_command_line_has() {
        let origin = Origin::parse("https://o:8443").unwrap();
        for (words, expected) in [
            ("UnknownIssuer", "its certificate is not trusted: name the file of its authority with --ca-file"),
            ("CaUsedAsEndEntity", "name the file of this very certificate with --ca-file if it is for o"),
            ("BadSignature", "the certificate of https://o:8443 with --ca-file"),
            (&NotOwn::Another.to_string(), "or of its authority, with --ca-file"),
            ("NotValidForName", "the URL must name a host of the certificate"),
            ("UnrecognisedName", "the URL must name a host that it serves"),
            ("InvalidContentType", "its URL must begin with http://: it is then http://o:8443"),
            ("Expired", "renew the certificate of https://o:8443"),
        ] {
            let error = Error::explain(ErrorType::TLSHandshakeFailure, words.to_owned());
            let told = advised(&error, (&origin, NamedBy::Url), true);
            assert!(told.contains(expected) && !told.contains("route") && !told.contains("upstream"), "{told}");
        }
        let refused = Error::new(ErrorType::ConnectRefused);
        assert!(advised(&refused, (&origin, NamedBy::Url), true).ends_with("start the origin, or correct the URL"));
    }
}
