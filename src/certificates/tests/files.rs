//! What a file is, or what is wrong with it.

use super::*;
use rcgen::date_time_ymd;
use std::time::{Duration, UNIX_EPOCH};

const PKCS8: &str = include_str!("keys/rsa-pkcs8.pem");
const SEC1: &str = include_str!("keys/p256-sec1.pem");
const ODD: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

#[test]
fn a_chain_is_read_or_it_is_told_what_is_wrong() {
    let pem = Files::of(&["a"]).cert;
    let of = |text: &str| Chain::from_pem(text.as_bytes()).map(|chain| chain.certificates.len());
    for (text, expected) in [
        (pem.clone(), Ok(1)),
        (format!("Subject: a\n{pem}\r\nissuer:\n{pem}"), Ok(2)),
        (pem.replace('\n', "\r\n"), Ok(1)),
        (format!("{PKCS8}{pem}"), Ok(1)),
        (String::new(), Err(InvalidChain::Empty)),
        ("nonsense".to_owned(), Err(InvalidChain::Empty)),
        (PKCS8.to_owned(), Err(InvalidChain::OnlyKey)),
        (SEC1.to_owned(), Err(InvalidChain::OnlyKey)),
        ("-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n".to_owned(), Err(InvalidChain::NoPem)),
        (pem.replace("-----END CERTIFICATE-----", ""), Err(InvalidChain::NoPem)),
        (format!("{pem}{ODD}"), Err(InvalidChain::Certificate(2))),
        (ODD.to_owned(), Err(InvalidChain::Certificate(1))),
    ] {
        assert_eq!(of(&text), expected, "{text}");
    }
    assert_eq!(Chain::from_pem(&[b"# T\xfcrk\n", pem.as_bytes()].concat()).unwrap().certificates.len(), 1);
}

#[test]
fn a_key_is_read_or_it_is_told_what_is_wrong() {
    let with_certificate = format!("{}{PKCS8}", Files::of(&["a"]).cert);
    for (text, expected) in [
        (PKCS8, Ok(KeyKind::Rsa)),
        (include_str!("keys/rsa-pkcs1.pem"), Ok(KeyKind::Rsa)),
        (SEC1, Ok(KeyKind::Ecdsa)),
        (include_str!("keys/p384-pkcs8.pem"), Ok(KeyKind::Ecdsa)),
        (include_str!("keys/ed25519.pem"), Ok(KeyKind::Ed25519)),
        (&with_certificate, Ok(KeyKind::Rsa)),
        ("", Err(InvalidKey::Empty)),
        ("-----BEGIN PUBLIC KEY-----\nMAMCAQE=\n-----END PUBLIC KEY-----\n", Err(InvalidKey::Empty)),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nMAMCAQE=\n-----END OPENSSH PRIVATE KEY-----\n", Err(InvalidKey::Empty)),
        (&Files::of(&["a"]).cert, Err(InvalidKey::OnlyCertificate)),
        (include_str!("keys/encrypted-pkcs8.pem"), Err(InvalidKey::Encrypted)),
        (include_str!("keys/encrypted-pkcs1.pem"), Err(InvalidKey::Encrypted)),
        (include_str!("keys/p521.pem"), Err(InvalidKey::Unusable)),
        (include_str!("keys/rsa-1024.pem"), Err(InvalidKey::Unusable)),
        ("-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n", Err(InvalidKey::Unusable)),
        ("-----BEGIN PRIVATE KEY-----\n???\n-----END PRIVATE KEY-----\n", Err(InvalidKey::NoPem)),
        ("-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n", Err(InvalidKey::NoPem)),
    ] {
        let read = Key::from_pem(text.as_bytes());
        assert_eq!(read.as_ref().map(Key::kind).map_err(|error| *error), expected, "{text}");
        let body = text.lines().nth(1).unwrap_or("nothing");
        assert!(!format!("{read:?}").contains(body));
    }
}

#[test]
fn a_key_must_belong_to_the_first_certificate() {
    let (own, authority) = (Files::of(&["a"]), Files::rsa(&["b"]));
    let of = |cert: &str, key: &str| {
        let pair = Pair::new(Chain::from_pem(cert.as_bytes()).unwrap(), Key::from_pem(key.as_bytes()).unwrap());
        pair.map(|pair| pair.kind())
    };
    let (good, swapped) = (format!("{}{}", own.cert, authority.cert), format!("{}{}", authority.cert, own.cert));
    assert_eq!(of(&good, &own.key), Ok(KeyKind::Ecdsa));
    assert_eq!(of(&authority.cert, include_str!("keys/rsa-pkcs1.pem")), Ok(KeyKind::Rsa));
    assert_eq!(of(&swapped, &own.key), Err(Unrelated::Later(2)));
    assert_eq!(of(&good, include_str!("keys/p384-pkcs8.pem")), Err(Unrelated::Foreign));
    assert_eq!(of(&good, SEC1), Err(Unrelated::Foreign));
}

#[test]
fn a_certificate_has_its_time() {
    let mut params = params(&["a"]);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    let key = KeyPair::generate().unwrap();
    let files = Files { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
    let (from, to) = (at(1_577_836_800), at(1_893_456_000));
    assert_eq!(files.pair().not_after(), to);
    for (now, expected) in [
        (1_577_836_799, InTime::NotYet(from)),
        (1_577_836_800, InTime::Yes),
        (1_893_456_000 - 14 * 86_400, InTime::Yes),
        (1_893_456_001 - 14 * 86_400, InTime::Soon(to)),
        (1_893_456_000, InTime::Soon(to)),
        (1_893_456_001, InTime::Expired(to)),
    ] {
        assert_eq!(files.pair().is_in_time(at(now)), expected, "{now}");
    }
}

#[test]
fn names_are_those_of_the_certificate_in_lower_case() {
    for (names, expected, is_empty, is_for_nothing) in [
        (&["A.Example", "*.B.example", "a.example"][..], "a.example, *.b.example", false, false),
        (&["a", "b", "c", "d", "e", "f"], "a, b, c, d and 2 more", false, false),
        (&["127.0.0.1", "::1"], "no DNS names", true, false),
        (&["a.*.example", "*"], "no DNS names", true, true),
        (&[], "no DNS names", true, true),
    ] {
        let pair = Files::of(names).pair();
        let names = pair.names();
        assert_eq!(
            (&*names.to_string(), names.is_empty(), names.is_for_nothing()),
            (expected, is_empty, is_for_nothing)
        );
    }
}

#[test]
fn identities_are_equal_if_they_consist_of_the_same() {
    let (one, other) = (Files::of(&["a"]), Files::of(&["a"]));
    let authority = Authority::new();
    let clients = |auth| Some(Clients { authorities: authority.authorities(), auth });
    let another = Some(Clients { authorities: Authority::new().authorities(), auth: ClientAuth::Optional });
    let keys = |digit: &str| Some(TicketKeys::from_text(digit.repeat(64).as_bytes()).unwrap());
    let base = options(vec![one.pair()]);
    let of = |change: &dyn Fn(&mut IdentityOptions)| {
        let mut options = base.clone();
        change(&mut options);
        identity(&options)
    };
    assert_eq!(of(&|_| ()), of(&|_| ()));
    let different = [
        of(&|_| ()),
        of(&|options| options.pairs = vec![other.pair()]),
        of(&|options| options.pairs.push(other.pair())),
        of(&|options| options.alpn.reverse()),
        of(&|options| options.clients = clients(ClientAuth::Optional)),
        of(&|options| options.clients = clients(ClientAuth::Required)),
        of(&|options| options.clients = another.clone()),
        of(&|options| options.ticket_keys = keys("0")),
        of(&|options| options.ticket_keys = keys("1")),
    ];
    for (index, identity) in different.iter().enumerate() {
        assert!(!different[..index].contains(identity), "{index}");
    }
}
