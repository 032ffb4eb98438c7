//! When the certificates of the gateway expire: what is shown and logged.

use crate::gateway::{Gateway, config_file, configuration, route};
use crate::metrics::{ADMIN, until};
use crate::origin::Origin;
use crate::reload::{reload, rewrite};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use std::fmt::Write;
use tempfile::NamedTempFile;
use time::{Duration, OffsetDateTime};

/// A certificate for these names with its key, and when it expires, in seconds since 1970.
pub fn certificate(names: &[&str], from: i64, to: i64) -> ([NamedTempFile; 2], i64) {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    (params.not_before, params.not_after) = (now + Duration::days(from), now + Duration::days(to));
    let end = params.not_after.unix_timestamp();
    let key = KeyPair::generate().unwrap();
    ([params.self_signed(&key).unwrap().pem(), key.serialize_pem()].map(|pem| config_file(&pem)), end)
}

pub fn lines(certificates: &[&[NamedTempFile; 2]]) -> String {
    let mut lines = String::new();
    for (n, [cert, key]) in certificates.iter().enumerate() {
        let table = if n == 0 { "[server.tls]\nlisten = [\"127.0.0.1:0\"]" } else { "[[server.tls.certificates]]" };
        writeln!(lines, "{table}\ncert = {:?}\nkey = {:?}", cert.path(), key.path()).unwrap();
    }
    lines
}

fn series(name: &str) -> String {
    format!("manifold_tls_certificate_expiry_timestamp_seconds{{name=\"{name}\"}}")
}

#[expect(clippy::cast_precision_loss, reason = "a time in seconds needs fewer digits")]
fn shown(secs: i64) -> f64 {
    secs as f64
}

#[tokio::test]
async fn the_end_of_each_certificate_is_shown_and_warned_of_when_it_is_near() {
    let origin = Origin::start();
    let (good, good_end) = certificate(&["a.example", "b.example"], -1, 90);
    let (soon, soon_end) = certificate(&["b.example"], -80, 10);
    let (over, over_end) = certificate(&["*.c.example"], -80, -10);
    let (early, early_end) = certificate(&["d.example"], 10, 90);
    // Another certificate has the same first name.
    let (rsa, rsa_end) = certificate(&["a.example", "e.example"], -1, 60);
    let config = configuration(ADMIN, [route("/*", &origin)]);
    let all = format!("{config}\n{}", lines(&[&good, &soon, &over, &early, &rsa]));
    let gateway = Gateway::spawn(&all);
    let admin = gateway.admin().await;
    assert!(rsa_end < good_end);
    for (name, end) in
        [("a.example", rsa_end), ("b.example", soon_end), ("*.c.example", over_end), ("d.example", early_end)]
    {
        until(admin, &series(name), shown(end)).await;
    }
    let about =
        |pair: &[NamedTempFile; 2], what: &str| format!("the certificate of {} {what}", pair[0].path().display());
    let warnings = [about(&soon, "expires at "), about(&over, "expired at "), about(&early, "is valid only from ")];
    for warning in &warnings {
        let line = gateway.log_line(warning).await;
        assert!(line.contains("WARN"), "{line}");
    }
    // A reload warns again, though nothing changed.
    gateway.signal(Signal::HUP);
    for warning in &warnings {
        gateway.log_lines(warning, 2).await;
    }
    assert!(!gateway.log().contains(&about(&good, "")), "{}", gateway.log());
    rewrite(&gateway, &format!("{config}\n{}", lines(&[&rsa, &good])));
    reload(&gateway, 1).await;
    let figures = crate::client::Client::get("/metrics").connect(admin).await.text().await;
    let shown: Vec<_> = figures.lines().filter(|line| line.starts_with("manifold_tls_certificate_expiry")).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
}
