//! Whom a certificate names: the client that sent it.

use super::chain::parsed;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};
use std::net::IpAddr;
use x509_parser::der_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::prelude::{AttributeTypeAndValue, GeneralName, X509Name};

/// The short names of attributes: those that everyone must know (RFC 4514, section 3), and two that are usual in the
/// certificates of clients.
const SHORT: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("2.5.4.5", "serialNumber"),
];

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The distinguished name as text (RFC 4514), such as `CN=alice,OU=ops,O=Example`. It contains no control characters.
    pub name: String,
    /// The common name, if there is exactly one.
    pub common_name: Option<String>,
    /// The alternative names, in the order of the certificate.
    pub alternatives: Vec<AlternativeName>,
}

/// A name of the extension subjectAltName (RFC 5280, section 4.2.1.6). Names of other kinds are left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AlternativeName {
    /// A host name.
    Dns(String),
    /// A mail address.
    Email(String),
    /// A URI, such as `spiffe://example.org/service`.
    Uri(String),
    /// An IP address.
    Ip(IpAddr),
}

impl Subject {
    /// Reads a certificate that was checked. `None`: it cannot be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = parsed(certificate)?;
        let extension = certificate.subject_alternative_name().ok().flatten();
        let alternatives =
            extension.map(|extension| extension.value.general_names.iter().filter_map(alternative).collect());
        let mut common_names = certificate.subject().iter_common_name();
        let common_name = match (common_names.next(), common_names.next()) {
            (Some(name), None) => text(name.attr_value()),
            _ => None,
        };
        let name = distinguished(certificate.subject());
        Some(Self { name, common_name, alternatives: alternatives.unwrap_or_default() })
    }
}

fn alternative(name: &GeneralName<'_>) -> Option<AlternativeName> {
    match name {
        GeneralName::DNSName(name) => Some(AlternativeName::Dns((*name).to_owned())),
        GeneralName::RFC822Name(name) => Some(AlternativeName::Email((*name).to_owned())),
        GeneralName::URI(uri) => Some(AlternativeName::Uri((*uri).to_owned())),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(AlternativeName::Ip)
        }
        _ => None,
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::Uri(uri) => write!(f, "URI:{uri}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
        }
    }
}

/// A distinguished name as text: its parts from the last to the first (RFC 4514, section 2.1).
pub(super) fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let id = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == id).map(|(_, short)| *short);
    match (short, text(attribute.attr_value())) {
        (Some(short), Some(text)) => format!("{short}={}", escaped(&text)),
        // Without a short name, or if the value is no text, the value is shown in its encoding (section 2.4).
        (short, _) => format!("{}=#{}", short.unwrap_or(&id), hex(attribute.attr_value())),
    }
}

/// The text of a value, if it is one (X.690, section 8.23).
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            String::from_utf8(value.data.to_vec()).ok()
        }
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok())?
        }
        _ => None,
    }
}

fn hex(value: &Any<'_>) -> String {
    let bytes = value.to_der_vec().unwrap_or_default();
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A value with everything escaped that has a meaning in a name (section 2.4), and control characters.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(value.len());
    for (at, char) in value.chars().enumerate() {
        let has_meaning = matches!(char, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
        let is_at_an_end = (char == ' ' && (at == 0 || at == last)) || (char == '#' && at == 0);
        if char.is_control() {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                _ = write!(escaped, "\\{byte:02X}");
            }
            continue;
        }
        if has_meaning || is_at_an_end {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}
