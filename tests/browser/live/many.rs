//! Many streams: the page shows a part of them, and asks no more than it does for a few.

use super::{ADMIN, Readers, Stage, every};
use crate::client::Client;
use crate::gateway::configuration;
use crate::origin::Origin;
use crate::page::save;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// The streams of the test. `MANIFOLD_PAGE_STREAMS` is another number. Each takes a descriptor here and in the gateway.
const STREAMS: usize = 2000;

/// The clients of the first stream.
const CLIENTS: usize = 300;

/// The ticks during which the page is counted.
const TICKS: u64 = 12;

/// An origin whose streams each send an event a second, not all at once.
fn slow() -> Origin {
    Origin::answering(|exchange| async move {
        let mut body = exchange.sse().await;
        for n in 1.. {
            body.event(&format!("id: {n}\ndata: {n}\n\n")).await;
            sleep(Duration::from_millis(900 + fastrand::u64(..200))).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_and_clients_cost_the_page_no_more_than_a_few() {
    let streams = std::env::var("MANIFOLD_PAGE_STREAMS").map_or(STREAMS, |n| n.parse().unwrap());
    let origin = slow();
    let options = "share.max_streams = 100000\nshare.linger_secs = 3600";
    let stage = Stage::start(&configuration(ADMIN, [every(&origin).with(options)])).await;
    let gateway = stage.gateway.addr();
    let mut readers = Readers::default();
    for client in 0..CLIENTS {
        readers.join(gateway, "/stream/00000", &format!("client-{client}")).await;
    }
    // A stream stays for a while after its client left.
    let places = Arc::new(Semaphore::new(50));
    let mut opening = tokio::task::JoinSet::new();
    for n in 1..streams {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        opening.spawn(async move {
            let mut client = Client::get(format!("/stream/{n:05}")).connect(gateway).await.stream();
            client.next_event().await;
            drop(place);
        });
    }
    while let Some(opened) = opening.join_next().await {
        opened.unwrap();
    }
    let total =
        format!("{}{:03}", if streams > 999 { format!("{},", streams / 1000) } else { String::new() }, streams % 1000);
    stage.wait(&format!("return document.getElementById('streams-total').textContent === {total:?}")).await;
    stage.wait("return document.querySelector('#stream-rows tr').children[3].textContent === '300'").await;
    stage.script("document.querySelector('.stream-key').click()").await;
    stage.wait("return document.querySelectorAll('#clients .client').length === 25").await;
    stage
        .wait("return document.getElementById('clients-total').textContent.startsWith('300; the 25 furthest behind')")
        .await;
    let counted = counted(&stage).await;
    // A message a second, and what happens; and a few questions.
    assert!(counted[0] <= TICKS + 2, "messages: {counted:?}");
    assert!(counted[1] <= TICKS * 3, "questions: {counted:?}");
    assert_eq!(counted[2], 50, "rows");
    assert!(counted[3] < 3000, "elements: {counted:?}");
    stage.browser.look((1440, 1000), "light").await;
    stage.script("scrollTo(0, 0)").await;
    let picture = stage.browser.picture(1440, 1000).await;
    save(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("page-many.png"), &picture);
    stage.quit().await;
}

/// Messages and requests while a number of ticks come to another reader; then rows, and elements of the page.
async fn counted(stage: &Stage) -> Vec<u64> {
    let mut ticks = Client::get("/api/events?ticks=1").connect(stage.admin).await.stream();
    ticks.next_event().await;
    stage
        .script("performance.setResourceTimingBufferSize(5000); performance.clearResourceTimings(); window.before = manifold.counts.messages")
        .await;
    let mut others = 0;
    for _ in 0..TICKS {
        while ticks.next_event().await.kind != "tick" {
            others += 1;
        }
    }
    assert_eq!(others, 0, "nothing is wrong");
    let counts = "return [manifold.counts.messages - window.before, performance.getEntriesByType('resource').length, \
         document.querySelectorAll('#stream-rows tr').length, document.querySelectorAll('*').length]";
    stage.script(counts).await.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}
