//! The table of streams: filter, sort, pages and keys.

use super::{ADMIN, DOWN, END, ENTER, ESCAPE, Readers, Stage, UP, every};
use crate::gateway::{configuration, route};
use crate::origin::Origin;
use serde_json::{Value, json};

const KEYS: &str = "[...document.querySelectorAll('.stream-key')].map((key) => key.textContent)";
const FOCUS: &str = "return document.activeElement.textContent";

/// The number of streams: three pages.
const STREAMS: usize = 120;

/// The keys that the API lists.
async fn listed(stage: &Stage, query: &str) -> Vec<Value> {
    let said = stage.api(&format!("/api/streams?limit=50&{query}")).await;
    said["streams"].as_array().unwrap().iter().map(|stream| stream["key"].clone()).collect()
}

async fn shows(stage: &Stage, keys: &[Value]) {
    stage.wait(&format!("return JSON.stringify({KEYS}) === {:?}", json!(keys).to_string())).await;
}

/// An origin whose streams say nothing after their first event.
fn quiet() -> Origin {
    Origin::answering(|exchange| async {
        let mut body = exchange.sse().await;
        body.event("id: 1\ndata: 1\n\n").await;
        body.gone().await;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_filtered_sorted_and_paged_and_keys_move_in_it() {
    let origin = quiet();
    let routes = [every(&origin), route("/odd/*", &origin).with("name = \"odd\"")];
    let stage = Stage::start(&configuration(ADMIN, routes)).await;
    let mut readers = Readers::default();
    for n in 0..STREAMS {
        let path = if n % 10 == 1 { format!("/odd/{n:03}") } else { format!("/stream/{n:03}") };
        readers.join(stage.gateway.addr(), &path, "reader").await;
    }
    readers.join(stage.gateway.addr(), "/stream/077", "second").await;
    stage.until("/api/streams?sort=subscribers&limit=1", |page| page["streams"][0]["subscribers"] == 2).await;
    stage.wait("return document.getElementById('streams-total').textContent === '120'").await;
    stage.wait("return document.querySelector('.stream-key').textContent === '/stream/077'").await;
    sorted_and_paged(&stage).await;
    filtered(&stage).await;
    with_keys(&stage).await;
    stage.quit().await;
}

async fn sorted_and_paged(stage: &Stage) {
    stage.script("document.querySelector('[data-sort=key]').click()").await;
    shows(stage, &listed(stage, "sort=key&order=asc").await).await;
    assert_eq!(
        stage.script("return document.querySelector('[aria-sort]').getAttribute('aria-sort')").await,
        "ascending"
    );
    stage.script("document.querySelector('[data-sort=key]').click()").await;
    shows(stage, &listed(stage, "sort=key&order=desc").await).await;
    assert_eq!(stage.script("return location.hash").await, "#sort=key&order=desc");
    stage.script("document.querySelector('[data-sort=key]').click()").await;
    shows(stage, &listed(stage, "sort=key&order=asc").await).await;
    // What is pressed again before the page is there does not go on from the page before.
    stage.script("manifold.turn(1); manifold.turn(1)").await;
    assert_eq!(stage.script("return manifold.cursors.length").await, 2);
    stage.wait("return document.getElementById('pages').textContent === '51 to 100 of 120'").await;
    stage.wait("return !document.getElementById('after').disabled").await;
    stage.browser.press("n").await;
    stage.wait("return document.getElementById('pages').textContent === '101 to 120 of 120'").await;
    let first = stage.api("/api/streams?limit=1000&sort=key&order=asc").await;
    let last: Vec<_> = first["streams"].as_array().unwrap()[100..].iter().map(|stream| stream["key"].clone()).collect();
    shows(stage, &last).await;
    assert_eq!(stage.script("return document.getElementById('after').disabled").await, true);
    // A page stays where it is when it is asked anew.
    stage.wait("return manifold.counts.questions > 12").await;
    shows(stage, &last).await;
    stage.browser.press("pp").await;
    stage.wait("return document.getElementById('pages').textContent === '1 to 50 of 120'").await;
    assert_eq!(stage.script("return document.getElementById('before').disabled").await, true);
    for (button, pages) in [("after", "51 to 100 of 120"), ("before", "1 to 50 of 120")] {
        stage.browser.click(button).await;
        stage.wait(&format!("return document.getElementById('pages').textContent === {pages:?}")).await;
    }
}

async fn filtered(stage: &Stage) {
    stage.browser.press("/0 7").await;
    stage.wait("return document.getElementById('streams-none').textContent === 'No stream matches the filter.'").await;
    stage.browser.press(ESCAPE).await;
    stage.browser.press("07").await;
    shows(stage, &listed(stage, "sort=key&q=07").await).await;
    assert_eq!(stage.script("return document.getElementById('streams-total').textContent").await, "12");
    assert_eq!(stage.script("return location.hash").await, "#q=07&sort=key");
    stage.browser.press(ESCAPE).await;
    let choose = |id: &str, value: &str| {
        format!(
            "const field = document.getElementById('{id}'); field.value = '{value}'; field.dispatchEvent(new Event('change'))"
        )
    };
    stage.script(&choose("route", "odd")).await;
    shows(stage, &listed(stage, "sort=key&route=odd").await).await;
    assert_eq!(stage.script("return document.getElementById('streams-total').textContent").await, "12");
    stage.script(&choose("phase", "waiting")).await;
    stage.wait("return document.getElementById('streams-none').textContent === 'No stream matches the filter.'").await;
    stage.script(&choose("phase", "")).await;
    stage.script(&choose("route", "")).await;
    stage.wait("return document.getElementById('streams-total').textContent === '120'").await;
}

async fn with_keys(stage: &Stage) {
    let keys = listed(stage, "sort=key").await;
    stage.browser.press(&format!("/{DOWN}")).await;
    assert_eq!(stage.script(FOCUS).await, keys[0]);
    stage.browser.press(&format!("{DOWN}{DOWN}{UP}")).await;
    assert_eq!(stage.script(FOCUS).await, keys[1]);
    stage.browser.press(END).await;
    assert_eq!(stage.script(FOCUS).await, keys[49]);
    stage.browser.press(UP).await;
    // One row takes part in the order of the Tab key.
    assert_eq!(stage.script("return document.querySelectorAll('.stream-key[tabindex=\"0\"]').length").await, 1);
    // Rows that are drawn anew in another order keep the focus with their stream, and it can be seen.
    stage.script("manifold.want({ order: 'desc' })").await;
    let order = format!("return {KEYS}[0] === '/stream/119'");
    stage.wait(&order).await;
    assert_ne!(stage.script(FOCUS).await, "", "the focus is somewhere");
    stage.script("document.querySelectorAll('.stream-key')[3].focus()").await;
    let fourth = stage.script(FOCUS).await;
    let turned = "manifold.page.streams.reverse(); manifold.drawn(); return document.activeElement.textContent";
    assert_eq!(stage.script(turned).await, fourth);
    assert_eq!(stage.script("return document.activeElement.matches(':focus-visible')").await, true);
    stage.browser.press(ENTER).await;
    stage.wait(&format!("return document.getElementById('panel-key').textContent === {fourth}")).await;
    stage.wait("return document.querySelector('tr.chosen [aria-current=true]') !== null").await;
    stage.browser.press(ESCAPE).await;
    assert_eq!(stage.script("return document.getElementById('panel').hidden").await, true);
    assert_eq!(stage.script(FOCUS).await, fourth);
    rows_hold_still_under_the_pointer(stage).await;
    stage.browser.press("?").await;
    stage.wait("return document.getElementById('keys').open").await;
    stage.browser.press(ESCAPE).await;
    stage.wait("return !document.getElementById('keys').open").await;
}

async fn rows_hold_still_under_the_pointer(stage: &Stage) {
    // The next answer has the opposite order. Returns whether the rows are in the order of before, and in that of the answer.
    let turned = format!(
        "const before = {KEYS}; manifold.page.streams.sort((a, b) => before.indexOf(b.key) - before.indexOf(a.key)); \
         manifold.drawn(); const now = {KEYS}.join(); \
         return [now === before.join(), now === before.reverse().join()]"
    );
    stage.script("document.getElementById('stream-table').scrollIntoView()").await;
    stage.browser.point_at("#stream-rows tr:nth-child(3)").await;
    stage.wait("return document.getElementById('stream-rows').pointed === true").await;
    assert_eq!(stage.script(&turned).await, json!([true, false]));
    stage.browser.point_at("#streams-title").await;
    stage.wait("return document.getElementById('stream-rows').pointed === false").await;
    assert_eq!(stage.script(&turned).await, json!([false, true]));
}
