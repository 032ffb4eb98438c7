//! What is wrong: it is said with since when, why and what to do, and it goes away.

use super::{ADMIN, Readers, Stage, every, feeding};
use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Origin, Port};
use rustix::process::Signal;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_dies_is_told_and_its_return_too() {
    let (origin, other) = (feeding("data: tick"), feeding("data: tick"));
    let routes = [every(&origin), route("/other", &other).with("name = \"other\"")];
    let stage = Stage::start(&configuration(ADMIN, routes)).await;
    let mut readers = Readers::default();
    for path in ["/a", "/a", "/b", "/other"] {
        readers.join(stage.gateway.addr(), path, "reader").await;
    }
    stage.wait("return document.querySelector('#route-rows .phases').textContent === '● 2 live'").await;
    origin.kill().await;
    let name = format!("Origin {} is down", origin.url());
    stage.trouble(&name).await;
    stage
        .wait(&format!(
            "return document.querySelector('.trouble').innerText.includes({:?})",
            "2 streams with 3 clients"
        ))
        .await;
    let told = stage.trouble(&name).await;
    let outage = stage.api("/api/routes").await["outages"][0].clone();
    for part in ["Failing", "route all", "connection refused", "Start the origin", "hold_secs", "stay open"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let since = stage.script("return document.querySelector('.trouble [data-of=since] time').title").await;
    assert_eq!(since, outage["since"]);
    assert_eq!(stage.script("return document.querySelector('.trouble [data-of=next]').hidden").await, false);
    stage.wait("return document.title.startsWith('(1 wrong)')").await;
    stage.wait("return document.getElementById('said').textContent.includes('is down')").await;
    stage.wait("return document.querySelector('#route-rows .origin').textContent.startsWith('✕ down: ')").await;
    stage.wait("return document.querySelector('#route-rows .phases').textContent === '▲ 2 waiting'").await;
    // The button leads to the streams that wait.
    stage.script("document.querySelector('.trouble button').click()").await;
    stage.wait("return [...document.querySelectorAll('#stream-rows .phase')].map((e) => e.textContent).join() === '▲ waiting,▲ waiting'").await;
    assert_eq!(stage.script("return location.hash").await, "#route=all&phase=waiting");
    stage.wait("return document.querySelector('#stream-rows .why').textContent.includes('connection refused')").await;
    origin.restart();
    stage.no_trouble("is down").await;
    stage.happened("is up again").await;
    stage.happened("is down, 2 streams").await;
    stage.wait("return document.getElementById('said').textContent.startsWith('Over: Origin')").await;
    stage.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_opened_during_an_outage_knows_it_too() {
    let port = Port::reserve();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &port)])).await;
    let (client, admin) = (Client::get("/a").connect(&gateway), gateway.admin().await);
    let _held = client.await;
    gateway.log_line("origin down").await;
    let browser = crate::browser::Browser::start().await;
    browser.open(&format!("http://{admin}/")).await;
    let stage = Stage { gateway, admin, browser };
    let told = stage.trouble("is down").await;
    assert!(told.contains("connection refused"), "{told}");
    stage.happened("is down, 1 stream").await;
    stage.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starved_client_is_told_and_an_operator_ends_it() {
    let big: &'static str = Box::leak(format!("data: {}", "x".repeat(64 << 10)).into_boxed_str());
    let origin = feeding(big);
    let options = "client.stall_secs = 600\nreplay.events = 100000\nreplay.bytes = \"1GiB\"";
    let stage = Stage::with(every(&origin).with(options)).await;
    let mut readers = Readers::default();
    readers.join(stage.gateway.addr(), "/a", "reader").await;
    let mut starved =
        Client::get("/a").header("User-Agent", "starved").small_receive_buffer().connect(&stage.gateway).await.stream();
    let told = stage.trouble("A client is slow on /a").await;
    for part in ["starved", "127.0.0.1", "accepts no more bytes", "behind", "10 min", "Other clients notice nothing"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    stage.script("document.querySelector('.trouble button').click()").await;
    stage.wait("return document.querySelectorAll('#clients .client').length === 2").await;
    stage.wait("return document.querySelector('#clients .client').className === 'client slow'").await;
    let first = stage.script("return document.querySelector('#clients .client').innerText").await;
    let first = first.as_str().unwrap();
    assert!(
        first.contains("▲ slow") && first.contains("starved") && first.contains("accepts nothing since"),
        "{first}"
    );
    let lag = stage.api("/api/streams").await["streams"][0]["slowest_lag_events"].as_u64().unwrap();
    assert!(lag > 0);
    stage.wait("return Number(document.querySelector('#stream-rows [data-label=Lag]').textContent.replaceAll(',', '')) > 0").await;
    // An action is confirmed first, and can be let be.
    stage.script("document.querySelector('#clients .client button').click()").await;
    stage.wait("return document.getElementById('confirm').open && document.activeElement.id === 'confirm-no'").await;
    let says = stage.script("return document.getElementById('confirm').innerText").await;
    assert!(says.as_str().unwrap().contains("starved") && says.as_str().unwrap().contains("is not blocked"), "{says}");
    stage.browser.press(super::ESCAPE).await;
    stage.wait("return !document.getElementById('confirm').open && !document.getElementById('panel').hidden").await;
    assert_eq!(stage.api("/api/process").await["subscribers"], 2);
    stage.script("document.querySelector('#clients .client button').click()").await;
    stage.browser.click("confirm-yes").await;
    stage.wait("return !document.getElementById('confirm').open").await;
    starved.ended().await;
    stage
        .wait("return [...document.querySelectorAll('#clients .agent')].map((e) => e.textContent).join() === 'reader'")
        .await;
    stage.no_trouble("is slow").await;
    stage.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_reconnected_and_closed_after_a_confirmation() {
    let origin = Origin::start();
    let stage = Stage::with(every(&origin)).await;
    let (client, mut body) = tokio::join!(Client::get("/a").connect(&stage.gateway), origin.stream());
    let mut client = client.stream();
    body.event("id: 1\ndata: one\n\n").await;
    client.next_event().await;
    stage.wait("return document.querySelector('.stream-key') !== null").await;
    stage.script("document.querySelector('.stream-key').click()").await;
    ask(&stage, "reconnect", "connects again at once", "Reconnect").await;
    assert_eq!(origin.requests().len(), 1, "nothing was done before the confirmation");
    stage.browser.click("confirm-yes").await;
    body.gone().await;
    let again = origin.accept().await;
    assert_eq!(again.request.headers.one("last-event-id"), Some("1"));
    let body = again.sse().await;
    stage.wait("return document.getElementById('panel-facts').innerText.includes('1 reconnect since')").await;
    ask(&stage, "close", "come back by themselves", "Close the stream").await;
    stage.browser.click("confirm-yes").await;
    client.complete().await;
    body.gone().await;
    stage.wait("return document.getElementById('panel-gone').textContent.startsWith('The stream is over')").await;
    stage
        .wait("return document.getElementById('close').disabled && document.getElementById('reconnect').disabled")
        .await;
    // The question for a stream that is over is answered with 404. The browser says so.
    stage.browser.quit().await;
}

/// Presses a button of the panel. What it does is said before it is done.
async fn ask(stage: &Stage, button: &str, says: &str, yes: &str) {
    stage
        .wait("return !document.getElementById('panel-body').hidden && !document.getElementById('confirm').open")
        .await;
    stage.browser.click(button).await;
    stage.wait("return document.getElementById('confirm').open").await;
    let said = stage.script("return document.getElementById('confirm').innerText").await;
    let said = said.as_str().unwrap();
    assert!(said.contains(says) && said.contains("/a"), "{said}");
    assert_eq!(stage.script("return document.getElementById('confirm-yes').textContent").await, yes);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_gaps_are_told_with_the_key_to_change() {
    let origin = feeding("data: tick");
    let stage = Stage::with(every(&origin).with("limits.subscribers = 3")).await;
    let mut readers = Readers::default();
    readers.join(stage.gateway.addr(), "/a", "reader").await;
    for _ in 0..2 {
        let came = Client::get("/a").after("never").connect(&stage.gateway).await.stream().next_event().await;
        assert_eq!(came.kind, "gap");
    }
    let told = stage.trouble("Clients missed events on route all").await;
    assert!(told.contains("the log never held") && told.contains("2 clients: 2 gaps"), "{told}");
    for _ in 0..2 {
        readers.join(stage.gateway.addr(), "/a", "reader").await;
    }
    let full = stage.trouble("The clients of route all are at their limit: 3 of 3").await;
    assert!(full.contains("limits.subscribers"), "{full}");
    for _ in 0..4 {
        assert_eq!(Client::get("/a").connect(&stage.gateway).await.status, 503);
    }
    let told = stage.trouble("Requests are refused on route all: subscribers").await;
    assert!(told.contains("Raise limits.subscribers of the route"), "{told}");
    stage.wait("return document.getElementById('trouble-list').innerText.includes('4 requests')").await;
    stage.happened("4 refusals on route all, reason subscribers").await;
    // One kind can be looked at alone.
    stage.script("const kind = document.getElementById('happened-kind'); kind.value = 'gaps'; kind.dispatchEvent(new Event('change'))").await;
    stage.wait("return document.querySelectorAll('.happening').length === 1 && document.querySelector('.happening.gaps') !== null").await;
    let refusals = stage.api("/api/process").await["refusals"]["subscribers"].clone();
    assert_eq!(refusals, json!(4));
    stage.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_errors_is_a_trouble_until_it_is_mended() {
    let origin = feeding("data: tick");
    let stage = Stage::with(every(&origin)).await;
    let good = std::fs::read_to_string(stage.gateway.config()).unwrap();
    std::fs::write(stage.gateway.config(), format!("{good}\noddity = 1\n")).unwrap();
    stage.gateway.signal(Signal::HUP);
    let told = stage.trouble("The new configuration has errors").await;
    assert!(told.contains("oddity") && told.contains("manifold --test -c FILE"), "{told}");
    stage.happened("the configuration was not reloaded, the old one stays").await;
    std::fs::write(
        stage.gateway.config(),
        good.replace("[[routes]]", "[defaults.client]\nheartbeat_secs = 7\n[[routes]]"),
    )
    .unwrap();
    stage.gateway.signal(Signal::HUP);
    stage.happened("the configuration was reloaded").await;
    stage.wait("return !document.getElementById('trouble-list').innerText.includes('The new configuration')").await;
    stage.quit().await;
}
