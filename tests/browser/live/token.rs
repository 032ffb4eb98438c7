//! The page of an address that wants a token.

use super::{Readers, Stage, every, feeding};
use crate::browser::Browser;
use crate::gateway::{Gateway, configuration};

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_for_the_token_and_tells_plainly_that_one_is_wrong() {
    let origin = feeding("data: tick");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret-token\n").unwrap();
    let config = configuration(&format!("admin = \"127.0.0.1:0\"\nadmin_token_file = {file:?}"), [every(&origin)]);
    let gateway = Gateway::start(&config).await;
    let (admin, browser) = (gateway.admin().await, Browser::start().await);
    browser.open(&format!("http://{admin}/")).await;
    let stage = Stage { gateway, admin, browser };
    let mut readers = Readers::default();
    readers.join(stage.gateway.addr(), "/a", "reader").await;
    let asks = "return !document.getElementById('token').hidden && document.activeElement.id === 'token-value' \
         && !document.getElementById('token-send').disabled";
    stage.wait(asks).await;
    assert_eq!(stage.script("return document.getElementById('main').hidden").await, true);
    assert_eq!(stage.script("return document.getElementById('token-wrong').textContent").await, "");
    for (given, told) in [("wrong", "This is not the right token."), ("s3cret-tökén", "This cannot be a token")] {
        stage.browser.press(given).await;
        stage.browser.press(super::ENTER).await;
        stage.wait(&format!("return document.getElementById('token-wrong').textContent.startsWith({told:?})")).await;
        stage.wait(asks).await;
        assert_eq!(stage.script("return sessionStorage.length").await, 0);
        stage.script("document.getElementById('token-value').value = ''").await;
    }
    // The form is in the middle of the page, and nothing is wider than the window.
    assert_eq!(stage.script("return document.body.getBoundingClientRect().width > innerWidth * 0.9").await, true);
    stage.picture("page-token.png").await;
    stage.browser.press(&format!("s3cret-token{}", super::ENTER)).await;
    let shows = "return document.getElementById('token').hidden && document.querySelector('.stream-key')?.textContent === '/a' \
         && document.querySelector('#figure-clients .value').textContent === '1'";
    stage.wait(shows).await;
    // It is kept for this tab, and stands in no address and in no text.
    stage.browser.reload().await;
    stage.wait(shows).await;
    assert_eq!(
        stage.script("return (location.href + document.documentElement.outerHTML).includes('s3cret')").await,
        false
    );
    // An action bears it too.
    stage.script("document.querySelector('.stream-key').click()").await;
    stage.wait("return document.querySelectorAll('#clients .client').length === 1").await;
    stage.script("document.querySelector('#clients button').click()").await;
    stage.browser.click("confirm-yes").await;
    stage.gateway.log_line("operator acts do=disconnect").await;
    stage.browser.press(super::ESCAPE).await;
    stage.browser.click("forget").await;
    stage.wait(asks).await;
    assert_eq!(stage.script("return sessionStorage.length").await, 0);
    assert_eq!(stage.script("return document.getElementById('main').hidden").await, true);
    assert!(!stage.gateway.log().contains("s3cret"), "{}", stage.gateway.log());
    // The browser complains of the answers 401.
    stage.browser.quit().await;
}
