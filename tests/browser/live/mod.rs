//! The live page of the admin address: what it shows is what the API says.

mod link;
mod many;
mod pictures;
mod shown;
mod table;
mod token;
mod troubles;
mod words;

use crate::browser::{Browser, guarded};
use crate::client::Client;
use crate::gateway::{Gateway, Route, configuration, route};
use crate::origin::Origin;
use crate::page::save;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The time between two events of an origin.
const PERIOD: Duration = Duration::from_millis(100);

/// A line of `[server]`: an admin address.
const ADMIN: &str = "admin = \"127.0.0.1:0\"";

/// The codes of keys in WebDriver.
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const UP: &str = "\u{e013}";
const DOWN: &str = "\u{e015}";
const END: &str = "\u{e010}";

/// An origin that sends this text after its id again and again, on each stream. It cannot resume after the id "never".
fn feeding(text: &'static str) -> Origin {
    Origin::answering(move |exchange| async move {
        if exchange.request.headers.one("last-event-id") == Some("never") {
            return exchange.reply(400, &[], "no such id").await;
        }
        let mut body = exchange.sse().await;
        for n in 1.. {
            body.event(&format!("id: {n}\n{text}\n\n")).await;
            sleep(PERIOD).await;
        }
    })
}

/// A gateway, its admin address and a browser at the page.
struct Stage {
    gateway: Gateway,
    admin: SocketAddr,
    browser: Browser,
}

impl Stage {
    async fn with(route: Route) -> Self {
        Self::start(&configuration(ADMIN, [route])).await
    }

    async fn start(config: &str) -> Self {
        let gateway = Gateway::start(config).await;
        let admin = gateway.admin().await;
        let browser = Browser::start().await;
        browser.open(&format!("http://{admin}/")).await;
        let stage = Self { gateway, admin, browser };
        stage.wait("return manifold.process !== null && manifold.tick !== null && manifold.page !== null").await;
        stage
    }

    async fn wait(&self, script: &str) -> Value {
        self.browser.wait_for(script).await
    }

    async fn script(&self, script: &str) -> Value {
        self.browser.script(script).await
    }

    /// Asks the API.
    async fn api(&self, path: &str) -> Value {
        api(self.admin, path).await
    }

    /// Asks the API until the answer is as expected.
    async fn until(&self, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let value = self.api(path).await;
                if expected(&value) {
                    return value;
                }
                sleep(PERIOD).await;
            }
        };
        guarded(path, asking).await
    }

    /// Waits for a trouble whose heading contains this, and returns its whole text.
    async fn trouble(&self, what: &str) -> String {
        let script = format!(
            "return [...document.querySelectorAll('.trouble')].find((one) => \
             one.querySelector('strong').textContent.includes({what:?}))?.innerText"
        );
        self.wait(&script).await.as_str().unwrap().to_owned()
    }

    /// Waits until there is no trouble of which the text contains this.
    async fn no_trouble(&self, what: &str) {
        let script = "return ![...document.querySelectorAll('.trouble strong')].some((one) => one.textContent.includes";
        self.wait(&format!("{script}({what:?}))")).await;
    }

    /// Waits until what happened contains this.
    async fn happened(&self, what: &str) {
        self.wait(&format!("return document.getElementById('happened').innerText.includes({what:?})")).await;
    }

    /// A picture of the page, for whoever looks at it.
    async fn picture(&self, name: &str) {
        self.browser.look((1280, 800), "light").await;
        let picture = self.browser.picture(1280, 800).await;
        save(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), &picture);
    }

    /// The page did nothing that the browser complains of, and ends.
    async fn quit(self) {
        let complaints = self.browser.console().await;
        assert!(complaints.is_empty(), "{complaints:#?}");
        self.browser.quit().await;
    }
}

/// Asks the API.
async fn api(admin: SocketAddr, path: &str) -> Value {
    let mut answer = Client::get(path).connect(admin).await;
    let text = answer.text().await;
    assert_eq!(answer.status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Clients that read until they are dropped. Each is there when this returns.
#[derive(Default)]
struct Readers(JoinSet<()>);

impl Readers {
    /// A client of this path, with this user agent.
    async fn join(&mut self, gateway: SocketAddr, path: &str, user_agent: &str) {
        let mut socket = guarded("a connection", TcpStream::connect(gateway)).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: {user_agent}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = vec![0; 16 << 10];
        let read = guarded("the head of the answer", socket.read(&mut bytes)).await.unwrap();
        assert!(bytes[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes[..read]));
        self.0.spawn(async move { while socket.read(&mut bytes).await.is_ok_and(|read| read > 0) {} });
    }
}

/// A route for every path.
fn every(origin: &Origin) -> Route {
    route("/*", origin).with("name = \"all\"")
}
