//! Chromium's EventSource, in a page and in a worker.

use crate::browser::Browser;
use crate::ecosystem::{file, go};
use crate::gateway::{Gateway, route};
use crate::line::Line;
use crate::listener::{Listener, Report};
use crate::origin::{Origin, Port};
use crate::program::Program;
use crate::resuming::{quick, stories_of};
use url::form_urlencoded::byte_serialize;

/// Serves the pages of `tests/clients/browser` to the browser.
struct Pages(Origin);

impl Pages {
    fn start() -> Self {
        Self(Origin::answering(async |asked| {
            let path = asked.request.target.split('?').next().unwrap_or_default().trim_start_matches('/');
            let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html" };
            match std::fs::read_to_string(file("clients/browser").join(path)) {
                Ok(text) => asked.reply(200, &[("Content-Type", kind)], &text).await,
                Err(_) => asked.reply(404, &[], "").await,
            }
        }))
    }

    /// The URL of the page that listens to a stream.
    fn listening_to(&self, stream: &str, how: &str) -> String {
        let stream: String = byte_serialize(stream.as_bytes()).collect();
        format!("{}/index.html?stream={stream}{how}", self.0.url())
    }

    /// The reports of such a page.
    fn listener(self, browser: Browser) -> Listener {
        Listener::Page { browser: Box::new(browser), _pages: self.0 }
    }
}

async fn page(stream: String, how: &str) -> Listener {
    let (pages, browser) = (Pages::start(), Browser::start().await);
    browser.open(&pages.listening_to(&stream, how)).await;
    pages.listener(browser)
}

async fn in_a_page(stream: String) -> Listener {
    page(stream, "").await
}

async fn in_a_worker(stream: String) -> Listener {
    page(stream, "&worker").await
}

stories_of!(in_a_page, in_a_worker);

#[tokio::test]
async fn a_page_that_is_loaded_again_resumes() {
    let (origin, pages) = (Origin::start(), Pages::start());
    let gateway = Gateway::with(quick(&origin)).await;
    let line = Line::to(gateway.addr());
    let url = pages.listening_to(&line.url("/a"), "");
    let browser = Browser::start().await;
    let ((), mut body) = tokio::join!(browser.open(&url), origin.stream());
    let mut page = pages.listener(browser);
    body.event("data: 1\n\n").await;
    assert_eq!(page.data().await, "1");

    page.browser().open("about:blank").await;
    gateway.log_line("why=client").await;
    body.event("data: 2\n\n").await;
    body.event("data: 3\n\n").await;
    page.browser().open(&url).await;
    assert_eq!(page.data().await, "2");
    assert_eq!(page.data().await, "3");

    page.browser().reload().await;
    body.event("data: 4\n\n").await;
    assert_eq!(page.data().await, "4");
    // The URL of the page's stream still has the previous id. The newer one is in the header.
    line.cut();
    body.event("data: 5\n\n").await;
    line.mend();
    assert_eq!(page.data().await, "5");
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(origin.request(1).await.target, "/a");
}

#[tokio::test]
async fn a_page_of_another_origin_sends_its_cookies_only_if_it_is_named() {
    let (origin, named, other) = (Origin::start(), Pages::start(), Pages::start());
    let allowed = format!("cors.origins = [{:?}]\ncors.credentials = true", named.0.url());
    let gateway = Gateway::with(route("/*", &origin).with(&allowed)).await;
    let stream = format!("http://{}/a", gateway.addr());
    let browser = Browser::start().await;
    let with_credentials = named.listening_to(&stream, "&credentials");
    browser.open(&format!("{}/listen.js", named.0.url())).await;
    browser.run("document.cookie = 'session=mine'").await;

    let ((), mut body) = tokio::join!(browser.open(&with_credentials), origin.stream());
    body.event("data: for me\n\n").await;
    assert_eq!(origin.request(1).await.headers.one("cookie"), Some("session=mine"));
    let mut page = named.listener(browser);
    assert_eq!(page.data().await, "for me");

    let without = other.listening_to(&stream, "&credentials");
    page.browser().open(&without).await;
    assert_eq!(page.report().await, Report::Closed);
    let line = gateway.log_line("cors_origin_refused").await;
    assert!(line.contains(&format!("origin={:?}", other.0.url())), "{line}");
}

#[tokio::test]
async fn the_page_of_the_go_program_does_not_notice_its_restart() {
    let port = Port::reserve();
    let start = async || {
        let mut command = go("origins/go/main.go").await;
        command.arg(port.addr().to_string());
        let mut program = Program::run(command);
        program.listens(&port).await;
        program
    };
    let origin = start().await;
    let gateway = Gateway::with_all([route("/events", &port), route("/*", &port).with("kind = \"proxy\"")]).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", gateway.addr())).await;
    let times = async |more: u32| {
        let script = format!(
            "const wanted = times.children.length + {more};
             return new Promise((resolve) => {{
                 const look = () => times.children.length >= wanted && resolve(times.children.length);
                 new MutationObserver(look).observe(times, {{ childList: true }});
             }})"
        );
        browser.run(&script).await;
    };
    times(3).await;
    origin.kill().await;
    gateway.log_line("connection refused").await;
    let _origin = start().await;
    gateway.log_line("origin up").await;
    times(3).await;
    assert_eq!(browser.run("return state.textContent").await, "open");
    assert!(!gateway.log().contains("client left"), "{}", gateway.log());
}
