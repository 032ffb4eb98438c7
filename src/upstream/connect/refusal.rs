//! Why the certificate of an origin is refused, as facts.

use super::trust::NotOwn;
use rustls::CertificateError::{
    Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, Other,
    UnknownIssuer,
};
use rustls_pki_types::UnixTime;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Why the certificate of an origin is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// None of the authorities that are trusted has signed it.
    Unknown,
    /// It has expired, at this time if it is known.
    Expired(Option<SystemTime>),
    /// It is not valid yet, but from this time on if it is known.
    Early(Option<SystemTime>),
    /// It is for other names, which the origin chose. Empty: for none, or they are not known.
    OtherNames(Vec<String>),
}

impl Refusal {
    /// The refusal that made a handshake fail. `None`: it failed for another reason.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let rustls::Error::InvalidCertificate(why) = error else { return None };
        match why {
            UnknownIssuer => Some(Self::Unknown),
            Expired => Some(Self::Expired(None)),
            ExpiredContext { not_after, .. } => Some(Self::Expired(Some(at(*not_after)))),
            NotValidYet => Some(Self::Early(None)),
            NotValidYetContext { not_before, .. } => Some(Self::Early(Some(at(*not_before)))),
            NotValidForName => Some(Self::OtherNames(Vec::new())),
            NotValidForNameContext { presented, .. } => {
                Some(Self::OtherNames(presented.iter().map(|name| bare(name).to_owned()).collect()))
            }
            Other(other) => match other.0.downcast_ref::<NotOwn>()? {
                NotOwn::Another => None,
                NotOwn::Name => Some(Self::OtherNames(Vec::new())),
                NotOwn::Early => Some(Self::Early(None)),
                NotOwn::Late => Some(Self::Expired(None)),
            },
            _ => None,
        }
    }
}

fn at(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

/// A name as people write it. rustls gives it as `DnsName("a.example")` or `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{CertificateError, OtherError};
    use std::sync::Arc;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_from_other_failures() {
        let time = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
        let expired = ExpiredContext { time: time(9), not_after: time(7) };
        let early = NotValidYetContext { time: time(5), not_before: time(7) };
        let seven = Some(UNIX_EPOCH + Duration::from_secs(7));
        let own = |why: NotOwn| Other(OtherError(Arc::new(why)));
        let of = |error: rustls::Error| Refusal::of(&io::Error::new(io::ErrorKind::InvalidData, error));
        for (why, expected) in [
            (UnknownIssuer, Some(Refusal::Unknown)),
            (expired, Some(Refusal::Expired(seven))),
            (early, Some(Refusal::Early(seven))),
            (own(NotOwn::Late), Some(Refusal::Expired(None))),
            (own(NotOwn::Name), Some(Refusal::OtherNames(Vec::new()))),
            (own(NotOwn::Another), None),
            (CertificateError::BadEncoding, None),
        ] {
            assert_eq!(of(why.clone().into()), expected, "{why:?}");
        }
        assert_eq!(of(rustls::Error::HandshakeNotComplete), None);
        assert_eq!(Refusal::of(&io::ErrorKind::UnexpectedEof.into()), None);
    }

    #[test]
    fn names_lose_what_rustls_puts_around_them() {
        for (name, expected) in
            [("DnsName(\"*.a.example\")", "*.a.example"), ("IpAddress(::1)", "::1"), ("odd", "odd"), ("", "")]
        {
            assert_eq!(bare(name), expected);
        }
    }
}
