//! Scanners of TLS servers: sslscan and testssl.sh. They ask 127.0.0.1 only.

use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Authority, Origin};
use crate::program::Program;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Far more than testssl.sh takes, about a minute on an idle machine.
const TIME: Duration = Duration::from_secs(600);

/// What testssl.sh finds fault with, although it is as it should be.
const INTENDED: [&str; 3] = [
    // The scanner's own OpenSSL has no engine for GOST.
    "engine_problem",
    // Each cipher that is offered is strong, and a client knows best which one it computes fast. So its order counts.
    "cipher_order",
    TICKET,
];

/// Whether a ticket resumes a session, for testssl.sh. Over TLS 1.3 the tickets come after the handshake, and the scanner's
/// client ends as soon as it has shaken hands. On a busy machine it has no ticket by then, and the scanner reports a problem.
/// A story tries tickets with a client that waits for them.
const TICKET: &str = "sessionresumption_ticket";

/// The findings of testssl.sh that are none.
const HARMLESS: [&str; 2] = ["OK", "INFO"];

/// A gateway with a page, with the defaults of TLS. The page has fields for browsers, which are for origins to send.
async fn scanned(authority: &Authority) -> (Gateway, Origin) {
    let origin = Origin::answering(async |asked| {
        let fields = [
            ("Content-Type", "text/html"),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ];
        asked.reply(200, &fields, "<!doctype html><title>A page</title>").await;
    });
    let config = configuration("", [route("/*", &origin).with("kind = \"proxy\"")]);
    let gateway = Gateway::spawn(&format!("{config}\n{}", authority.listens()));
    gateway.log_line(" tls=on").await;
    (gateway, origin)
}

/// Waits until a scanner has ended, and gives its exit code and what it said.
async fn run(mut command: Command, folder: &Path) -> (i32, String) {
    command.current_dir(folder);
    let mut program = Program::run(command);
    let mut said = String::new();
    let whole = async {
        while let Some(line) = program.line_or_end().await {
            said += &format!("{line}\n");
        }
        program.exit_code().await
    };
    let code = tokio::time::timeout(TIME, whole).await.expect("the scanner ends");
    (code, format!("{said}{}", program.complaints()))
}

/// The value of an attribute in a line of XML.
fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, value) = line.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name}: {line}"));
    value.split('"').next().unwrap()
}

#[tokio::test]
async fn sslscan_finds_nothing_weak() {
    let (authority, folder) = (Authority::like_a_public_one(), TempDir::new().unwrap());
    let (gateway, _origin) = scanned(&authority).await;
    let mut command = Command::new("sslscan");
    let port = gateway.tls_addr().unwrap().port();
    command.args(["--xml=found.xml", "--ipv4", "--sni-name=localhost", &format!("127.0.0.1:{port}")]);
    let (code, said) = run(command, folder.path()).await;
    assert_eq!(code, 0, "{said}");

    let found = std::fs::read_to_string(folder.path().join("found.xml")).unwrap();
    let lines = |element: &str| -> Vec<&str> {
        found.lines().map(str::trim).filter(|line| line.starts_with(&format!("<{element} "))).collect()
    };
    let mut enabled: Vec<_> = lines("protocol").into_iter().filter(|line| attribute(line, "enabled") == "1").collect();
    enabled.retain(|line| attribute(line, "type") != "tls" || attribute(line, "version") < "1.2");
    assert!(enabled.is_empty(), "{enabled:?}");
    assert_eq!(lines("protocol").len(), 6, "SSL 2 and 3, TLS 1.0 to 1.3: {found}");

    let ciphers = lines("cipher");
    for version in ["TLSv1.2", "TLSv1.3"] {
        assert!(ciphers.iter().any(|line| attribute(line, "sslversion") == version), "{version}: {found}");
    }
    for cipher in ciphers {
        assert!(["strong", "acceptable"].contains(&attribute(cipher, "strength")), "{cipher}");
        assert!(attribute(cipher, "bits").parse::<u32>().unwrap() >= 128, "{cipher}");
    }
    for group in lines("group") {
        assert!(attribute(group, "bits").parse::<u32>().unwrap() >= 128, "{group}");
    }
    for (element, attributes) in
        [("heartbleed", &["vulnerable"][..]), ("renegotiation", &["supported"]), ("pk", &["error"])]
    {
        assert!(!lines(element).is_empty(), "{element}: {found}");
        for line in lines(element) {
            assert!(attributes.iter().all(|name| ["0", "false"].contains(&attribute(line, name))), "{line}");
        }
    }
    for compression in lines("compression") {
        assert_eq!(attribute(compression, "supported"), "0", "{compression}");
    }
    for good in ["<self-signed>false</self-signed>", "<expired>false</expired>"] {
        assert!(found.contains(good), "{good}: {found}");
    }
}

#[tokio::test]
async fn testssl_finds_nothing_worse_than_information() {
    let (authority, folder) = (Authority::like_a_public_one(), TempDir::new().unwrap());
    let (gateway, _origin) = scanned(&authority).await;
    let mut command = Command::new("testssl");
    let port = gateway.tls_addr().unwrap().port();
    // It resolves no name, and asks no other server, as it would with `--phone-out`.
    command.args(["--ip", "127.0.0.1", "--nodns", "none", "--warnings", "off", "--quiet", "--color", "0"]);
    command.args([
        "--protocols",
        "--std",
        "--fs",
        "--server-preference",
        "--server-defaults",
        "--headers",
        "--vulnerable",
    ]);
    command.arg("--add-ca").arg(authority.path());
    command.args(["--jsonfile", "found.json", &format!("https://localhost:{port}")]);
    let (problems, said) = run(command, folder.path()).await;

    let found = std::fs::read_to_string(folder.path().join("found.json")).unwrap();
    let found: Vec<Value> = serde_json::from_str(&found).unwrap();
    let of = |id: &str| {
        let finding = found.iter().find(|finding| finding["id"] == id);
        finding.unwrap_or_else(|| panic!("nothing about {id}: {found:#?}"))["finding"].as_str().unwrap()
    };
    let had_no_ticket = of(TICKET) == "check failed because of connect problem";
    assert_eq!(problems, i32::from(had_no_ticket), "the number of problems: {said}");
    // It saw the gateway, and tried what it was told to.
    assert_eq!(of("TLS1_3"), "offered with final");
    assert_eq!(of("ALPN_HTTP2"), "h2");
    assert!(of("HTTP_status_code").starts_with("200 "), "{}", of("HTTP_status_code"));
    assert!(of("cert_chain_of_trust").starts_with("passed"), "{}", of("cert_chain_of_trust"));
    for tried in
        ["heartbleed", "secure_client_renego", "BREACH", "LUCKY13", "RC4", "cipherlist_NULL", "PFS", "HSTS_time"]
    {
        of(tried);
    }
    let is_fault = |finding: &&Value| {
        let [id, severity] = ["id", "severity"].map(|key| finding[key].as_str().unwrap());
        !HARMLESS.contains(&severity) && !INTENDED.contains(&id)
    };
    let faults: Vec<_> = found.iter().filter(is_fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
