//! Certificates of clients, and whom they name.

use super::*;
use rcgen::{DnType, DnValue, SanType};
use rustls::version::{TLS12, TLS13};

#[test]
fn a_client_comes_in_with_a_good_certificate_or_where_none_is_needed() {
    let own = Files::of(&["a"]);
    let (authority, another) = (Authority::new(), Authority::new());
    let (good, bad) = (authority.signs(&params(&["c"])), another.signs(&params(&["c"])));
    for version in [&TLS12, &TLS13] {
        let none = Client::trusting(&[&own], &[version]);
        let (good, bad) = (Client::with(&[&own], &good, &[version]), Client::with(&[&own], &bad, &[version]));
        for (auth, expected) in [
            (None, [true, true, true]),
            (Some(ClientAuth::Optional), [true, true, false]),
            (Some(ClientAuth::Required), [false, true, false]),
        ] {
            let clients = auth.map(|auth| Clients { authorities: authority.authorities(), auth });
            let server = identity(&IdentityOptions { clients, ..options(vec![own.pair()]) });
            let comes_in = [&none, &good, &bad].map(|client| client.connect(&server.server_config(), "a").is_ok());
            assert_eq!(comes_in, expected, "{auth:?} {version:?}");
            let (_, with_good) = good.connect(&server.server_config(), "a").unwrap();
            let is_known = auth.is_some();
            assert_eq!(with_good.peer_certificates().is_some_and(|sent| Subject::of(&sent[0]).is_some()), is_known);
        }
    }
}

#[test]
fn authorities_are_read_or_it_is_told_what_is_wrong() {
    let (one, other) = (Authority::new(), Authority::new());
    let of = |text: &str| Authorities::from_pem(text.as_bytes());
    assert_eq!(of(&one.0.pem()), Ok(one.authorities()));
    assert_ne!(of(&format!("{}{}", one.0.pem(), other.0.pem())), Ok(one.authorities()));
    assert_eq!(of(""), Err(InvalidChain::Empty));
    let odd = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    assert_eq!(of(&format!("{}{odd}", one.0.pem())), Err(InvalidChain::Certificate(2)));
}

/// Whom a certificate with these parameters names.
fn subject(params: &CertificateParams) -> Subject {
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    Subject::of(certificate.der()).unwrap()
}

#[test]
fn a_subject_is_text_as_rfc_4514_has_it() {
    let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
    let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let other = DnType::CustomDnType(vec![1, 2, 3, 4]);
    for (parts, expected, common_name) in [
        (vec![], "", None),
        (vec![(DnType::CommonName, utf8("alice"))], "CN=alice", Some("alice")),
        (
            vec![
                (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
                (DnType::StateOrProvinceName, utf8("B")),
                (DnType::LocalityName, utf8("Berlin")),
                (DnType::OrganizationName, utf8("Example")),
                (DnType::OrganizationalUnitName, utf8("ops")),
                (DnType::CommonName, utf8("alice")),
                (email, DnValue::Ia5String("a@b.example".try_into().unwrap())),
            ],
            "emailAddress=a@b.example,CN=alice,OU=ops,O=Example,L=Berlin,ST=B,C=DE",
            Some("alice"),
        ),
        // These are the examples of section 4, and a few more.
        (
            vec![(DnType::OrganizationName, utf8("Sales + \"x\", Inc.; <a>\\"))],
            r#"O=Sales \+ \"x\"\, Inc.\; \<a\>\\"#,
            None,
        ),
        (
            vec![(DnType::CommonName, utf8("Before\rAfter\u{7f}\0\u{85}"))],
            r"CN=Before\0DAfter\7F\00\C2\85",
            Some("Before\rAfter\u{7f}\0\u{85}"),
        ),
        (vec![(DnType::CommonName, utf8(" #a# "))], r"CN=\ #a#\ ", Some(" #a# ")),
        (vec![(DnType::CommonName, utf8("#a"))], r"CN=\#a", Some("#a")),
        (vec![(DnType::CommonName, utf8(" "))], r"CN=\ ", Some(" ")),
        (vec![(DnType::CommonName, utf8("Lučić = a"))], "CN=Lučić = a", Some("Lučić = a")),
        (vec![(DnType::CommonName, DnValue::BmpString("Lu\u{10d}".try_into().unwrap()))], "CN=Luč", Some("Luč")),
        (vec![(DnType::CommonName, DnValue::TeletexString("T".try_into().unwrap()))], "CN=#140154", None),
        (vec![(other, utf8("x"))], "1.2.3.4=#0c0178", None),
    ] {
        let mut params = params(&[]);
        params.distinguished_name = rcgen::DistinguishedName::new();
        parts.into_iter().for_each(|(kind, value)| params.distinguished_name.push(kind, value));
        let subject = subject(&params);
        assert_eq!((&*subject.name, subject.common_name.as_deref()), (expected, common_name));
    }
}

#[test]
fn a_part_with_two_values_keeps_them_together() {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("keys/multivalued.crt")).unwrap();
    let subject = Subject::of(&certificate).unwrap();
    assert_eq!(subject.name, r#"CN=alice+UID=a1,O=Example\, \"Ltd\",DC=org"#);
}

#[test]
fn alternative_names_keep_their_kind_and_order() {
    let mut params = params(&["B.example", "127.0.0.1", "::1"]);
    params.subject_alt_names.push(SanType::URI("spiffe://example.org/a".try_into().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("a@b.example".try_into().unwrap()));
    let names: Vec<_> = subject(&params).alternatives.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["DNS:B.example", "IP:127.0.0.1", "IP:::1", "URI:spiffe://example.org/a", "email:a@b.example"]);
    assert_eq!(subject(&super::params(&[])).alternatives, []);
    assert_eq!(Subject::of(&CertificateDer::from(vec![48, 3, 2, 1, 1])), None);
}
