//! The part of the page's script that knows nothing of the page: values in, words out.

use super::{Stage, every, feeding};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_says_is_made_of_values_alone() {
    let origin = feeding("data: tick");
    let stage = Stage::with(every(&origin)).await;
    let wrong = stage.script(include_str!("words.js")).await;
    assert_eq!(wrong, serde_json::json!([]));
    stage.quit().await;
}
