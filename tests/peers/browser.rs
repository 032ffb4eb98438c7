//! A headless Chromium, driven through chromedriver (the W3C recommendation WebDriver).

use crate::client::Client;
use crate::program::Program;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

/// More attempts than a machine with free ports needs.
const DRIVER_ATTEMPTS: usize = 20;

/// A browser with one page.
pub struct Browser {
    driver: SocketAddr,
    session: String,
    // The browser ends with the pipe to its driver.
    _program: Program,
    _profile: TempDir,
}

impl Browser {
    /// Starts with an empty page.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts with an empty page. It takes every certificate.
    pub async fn trusting() -> Self {
        Self::with(&["--ignore-certificate-errors"]).await
    }

    async fn with(further: &[&str]) -> Self {
        let (program, driver) = start_driver().await;
        let profile = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--remote-debugging-pipe".to_owned(),
            "--disable-gpu".to_owned(),
            // Otherwise Chromium would keep a page that was left, with its connection, for a later return.
            "--disable-features=BackForwardCache".to_owned(),
            // Containers have little shared memory.
            "--disable-dev-shm-usage".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        if rustix::process::geteuid().is_root() {
            arguments.push("--no-sandbox".to_owned());
        }
        let mut options = json!({ "args": arguments });
        // The name of the binary in Debian, which not every driver looks for.
        if let Some(binary) = ["/usr/bin/chromium"].into_iter().find(|path| Path::new(path).exists()) {
            options["binary"] = binary.into();
        }
        // A script may wait for something elsewhere. The test limits its time.
        let wanted = json!({ "goog:chromeOptions": options, "timeouts": { "script": null } });
        let wanted = json!({ "capabilities": { "alwaysMatch": wanted } });
        let session = ask(driver, "/session", &wanted).await;
        let session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Self { driver, session, _program: program, _profile: profile }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url })).await;
    }

    /// Loads its page again.
    pub async fn reload(&self) {
        self.command("/refresh", &json!({})).await;
    }

    /// Runs a script in the page. Returns its result, or the result of its promise.
    pub async fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    async fn command(&self, command: &str, parameters: &Value) -> Value {
        ask(self.driver, &format!("{}{command}", self.session), parameters).await
    }
}

/// Starts chromedriver. Returns where it listens.
///
/// The kernel chooses a port that is free on `::1`, and chromedriver wants the same port on 127.0.0.1. If another socket
/// has it there, chromedriver ends, and is started again.
async fn start_driver() -> (Program, SocketAddr) {
    for _ in 0..DRIVER_ATTEMPTS {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let mut program = Program::run(command);
        while let Some(line) = program.line_or_end().await {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let port = port.trim_end_matches('.').parse().unwrap();
                return (program, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            }
        }
        program.exit_code().await;
        let complaints = program.complaints();
        assert!(complaints.contains("Address already in use"), "chromedriver ended: {complaints}");
    }
    panic!("chromedriver found no port that is free on both addresses, {DRIVER_ATTEMPTS} times");
}

async fn ask(driver: SocketAddr, target: &str, parameters: &Value) -> Value {
    let request = Client::method("POST", target).header("Content-Type", "application/json");
    let mut answer = request.body(&parameters.to_string()).connect(driver).await;
    let text = answer.text().await;
    assert_eq!(answer.status, 200, "{target}: {text}");
    serde_json::from_str::<Value>(&text).unwrap()["value"].take()
}
