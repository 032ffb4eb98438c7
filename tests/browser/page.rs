//! What the page shows, and what it does when things break.

use crate::browser::Browser;
use crate::http::exchange;
use bytes::Bytes;
use http::{Request, Response};
use manifold::demo::{Demo, DemoOptions};
use serde_json::Value;
use std::time::Duration;

/// The period of the origin's events, which is shorter here than for a reader.
const PERIOD: Duration = Duration::from_millis(100);

/// The window sizes of a phone, a tablet and a desktop.
const SIZES: [(u32, u32); 3] = [(390, 844), (768, 1024), (1280, 900)];

pub async fn demo() -> Demo {
    Demo::start(DemoOptions { listen: ([127, 0, 0, 1], 0).into(), period: PERIOD, ..DemoOptions::default() })
        .await
        .unwrap()
}

pub async fn browser_at(demo: &Demo) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", demo.address())).await;
    all_reach(&browser, 3).await;
    browser
}

/// Waits until every stream of the page got event `n` of the origin, or a later one.
pub async fn all_reach(browser: &Browser, n: u64) {
    browser.wait_for(&format!("return streams.every(({{ kept }}) => kept.n >= {n})")).await;
}

/// The number of the newest event on any stream.
pub async fn newest(browser: &Browser) -> u64 {
    browser.script("return Math.max(...streams.map(({ kept }) => kept.n))").await.as_u64().unwrap()
}

/// One number for each stream: without ids, with ids, and flaky.
pub async fn tally(browser: &Browser, what: &str) -> Vec<u64> {
    let script = format!(
        "return ['ticker', 'numbered', 'flaky'].map((name) => \
         Number(document.querySelector(`#${{name}} [data-of={what}]`).textContent))"
    );
    browser.script(&script).await.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

pub async fn all_open(browser: &Browser) -> bool {
    browser.script("return streams.every(({ source }) => source.readyState === EventSource.OPEN)").await == true
}

pub async fn logged(browser: &Browser, what: &str) {
    browser.wait_for(&format!("return document.getElementById('log').textContent.includes({what:?})")).await;
}

pub async fn shown(browser: &Browser, id: &str, what: &str) {
    browser.wait_for(&format!("return document.getElementById({id:?}).textContent === {what:?}")).await;
}

/// For each stream, its newest number less the events that came and the events that it was told are lost. This value
/// stays the same as long as no event is lost silently or repeated.
pub async fn unaccounted(browser: &Browser) -> Value {
    browser.script("return streams.map(({ kept }) => kept.n - kept.received - kept.reported)").await
}

/// Compares the page's own counts, which go on across reloads.
pub async fn nothing_is_lost_or_repeated(browser: &Browser) {
    assert_eq!(tally(browser, "unreported").await, [0, 0, 0]);
    assert_eq!(tally(browser, "duplicates").await, [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_is_shown_and_shares_its_connection() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    shown(&browser, "clients", "3").await;
    shown(&browser, "streams-open", "3").await;
    shown(&browser, "origin-state", "running").await;
    browser.click("crowd-open").await;
    shown(&browser, "clients", "53").await;
    browser.wait_for("return document.querySelectorAll('#dots i').length === 53").await;
    shown(&browser, "streams-open", "3").await;
    // The flaky stream may be between two connections.
    shown(&browser, "connections", "3").await;
    let attempts = "return seen.routes.filter(({ name }) => name === 'ticker' || name === 'numbered').map(({ connections }) => connections)";
    assert_eq!(browser.script(attempts).await, serde_json::json!([1, 1]));
    browser.click("crowd-close").await;
    shown(&browser, "clients", "3").await;
    nothing_is_lost_or_repeated(&browser).await;
    let complaints = browser.console().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_stay_open_while_the_origin_is_away() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    browser
        .script("streams.forEach((stream) => stream.source.addEventListener('error', () => { window.broken = true }))")
        .await;
    browser.click("origin-switch").await;
    shown(&browser, "origin-state", "stopped").await;
    shown(&browser, "connections", "0").await;
    browser
        .wait_for("return [...document.querySelectorAll('.badge')].every((b) => b.textContent === 'held open')")
        .await;
    logged(&browser, "All streams stay open").await;
    let (away, unaccounted_before) = (newest(&browser).await, unaccounted(&browser).await);
    assert!(all_open(&browser).await);
    shown(&browser, "clients", "3").await;
    browser.click("origin-switch").await;
    shown(&browser, "origin-state", "running").await;
    all_reach(&browser, away + 10).await;
    logged(&browser, "/ticker was told of a gap").await;
    assert!(all_open(&browser).await);
    assert_eq!(browser.script("return window.broken === true").await, false, "no EventSource had to reconnect");
    nothing_is_lost_or_repeated(&browser).await;
    assert_eq!(unaccounted(&browser).await, unaccounted_before);
    let told = tally(&browser, "reported").await;
    assert!(told[0] > 0, "what the origin without ids did not send is lost, and told: {told:?}");
    assert_eq!(told[1..], [0, 0], "the others send it later");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_and_a_lost_connection_resume() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    for what in ["the reload", "the lost connection"] {
        let before = tally(&browser, "received").await;
        let (n, unaccounted_before) = (newest(&browser).await, unaccounted(&browser).await);
        if what == "the reload" {
            browser.reload().await;
        } else {
            browser.click("tunnel").await;
            browser.wait_for("return streams.every(({ source }) => source.readyState === EventSource.CLOSED)").await;
        }
        logged(&browser, &format!("Back after {what}: each stream went on after its last id. Nothing was lost")).await;
        let marks = browser.script("return document.querySelectorAll('.pause').length").await;
        assert!(marks.as_u64().unwrap() <= 3, "one mark per stream at most: {marks}");
        let resumed = browser.script("return streams.map(({ source }) => new URL(source.url).search)").await;
        assert!(resumed.as_array().unwrap().iter().all(|query| query.as_str().unwrap().contains("lastEventId=")));
        all_reach(&browser, n + 10).await;
        nothing_is_lost_or_repeated(&browser).await;
        assert_eq!(unaccounted(&browser).await, unaccounted_before, "{what}");
        assert_eq!(tally(&browser, "reported").await, [0, 0, 0], "{what}");
        let after = tally(&browser, "received").await;
        assert!(before.iter().zip(&after).all(|(before, after)| after > before), "the tally goes on across {what}");
    }
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_window_leaves_connections_to_the_first() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    let first = browser.another_window(&format!("http://{}/", demo.address())).await;
    browser.wait_for("return streams[1].kept.n > 3").await;
    let badges = "return [...document.querySelectorAll('.badge')].map((badge) => badge.textContent)";
    assert_eq!(browser.script(badges).await, serde_json::json!(["in another window", "open", "in another window"]));
    shown(&browser, "clients", "4").await;
    browser.turn_to(&first).await;
    let n = newest(&browser).await;
    all_reach(&browser, n + 3).await;
    browser.close_window().await;
    let windows = browser.windows().await;
    browser.turn_to(&windows[0]).await;
    all_reach(&browser, n + 6).await;
    shown(&browser, "clients", "3").await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_every_size_in_both_colour_schemes() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    for clients in ["53", "103"] {
        browser.click("crowd-open").await;
        shown(&browser, "clients", clients).await;
    }
    shown(&browser, "connections", "3").await;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for size in SIZES {
        for scheme in ["light", "dark"] {
            browser.look(size, scheme).await;
            browser
                .wait_for(&format!(
                    "return innerWidth === {} && matchMedia('(prefers-color-scheme: {scheme})').matches",
                    size.0
                ))
                .await;
            let wider = "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('.skip, pre, template') \
                 && e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML)";
            assert_eq!(browser.script(wider).await, serde_json::json!([]), "{size:?}");
            assert!(contrasts(&browser).await.is_empty(), "{scheme}: {:?}", contrasts(&browser).await);
            let height = browser.script("return document.documentElement.scrollHeight").await.as_u64().unwrap();
            let picture = browser.picture(size.0, height.try_into().unwrap()).await;
            save(&folder.join(format!("demo-{}-{scheme}.png", size.0)), &picture);
        }
    }
    let wanted = std::env::var_os("MANIFOLD_SCREENSHOT");
    browser.look((1200, 900), "light").await;
    let below = "return Math.ceil(document.getElementById('cards').getBoundingClientRect().bottom + scrollY) + 24";
    let height = browser.wait_for(below).await.as_u64().unwrap();
    browser.script("document.getAnimations().forEach((animation) => animation.finish())").await;
    shown(&browser, "connections", "3").await;
    let picture = browser.picture(1200, height.try_into().unwrap()).await;
    save(&wanted.map_or_else(|| folder.join("demo.png"), Into::into), &picture);
    browser.quit().await;
}

/// The texts whose contrast is less than 4.5 to 1 (WCAG 2.2, success criterion 1.4.3), except in disabled buttons.
pub async fn contrasts(browser: &Browser) -> Vec<Value> {
    let script = include_str!("contrast.js");
    browser.script(script).await.as_array().unwrap().clone()
}

pub fn save(path: &std::path::Path, base64: &str) {
    let decoded = decode_base64(base64.trim_end_matches('='));
    assert!(decoded.starts_with(b"\x89PNG"), "a picture");
    std::fs::write(path, decoded).unwrap();
}

/// Decodes Base64 (RFC 4648, section 4) without padding.
fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let six = ALPHABET.iter().position(|letter| *letter == byte).expect("Base64");
        (bits, held) = (bits << 6 | u32::try_from(six).unwrap(), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

pub async fn ask(demo: &Demo, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    exchange(demo.address(), request.body(Bytes::new()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_allows_itself_only_what_it_is_made_of() {
    let demo = demo().await;
    for path in ["/", "/demo.css", "/demo.js", "/icon.svg", "/api/state", "/api/id"] {
        let answer = ask(&demo, "GET", path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        let body = String::from_utf8(answer.body().to_vec()).unwrap();
        let elsewhere = body.matches("://").count() - body.matches(&format!("http://{}", demo.address())).count();
        let allowed = body.matches("http://127.0.0.1:").count() - body.matches(&demo.address().to_string()).count();
        let namespace = body.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
        assert!(elsewhere <= allowed + namespace, "{path} names no other place");
    }
    assert_eq!(ask(&demo, "GET", "/nothing", &[]).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_is_pressed_by_the_page_alone_and_the_crowd_is_bounded() {
    let demo = demo().await;
    assert_eq!(ask(&demo, "POST", "/api/origin/stop", &[]).await.status(), 403, "another site's form");
    let preflight = [("origin", "http://evil.example"), ("access-control-request-headers", "x-demo")];
    let answer = ask(&demo, "OPTIONS", "/api/origin/stop", &preflight).await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(ask(&demo, "GET", "/api/origin/stop", &[("x-demo", "1")]).await.status(), 405);
    assert_eq!(ask(&demo, "POST", "/api/nothing", &[("x-demo", "1")]).await.status(), 404);
    for _ in 0..11 {
        let answer = ask(&demo, "POST", "/api/clients/open", &[("x-demo", "1")]).await;
        assert_eq!(answer.status(), 200);
    }
    let state: Value = serde_json::from_slice(ask(&demo, "GET", "/api/state", &[]).await.body()).unwrap();
    assert_eq!(state["crowd"]["open"], 500);
    assert_eq!(state["origin"]["on"], true);
}
