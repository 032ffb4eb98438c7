//! What `docker compose up` runs, without containers: the origin, the file server, manifold with the mounted
//! configuration, and the page in a real Chromium.

use crate::browser::Browser;
use crate::checkout::checkout;
use crate::compose::CONFIG;
use crate::ecosystem::go;
use crate::guard::guarded;
use crate::origin::Port;
use crate::process::{Manifold, manifold};
use crate::program::Program;
use std::time::Duration;

/// The time between two looks at the page.
const LOOK: Duration = Duration::from_millis(20);

async fn program(port: &Port) -> Program {
    let mut command = go("origins/go/main.go").await;
    command.arg(port.addr().to_string()).current_dir(checkout("docker/compose/page"));
    let mut program = Program::run(command);
    program.listens(port).await;
    program
}

/// Looks at the page until an expression is true.
async fn until(browser: &Browser, expression: &str) {
    let look = async {
        while browser.run(&format!("return ({expression})")).await != true {
            tokio::time::sleep(LOOK).await;
        }
    };
    guarded(expression, look).await;
}

#[tokio::test]
async fn the_page_shows_the_stream_and_what_it_says_to_try() {
    let (origin_port, page_port, port) = (Port::reserve(), Port::reserve(), Port::reserve());
    let (origin, _page) = tokio::join!(program(&origin_port), program(&page_port));
    let start = async || {
        let mut command = manifold(&checkout(CONFIG));
        command.env("ORIGIN", origin_port.url()).env("PAGE", page_port.url());
        command.env("MANIFOLD_LISTEN", port.addr().to_string());
        let mut gateway = Manifold::run(command);
        gateway.logged("] listening addr=").await;
        gateway
    };
    let mut gateway = start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/", port.url())).await;

    until(&browser, "element('state').textContent === 'open' && received >= 8").await;
    until(&browser, "element('rate').textContent > 0").await;
    until(&browser, "document.querySelectorAll('#events .event').length >= 8").await;
    let id = browser.run("return element('last').textContent").await;
    assert!(
        id.as_str().is_some_and(|id| id.starts_with('~')),
        "an id of manifold's, since the origin gives none: {id}"
    );
    assert_eq!(browser.run("return gaps").await, 0);
    assert_eq!(browser.run("return getComputedStyle(element('state')).fontWeight").await, "600", "no style sheet");

    // The origin is stopped and the page is loaded again.
    origin.kill().await;
    gateway.logged("connection refused").await;
    browser.reload().await;
    until(&browser, "element('state').textContent === 'open' && received === 5").await;
    browser.run("source.addEventListener('error', () => { window.broken = true })").await;
    let _origin = program(&origin_port).await;
    until(&browser, "gaps === 1 && element('reason').textContent === 'the last reason: upstream'").await;
    until(&browser, "document.querySelector('#events li').className === 'event'").await;
    assert_eq!(browser.run("return window.broken === true").await, false, "the page's connection stays open");

    gateway.terminate().await;
    until(&browser, "element('state').textContent === 'connection lost, connecting again'").await;
    let _gateway = start().await;
    until(
        &browser,
        "element('state').textContent === 'open' && element('reason').textContent === 'the last reason: unknown'",
    )
    .await;
}
