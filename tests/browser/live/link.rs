//! The address of the page, and its connection to manifold.

use super::{Readers, Stage, every, feeding};
use crate::gateway::{Gateway, configuration};
use crate::origin::Port;
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_a_colleague_the_same() {
    let origin = feeding("data: tick");
    let stage = Stage::with(every(&origin)).await;
    let mut readers = Readers::default();
    for path in ["/a/1", "/a/2", "/b"] {
        readers.join(stage.gateway.addr(), path, "reader").await;
    }
    stage.browser.press("//a/").await;
    stage.wait("return document.getElementById('streams-total').textContent === '2'").await;
    stage.script("document.querySelector('[data-sort=key]').click()").await;
    stage.script("document.querySelector('.stream-key').click()").await;
    let key = "return document.getElementById('panel-key').textContent === '/a/1'";
    stage.wait(key).await;
    let link = stage.script("return location.href").await;
    let link = link.as_str().unwrap();
    assert!(link.contains("#q=%2Fa%2F&sort=key&stream="), "{link}");
    stage.browser.another_window(link).await;
    stage.wait(key).await;
    stage.wait("return document.getElementById('streams-total').textContent === '2'").await;
    assert_eq!(stage.script("return document.getElementById('filter').value").await, "/a/");
    assert_eq!(stage.script("return document.querySelector('[aria-sort] button').dataset.sort").await, "key");
    // A stream that is gone is said to be gone.
    let none = link.split("stream=").next().unwrap().to_owned() + "stream=00000000-7";
    stage.script(&format!("location.href = {none:?}")).await;
    stage
        .wait("return document.getElementById('panel-gone').textContent.startsWith('There is no stream 00000000-7')")
        .await;
    stage.browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifold_that_is_gone_is_told_with_old_figures_and_its_return_is_seen() {
    let origin = feeding("data: tick");
    let port = Port::reserve();
    let config = configuration(&format!("admin = \"{}\"", port.addr()), [every(&origin)]);
    let mut stage = Stage::start(&config).await;
    let mut readers = Readers::default();
    readers.join(stage.gateway.addr(), "/a", "reader").await;
    stage.wait("return document.querySelector('#figure-clients .value').textContent === '1'").await;
    stage.wait("return document.querySelectorAll('#stream-rows tr').length === 1").await;
    stage.gateway.signal(Signal::KILL);
    stage.wait("return document.body.dataset.link === 'gone' && !document.getElementById('gone').hidden").await;
    let told = stage.script("return document.getElementById('gone').innerText").await;
    let told = told.as_str().unwrap();
    for part in ["manifold does not answer since", "those of that time", "tries again", "Try now"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(stage.script("return document.getElementById('link').textContent").await, "✕ old figures");
    assert_eq!(stage.script("return document.title.startsWith('(no answer)')").await, true);
    assert_eq!(stage.script("return document.querySelector('#figure-clients .value').textContent").await, "1");
    assert_eq!(stage.script("return getComputedStyle(document.getElementById('main')).filter").await, "grayscale(1)");
    stage.picture("page-gone.png").await;
    // It tries again with longer and longer pauses, and asks nothing else meanwhile.
    let questions = stage.script("return manifold.counts.questions").await;
    stage.wait("return manifold.link.tries >= 4").await;
    assert_eq!(stage.script("return manifold.counts.questions").await, questions);
    stage.gateway = Gateway::start(&config).await;
    stage.wait("return document.body.dataset.link === 'live' && document.getElementById('gone').hidden").await;
    stage.wait("return document.querySelector('#figure-clients .value').textContent === '0'").await;
    stage.happened("manifold was restarted").await;
    // The charts have a hole for the time without figures.
    stage.wait("return manifold.charts.clients.values.includes(null)").await;
    // The browser complains of requests that nobody answered.
    stage.browser.quit().await;
}
