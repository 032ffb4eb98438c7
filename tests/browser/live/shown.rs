//! What the page shows while load runs.

use super::{ADMIN, DOWN, ENTER, ESCAPE, Readers, Stage, every, feeding};
use crate::gateway::configuration;
use rustix::process::Signal;
use serde_json::{Value, json};

/// The rows of the table: key, phase and clients.
const ROWS: &str = "return [...document.querySelectorAll('#stream-rows tr')].map((row) => \
     [row.dataset.id, row.querySelector('.stream-key').textContent, 
     row.children[2].textContent, row.children[3].textContent])";

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_the_api_says_while_load_runs() {
    let origin = feeding("data: tick");
    let stage = Stage::with(every(&origin)).await;
    let mut readers = Readers::default();
    for stream in 0..6 {
        for client in 0..=stream {
            readers.join(stage.gateway.addr(), &format!("/s{stream}"), &format!("client-{client}")).await;
        }
    }
    let path = "/api/streams?sort=subscribers";
    let said = stage.until(path, |page| page["streams"].as_array().unwrap().iter().all(|s| s["phase"] == "live")).await;
    let rows: Vec<Value> = said["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| json!([stream["id"], stream["key"], "● live", stream["subscribers"].to_string()]))
        .collect();
    assert_eq!(rows.len(), 6);
    stage.wait(&format!("return JSON.stringify((() => {{ {ROWS} }})()) === {:?}", json!(rows).to_string())).await;
    let figure = |name: &str| format!("document.querySelector('#figure-{name} .value').textContent");
    stage.wait(&format!("return {} === '21' && {} === '6'", figure("clients"), figure("streams"))).await;
    let routes = stage.api("/api/routes").await;
    assert_eq!((&routes["routes"][0]["subscribers"], &routes["routes"][0]["streams"]), (&json!(21), &json!(6)));
    stage.wait("return document.querySelector('#route-rows .phases').textContent === '● 6 live'").await;
    stage.wait("return document.querySelector('#route-rows [data-label=Clients]').textContent === '21'").await;
    // The rates are those of the newest tick. Sixty events a second come in, and each goes to three and a half clients.
    let rates = "return import('/page/words.js').then(({ rate }) => { const { rates } = manifold.tick.totals; manifold.drawn(); \
         const shown = (name) => document.querySelector(`#figure-${name} .value`).textContent; \
         return rates.events_in_per_sec > 0 && rates.deliveries_per_sec > rates.events_in_per_sec \
             && shown('events') === rate(rates.events_in_per_sec) && shown('deliveries') === rate(rates.deliveries_per_sec) })";
    stage.wait(rates).await;
    stage.wait("return document.querySelector('#figure-events .path').getAttribute('d').split('L').length > 2").await;
    stage.wait("return document.querySelector('#stream-rows .chart .path').getAttribute('d') !== null").await;
    assert_eq!(stage.script("return document.getElementById('no-troubles').hidden").await, false);
    let process = stage.api("/api/process").await;
    let version = format!("version {}", process["version"].as_str().unwrap());
    assert_eq!(stage.script("return document.getElementById('version').textContent").await, version);
    assert_eq!(stage.script("return document.getElementById('ready').textContent").await, "● ready");
    let started = stage.script("return document.getElementById('uptime').title").await;
    assert_eq!(started, process["started"]);
    the_panel_of_a_stream(&stage, said["streams"][1]["id"].as_str().unwrap()).await;
    stage.quit().await;
}

/// The second row's stream has five clients.
async fn the_panel_of_a_stream(stage: &Stage, id: &str) {
    stage.browser.press(&format!("/{DOWN}{DOWN}{ENTER}")).await;
    stage.wait("return document.querySelectorAll('#clients .client').length === 5").await;
    let detail = stage.api(&format!("/api/streams/{id}?events=20")).await;
    let mut said: Vec<_> = detail["subscribers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|client| format!("{} {}", client["address"].as_str().unwrap(), client["user_agent"].as_str().unwrap()))
        .collect();
    let shown = "return [...document.querySelectorAll('#clients .who')].map((who) => \
         `${who.children[1].textContent} ${who.children[2].textContent}`)";
    let shown = stage.script(shown).await;
    let mut shown: Vec<_> = shown.as_array().unwrap().iter().map(|who| who.as_str().unwrap().to_owned()).collect();
    said.sort();
    shown.sort();
    assert_eq!(shown, said);
    assert_eq!(stage.script("return document.getElementById('panel-key').textContent").await, detail["stream"]["key"]);
    assert_eq!(stage.script("return document.activeElement.id").await, "panel-title");
    // The tail goes on, the newest event first, unless it is held.
    let newest = "document.querySelector('#events li .hint').textContent";
    let first = stage.script(&format!("return {newest}")).await;
    stage.wait(&format!("return {newest} !== {first}")).await;
    assert_eq!(stage.script("return document.querySelectorAll('#events li').length").await, 20);
    let in_order = "return (() => { const all = manifold.detail.events.map(({ position }) => position); manifold.drawn(); \
         const shown = [...document.querySelectorAll('#events li .hint')].map((e) => \
             Number(/#([\\d,]+)/.exec(e.textContent)[1].replaceAll(',', ''))); \
         return JSON.stringify(shown) === JSON.stringify(all.reverse()) })()";
    assert_eq!(stage.script(in_order).await, true);
    stage.browser.click("hold").await;
    let held = stage.script(&format!("return {newest}")).await;
    stage.wait(&format!("return manifold.detail.events.at(-1).position > {}", number_in(&held) + 20)).await;
    assert_eq!(
        stage.script(&format!("return {newest}")).await.as_str().unwrap().split(' ').next(),
        held.as_str().unwrap().split(' ').next()
    );
    // The row of the stream has the focus again.
    stage.browser.press(ESCAPE).await;
    let back = format!(
        "return document.getElementById('panel').hidden && document.activeElement.closest('tr').dataset.id === {id:?}"
    );
    assert_eq!(stage.script(&back).await, true);
}

/// The position at the beginning of the text of an event.
fn number_in(hint: &Value) -> u64 {
    let digits = hint.as_str().unwrap().split(' ').next().unwrap().replace(['#', ','], "");
    digits.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_shown_and_then_that_nobody_answers() {
    let origin = feeding("data: tick");
    let proxied = crate::origin::Origin::start();
    let routes = [every(&origin), crate::gateway::route("/unanswered", &proxied).with("kind = \"proxy\"")];
    let mut stage = Stage::start(&configuration(&format!("{ADMIN}\ndrain_secs = 600"), routes)).await;
    let mut connection = crate::client::Connection::open(&stage.gateway).await;
    connection.send("GET /unanswered HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let held = proxied.accept().await;
    stage.gateway.signal(Signal::TERM);
    let told = stage.trouble("manifold is shutting down").await;
    assert!(told.contains("SIGTERM") && told.contains("Browsers come back"), "{told}");
    stage.wait("return document.getElementById('ready').textContent === '▲ draining'").await;
    stage.happened("manifold is shutting down").await;
    held.reply(200, &[], "an answer").await;
    assert_eq!(stage.gateway.exit_code().await, 0);
    stage.wait("return document.body.dataset.link === 'gone' && !document.getElementById('gone').hidden").await;
    stage.browser.quit().await;
}
