//! TLS: what was agreed on, the certificate, and why there is no connection.

use super::super::ask::NoConnection;
use super::super::finding::{Finding, Key};
use super::count;
use crate::certificates::{InTime, Presented};
use crate::quoted::quoted;
use crate::upstream::{NoWire, Refusal, Secured};
use crate::utc::rfc3339;
use std::time::{Duration, SystemTime};

/// The most names of a certificate that are shown.
const MAX_NAMES: usize = 8;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What was agreed on. `now`: when the connection was made.
pub(super) fn of(tls: &Secured, now: SystemTime) -> Vec<Finding> {
    let certificate = match &tls.certificate {
        Some(presented) => certificate(presented, now),
        None => Finding::note(Key::Certificate, "The certificate is trusted, but it cannot be read.", ""),
    };
    vec![agreement(tls), certificate]
}

fn agreement(tls: &Secured) -> Finding {
    let protocol = match tls.protocol.as_deref() {
        Some("h2") => "chose HTTP/2 (ALPN)".to_owned(),
        Some("http/1.1") => "chose HTTP/1.1 (ALPN)".to_owned(),
        Some(other) => format!("chose {} (ALPN)", quoted(other)),
        None => "chose no protocol (ALPN), which means HTTP/1.1".to_owned(),
    };
    let seen = format!("{}. HTTP/2 and HTTP/1.1 were offered, and the server {protocol}.", tls.version);
    if tls.version == "TLS 1.3" {
        return Finding::good(Key::Tls, seen);
    }
    let advice = "TLS 1.3 was offered, too. It connects in one round trip less. Let the server speak it.";
    Finding::note(Key::Tls, seen, advice)
}

fn certificate(presented: &Presented, now: SystemTime) -> Finding {
    let end = presented.not_after();
    let left = end.duration_since(now).unwrap_or_default();
    let seen = format!(
        "The certificate is trusted. It is for {}, was issued by {}, and expires in {}, at {}.",
        listed(&presented.names),
        quoted(&presented.issuer),
        days(left),
        rfc3339(end)
    );
    match presented.is_in_time(now) {
        InTime::Yes => Finding::good(Key::Certificate, seen),
        InTime::NotYet(_) | InTime::Soon(_) | InTime::Expired(_) => Finding::note(
            Key::Certificate,
            seen,
            "Renew it, and let the server load the new one: from that time on, clients do not connect.",
        ),
    }
}

/// Why there is no connection to this host.
pub(super) fn no_connection(why: &NoConnection, host: &str) -> Finding {
    let NoConnection::NoWire(NoWire::Refused { why: refusal, .. }) = why else {
        return wrong(&why.to_string(), "Nothing else can be checked.");
    };
    match refusal {
        Refusal::Unknown => wrong(
            "the certificate of the server is not trusted (UnknownIssuer)",
            "Browsers refuse it, too. If it is signed by an authority of your own, name the file of that authority with \
             --ca-file. If it is signed by a public one, let the server send the certificates of the authorities \
             between its own and a root (fullchain.pem).",
        ),
        Refusal::Expired(end) => wrong(
            &format!("the certificate of the server has expired{}", since(*end)),
            "Clients refuse it. Renew it, and let the server load the new one. If it is new, set the clock of this \
             machine.",
        ),
        Refusal::Early(from) => wrong(
            &format!("the certificate of the server is not valid yet{}", until(*from)),
            "Clients refuse it. Set the clock of this machine, or issue the certificate again.",
        ),
        Refusal::OtherNames(names) => wrong(
            &format!("the certificate of the server is not for {}, but for {}", quoted(host), listed(names)),
            &format!(
                "Clients refuse it. Use a name of the certificate in the URL, or let the server show a certificate for \
                 {}.",
                quoted(host)
            ),
        ),
    }
}

fn wrong(why: &str, advice: &str) -> Finding {
    Finding::wrong(Key::Connection, format!("No connection: {why}."), advice)
}

fn since(end: Option<SystemTime>) -> String {
    end.map(|end| format!(", at {}", rfc3339(end))).unwrap_or_default()
}

fn until(from: Option<SystemTime>) -> String {
    from.map(|from| format!(", but from {} on", rfc3339(from))).unwrap_or_default()
}

/// Names that a server chose, in quotes.
fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(MAX_NAMES).map(|name| quoted(name).to_string()).collect();
    match names.len().checked_sub(MAX_NAMES) {
        _ if names.is_empty() => "no name that clients know".to_owned(),
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A time in whole days.
fn days(time: Duration) -> String {
    match usize::try_from(time.as_secs() / DAY.as_secs()) {
        Ok(0) => "less than a day".to_owned(),
        Ok(days) => count(days, "day"),
        Err(_) => "many days".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Verdict;
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
    use std::time::UNIX_EPOCH;

    /// 2029-12-18, 14 days before the certificate ends.
    const SOON: u64 = 1_893_456_000 - 14 * 24 * 60 * 60;

    fn presented(names: &[String]) -> Presented {
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
        Presented::of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap()
    }

    fn judged(version: &str, protocol: Option<&str>, names: usize, now: u64) -> Vec<(Verdict, String)> {
        let names: Vec<_> = (0..names).map(|n| format!("{n}.example")).collect();
        let (version, protocol) = (version.to_owned(), protocol.map(str::to_owned));
        let tls = Secured { version, protocol, certificate: Some(presented(&names)) };
        let found = of(&tls, UNIX_EPOCH + Duration::from_secs(now)).into_iter();
        found.map(|finding| (finding.verdict, format!("{} {}", finding.seen, finding.advice))).collect()
    }

    #[test]
    fn what_was_agreed_on_is_told() {
        for (version, protocol, verdict, words) in [
            (
                "TLS 1.3",
                Some("h2"),
                Verdict::Good,
                "TLS 1.3. HTTP/2 and HTTP/1.1 were offered, and the server chose HTTP/2",
            ),
            ("TLS 1.3", Some("http/1.1"), Verdict::Good, "the server chose HTTP/1.1 (ALPN)"),
            ("TLS 1.3", None, Verdict::Good, "the server chose no protocol (ALPN), which means HTTP/1.1"),
            ("TLS 1.2", Some("h2"), Verdict::Note, "TLS 1.3 was offered, too"),
        ] {
            let (is, said) = judged(version, protocol, 1, 0).remove(0);
            assert!(is == verdict && said.contains(words), "{is} {said}");
        }
    }

    #[test]
    fn a_certificate_that_expires_within_14_days_is_a_note() {
        for (names, now, verdict, words) in [
            (
                1,
                SOON - 86_400,
                Verdict::Good,
                "for \"0.example\", was issued by \"CN=an authority\", and expires in 15 days",
            ),
            (2, SOON, Verdict::Good, "for \"0.example\", \"1.example\", was issued by"),
            (10, SOON + 1, Verdict::Note, "\"7.example\" and 2 more, was issued by"),
            (1, SOON + 1, Verdict::Note, "expires in 13 days, at 2030-01-01T00:00:00.000Z. Renew it"),
            (1, 1_893_455_999, Verdict::Note, "expires in less than a day"),
        ] {
            let (is, said) = judged("TLS 1.3", None, names, now).remove(1);
            assert!(is == verdict && said.contains(words), "{is} {said}");
        }
    }

    #[test]
    fn a_certificate_that_is_refused_says_what_is_to_be_done() {
        let at = UNIX_EPOCH + Duration::from_secs(SOON);
        let names = ["a.example", "evil\u{1b}[2J"].map(str::to_owned).to_vec();
        for (why, words) in [
            (Refusal::Unknown, "is not trusted (UnknownIssuer). Browsers refuse it, too."),
            (Refusal::Expired(Some(at)), "has expired, at 2029-12-18T00:00:00.000Z. Clients refuse it. Renew it"),
            (Refusal::Expired(None), "has expired. Clients refuse it."),
            (Refusal::Early(Some(at)), "is not valid yet, but from 2029-12-18T00:00:00.000Z on. Clients"),
            (Refusal::OtherNames(Vec::new()), "is not for \"h\", but for no name that clients know."),
            (Refusal::OtherNames(names), "is not for \"h\", but for \"a.example\", \"evil\\u{1b}[2J\"."),
        ] {
            let why = NoConnection::NoWire(NoWire::Refused { why, words: "words of the log".to_owned() });
            let Finding { key, verdict, seen, advice } = no_connection(&why, "h");
            let said = format!("{seen} {advice}");
            assert!((key, verdict) == (Key::Connection, Verdict::Wrong) && said.contains(words), "{said}");
        }
    }
}
