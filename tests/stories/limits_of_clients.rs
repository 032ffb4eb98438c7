//! The limits of clients: of a route, of a stream and of an address. They are exact, and places are given back.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::metrics::{ADMIN, refusals, until};
use crate::origin::Origin;
use crate::stage::{joined, let_in, numbered, opened};

const FIGHT: usize = 200;
const PLACES: usize = 50;

/// Asks for a stream with many clients at once. Returns those that were served.
async fn fought(gateway: &Gateway, path: impl Fn(usize) -> String) -> Vec<Response> {
    let asking = (0..FIGHT).map(|n| {
        let client = Client::get(path(n)).header("Accept", "text/event-stream");
        tokio::spawn(client.connect(gateway.target()))
    });
    let asking: Vec<_> = asking.collect();
    let mut served = Vec::new();
    for asking in asking {
        let response = guarded("an answer", asking).await.unwrap();
        assert_eq!(response.status, 200);
        // A soft refusal says how long it is.
        if response.header("content-length").is_none() {
            served.push(response);
        }
    }
    served
}

#[tokio::test]
async fn of_two_hundred_that_fight_for_fifty_places_fifty_are_served() {
    for limit in ["subscribers", "per_stream"] {
        let origin = Origin::start();
        let options = format!("limits.{limit} = {PLACES}");
        let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
        let (first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
        let mut served = fought(&gateway, |_| "/a".to_owned()).await;
        assert_eq!(served.len() + 1, PLACES, "{limit}");
        body.event(&numbered(1)).await;
        for client in &mut served {
            assert_eq!(client.next_data().await, "1");
        }
        drop((first, served));
        gateway.log_lines("client left", PLACES).await;
        let first = let_in(|| Client::get("/a"), &gateway).await;
        let again = fought(&gateway, |_| "/a".to_owned()).await;
        assert_eq!(again.len() + 1, PLACES, "{limit}: all places are free again");
        drop(first);
    }
}

#[tokio::test]
async fn a_trusted_proxy_has_no_limit_and_its_clients_have() {
    let origin = Origin::start();
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.per_address = 2\nlimits.refuse = \"status\"";
    let gateway = Gateway::start(&configuration(server, [route("/*", &origin)])).await;
    let of = |client: &str| Client::get("/a").header("X-Forwarded-For", client);
    let (_opener, _body) = opened(of("192.0.2.1"), &gateway, &origin).await;
    let second = joined(of("192.0.2.1"), &gateway).await;
    assert_eq!(of("192.0.2.1").connect(&gateway).await.status, 429);
    assert_eq!(of("192.0.2.1").h2().connect(&gateway).await.status, 429, "whatever the protocol");
    let _mapped = joined(of("::ffff:192.0.2.2"), &gateway).await;
    let _of_one = joined(of("2001:db8::1"), &gateway).await;
    let _network = joined(of("2001:db8::2"), &gateway).await;
    assert_eq!(of("2001:db8::3").connect(&gateway).await.status, 429, "a /64 is one address");
    let _other = joined(of("2001:db8:0:1::1"), &gateway).await;
    drop(second);
    gateway.log_line("client left").await;
    let _again = let_in(|| of("192.0.2.1"), &gateway).await;
}

#[tokio::test]
async fn a_unix_socket_has_no_address_and_so_no_limit_of_addresses() {
    let origin = Origin::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let config = format!(
        "[server]\nlisten = [\"unix:{}\"]\nlimits.per_address = 1\nlimits.new_per_address_per_sec = 1\n{}",
        path.display(),
        "[[routes]]\npath = \"/*\"\norigin = \"".to_owned() + &origin.url() + "\"\n"
    );
    let gateway = Gateway::start(&config).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
        client.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        guarded("an answer", client.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 204");
        clients.push(client);
    }
    drop(gateway);
}

#[tokio::test]
async fn an_address_opens_so_many_connections_a_second() {
    let origin = Origin::start();
    let server = format!("{ADMIN}\nlimits.new_per_address_per_sec = 1\nlimits.refuse = \"status\"");
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin).with("kind = \"proxy\"")])).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(Client::method("OPTIONS", "*").connect(&gateway).await.status);
    }
    assert_eq!(statuses.first(), Some(&204));
    let refused = u32::try_from(statuses.iter().filter(|status| **status == 429).count()).unwrap();
    assert!(refused > 0, "{statuses:?}");
    until(gateway.admin().await, &refusals("new_per_address"), refused.into()).await;
    let line = gateway.log_line("reason=new_per_address").await;
    assert!(line.contains("address=127.0.0.1") && line.contains("new_per_address_per_sec"), "{line}");
}
