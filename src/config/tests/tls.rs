//! `[server.tls]` as it is understood, and what is warned of.

use super::*;
use crate::certificates::{Alpn, ClientAuth};
use crate::config::Addresses;

/// The files that every user may read.
struct Exposed(Imagined, &'static [&'static str]);

impl Sources for Exposed {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.0.variable(name)
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        self.0.text(path)
    }

    fn is_readable_by_all(&self, path: &Path) -> bool {
        self.1.contains(&path.to_str().unwrap())
    }
}

#[test]
fn without_the_table_there_is_no_tls() {
    assert_eq!(good("[[routes]]\npath = '/a'\norigin = 'http://o'").server.tls, None);
}

#[test]
fn what_is_not_written_is_the_default() {
    let tls = good(&with_tls("")).server.tls.unwrap();
    let options = tls.identity.options();
    assert_eq!(tls.listen, ["0.0.0.0:8443".parse().unwrap()]);
    assert_eq!((options.pairs.len(), &options.alpn[..]), (1, &[Alpn::Http2, Alpn::Http1][..]));
    assert_eq!((&options.clients, &options.ticket_keys, tls.redirect_http), (&None, &None, false));
}

#[test]
fn what_is_written_is_taken() {
    let tls = good(&with_tls(
        "alpn = ['http/1.1']\nclient_ca_file = 'ca.pem'\nclient_auth = 'required'\nticket_keys_file = 'tickets'\n\
         redirect_http = true\n[[server.tls.certificates]]\ncert = 'other.crt'\nkey = 'other.key'",
    ));
    let tls = tls.server.tls.unwrap();
    let options = tls.identity.options();
    assert_eq!(
        options.pairs.iter().map(|pair| pair.names().to_string()).collect::<Vec<_>>(),
        ["localhost, *.example.com", "example.org"]
    );
    assert_eq!((&options.alpn[..], options.clients.as_ref().unwrap().auth), (&[Alpn::Http1][..], ClientAuth::Required));
    assert!(options.ticket_keys.is_some() && tls.redirect_http);
    let config = tls.identity.server_config();
    assert_eq!(config.alpn_protocols, [b"http/1.1"]);
}

#[test]
fn with_tls_there_need_not_be_an_address_without() {
    let of = |more: &str| format!("server.listen = []\n{}", with_tls(more));
    assert_eq!(good(&of("")).server.listen, []);
    assert!(
        good(&of(""))
            .summary()
            .starts_with("configuration ok: 1 route\nlisten: off\ntls: 0.0.0.0:8443 (h2, http/1.1)\n")
    );
    let error = parse(&of("redirect_http = true")).unwrap_err().to_string();
    assert!(error.ends_with("needs an address in server.listen, from which requests are redirected"), "{error}");
}

#[test]
fn an_address_with_a_port_that_is_chosen_later_may_be_there_twice() {
    let text = with_tls("").replace("'0.0.0.0:8443'", "'127.0.0.1:0', '127.0.0.1:0'");
    assert_eq!(good(&format!("server.listen = ['127.0.0.1:0']\n{text}")).server.tls.unwrap().listen.len(), 2);
}

#[test]
fn the_summary_tells_addresses_certificates_and_who_comes_in() {
    for (more, expected) in [
        ("", "tls: 0.0.0.0:8443 (h2, http/1.1)\n  tls.crt: localhost, *.example.com (ECDSA)\nadmin: off\n"),
        (
            "client_ca_file = 'ca.pem'\nredirect_http = true\ncertificates = [{ cert = 'other.crt', key = 'other.key' }]",
            "tls: 0.0.0.0:8443 (h2, http/1.1); clients may have certificates; requests without TLS are redirected\n  \
             tls.crt: localhost, *.example.com (ECDSA)\n  other.crt: example.org (ECDSA)\nadmin: off\n",
        ),
        (
            "alpn = ['h2']\nclient_ca_file = 'ca.pem'\nclient_auth = 'required'",
            "tls: 0.0.0.0:8443 (h2); clients need certificates\n  tls.crt: localhost, *.example.com (ECDSA)\nadmin: off\n",
        ),
    ] {
        let summary = good(&with_tls(more)).summary();
        assert!(summary.contains(expected), "{summary}");
    }
}

#[test]
fn what_is_probably_wrong_is_warned_of() {
    let doubled = "certificates = [{ cert = '/etc/manifold/tls.crt', key = '/etc/manifold/tls.key' }]";
    for (exposed, text, expected) in [
        (&[][..], with_tls(""), &[][..]),
        (&["tls.crt", "ca.pem"], with_tls("client_ca_file = 'ca.pem'"), &[]),
        (
            &["tls.key", "other.key", "tickets"],
            with_tls("ticket_keys_file = 'tickets'\ncertificates = [{ cert = 'other.crt', key = 'other.key' }]"),
            &[
                "server.tls.key: every user of this machine can read tls.key: chmod o-r keeps it secret",
                "server.tls.ticket_keys_file: every user of this machine can read tickets: chmod o-r keeps it secret",
                "server.tls.certificates[0].key: every user of this machine can read other.key: chmod o-r keeps it \
                 secret",
            ],
        ),
        (
            &[],
            with_tls("").replace("tls.crt", "nameless.crt").replace("tls.key", "nameless.key"),
            &["server.tls.cert: the certificate of nameless.crt has no names (subjectAltName): clients refuse it"],
        ),
        (
            &[],
            with_tls("").replace("tls.crt", "old.crt").replace("tls.key", "old.key"),
            &["server.tls.cert: the certificate of old.crt expired at 2020-02-01T00:00:00.000Z: clients refuse it"],
        ),
        (
            &[],
            with_tls("").replace("tls.crt", "early.crt").replace("tls.key", "early.key"),
            &[
                "server.tls.cert: the certificate of early.crt is valid only from 3000-01-01T00:00:00.000Z on: until then \
               clients refuse it",
            ],
        ),
        (
            &[],
            with_tls(doubled),
            &[
                "server.tls.certificates[0].cert: /etc/manifold/tls.crt is not used for localhost, because tls.crt comes \
                 first",
                "server.tls.certificates[0].cert: /etc/manifold/tls.crt is not used for *.example.com, because tls.crt \
                 comes first",
            ],
        ),
    ] {
        let config = Config::parse(&text, &Exposed(Imagined::usual(), exposed)).unwrap();
        assert_eq!(config.advice(), expected, "{text}");
    }
}

#[test]
fn the_files_are_among_those_that_are_watched() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let usual = Imagined::usual();
    let files = ["tls.crt", "tls.key", "ca.pem", "tickets", "other.crt", "other.key"];
    for name in files {
        std::fs::write(at(name), usual.files[name]).unwrap();
    }
    let text = with_tls(
        "client_ca_file = 'ca.pem'\nticket_keys_file = 'tickets'\ncertificates = [{ cert = 'other.crt', key = 'other.key' }]",
    );
    std::fs::write(at("m.toml"), text).unwrap();
    let mut named = Config::load(Some(&at("m.toml"))).unwrap().settings.names;
    named.sort();
    let mut expected = files.map(at);
    expected.sort();
    assert_eq!(named, expected);
}

#[test]
fn who_asks_a_process_does_not_read_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.toml");
    std::fs::write(&file, format!("server.admin = '127.0.0.1:9'\n{}", with_tls("client_auth = 'required'"))).unwrap();
    let errors = Config::load(Some(&file)).unwrap_err().to_string();
    assert_eq!(errors.lines().count(), 3, "{errors}");
    let addresses = Addresses::load(Some(&file)).unwrap();
    assert!(addresses.admin.is_some() && addresses.needs_certificate, "{addresses:?}");
    assert_eq!(addresses.tls, ["0.0.0.0:8443".parse().unwrap()]);
}

#[test]
fn every_value_of_tls_is_among_the_settings() {
    let of = |text: &str| {
        let settings = good(text).settings.all;
        let of_tls = settings.iter().filter(|of| of.section == "server.tls" || of.key == "tls");
        of_tls.map(|of| format!("{}.{} = {}", of.section, of.key, of.value.as_ref().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(of("[[routes]]\npath = '/a'\norigin = 'http://o'"), ["server.tls = \"off\""]);
    assert!(of(&with_tls("")).contains(&"server.tls.certificates = []".to_owned()));
    let mut written = of(&with_tls("[[server.tls.certificates]]\ncert = 'other.crt'\nkey = 'other.key'"));
    written.sort();
    assert_eq!(
        written,
        [
            "server.tls.alpn = [\"h2\",\"http/1.1\"]",
            "server.tls.cert = \"tls.crt\"",
            "server.tls.certificates = [{\"cert\":\"other.crt\",\"key\":\"other.key\"}]",
            "server.tls.client_auth = \"optional\"",
            "server.tls.client_ca_file = \"off\"",
            "server.tls.key = \"tls.key\"",
            "server.tls.listen = [\"0.0.0.0:8443\"]",
            "server.tls.redirect_http = false",
            "server.tls.ticket_keys_file = \"off\"",
        ]
    );
}

#[test]
fn no_secret_is_shown() {
    let config = good(&with_tls("ticket_keys_file = 'tickets'"));
    let shown = format!("{config:?}").to_lowercase();
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
    let key = OWN.1.lines().nth(1).unwrap().to_lowercase();
    assert!(!shown.contains(&key) && !shown.contains("private"), "{shown}");
}
