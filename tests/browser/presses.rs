//! What the buttons do, and what a press leaves behind.

use crate::browser::Browser;
use crate::page::{
    all_open, all_reach, browser_at, demo, logged, newest, nothing_is_lost_or_repeated, shown, tally, unaccounted,
};
use serde_json::json;

async fn focused(browser: &Browser) -> String {
    browser.script("return document.activeElement.id").await.as_str().unwrap().to_owned()
}

async fn disabled(browser: &Browser, id: &str) {
    browser
        .wait_for(&format!("return document.querySelector('#{id}:disabled, #{id}[aria-disabled=true]') !== null"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_can_do_no_more_keeps_the_focus() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    browser.click("crowd-open").await;
    browser.click("crowd-close").await;
    disabled(&browser, "crowd-close").await;
    assert_eq!(focused(&browser).await, "crowd-close");
    browser.script("document.getElementById('crowd-close').click()").await;
    browser.click("tunnel").await;
    disabled(&browser, "tunnel").await;
    assert_eq!(focused(&browser).await, "tunnel");
    for n in 1..=10 {
        browser.click("crowd-open").await;
        browser.wait_for(&format!("return seen !== null && seen.crowd.open === {}", n * 50)).await;
    }
    disabled(&browser, "crowd-open").await;
    assert_eq!(focused(&browser).await, "crowd-open");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_begins_with_the_page_and_counts_what_is_said_again() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    logged(&browser, "This page opened its three streams").await;
    for n in 1..=10 {
        browser.click("crowd-open").await;
        browser.wait_for(&format!("return seen.crowd.open === {}", n * 50)).await;
    }
    logged(&browser, "10 times").await;
    logged(&browser, "This page opened its three streams").await;
    let rows = "return document.querySelectorAll('#log li').length";
    assert_eq!(browser.script(rows).await, 2);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provoked_gap_is_reported_and_breaks_no_stream() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    let before = unaccounted(&browser).await;
    browser.click("gap").await;
    logged(&browser, "/ticker was told of a gap").await;
    let n = newest(&browser).await;
    all_reach(&browser, n + 3).await;
    assert!(all_open(&browser).await);
    nothing_is_lost_or_repeated(&browser).await;
    let reported = tally(&browser, "reported").await;
    assert!(reported[0] >= 3 && reported[1..] == [0, 0], "{reported:?}");
    assert_eq!(unaccounted(&browser).await, before);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_raw_bytes_of_a_card_are_what_is_on_the_wire() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    browser.click("numbered-raw").await;
    let text = "document.querySelector('#numbered pre').textContent";
    browser.wait_for(&format!("return /id: [0-9a-f]{{4}}-[0-9]+\\ndata: .*\\n\\n/.test({text})")).await;
    shown(&browser, "clients", "4").await;
    let hidden = "return document.querySelector('#numbered .events').checkVisibility() === false";
    assert_eq!(browser.script(hidden).await, true);
    browser.click("ticker-raw").await;
    browser.wait_for("return /id: ~.*\\ndata: /.test(document.querySelector('#ticker pre').textContent)").await;
    browser.wait_for("return document.getElementById('numbered-raw').ariaPressed === 'false'").await;
    shown(&browser, "clients", "4").await;
    browser.click("ticker-raw").await;
    shown(&browser, "clients", "3").await;
    assert_eq!(browser.script("return document.querySelectorAll('pre.raw:not([hidden])').length").await, 0);
    nothing_is_lost_or_repeated(&browser).await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_falls_behind_alone() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    browser.click("slow-switch").await;
    let fell = "return seen.slow !== null && seen.slow.slow.reported > seen.slow.fast.reported \
         && seen.slow.slow.received < seen.slow.fast.received";
    browser.wait_for(fell).await;
    let row = "return Number(document.querySelector('#slow-row [data-of=reported]').textContent) > 0";
    browser.wait_for(row).await;
    shown(&browser, "clients", "5").await;
    nothing_is_lost_or_repeated(&browser).await;
    assert_eq!(tally(&browser, "reported").await, [0, 0, 0]);
    browser.click("slow-switch").await;
    browser.wait_for("return seen.slow === null").await;
    shown(&browser, "clients", "3").await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_from_the_log_are_marked_and_live_ones_are_not() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    assert_eq!(browser.script("return document.querySelectorAll('.replayed').length").await, 0);
    let note = "window.replayed = [];
         new MutationObserver((all) => all.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
           if (node.matches('.replayed')) window.replayed.push(Number(node.dataset.n));
         }))).observe(document.querySelector('#numbered .events'), { childList: true });";
    browser.script(note).await;
    let before = browser.script("return streams[1].kept.n").await.as_u64().unwrap();
    browser.click("tunnel").await;
    logged(&browser, "Back after the lost connection").await;
    let replayed = browser.script("return window.replayed").await;
    let replayed: Vec<u64> = replayed.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(replayed.len() > 1 && replayed[0] > before, "{replayed:?}");
    let n = newest(&browser).await;
    all_reach(&browser, n + 12).await;
    assert_eq!(browser.script("return document.querySelectorAll('.replayed').length").await, json!(0));
    browser.quit().await;
}
