//! A headless Chromium, driven through chromedriver: <https://www.w3.org/TR/webdriver2/>.

use crate::http::exchange;
use bytes::Bytes;
use http::{Method, Request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Longer than any wait takes. No test asserts a time.
const GUARD: Duration = Duration::from_secs(120);

/// The time between two looks at the page.
const LOOK: Duration = Duration::from_millis(50);

/// The flags that isolate the browser: no window, no sandbox of its own, no requests to the network.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// More attempts than a machine with free ports needs.
const DRIVER_ATTEMPTS: usize = 20;

/// A browser with one page.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    process: Option<Pid>,
    _profile: TempDir,
}

/// Starts chromedriver. Returns its port.
///
/// The kernel chooses a port that is free on `::1`, and chromedriver wants the same port on 127.0.0.1. If another socket
/// has it there, chromedriver ends, and is started again.
async fn start_driver() -> (Child, u16) {
    for _ in 0..DRIVER_ATTEMPTS {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver runs; scripts/setup installs it");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return (driver, port.trim_end_matches('.').parse().unwrap());
            }
        }
        driver.wait().await.unwrap();
    }
    panic!("chromedriver ended {DRIVER_ATTEMPTS} times without a port");
}

impl Browser {
    /// Starts a browser with a new profile.
    pub async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let (driver, port) = guarded("chromedriver's port", start_driver()).await;
        let mut browser = Self {
            driver,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            session: String::new(),
            process: None,
            _profile: profile,
        };
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({ "goog:chromeOptions": { "args": flags }, "goog:loggingPrefs": { "browser": "ALL" } });
        let created = browser.call(Method::POST, "", json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        browser.process =
            created["capabilities"]["goog:processID"].as_i64().and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        browser.session = format!("/{}", created["sessionId"].as_str().unwrap());
        browser
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// Runs a script in every page that is opened from now on, before the page's own scripts.
    pub async fn prepare(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.post("/refresh", json!({})).await;
    }

    /// Opens another window with this URL and switches to it. Returns the handle of the previous window.
    pub async fn another_window(&self, url: &str) -> Value {
        let before = self.call(Method::GET, "/window", Value::Null).await;
        let window = self.post("/window/new", json!({ "type": "window" })).await;
        self.turn_to(&window["handle"]).await;
        self.open(url).await;
        before
    }

    /// Switches to a window.
    pub async fn turn_to(&self, window: &Value) {
        self.post("/window", json!({ "handle": window })).await;
    }

    /// The windows that are open.
    pub async fn windows(&self) -> Vec<Value> {
        self.call(Method::GET, "/window/handles", Value::Null).await.as_array().unwrap().clone()
    }

    /// Closes the present window.
    pub async fn close_window(&self) {
        self.call(Method::DELETE, "/window", Value::Null).await;
    }

    /// What a script returns.
    pub async fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Clicks the element with this id, as a user does. The element must be visible.
    pub async fn click(&self, id: &str) {
        let enabled = format!("return document.querySelector('#{id}:not(:disabled, [aria-disabled=true])') !== null");
        self.wait_for(&enabled).await;
        let found = self.post("/element", json!({ "using": "css selector", "value": format!("#{id}") })).await;
        let element = found.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        // The element may move between the driver's look and its click, when a text above it grows.
        let click = format!("/element/{element}/click");
        let clicked = async {
            while let Err(value) = self.answer(Method::POST, &click, json!({})).await {
                assert_eq!(value["error"], "element click intercepted", "{id}: {value:#}");
                sleep(LOOK).await;
            }
        };
        guarded(id, clicked).await;
    }

    /// Presses and releases keys one after the other, as a user does. The element with the focus gets them.
    pub async fn press(&self, keys: &str) {
        let each = keys
            .chars()
            .map(String::from)
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]);
        let source = json!({ "type": "key", "id": "keyboard", "actions": each.collect::<Vec<_>>() });
        self.post("/actions", json!({ "actions": [source] })).await;
    }

    /// Moves the pointer of the mouse to the middle of the first element that fits a selector.
    pub async fn point_at(&self, selector: &str) {
        let middle = format!(
            "const {{ x, y, width, height }} = document.querySelector({selector:?}).getBoundingClientRect(); \
             return {{ x: x + width / 2, y: y + height / 2 }}"
        );
        let at = self.script(&middle).await;
        self.devtools("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": at["x"], "y": at["y"] })).await;
    }

    /// Runs a script repeatedly until it returns a true value. Returns that value.
    pub async fn wait_for(&self, script: &str) -> Value {
        let wait = async {
            loop {
                let value = self.script(script).await;
                if value != Value::Null && value != Value::Bool(false) {
                    return value;
                }
                sleep(LOOK).await;
            }
        };
        if let Ok(value) = timeout(GUARD, wait).await {
            return value;
        }
        panic!("waited {GUARD:?} in vain for {script}\n{}", self.script("return document.body.innerText").await)
    }

    /// Emulates a window of this size and a colour scheme.
    pub async fn look(&self, (width, height): (u32, u32), scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", scheme).await;
    }

    /// Emulates a user who wants nothing to move.
    pub async fn calm(&self) {
        let reduced = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
        self.devtools("Emulation.setEmulatedMedia", reduced).await;
    }

    /// A picture of the page down to this height, as PNG in Base64.
    pub async fn picture(&self, width: u32, height: u32) -> String {
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        self.devtools("Page.captureScreenshot", options).await["data"].as_str().unwrap().to_owned()
    }

    /// The messages in the browser's console since the last call.
    pub async fn console(&self) -> Vec<Value> {
        self.post("/se/log", json!({ "type": "browser" })).await.as_array().unwrap().clone()
    }

    /// Ends the browser and its driver.
    pub async fn quit(mut self) {
        self.call(Method::DELETE, "", Value::Null).await;
        self.process = None;
        self.driver.kill().await.unwrap();
    }

    async fn devtools(&self, command: &str, params: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        self.answer(method, path, body).await.unwrap_or_else(|value| panic!("{path}: {value:#}"))
    }

    /// What the driver answers, or the error that it tells.
    async fn answer(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let uri = format!("/session{}{path}", self.session);
        let request = Request::builder().method(method).uri(&uri).header("content-type", "application/json");
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = request.header("content-length", body.len()).body(body).unwrap();
        let answer = guarded(&uri, exchange(self.address, request)).await;
        let value: Value = serde_json::from_slice(answer.body()).unwrap();
        if answer.status().is_success() { Ok(value["value"].clone()) } else { Err(value["value"].clone()) }
    }
}

impl Drop for Browser {
    /// A failed test leaves no browser behind.
    fn drop(&mut self) {
        if let Some(process) = self.process {
            let _gone_already = kill_process(process, Signal::KILL);
        }
    }
}

/// Awaits `future`. Fails the test with `what` if it does not resolve in time.
pub async fn guarded<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(GUARD, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {GUARD:?} in vain for {what}"),
    }
}
