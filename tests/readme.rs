//! What the README and docs/ show works: every configuration loads and every command is run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use manifold::config::{Config, SCHEMA, Sources};
use manifold::probe::Key;
use rustix::process::{Pid, Signal, kill_process_group};
use std::env::VarError;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

const README: &str = include_str!("../README.md");
const LOAD_TESTING: &str = include_str!("../docs/load-testing.md");
const TROUBLESHOOTING: &str = include_str!("../docs/troubleshooting.md");

/// The section of the README whose commands `scripts/try-image` runs, because they need a container engine.
const IN_A_CONTAINER: &str = "\n## Run it in a container\n";

/// Sources in which every variable and every file exists.
struct Everything;

impl Sources for Everything {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        Ok(if name == "ORIGIN" { "http://127.0.0.1:9000" } else { "value" }.to_owned())
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        let (certificate, key) = &*PAIR;
        Ok(match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => certificate.clone(),
            Some("key") => key.clone(),
            _ if path.ends_with("ticket-keys") => "01".repeat(32),
            _ if path.ends_with("manifold/keys") => format!("{}  dashboard", "01".repeat(32)),
            _ => "value".to_owned(),
        })
    }
}

/// The certificate and the key of every server in the documents, in PEM.
static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
});

/// The fenced blocks with this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split_once("\n```").unwrap().0).collect()
}

/// Every document in docs/, with its name.
fn documents() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let documents = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let named = |path: PathBuf| (path.display().to_string(), std::fs::read_to_string(path).unwrap());
    let mut documents: Vec<_> = documents.map(named).collect();
    documents.sort();
    assert!(documents.len() > 20, "{documents:?}");
    documents
}

#[test]
fn every_configuration_of_the_documents_loads_and_fits_the_schema() {
    let schema = jsonschema::draft7::new(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let mut documents = documents();
    documents.push(("README.md".to_owned(), README.to_owned()));
    let mut tried = 0;
    for (name, text) in documents {
        for block in blocks(&text, "toml") {
            if let Err(errors) = Config::parse(block, &Everything) {
                panic!("{name}: {errors}\n{block}");
            }
            let table: toml::Table = toml::from_str(block).unwrap();
            let table = serde_json::to_value(table).unwrap();
            let faults: Vec<_> = schema.iter_errors(&table).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{name}: {faults:?}\n{block}");
            tried += 1;
        }
    }
    assert!(tried > 25, "{tried}");
}

/// Links of these documents to files of the repository and to headings of documents.
#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = documents();
    documents.push((root.join("README.md").display().to_string(), README.to_owned()));
    let mut links = 0;
    for (name, text) in &documents {
        for link in text.split("](").skip(1).map(|rest| rest.split_once(')').unwrap().0) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target =
                if file.is_empty() { PathBuf::from(name) } else { Path::new(name).parent().unwrap().join(file) };
            assert!(target.exists(), "{name} links to {link}, which is not there");
            if let Some(heading) = heading {
                let there = std::fs::read_to_string(&target).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.any(|anchor| anchor == heading), "{name} links to {link}, which has no such heading");
            }
        }
    }
    assert!(links > 100, "{links}");
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A command that runs until it is told to end, together with everything that it started.
struct Run(Child);

impl Run {
    fn start(command: &mut Command) -> Self {
        Self(command.process_group(0).stdin(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.signal(Signal::KILL);
            self.0.wait().unwrap();
        }
    }
}

/// Reads lines until one contains `text`. Returns what follows `text` in it.
fn line_with(output: impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        if let Some((_, rest)) = line.split_once(text) {
            return rest.trim().to_owned();
        }
        seen.push(line);
    }
    panic!("no {text:?} in {seen:#?}");
}

#[test]
fn every_command_of_the_readme_runs() {
    let (before, section) = README.split_once(IN_A_CONTAINER).unwrap();
    let after = section.split_once("\n## ").unwrap().1;
    let mut commands = [before, after].into_iter().flat_map(|text| blocks(text, "sh")).flat_map(str::lines);
    let directory = tempfile::tempdir().unwrap();

    assert_eq!(commands.next(), Some("make setup"));
    let setup = Command::new("make").args(["--no-print-directory", "setup"]).status().unwrap();
    assert!(setup.success());
    let install = commands.next().unwrap().strip_prefix("cargo ").unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(install.split(' ')).args(["--debug", "--root"]).arg(directory.path());
    assert!(cargo.env("CARGO_TARGET_DIR", target()).status().unwrap().success());
    assert!(directory.path().join("bin/manifold").exists());

    assert_eq!(commands.next(), Some("make run"));
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "run", "PROFILE=dev", "ARGS=--listen 127.0.0.1:0"]).stdout(Stdio::piped());
    let mut demo = Run::start(make.env("CARGO_TARGET_DIR", target()));
    let address = line_with(demo.0.stdout.as_mut().unwrap(), "manifold demo: http://");
    assert!(reads_an_event(commands.next().unwrap(), "127.0.0.1:8080", address.trim_end_matches('/')));
    drop(demo);

    let site = blocks(README, "toml")[0];
    assert!(site.contains("127.0.0.1:8080") && site.contains("127.0.0.1:3000"));
    let site = site.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:3000", &an_origin().to_string());
    std::fs::write(directory.path().join("site.toml"), site).unwrap();
    let manifold = |command: &str| {
        let mut manifold = Command::new(env!("CARGO_BIN_EXE_manifold"));
        manifold.args(command.strip_prefix("manifold ").unwrap().split(' ')).current_dir(&directory);
        manifold
    };
    let test = commands.next().unwrap();
    assert!(test.contains("--test"));
    assert!(manifold(test).status().unwrap().success());
    let mut gateway = Run::start(manifold(commands.next().unwrap()).stderr(Stdio::piped()));
    let address = line_with(gateway.0.stderr.as_mut().unwrap(), "listening addr=");
    assert!(reads_an_event(commands.next().unwrap(), "127.0.0.1:8080", &address));
    gateway.signal(Signal::TERM);
    assert!(gateway.0.wait().unwrap().success());

    assert_eq!(commands.next(), None, "a command that this test does not run");
}

/// Whether this curl command reads an event, when it asks another address.
fn reads_an_event(command: &str, documented: &str, address: &str) -> bool {
    let curl = command.strip_prefix("curl ").unwrap().replace(documented, address);
    let mut curl = Run::start(Command::new("curl").arg("-sS").args(curl.split(' ')).stdout(Stdio::piped()));
    !line_with(curl.0.stdout.as_mut().unwrap(), "data:").is_empty()
}

/// Starts an origin that sends each client an event and then nothing. Returns its address.
fn an_origin() -> SocketAddr {
    const EVENT: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: an event\n\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut clients = Vec::new();
        for client in listener.incoming() {
            let mut client = client.unwrap();
            // The client may be gone already.
            drop(client.read(&mut [0; 4096]).and_then(|_| client.write_all(EVENT)));
            clients.push(client);
        }
    });
    address
}

#[test]
fn every_command_of_the_load_test_runs_and_says_what_the_document_says() {
    let mut commands = blocks(LOAD_TESTING, "sh").into_iter().flat_map(str::lines);
    let directory = tempfile::tempdir().unwrap();
    let manifold = |command: &str| {
        let mut manifold = Command::new(env!("CARGO_BIN_EXE_manifold"));
        manifold.args(command.strip_prefix("manifold ").unwrap().split(' ')).current_dir(&directory);
        manifold
    };
    let mut demo = manifold(commands.next().unwrap());
    let mut demo = Run::start(demo.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()));
    let origin = line_with(demo.0.stdout.as_mut().unwrap(), "manifold demo: http://");

    let load = blocks(LOAD_TESTING, "toml")[0];
    let load = load.replace("127.0.0.1:8081", "127.0.0.1:0").replace("127.0.0.1:8080", origin.trim_end_matches('/'));
    std::fs::write(directory.path().join("load.toml"), load).unwrap();
    let mut gateway = Run::start(manifold(commands.next().unwrap()).stderr(Stdio::piped()));
    let mut log = BufReader::new(gateway.0.stderr.take().unwrap());
    let address = line_with(&mut log, "listening addr=");
    // Each client that leaves causes a log line, so the log must be read.
    std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));

    let oha = commands.next().unwrap().strip_prefix("oha ").unwrap().replace("127.0.0.1:8081", &address);
    let oha = Command::new(oha_binary()).args(oha.split(' ')).output().unwrap();
    let said = String::from_utf8(oha.stdout).unwrap();
    assert!(oha.status.success(), "{said}");
    for line in
        blocks(LOAD_TESTING, "text")[0].lines().filter(|line| line.ends_with("100.00%") || line.contains("[200]"))
    {
        assert!(said.contains(line), "{line:?} is not in\n{said}");
    }
    assert!(!said.contains("Error distribution"), "{said}");
    drop((gateway, demo));
    assert_eq!(commands.next(), None, "a command that this test does not run");
}

#[test]
fn every_command_of_the_troubleshooting_runs_and_every_finding_is_explained() {
    for key in Key::ALL {
        let explained = TROUBLESHOOTING.contains(&format!("\n### {}\n", key.name()));
        assert!(explained, "docs/troubleshooting.md has no section {}", key.name());
    }
    let mut commands = blocks(TROUBLESHOOTING, "sh").into_iter().flat_map(str::lines);
    let directory = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_manifold"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec {command}")).env("PATH", &path).current_dir(&directory);
        shell
    };
    let demo = format!("{} --listen 127.0.0.1:0", commands.next().unwrap());
    let mut demo = Run::start(shell(&demo).stdout(Stdio::piped()));
    let address = line_with(demo.0.stdout.as_mut().unwrap(), "manifold demo: http://");
    let run = |command: &str| {
        let output = shell(&command.replace("127.0.0.1:8080", address.trim_end_matches('/'))).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };

    let (code, said) = run(commands.next().unwrap());
    assert_eq!(code, Some(0), "{said}");
    let keys = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter(|line| ["good ", "note ", "wrong "].iter().any(|begin| line.starts_with(begin)));
        lines.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    let shown = keys(blocks(TROUBLESHOOTING, "text")[0]);
    assert!(shown.len() > 15 && keys(&said) == shown, "the document shows {shown:?}, not\n{said}");

    let site = blocks(README, "toml")[0].replace("127.0.0.1:3000", "127.0.0.1:1");
    std::fs::write(directory.path().join("site.toml"), site).unwrap();
    let (code, said) = run(commands.next().unwrap());
    assert!(code == Some(1) && said.contains("wrong: route /events"), "there is no such origin: {said}");

    let (code, said) = run(commands.next().unwrap());
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let of = |key: &str| report["findings"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap();
    assert!(code == Some(1) && of("cors")["verdict"] == "wrong" && of("preflight")["verdict"] == "wrong", "{said}");
    assert_eq!(commands.next(), None, "a command that this test does not run");
}

/// oha, from the PATH or from where `scripts/setup --test` installs it.
fn oha_binary() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/.oha/bin/oha");
    if own.exists() { own } else { PathBuf::from("oha") }
}

/// The directory in which this test was built, so that `make run` need not build again.
fn target() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_manifold")).parent().and_then(Path::parent).unwrap()
}
