//! The figures, states and texts of the page are true whenever somebody looks.

use crate::browser::{Browser, guarded};
use crate::page::{all_reach, ask, browser_at, demo, newest, shown};
use manifold::demo::{Demo, DemoOptions};
use serde_json::json;
use std::time::Duration;

/// The page's timers of one second never fire, so that the regular poll of the figures is gone.
const NO_POLL: &str = "const real = window.setTimeout; \
     window.setTimeout = (run, ms, ...rest) => (ms === 1000 ? 0 : real(run, ms, ...rest));";

#[tokio::test(flavor = "multi_thread")]
async fn figures_follow_each_change_without_the_regular_poll() {
    let demo = demo().await;
    let browser = Browser::start().await;
    browser.prepare(NO_POLL).await;
    browser.open(&format!("http://{}/", demo.address())).await;
    shown(&browser, "clients", "3").await;
    browser.click("crowd-open").await;
    shown(&browser, "clients", "53").await;
    shown(&browser, "alone", "without manifold: 53 connections").await;
    browser.click("crowd-close").await;
    shown(&browser, "clients", "3").await;
    browser.click("tunnel").await;
    shown(&browser, "clients", "0").await;
    shown(&browser, "clients", "3").await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_gone_is_not_running_and_has_no_figures() {
    let demo = demo().await;
    let address = demo.address();
    let browser = browser_at(&demo).await;
    shown(&browser, "origin-state", "running").await;
    demo.drain().await;
    shown(&browser, "origin-state", "unknown").await;
    for figure in ["clients", "connections", "streams-open"] {
        shown(&browser, figure, "–").await;
    }
    let texts = "return ![...document.querySelectorAll('.badge, .share, #origin-hint, #alone')] \
         .some((e) => /open|share|held|without/.test(e.textContent))";
    browser.wait_for(texts).await;
    let pressable = "return [...document.querySelectorAll('#origin-switch, #crowd-open, #crowd-close, #slow-switch, \
         #gap')].filter((e) => e.ariaDisabled !== 'true').map((e) => e.id)";
    assert_eq!(browser.script(pressable).await, json!([]));
    let options = DemoOptions { listen: address, period: Duration::from_millis(100), ..DemoOptions::default() };
    let _again = Demo::start(options).await.unwrap();
    shown(&browser, "origin-state", "running").await;
    shown(&browser, "clients", "3").await;
    assert_eq!(browser.script("return document.getElementById('notice').hidden").await, true);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_of_an_id_that_changes_is_never_cut() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    for width in [390, 736, 768, 1024, 1280] {
        browser.look((width, 900), "light").await;
        browser.wait_for(&format!("return innerWidth === {width}")).await;
        let cut = "streams.forEach((stream) => stream.show({ n: 123456, id: '~0123456789abcdef0123-123456', value: 20 }));
             return [...document.querySelectorAll('.events li')].filter((li) => li.children.length > 1).flatMap((li) => {
               const cell = li.children[1], walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
               let last; while (walk.nextNode()) last = walk.currentNode;
               const range = document.createRange();
               range.setStart(last, Math.max(0, last.length - 4)); range.setEnd(last, last.length);
               const [text, box] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
               return text.left >= box.left - 1 && text.right <= box.right + 1 ? [] : [li.textContent];
             })";
        assert_eq!(browser.script(cut).await, json!([]), "at {width} px");
        let rows = browser.script("return document.querySelectorAll('.events li').length").await;
        assert!(rows.as_u64().unwrap() > 3, "{rows}");
    }
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_line_for_a_terminal_has_an_id_of_a_few_events_ago() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    let command = "return document.getElementById('second').textContent";
    let n = newest(&browser).await;
    all_reach(&browser, n + 20).await;
    let line = browser.script(command).await.as_str().unwrap().to_owned();
    let id = line.split_once("Last-Event-ID: ").unwrap().1.split_once('\'').unwrap().0.to_owned();
    let (run, number) = id.rsplit_once('-').unwrap();
    let number: u64 = number.parse().unwrap();
    assert!(number > n, "{line} names event {number}, and the newest is past {n}");
    let said = pasted(&line, 30).await;
    assert!(said.contains(&format!("id: {run}-{}\n", number + 1)) && !said.contains("gap"), "{said}");
    browser.quit().await;
}

/// What a command prints, as a user pastes it into a shell, up to this number of lines.
async fn pasted(command: &str, lines: u32) -> String {
    let mut shell = tokio::process::Command::new("sh");
    let output = shell.arg("-c").arg(format!("{command} 2>&1 | head -n {lines}")).kill_on_drop(true).output();
    String::from_utf8(guarded(command, output).await.unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_line_of_the_greeting_resumes_when_the_log_has_dropped_the_first_events() {
    let options =
        DemoOptions { listen: ([127, 0, 0, 1], 0).into(), period: Duration::from_millis(5), ..DemoOptions::default() };
    let demo = Demo::start(options).await.unwrap();
    let greeting = demo.greeting();
    let commands: Vec<&str> = greeting.lines().map(str::trim).filter(|line| line.starts_with("curl")).collect();
    let early = pasted(commands[1], 30).await;
    assert!(early.contains("id: ") && !early.contains("gap"), "{early}");
    // The log has 1,000 events of three lines each.
    let read = pasted(&commands[0].replace("/ticker", "/numbered"), 3200).await;
    assert!(read.lines().count() == 3200, "{}", read.len());
    let late = pasted(commands[1], 30).await;
    assert!(late.contains("id: ") && !late.contains("gap"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tally_has_plain_words_and_the_page_links_to_what_explains_it() {
    let demo = demo().await;
    let browser = browser_at(&demo).await;
    let labels = browser.script("return [...document.querySelectorAll('#ticker dt')].map((e) => e.textContent)").await;
    assert_eq!(labels, json!(["received", "duplicates", "lost (reported)", "lost (not reported)"]));
    let text = browser.script("return document.body.textContent").await;
    for word in ["doubled", "anew", "untold"] {
        assert!(!text.as_str().unwrap().contains(word), "{word}");
    }
    let link = browser.script("return document.querySelector('#docs a').getAttribute('href')").await;
    let answer = ask(&demo, "GET", link.as_str().unwrap(), &[]).await;
    assert_eq!(answer.status(), 200);
    assert!(String::from_utf8_lossy(answer.body()).contains("[[routes]]"));
    browser.quit().await;
}
