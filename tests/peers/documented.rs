//! The clients of docs/clients.md, as they are written there.

use crate::browser::Browser;
use crate::ecosystem::node_code;
use crate::gateway::{Gateway, route};
use crate::listener::Listener;
use crate::origin::Origin;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../docs/clients.md");

/// A page that keeps what the document's code shows.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>A page</title><script>
const shown = [];
let waiting;
function show(data) { if (waiting) waiting(data); else shown.push(data); waiting = undefined; }
const reload = show;
function next() { return shown.length > 0 ? Promise.resolve(shown.shift()) : new Promise((resolve) => (waiting = resolve)); }
"#;

/// Code that prints what the document's code shows.
const PROGRAM: &str = r#"
const show = (data) => console.log(JSON.stringify({ report: "event", type: "message", data, id: "" }));
const token = "a-token";
const url = process.argv[1];
"#;

/// Code that mounts a component with the document's hook, and unmounts it after an event with the data `bye`.
const COMPONENT: &str = r#"
import { EventSource } from "eventsource";
import { createElement } from "react";
import { create } from "react-test-renderer";

globalThis.EventSource = EventSource;
function Page() {
  const { events, isOpen } = useEvents(url);
  useEffect(() => { if (isOpen) show("open"); }, [isOpen]);
  useEffect(() => {
    const last = events.at(-1)?.data;
    if (last) show(`${events.length}: ${last}`);
    if (last === "bye") page.unmount();
  }, [events]);
  return null;
}
const page = create(createElement(Page));
"#;

/// The `n`-th JavaScript block of the document, counted from 0.
fn block(n: usize) -> &'static str {
    DOCUMENT.split("\n```js\n").nth(n + 1).unwrap().split_once("\n```").unwrap().0
}

/// A gateway with a stream, and with a page that runs the `n`-th block.
struct Site {
    gateway: Gateway,
    stream: Origin,
    _page: Origin,
}

impl Site {
    async fn with(n: usize) -> Self {
        let html = format!("{PAGE}{}\n</script>", block(n));
        let page = Origin::answering(move |asked| {
            let html = html.clone();
            async move { asked.reply(200, &[("Content-Type", "text/html")], &html).await }
        });
        let stream = Origin::start();
        let events = route("/events", &stream).with("upstream.backoff_min_ms = 10");
        let gateway = Gateway::with_all([events, route("/page", &page).with("kind = \"proxy\"")]).await;
        Self { gateway, stream, _page: page }
    }

    fn page(&self) -> String {
        format!("http://{}/page", self.gateway.addr())
    }
}

async fn next(browser: &Browser) -> Value {
    browser.run("return next()").await
}

#[tokio::test]
async fn the_first_page_shows_events_and_hears_of_gaps() {
    let (site, browser) = (Site::with(0).await, Browser::start().await);
    let page = site.page();
    let ((), mut body) = tokio::join!(browser.open(&page), site.stream.stream());
    body.event("data: 1\n\n").await;
    assert_eq!(next(&browser).await, "1");
    drop(body);
    let mut body = site.stream.stream().await;
    body.event("data: 2\n\n").await;
    assert_eq!(next(&browser).await, json!({ "reason": "upstream", "missed": null }));
    assert_eq!(next(&browser).await, "2");
}

#[tokio::test]
async fn the_page_that_keeps_its_id_resumes_when_it_is_loaded_again() {
    let (site, browser) = (Site::with(1).await, Browser::start().await);
    let page = site.page();
    let ((), mut body) = tokio::join!(browser.open(&page), site.stream.stream());
    body.event("data: 1\n\n").await;
    assert_eq!(next(&browser).await, "1");
    browser.open("about:blank").await;
    site.gateway.log_line("why=client").await;
    body.event("data: 2\n\n").await;
    browser.open(&page).await;
    assert_eq!(next(&browser).await, "2");
}

#[tokio::test]
async fn a_token_reaches_the_origin_in_a_header() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/events", &origin)).await;
    let program = node_code(&format!("{PROGRAM}{}", block(2)), &format!("http://{}/events", gateway.addr()));
    let mut client = Listener::program(program);
    let mut body = origin.stream().await;
    body.event("data: 1\n\n").await;
    assert_eq!(client.data().await, "1");
    assert_eq!(origin.request(1).await.headers.one("authorization"), Some("Bearer a-token"));
}

#[tokio::test]
async fn the_hook_gives_events_to_its_component_and_closes_with_it() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/events", &origin)).await;
    let program = node_code(&format!("{PROGRAM}{}{COMPONENT}", block(3)), &format!("http://{}/events", gateway.addr()));
    let mut component = Listener::program(program);
    let mut body = origin.stream().await;
    assert_eq!(component.data().await, "open");
    body.event("data: 1\n\n").await;
    assert_eq!(component.data().await, "1: 1");
    body.event("data: bye\n\n").await;
    assert_eq!(component.data().await, "2: bye");
    gateway.log_line("why=client").await;
}
