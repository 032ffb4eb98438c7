//! Which certificate a client gets.

use super::*;
use rustls::version::{TLS12, TLS13};

/// The certificate that a client gets which asks for `name`.
fn served(server: &Identity, client: &Client, name: &str) -> Vec<u8> {
    let (client, _) = client.connect(&server.server_config(), name).unwrap_or_else(|error| panic!("{name}: {error}"));
    client.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn the_name_that_a_client_asks_for_chooses() {
    let first = Files::of(&["first.example", "any.first.example", "127.0.0.1", "unknown.test", "a.b.wild.example"]);
    let exact = Files::of(&["Exact.wild.example"]);
    let wild = Files::of(&["*.wild.example"]);
    let server = identity(&options(vec![first.pair(), wild.pair(), exact.pair()]));
    let client = Client::trusting(&[&first, &exact, &wild], &[&TLS13, &TLS12]);
    for (name, expected) in [
        ("first.example", &first),
        ("exact.wild.example", &exact),
        ("EXACT.Wild.example", &exact),
        ("other.wild.example", &wild),
        // A star is for one label.
        ("a.b.wild.example", &first),
        ("unknown.test", &first),
        // A client does not send an address.
        ("127.0.0.1", &first),
    ] {
        assert_eq!(served(&server, &client, name), expected.der().to_vec(), "{name}");
    }
    // The name below which the star stands is another name.
    assert!(client.connect(&server.server_config(), "wild.example").is_err());
}

#[test]
fn of_two_kinds_a_client_gets_the_one_that_it_understands() {
    let names = ["a.example", "*.b.example"];
    let (rsa, ecdsa, other) = (Files::rsa(&names), Files::of(&names), Files::of(&["other.example"]));
    let is_rsa = |scheme: SignatureScheme| format!("{scheme:?}").starts_with("RSA_");
    for version in [&TLS12, &TLS13] {
        let of = |knows: &dyn Fn(SignatureScheme) -> bool| Client {
            config: Arc::new(client(&[&rsa, &ecdsa, &other], knows, &[version]).with_no_client_auth()),
        };
        let (all, only_rsa, only_ecdsa) = (of(&|_| true), of(&is_rsa), of(&|scheme| !is_rsa(scheme)));
        for pairs in [vec![rsa.pair(), ecdsa.pair(), other.pair()], vec![ecdsa.pair(), rsa.pair(), other.pair()]] {
            let server = identity(&options(pairs));
            for name in ["a.example", "x.b.example"] {
                assert_eq!(served(&server, &all, name), ecdsa.der().to_vec(), "ECDSA costs less");
                assert_eq!(served(&server, &only_ecdsa, name), ecdsa.der().to_vec());
                assert_eq!(served(&server, &only_rsa, name), rsa.der().to_vec());
            }
            // There is none of RSA for this name, and none for another name is sent instead.
            let refused = only_rsa.connect(&server.server_config(), "other.example").unwrap_err();
            assert!(matches!(refused, rustls::Error::PeerIncompatible(_)), "{refused}");
        }
        // Without a name, the first of the two is preferred.
        let server = identity(&options(vec![rsa.pair(), ecdsa.pair()]));
        for (client, expected) in [(&all, &rsa), (&only_ecdsa, &ecdsa), (&only_rsa, &rsa)] {
            let mut config = ClientConfig::clone(&client.config);
            config.enable_sni = false;
            assert_eq!(served(&server, &Client { config: Arc::new(config) }, "a.example"), expected.der().to_vec());
        }
    }
}

#[test]
fn of_two_certificates_of_one_kind_the_first_counts_and_the_other_is_told() {
    let (first, second, rsa) = (Files::of(&["a", "b"]), Files::of(&["b", "*.c.example"]), Files::rsa(&["b"]));
    let third = Files::of(&["*.c.example", "d"]);
    let server = identity(&options(vec![first.pair(), second.pair(), rsa.pair(), third.pair()]));
    assert_eq!(server.hidden(), [("b".to_owned(), 1, 0), ("*.c.example".to_owned(), 3, 1)]);
    let client = Client::trusting(&[&first, &second, &third], &[&TLS13]);
    for (name, expected) in [("a", &first), ("b", &first), ("x.c.example", &second), ("d", &third)] {
        assert_eq!(served(&server, &client, name), expected.der().to_vec(), "{name}");
    }
}

#[test]
fn the_server_prefers_the_first_protocol_that_the_client_offers() {
    let own = Files::of(&["a"]);
    let both = [Alpn::Http2, Alpn::Http1];
    for (alpn, offered, expected) in [
        (&both[..], &["http/1.1", "h2"][..], Ok(Some("h2"))),
        (&both, &["http/1.1"], Ok(Some("http/1.1"))),
        (&both, &[], Ok(None)),
        (&both, &["h3"], Err(())),
        (&[Alpn::Http1, Alpn::Http2], &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        (&[Alpn::Http1], &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        (&[Alpn::Http2], &["http/1.1"], Err(())),
    ] {
        let server = identity(&IdentityOptions { alpn: alpn.to_vec(), ..options(vec![own.pair()]) });
        let client = Client::trusting(&[&own], &[&TLS13, &TLS12]).offering(offered);
        let spoken = client.connect(&server.server_config(), "a").map_err(|_| ());
        let spoken =
            spoken.map(|(_, server)| server.alpn_protocol().map(|name| str::from_utf8(name).unwrap().to_owned()));
        assert_eq!(spoken, expected.map(|name| name.map(str::to_owned)), "{alpn:?} {offered:?}");
    }
}

#[test]
fn the_keys_of_a_connection_can_be_taken_out() {
    let own = Files::of(&["a"]);
    let server = identity(&options(vec![own.pair()]));
    for version in [&TLS12, &TLS13] {
        let client = Client::trusting(&[&own], &[version]);
        let (_, server) = client.connect(&server.server_config(), "a").unwrap();
        assert!(server.dangerous_extract_secrets().is_ok());
    }
}
