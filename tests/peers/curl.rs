//! curl, observed by the lines that it prints.

use crate::gateway::route;
use crate::origin::Origin;
use crate::program::Program;
use crate::site::Site;
use tokio::process::Command;

/// curl, which fails if the answer is an error.
pub fn curl(arguments: &[&str]) -> Program {
    let mut command = Command::new("curl");
    command.args(["--no-buffer", "--silent", "--show-error", "--fail"]).args(arguments);
    Program::run(command)
}

/// The lines up to an event with this data, and the event's id.
pub async fn until(curl: &mut Program, data: &str) -> (Vec<String>, String) {
    let (mut before, mut id) = (Vec::new(), String::new());
    loop {
        let line = curl.line().await;
        if let Some(new) = line.strip_prefix("id: ") {
            new.clone_into(&mut id);
        }
        if line == format!("data: {data}") {
            return (before, id);
        }
        before.push(line);
    }
}

#[tokio::test]
async fn curl_comes_back_with_the_id_that_it_printed() {
    let origin = Origin::start();
    let site = Site::with(route("/*", &origin)).await;
    let url = site.url("/a");
    let (mut first, mut body) = tokio::join!(async { curl(&[&url]) }, origin.stream());
    body.event("data: 1\n\n").await;
    let (_, id) = until(&mut first, "1").await;
    first.kill().await;
    body.event("data: 2\n\n").await;
    body.event("data: 3\n\n").await;

    let mut second = curl(&["--header", &format!("Last-Event-ID: {id}"), &url]);
    let (before, _) = until(&mut second, "2").await;
    assert!(!before.iter().any(|line| line.starts_with("data:") || line.starts_with("event:")), "{before:?}");
    until(&mut second, "3").await;

    let in_the_query = format!("{url}?lastEventId={id}");
    let mut third = curl(&[&in_the_query]);
    until(&mut third, "2").await;
    assert_eq!(origin.requests().len(), 1, "all three shared");
}

#[tokio::test]
async fn curl_is_content_with_the_end_of_a_drain() {
    let origin = Origin::start();
    // The drain is long enough for the end to arrive.
    let mut site = Site::draining_for(5.0, route("/*", &origin)).await;
    let url = site.url("/a");
    let (mut curl, mut body) = tokio::join!(async { curl(&[&url]) }, origin.stream());
    body.event("data: 1\n\n").await;
    until(&mut curl, "1").await;
    site.stop().await;
    assert_eq!(curl.exit_code().await, 0, "{}", curl.complaints());
}
