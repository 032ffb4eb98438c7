use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::json;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const RSA_PUBLIC: &str = include_str!("rsa_public_key.pem");
const NOW: u64 = 1_000_000;

fn at(secs: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs)
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token with this header and these claims, signed by `sign`.
fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn mac(algorithm: hmac::Algorithm, secret: &str) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    move |message| hmac::sign(&key, message).as_ref().to_vec()
}

fn hs256(header: &Value, claims: &Value) -> String {
    token(header, claims, mac(hmac::HMAC_SHA256, SECRET))
}

fn jwt(algorithms: &[Algorithm]) -> Jwt {
    Jwt {
        algorithms: algorithms.to_vec(),
        issuers: Vec::new(),
        audiences: Vec::new(),
        leeway: Duration::from_secs(30),
        keys: Keys::Fixed(Arc::default()),
    }
}

fn secret() -> KeySet {
    keys_of_text(SECRET, &[Algorithm::HS256]).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "alice", "jti": "t1", "exp": NOW + 60 })
}

fn why(verified: Result<Permission, Unverified>) -> &'static str {
    match verified {
        Ok(_) => "good",
        Err(Unverified::Denied(Denial::Invalid(why))) => why,
        Err(Unverified::UnknownKey) => "unknown key",
        Err(Unverified::Denied(other)) => panic!("{other:?}"),
    }
}

#[test]
fn the_example_of_rfc_7515_is_verified() {
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly\
                 9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key = json!({
        "kty": "oct",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    });
    let keys = keys_of_text(&key.to_string(), &[Algorithm::HS256]).unwrap();
    let permission = jwt(&[Algorithm::HS256]).verify(token, &keys, at(1_300_819_379)).unwrap();
    assert_eq!(permission.claims.text("iss").as_deref(), Some("joe"));
    assert_eq!(permission.grant.expires, Some(1_300_819_380_000));
}

#[test]
fn each_algorithm_verifies_its_own_signatures_alone() {
    let rng = SystemRandom::new();
    let ec256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
    let ec256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec256.as_ref(), &rng).unwrap();
    let ec384 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &rng).unwrap();
    let ec384 = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, ec384.as_ref(), &rng).unwrap();
    let ed = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&rng).unwrap().as_ref()).unwrap();
    let rsa = RsaKeyPair::from_pkcs8(include_bytes!("rsa_private_key.der")).unwrap();
    let point = |public: &[u8]| {
        let (x, y) = public[1..].split_at(public.len() / 2);
        (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
    };
    let (x256, y256) = point(ec256.public_key().as_ref());
    let (x384, y384) = point(ec384.public_key().as_ref());
    let set = json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "x": x256, "y": y256 },
        { "kty": "EC", "crv": "P-384", "x": x384, "y": y384 },
        { "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(ed.public_key().as_ref()) },
        { "kty": "RSA", "n": modulus(&rsa), "e": "AQAB" },
        { "kty": "new", "crv": "?" },
    ]});
    let all: Vec<_> = ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect();
    let keys = KeySet::of_json(set.to_string().as_bytes(), &all, false).unwrap();
    assert_eq!(keys.len(), 4);
    let signed_by_rsa = |padding: &'static dyn ring::signature::RsaEncoding, message: &[u8]| {
        let mut signature = vec![0; rsa.public().modulus_len()];
        rsa.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let tokens = [
        ("ES256", token(&json!({"alg": "ES256"}), &claims(), |m| ec256.sign(&rng, m).unwrap().as_ref().to_vec())),
        ("ES384", token(&json!({"alg": "ES384"}), &claims(), |m| ec384.sign(&rng, m).unwrap().as_ref().to_vec())),
        ("EdDSA", token(&json!({"alg": "EdDSA"}), &claims(), |m| ed.sign(m).as_ref().to_vec())),
        ("RS256", token(&json!({"alg": "RS256"}), &claims(), |m| signed_by_rsa(&RSA_PKCS1_SHA256, m))),
        ("PS256", token(&json!({"alg": "PS256"}), &claims(), |m| signed_by_rsa(&RSA_PSS_SHA256, m))),
    ];
    for (name, token) in &tokens {
        assert_eq!(why(jwt(&all).verify(token, &keys, at(NOW))), "good", "{name}");
        let others: Vec<_> = all.iter().copied().filter(|other| Some(*other) != algorithm_of(name)).collect();
        assert_eq!(why(jwt(&others).verify(token, &keys, at(NOW))), "algorithm not listed", "{name}");
        // The same signature under another name.
        for (other, _) in tokens.iter().filter(|(other, _)| other != name) {
            let (_, rest) = token.split_once('.').unwrap();
            let renamed = format!("{}.{rest}", encoded(&json!({ "alg": other })));
            assert_eq!(why(jwt(&all).verify(&renamed, &keys, at(NOW))), "signature", "{name} as {other}");
        }
    }
    // The same keys as PEM.
    let pem = keys_of_text(RSA_PUBLIC, &[Algorithm::RS256, Algorithm::PS256]).unwrap();
    for (name, token) in &tokens[3..] {
        assert_eq!(why(jwt(&all).verify(token, &pem, at(NOW))), "good", "{name}");
    }
}

fn modulus(rsa: &RsaKeyPair) -> String {
    URL_SAFE_NO_PAD.encode(ring::rsa::PublicKeyComponents::<Vec<u8>>::from(rsa.public()).n)
}

/// The public key, which everybody has, as the secret of HMAC.
#[test]
fn a_public_key_is_no_secret() {
    let forged = token(&json!({"alg": "HS256"}), &claims(), mac(hmac::HMAC_SHA256, RSA_PUBLIC));
    let keys = keys_of_text(RSA_PUBLIC, &[Algorithm::RS256, Algorithm::HS256]).unwrap();
    assert_eq!(why(jwt(&[Algorithm::RS256, Algorithm::HS256]).verify(&forged, &keys, at(NOW))), "signature");
    assert_eq!(why(jwt(&[Algorithm::RS256]).verify(&forged, &keys, at(NOW))), "algorithm not listed");
}

#[test]
fn a_forged_token_is_refused() {
    let good = hs256(&json!({"alg": "HS256", "typ": "JWT"}), &claims());
    let part = |at: usize| good.split('.').nth(at).unwrap().to_owned();
    let (header, body, signature) = (part(0), part(1), part(2));
    let mallory = encoded(&json!({ "sub": "mallory", "exp": NOW + 60 }));
    let none = |alg: &str| format!("{}.{body}.", encoded(&json!({ "alg": alg })));
    let key = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode("mine mine mine mine mine mine mine") });
    let own = |extra: Value| {
        let mut header = json!({ "alg": "HS256" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        token(&header, &claims(), mac(hmac::HMAC_SHA256, "mine mine mine mine mine mine mine"))
    };
    let last = signature.chars().last().unwrap();
    let malleable =
        format!("{header}.{body}.{}{}", signature.strip_suffix(last).unwrap(), if last == 'B' { 'C' } else { 'B' });
    let with_header = |extra: Value| {
        let mut header = json!({ "alg": "HS256" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        hs256(&header, &claims())
    };
    for (case, token, expected) in [
        ("good", good.clone(), "good"),
        ("alg none", none("none"), "no JWT"),
        ("alg NoNe", none("NoNe"), "no JWT"),
        ("alg empty", none(""), "no JWT"),
        ("alg as a list", format!("{}.{body}.{signature}", encoded(&json!({ "alg": ["HS256"] }))), "no JWT"),
        ("no alg", format!("{}.{body}.{signature}", encoded(&json!({ "typ": "JWT" }))), "no JWT"),
        (
            "two algs",
            format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"HS256"}"#)),
            "no JWT",
        ),
        ("other claims", format!("{header}.{mallory}.{signature}"), "signature"),
        ("no signature", format!("{header}.{body}."), "signature"),
        ("two parts", format!("{header}.{body}"), "no JWT"),
        ("four parts", format!("{good}.x"), "no JWT"),
        ("five parts", format!("{good}.x.y"), "no JWT"),
        ("cut signature", format!("{header}.{body}.{}", signature.get(..20).unwrap()), "signature"),
        ("padded", format!("{good}="), "signature"),
        ("other last bits", malleable, "signature"),
        ("white space", format!("{header}.{body}. {signature}"), "signature"),
        ("own key in the header", own(json!({ "jwk": key })), "signature"),
        ("own URL in the header", own(json!({ "jku": "http://evil.example/" })), "signature"),
        ("own certificate", own(json!({ "x5c": ["AAAA"] })), "signature"),
        ("kid with a path", own(json!({ "kid": "../../dev/null" })), "unknown key"),
        ("crit", with_header(json!({ "crit": ["exp"] })), "a header that asks for more"),
        ("compressed", with_header(json!({ "zip": "DEF" })), "a header that asks for more"),
        ("logout token", with_header(json!({ "typ": "logout+jwt" })), "a token of another kind"),
        ("access token", with_header(json!({ "typ": "at+JWT" })), "good"),
        ("application/at+jwt", with_header(json!({ "typ": "application/at+jwt" })), "good"),
        ("header is no object", format!("{}.{body}.{signature}", encoded(&json!([]))), "no JWT"),
        ("empty", String::new(), "no JWT"),
        ("dots", "..".to_owned(), "no JWT"),
        (
            "HS512 by the same key",
            token(&json!({"alg": "HS512"}), &claims(), mac(hmac::HMAC_SHA512, SECRET)),
            "algorithm not listed",
        ),
    ] {
        assert_eq!(why(jwt(&[Algorithm::HS256]).verify(&token, &secret(), at(NOW))), expected, "{case}");
    }
}

#[test]
fn signed_bytes_that_are_no_claims_are_refused() {
    let header = encoded(&json!({ "alg": "HS256" }));
    for (case, body) in [("array", "[1]"), ("text", "\"x\""), ("no JSON", "{"), ("empty", "")] {
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body));
        let signature = URL_SAFE_NO_PAD.encode(mac(hmac::HMAC_SHA256, SECRET)(message.as_bytes()));
        let verified = jwt(&[Algorithm::HS256]).verify(&format!("{message}.{signature}"), &secret(), at(NOW));
        assert_eq!(why(verified), "signature", "{case}");
    }
}

#[test]
fn claims_are_judged_by_the_clock_and_the_configuration() {
    let with = Jwt {
        issuers: vec!["https://i.example/".to_owned()],
        audiences: vec!["me".to_owned(), "us".to_owned()],
        ..jwt(&[Algorithm::HS256])
    };
    let base = json!({ "iss": "https://i.example/", "aud": "me", "exp": NOW + 60 });
    for (change, expected) in [
        (json!({}), "good"),
        (json!({ "exp": NOW - 29 }), "good"),
        (json!({ "exp": NOW - 30 }), "expired"),
        (json!({ "exp": 0 }), "expired"),
        (json!({ "exp": -1 }), "a time that is none"),
        (json!({ "exp": "9999999999" }), "a time that is none"),
        (json!({ "exp": null }), "a time that is none"),
        (json!({ "exp": true }), "a time that is none"),
        (json!({ "exp": 1e300 }), "good"),
        (json!({ "exp": u64::MAX }), "good"),
        (json!({ "exp": 1_000_059.5 }), "good"),
        (json!({ "nbf": NOW + 30 }), "good"),
        (json!({ "nbf": NOW + 31 }), "not valid yet"),
        (json!({ "nbf": "x" }), "a time that is none"),
        (json!({ "iss": "https://i.example" }), "issuer"),
        (json!({ "iss": ["https://i.example/"] }), "a claim of the wrong type"),
        (json!({ "iss": null }), "issuer"),
        (json!({ "aud": "you" }), "audience"),
        (json!({ "aud": ["you", "us"] }), "good"),
        (json!({ "aud": [] }), "audience"),
        (json!({ "aud": { "me": 1 } }), "audience"),
        (json!({ "aud": null }), "audience"),
        (json!({ "sub": 7 }), "a claim of the wrong type"),
        (json!({ "sub": "x".repeat(257) }), "a subject or id that is too long"),
        (json!({ "jti": ["x"] }), "a claim of the wrong type"),
    ] {
        let mut claims = base.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let token = hs256(&json!({ "alg": "HS256" }), &claims);
        assert_eq!(why(with.verify(&token, &secret(), at(NOW))), expected, "{change}");
    }
    let without = hs256(&json!({ "alg": "HS256" }), &json!({ "sub": "alice" }));
    assert_eq!(why(jwt(&[Algorithm::HS256]).verify(&without, &secret(), at(NOW))), "no exp");
}

#[test]
fn a_permission_ends_with_its_token_or_with_its_leeway() {
    let ends = |exp: u64| {
        let token =
            hs256(&json!({ "alg": "HS256" }), &json!({ "exp": exp, "iat": NOW - 5, "sub": "alice", "jti": "t1" }));
        let Permission { grant, .. } = jwt(&[Algorithm::HS256]).verify(&token, &secret(), at(NOW)).unwrap();
        assert_eq!((grant.subject.as_deref(), grant.token_id.as_deref()), (Some("alice"), Some("t1")));
        assert_eq!(grant.issued, Some(NOW - 5));
        grant.expires.unwrap() / 1000
    };
    assert_eq!((ends(NOW + 60), ends(NOW - 10)), (NOW + 60, NOW + 20));
}

#[test]
fn a_key_that_is_named_alone_is_tried() {
    let key = |id: &str, secret: &str| json!({ "kty": "oct", "kid": id, "k": URL_SAFE_NO_PAD.encode(secret) });
    let other = "fedcba9876543210fedcba9876543210";
    let set = json!({ "keys": [
        key("a", other), key("b", SECRET),
        { "kty": "oct", "kid": "c", "use": "enc", "k": URL_SAFE_NO_PAD.encode(SECRET) },
        { "kty": "oct", "kid": "d", "alg": "HS384", "k": URL_SAFE_NO_PAD.encode(SECRET) },
        { "kty": "oct", "kid": "e", "key_ops": ["sign"], "k": URL_SAFE_NO_PAD.encode(SECRET) },
    ]});
    let keys = keys_of_text(&set.to_string(), &[Algorithm::HS256]).unwrap();
    for (id, expected) in [
        (Some("a"), "signature"),
        (Some("b"), "good"),
        (Some("c"), "unknown key"),
        (Some("d"), "signature"),
        (Some("e"), "unknown key"),
        (Some("f"), "unknown key"),
        (None, "good"),
    ] {
        let header = json!({ "alg": "HS256", "kid": id });
        assert_eq!(
            why(jwt(&[Algorithm::HS256]).verify(&hs256(&header, &claims()), &keys, at(NOW))),
            expected,
            "{id:?}"
        );
    }
}

#[test]
fn keys_are_read_in_every_usual_form_and_nothing_else() {
    let (hs, rs, es) = (Algorithm::HS256, Algorithm::RS256, Algorithm::ES256);
    for (text, algorithms, expected) in [
        (SECRET.to_owned(), &[hs][..], Ok(1)),
        (format!("{SECRET}\n"), &[hs], Ok(1)),
        ("{not json".to_owned(), &[hs], Ok(1)),
        (String::new(), &[hs], Err(InvalidKeys::Empty)),
        ("\n".to_owned(), &[hs], Err(InvalidKeys::Empty)),
        (SECRET.to_owned(), &[rs], Err(InvalidKeys::NoKey)),
        (RSA_PUBLIC.to_owned(), &[rs], Ok(1)),
        (RSA_PUBLIC.to_owned(), &[hs], Err(InvalidKeys::NoKey)),
        (RSA_PUBLIC.to_owned(), &[es], Err(InvalidKeys::NoKey)),
        (format!("{RSA_PUBLIC}{RSA_PUBLIC}"), &[rs], Ok(2)),
        (RSA_PUBLIC.replace("PUBLIC", "PRIVATE"), &[rs], Err(InvalidKeys::Private)),
        (RSA_PUBLIC.replace("MII", "!!!"), &[rs], Err(InvalidKeys::Pem)),
        ("{\"keys\": []}".to_owned(), &[rs], Err(InvalidKeys::NoKey)),
        ("{\"a\": 1}".to_owned(), &[rs], Err(InvalidKeys::Json)),
    ] {
        let read = keys_of_text(&text, algorithms).map(|keys| keys.len());
        assert_eq!(read, expected, "{text}");
    }
    let secret = json!({ "keys": [{ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET) }] }).to_string();
    assert_eq!(KeySet::of_json(secret.as_bytes(), &[hs], false), Err(InvalidKeys::NoKey), "published to everybody");
    for (text, algorithms, is_short) in [
        ("short", &[hs][..], true),
        (SECRET, &[hs], false),
        (SECRET, &[Algorithm::HS512], true),
        (RSA_PUBLIC, &[rs], false),
    ] {
        assert_eq!(is_short_secret(text, algorithms), is_short, "{text}");
    }
}
