//! How the page looks: on each screen, in both colour schemes, with all that strangers may write.

use super::{ADMIN, Readers, Stage, feeding};
use crate::client::Client;
use crate::gateway::{configuration, route};
use crate::origin::Origin;
use crate::page::{contrasts, save};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::sleep;

/// The window sizes of a phone, a tablet, a laptop and a desktop.
const SIZES: [(u32, u32); 4] = [(390, 844), (820, 1180), (1280, 800), (1600, 1000)];

/// Elements that reach beyond the window, unless they are in a box of their own that scrolls.
const WIDER: &str = "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('.skip, .unseen, .box *') \
     && e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 0.5).map((e) => e.outerHTML.slice(0, 200))";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned()
}

/// A stage with a good and a dead origin, slow and refused clients, and clients and events of strangers who mean harm.
async fn scene() -> (Stage, (Origin, Origin), Readers) {
    let hostile = format!(
        "event: <img src=x onerror=alert(1)>\ndata: </pre><script>alert(1)</script><img src=x onerror=\"document.title='owned'\"> \
         \u{202e}gnp.exe\u{2066}\ndata: {}",
        "W".repeat(10_000)
    );
    let (good, bad) = (
        feeding(Box::leak(hostile.into_boxed_str())),
        feeding("event: price\ndata: {\"symbol\":\"ACME\",\"price\":12.5}"),
    );
    let routes = [
        route("/*", &good).with("name = \"feeds\"\nlimits.per_stream = 9"),
        route("/ticks/*", &bad).with("name = \"ticks\"\nupstream.backoff_max_ms = 60000"),
    ];
    let stage = Stage::start(&configuration(ADMIN, routes)).await;
    let gateway = stage.gateway.addr();
    let mut readers = Readers::default();
    let agent = format!("<img src=x onerror=alert(1)> \u{202e}{}", "A".repeat(3000));
    readers.join(gateway, "/%3Cimg%20src=x%20onerror=alert(1)%3E?q=%3Cscript%3E&name=%E2%80%AE", &agent).await;
    readers.join(gateway, &format!("/{}", "long".repeat(300)), "reader").await;
    for n in 0..14 {
        for client in 0..=(n % 4) {
            readers
                .join(gateway, &format!("/ticks/{n:02}?symbol=ACME{n}"), &format!("Mozilla/5.0 (client {client})"))
                .await;
        }
    }
    (stage, (good, bad), readers)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_every_size_in_both_colour_schemes_whatever_strangers_write() {
    let (stage, (_good, bad), _readers) = scene().await;
    let browser = &stage.browser;
    stage.wait("return document.querySelectorAll('#stream-rows tr').length === 16").await;
    bad.kill().await;
    stage.trouble("is down").await;
    Client::get("/x").after("never").connect(&stage.gateway).await.stream().next_event().await;
    stage.trouble("Clients missed events").await;
    // The stream of the hostile client.
    stage.script("location.hash = '#sort=key'").await;
    stage.wait("return document.querySelector('.stream-key').textContent.includes('onerror')").await;
    stage.script("document.querySelector('.stream-key').click()").await;
    stage.wait("return document.querySelectorAll('#events li').length > 5").await;
    for size in SIZES {
        for scheme in ["light", "dark"] {
            browser.look(size, scheme).await;
            stage
                .wait(&format!(
                    "return innerWidth === {} && matchMedia('(prefers-color-scheme: {scheme})').matches",
                    size.0
                ))
                .await;
            for open in [true, false] {
                if !open {
                    stage
                        .script(
                            "window.chosen = manifold.wanted.stream; manifold.want({ stream: '' }); manifold.drawn()",
                        )
                        .await;
                }
                assert_eq!(stage.script(WIDER).await, json!([]), "{size:?} {open}");
                assert_eq!(
                    stage.script("return document.documentElement.scrollWidth <= innerWidth").await,
                    true,
                    "{size:?} {open}"
                );
                assert!(contrasts(browser).await.is_empty(), "{scheme} {open}: {:?}", contrasts(browser).await);
                let name = format!("page-{}-{scheme}{}.png", size.0, if open { "-stream" } else { "" });
                let height = stage.script("return document.documentElement.scrollHeight").await.as_u64().unwrap();
                let height = if open { size.1 } else { height.min(4000).try_into().unwrap() };
                stage.script("scrollTo(0, 0)").await;
                save(&folder().join(name), &browser.picture(size.0, height).await);
            }
            stage.script("manifold.want({ stream: window.chosen })").await;
            stage.wait("return document.querySelectorAll('#events li').length > 5").await;
        }
    }
    what_strangers_wrote_is_text(&stage).await;
    // What moves may be unwanted.
    browser.calm().await;
    stage.wait("return matchMedia('(prefers-reduced-motion: reduce)').matches").await;
    let moving =
        "return [...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).animationName !== 'none').length";
    assert_eq!(stage.script(moving).await, 0);
    stage.quit().await;
}

async fn what_strangers_wrote_is_text(stage: &Stage) {
    assert_eq!(stage.script("return document.querySelectorAll('img, body script, iframe').length").await, 0);
    assert_eq!(stage.script("return document.title.includes('owned')").await, false);
    let agent = stage.script("return document.querySelector('#clients .agent').textContent").await;
    let agent = agent.as_str().unwrap();
    assert!(agent.starts_with("<img src=x onerror=alert(1)>") && agent.len() < 400, "{agent}");
    let event = stage.script("return document.querySelector('#events pre').textContent").await;
    let event = event.as_str().unwrap();
    assert!(event.contains("<script>alert(1)</script>") && event.contains("‹U+202E›gnp.exe‹U+2066›"), "{event}");
    let unseen = "return /[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.innerText)";
    assert_eq!(stage.script(unseen).await, false, "what turns the direction of text is shown as its number");
}

/// An origin of which each stream sends events at a pace of its own, which changes.
fn lively(text: &'static str) -> Origin {
    Origin::answering(move |exchange| async move {
        let mut body = exchange.sse().await;
        let pace = fastrand::f64() * 2.0 + 0.3;
        for n in 1_u32.. {
            body.event(&format!("id: {n}\n{text}\n\n")).await;
            let wave = (f64::from(n) / 14.0).sin() + 1.4;
            sleep(Duration::from_secs_f64(fastrand::f64() * wave / pace)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes the picture of the documents: MANIFOLD_PAGE_SCREENSHOT=docs/page.png"]
async fn the_picture_of_the_documents() {
    let price = "event: price\ndata: {\"symbol\":\"ACME\",\"bid\":12.48,\"ask\":12.51}";
    let (prices, jobs) = (lively(price), lively("data: {\"done\":0.42}"));
    let routes = [
        route("/prices/*", &prices).with("name = \"prices\""),
        route("/jobs/*", &jobs).with("name = \"jobs\"\nupstream.backoff_max_ms = 8000"),
    ];
    let stage = Stage::start(&configuration(ADMIN, routes)).await;
    let mut readers = Readers::default();
    for (n, symbol) in
        ["ACME", "GLOBEX", "HOOLI", "INITECH", "SOYLENT", "STARK", "UMBRELLA", "WAYNE"].iter().enumerate()
    {
        for client in 0..(40 - 5 * n) {
            let agent = if client % 2 == 0 { "Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0" } else { "curl/8.14.1" };
            readers.join(stage.gateway.addr(), &format!("/prices/{symbol}"), agent).await;
        }
    }
    for n in 0..6 {
        readers.join(stage.gateway.addr(), &format!("/jobs/{}", 4711 + n), "worker/1.0").await;
    }
    stage.wait("return manifold.charts.events.values.length >= 90").await;
    jobs.kill().await;
    stage.trouble("is down").await;
    stage.browser.look((1440, 1080), "light").await;
    stage.script("document.querySelector('.stream-key').click()").await;
    stage.wait("return manifold.charts.events.values.length >= 115").await;
    stage.script("scrollTo(0, 0); document.activeElement.blur()").await;
    let wanted = std::env::var_os("MANIFOLD_PAGE_SCREENSHOT");
    let path = wanted.map_or_else(|| folder().join("page.png"), Into::into);
    save(&path, &stage.browser.picture(1440, 1080).await);
    stage.quit().await;
}
