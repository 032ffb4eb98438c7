//! The process's limit of open files, when there are more clients than it allows.

use crate::client::{Client, Connection, Response};
use crate::gateway::{BINARY, Gateway, command, config_file, configuration, on_the_path_under_test, route};
use crate::guard::guarded;
use crate::origin::{Origin, over};
use crate::stage::{joined, numbered, opened};
use tempfile::NamedTempFile;

/// The marks of a story in which the gateway refuses connections before it reads from them. It does so in HTTP/1.1 and
/// in the clear.
const REFUSED_AT_THE_DOOR: &str = "# HTTP/1.1 only\n# without TLS";

/// A gateway that a shell starts after this command.
pub async fn limited(ulimit: &str, text: &str) -> (Gateway, NamedTempFile) {
    let (gateway, file) = spawned(ulimit, text);
    gateway.log_line("listening addr=").await;
    (gateway, file)
}

fn spawned(ulimit: &str, text: &str) -> (Gateway, NamedTempFile) {
    let file = config_file(&on_the_path_under_test(text));
    let script = format!("{ulimit} && exec \"$0\" -c \"$1\"");
    let gateway =
        Gateway::run_by(command("sh", &["-c", &script, BINARY, file.path().to_str().unwrap()])).with_marks_of(text);
    (gateway, file)
}

/// An origin with a stream for each client, which begins with one event and stays.
pub fn origin() -> Origin {
    Origin::answering(|exchange| async {
        let mut body = exchange.sse().await;
        body.event(&numbered(1)).await;
        over(body.watch_gone()).await;
    })
}

/// Clients that come all at once, each on a stream of its own. `None`: the gateway had no place for the client, and told it
/// so before its request came. Over HTTP/2 only the end of the connection says so.
async fn crowd(gateway: &Gateway, numbers: std::ops::Range<usize>) -> Vec<Option<Response>> {
    let ask = |n| tokio::spawn(Client::get(format!("/{n}")).try_connect(gateway.target()));
    let clients: Vec<_> = numbers.map(ask).collect();
    let mut responses = Vec::new();
    for client in clients {
        let answer = guarded("an answer", client).await.unwrap();
        assert!(answer.is_some() || gateway.mode().is_http2(), "over HTTP/1.1 there is an answer");
        responses.push(answer);
    }
    responses
}

#[tokio::test]
async fn the_soft_limit_is_raised_whatever_the_configuration_says() {
    for server in ["", "max_connections = 400"] {
        let origin = Origin::start();
        let text = configuration(server, [route("/*", &origin)]);
        let (gateway, _file) = limited("ulimit -S -n 100", &text).await;
        let (first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
        let mut clients = vec![first];
        for _ in 0..150 {
            clients.push(joined(Client::get("/"), &gateway).await);
        }
        body.event(&numbered(1)).await;
        for client in &mut clients {
            assert_eq!(client.next_data().await, "1");
        }
    }
}

#[tokio::test]
async fn more_clients_than_the_hard_limit_allows_are_an_error() {
    let origin = Origin::start();
    let (mut gateway, _file) =
        spawned("ulimit -n 300", &configuration("max_connections = 300", [route("/*", &origin)]));
    assert_eq!(gateway.exit_code().await, 1);
    let log = gateway.log();
    assert!(log.contains("server.max_connections = 300: must be at most 2"), "{log}");
    assert!(log.contains("may open 300 files"), "{log}");
}

#[tokio::test]
async fn with_a_stream_for_each_client_everybody_is_served_or_told_and_who_leaves_makes_room() {
    let origin = origin();
    let (gateway, _file) = limited(
        "ulimit -n 300",
        &configuration(REFUSED_AT_THE_DOOR, [route("/*", &origin).with("share.linger_secs = 0.1")]),
    )
    .await;
    let mut served = Vec::new();
    let mut refused = 0;
    for client in crowd(&gateway, 0..220).await {
        match client {
            Some(mut client) if client.status == 200 => {
                assert_eq!(client.next_data().await, "1");
                served.push(client);
            }
            Some(client) => {
                assert_eq!((client.status, client.header("retry-after").is_some()), (503, true));
                refused += 1;
            }
            None => refused += 1,
        }
    }
    assert!(served.len() >= 80 && refused > 0, "{} served, {refused} told", served.len());
    let before = served.len();
    served.truncate(before / 2);
    // The places are free when the streams have closed.
    guarded("room for new clients", async {
        let mut n = 220;
        while served.len() < before {
            let client = Client::get(format!("/{n}")).try_connect(&gateway).await;
            n += 1;
            if let Some(mut client) = client.filter(|client| client.status == 200) {
                assert_eq!(client.next_data().await, "1");
                served.push(client);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn those_that_say_nothing_do_not_keep_an_answer_from_the_others() {
    let origin = origin();
    let (gateway, _file) = limited("ulimit -n 300", &configuration(REFUSED_AT_THE_DOOR, [route("/*", &origin)])).await;
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(Connection::open(&gateway).await);
    }
    let told = silent.pop().unwrap().rest().await;
    assert!(
        told.starts_with(b"HTTP/1.1 503"),
        "it is told at once, whatever it would ask for: {}",
        told.escape_ascii()
    );
    let mut client = Client::get("/").connect(&gateway).await;
    assert_eq!((client.status, client.header("retry-after").is_some()), (503, true));
    client.complete().await;
    drop(silent);
    let mut client = guarded("room for a client", async {
        loop {
            let client = Client::get("/").connect(&gateway).await;
            if client.status == 200 {
                break client;
            }
        }
    })
    .await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn streams_that_nobody_is_on_keep_nobody_out() {
    let origin = origin();
    let lasting = route("/*", &origin).with("share.linger_secs = 3600");
    let (gateway, _file) = limited("ulimit -n 300", &configuration("", [lasting])).await;
    let mut last = 0;
    for clients in [60, 90, 10, 90] {
        let numbers = last..last + clients;
        last = numbers.end;
        let mut served = Vec::new();
        for (n, mut answer) in numbers.clone().zip(crowd(&gateway, numbers).await) {
            // A crowd may be told to come back. It is served then.
            let comes_back = async {
                loop {
                    match answer {
                        Some(client) if client.status != 503 => break client,
                        _ => answer = Client::get(format!("/{n}")).try_connect(&gateway).await,
                    }
                }
            };
            let mut client = guarded("a place", comes_back).await;
            assert_eq!(client.next_data().await, "1");
            served.push(client);
        }
        drop(served);
        gateway.log_lines("client left", last).await;
    }
}
