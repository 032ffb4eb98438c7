//! What a running process makes of another `[server.tls]`.

use super::tests::{Files, read};
use super::*;
use crate::config::Sources;
use crate::config::tests::{OTHER, OWN, PEM, TICKETS};
use std::env::VarError;
use std::io;
use std::path::Path;

/// A configuration with `[server.tls]`, of which the test chooses the files.
fn with_tls(text: &str, files: &[(&'static str, &str)]) -> Config {
    struct Chosen<'a>(&'a [(&'static str, &'a str)]);
    impl Sources for Chosen<'_> {
        fn variable(&self, _: &str) -> Result<String, VarError> {
            Err(VarError::NotPresent)
        }

        fn text(&self, path: &Path) -> io::Result<String> {
            let chosen = self.0.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned());
            chosen.map_or_else(|| Files("").text(path), Ok)
        }
    }
    let tls = "[server.tls]\nlisten = [\"127.0.0.1:8443\"]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n";
    let route = "[[routes]]\npath = \"/a\"\norigin = \"http://127.0.0.1:9\"\n";
    Config::parse(&format!("{tls}{text}{route}"), &Chosen(files)).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_file_of_tls_that_changed_is_named_and_taken() {
    let all = "client_ca_file = \"ca.pem\"\nticket_keys_file = \"tickets\"\n\
               [[server.tls.certificates]]\ncert = \"more.crt\"\nkey = \"more.key\"\n";
    let next = TICKETS.replace('f', "e");
    let files: [(&str, &str); 6] = [
        ("tls.crt", &OWN.0),
        ("tls.key", &OWN.1),
        ("more.crt", &OWN.0),
        ("more.key", &OWN.1),
        ("ca.pem", PEM),
        ("tickets", TICKETS),
    ];
    let running = with_tls(all, &files);
    for (others, key) in [
        (&[("tls.crt", OTHER.0.as_str()), ("tls.key", OTHER.1.as_str())][..], "cert"),
        (&[("more.crt", &OTHER.0), ("more.key", &OTHER.1)], "certificates"),
        (&[("ca.pem", &OTHER.0)], "client_ca_file"),
        (&[("tickets", &next)], "ticket_keys_file"),
    ] {
        let other = |name: &str| others.iter().find(|(of, _)| *of == name).map(|(_, text)| *text);
        let new = with_tls(all, &files.map(|(name, text)| (name, other(name).unwrap_or(text))));
        let change = Change::between(&running, &new);
        assert_eq!((change.process, change.waiting), (vec![format!("server.tls.{key}")], vec![]));
        let taken = new.clone().taken_by(&running);
        assert_eq!(taken.server.tls, new.server.tls);
        assert_ne!(taken.server.tls, running.server.tls);
    }
    assert!(Change::between(&running, &with_tls(all, &files)).is_empty());
}

#[test]
fn certificates_are_taken_while_addresses_wait() {
    let running = with_tls("", &[]);
    let new = "cert = \"other.crt\"\nkey = \"other.key\"\nlisten = [\"127.0.0.1:8444\", \"127.0.0.1:8445\"]";
    let new = read(&format!("[server.tls]\n{new}\n[[routes]]\npath = \"/a\"\norigin = \"http://127.0.0.1:9\""), "");
    let change = Change::between(&running, &new);
    let waiting: Vec<_> = change.waiting.iter().map(ToString::to_string).collect();
    assert_eq!(waiting, ["server.tls.listen runs=127.0.0.1:8443 wanted=127.0.0.1:8444,127.0.0.1:8445"]);
    assert_eq!(change.process, ["server.tls.cert", "server.tls.key"]);
    let (taken, wanted) = (new.clone().taken_by(&running).server.tls.unwrap(), new.server.tls.unwrap());
    assert_eq!(taken.listen, running.server.tls.unwrap().listen);
    assert_eq!(taken.identity, wanted.identity);
}

#[test]
fn tls_that_comes_or_goes_waits_with_all_of_it() {
    let without = read("[[routes]]\npath = \"/a\"\norigin = \"http://127.0.0.1:9\"", "");
    let with = with_tls("alpn = [\"h2\"]\nredirect_http = true\n", &[]);
    for (running, new, expected) in [
        (&without, &with, "server.tls.listen runs=off wanted=127.0.0.1:8443"),
        (&with, &without, "server.tls.listen runs=127.0.0.1:8443 wanted=off"),
    ] {
        let change = Change::between(running, new);
        assert_eq!(change.waiting.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        assert_eq!(change.process, Vec::<String>::new());
        let taken = new.clone().taken_by(running);
        assert_eq!(taken.server.tls, running.server.tls);
        let of_tls = |config: &Config| -> Vec<_> {
            let settings = config.settings.all.iter().filter(|of| is_of_tls(&of.section, &of.key));
            settings.map(|of| (of.key.clone(), of.value.clone())).collect()
        };
        assert_eq!(of_tls(&taken), of_tls(running));
        assert_ne!(of_tls(&taken), of_tls(new));
    }
}

#[test]
fn sessions_are_resumed_over_a_reload() {
    let tickets = |config: &Config| config.server.tls.as_ref().unwrap().identity.server_config().ticketer.clone();
    let (running, again) = (with_tls("", &[]), with_tls("redirect_http = true\n", &[]));
    assert!(!Arc::ptr_eq(&tickets(&running), &tickets(&again)));
    assert!(Arc::ptr_eq(&tickets(&running), &tickets(&again.taken_by(&running))));
}
