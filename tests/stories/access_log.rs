//! The access lines: what became of each client.

use crate::client::{Client, Connection};
use crate::gateway::{Gateway, Url, configuration, route};
use crate::origin::Origin;
use crate::stage::{asked, numbered, opened};
use rustix::process::Signal;
use serde_json::Value;

/// A configuration whose log is JSON with these access lines.
pub fn logging<R>(access: &str, routes: R) -> String
where
    R: IntoIterator<Item = crate::gateway::Route>,
{
    let log = format!("[log]\nformat = \"json\"\naccess = \"{access}\"\naccess_every_secs = 1\n");
    format!("{}{log}", configuration("", routes))
}

/// The first `n` access lines with this message. Waits until they are there.
pub async fn lines(gateway: &Gateway, message: &str, n: usize) -> Vec<Value> {
    let lines = gateway.log_lines(&format!("\"message\":\"{message}\""), n).await;
    let read: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &read {
        assert_eq!((&line["target"], &line["level"]), (&"manifold::access".into(), &"info".into()), "{line}");
    }
    read
}

/// Waits until a JSON log says that the gateway listens.
pub async fn started(config: &str) -> Gateway {
    let gateway = Gateway::spawn(config);
    gateway.log_line("\"listening addr=").await;
    gateway
}

/// Stream routes that each have a policy of their own.
fn policies(origin: &impl Url) -> Vec<crate::gateway::Route> {
    vec![
        route("/lifetime", origin).with("client.max_lifetime_secs = 1"),
        route("/ends", origin).with("upstream.on_close = \"close\""),
        route("/private", origin).with("share.mode = \"private\""),
        route("/*", origin),
    ]
}

#[tokio::test]
async fn the_end_of_each_stream_is_told_with_its_reason_and_all_that_is_known_of_the_client() {
    let origin = Origin::start();
    let gateway = started(&logging("end", policies(&origin))).await;

    let client = Client::get("/mine?token=secret")
        .header("User-Agent", "a \"browser\" \u{1b}[31m".replace('\u{1b}', "\t"))
        .header("Referer", "https://page.example/path?token=secret")
        .header("X-Request-Id", "id-7");
    let (mut client, mut body) = opened(client, &gateway, &origin).await;
    for n in 1..=3 {
        body.event(&numbered(n)).await;
        client.next_event().await;
    }
    drop(client);
    let left = lines(&gateway, "client left", 1).await.remove(0);
    for (key, value) in [
        ("route", Value::from("/*")),
        ("status", 200.into()),
        ("client", "127.0.0.1".into()),
        ("why", "client".into()),
        ("detail", "left".into()),
        ("events", 3.into()),
        ("replayed", 0.into()),
        ("resumed_from", Value::Null),
        ("gaps", 0.into()),
        ("lag", 0.into()),
        ("lag_worst", 0.into()),
        ("user_agent", "a \"browser\" \t[31m".into()),
        ("page_origin", "https://page.example".into()),
        ("request_id", "id-7".into()),
    ] {
        assert_eq!(left[key], value, "{key} of {left}");
    }
    assert!(left["stream"].as_str().unwrap().starts_with("/mine#"), "{left}");
    assert!(left["bytes"].as_u64().unwrap() >= 3 * numbered(1).len() as u64, "{left}");
    assert!(left["ms"].is_u64(), "{left}");
    assert!(!gateway.log().contains("secret"), "{}", gateway.log());

    // A client that comes back gets what it missed, and one with an unknown id a gap.
    for (id, replayed, gaps) in [("1", 2, 0), ("never", 3, 1)] {
        let mut client = Client::get("/mine?token=secret").header("Last-Event-ID", id).connect(&gateway).await.stream();
        client.next_event().await;
        drop(client);
        let left = loop {
            let all = lines(&gateway, "client left", 1).await;
            if let Some(line) = all.iter().find(|line| line["resumed_from"] == id) {
                break line.clone();
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((&left["replayed"], &left["gaps"]), (&replayed.into(), &gaps.into()), "{left}");
        assert_eq!(left["request_id"].as_str().unwrap().len(), 32, "{left}");
        assert_eq!(left["user_agent"], Value::Null, "{left}");
    }
}

#[tokio::test]
async fn who_ended_a_stream_is_told() {
    let origin = Origin::start();
    let gateway = started(&logging("end", policies(&origin))).await;
    let (mut client, _body) = opened(Client::get("/lifetime"), &gateway, &origin).await;
    client.text().await;
    let (mut client, body) = opened(Client::get("/ends"), &gateway, &origin).await;
    body.end().await;
    client.text().await;
    let (mut client, body) = opened(Client::get("/private"), &gateway, &origin).await;
    body.end().await;
    client.text().await;
    let (mut client, _body) = opened(Client::get("/drains"), &gateway, &origin).await;
    lines(&gateway, "client left", 3).await;
    gateway.signal(Signal::TERM);
    client.text().await;
    let left = lines(&gateway, "client left", 4).await;
    let told: Vec<_> =
        left.iter().map(|line| (line["route"].as_str().unwrap(), line["why"].as_str().unwrap())).collect();
    assert_eq!(told, [("/lifetime", "lifetime"), ("/ends", "origin"), ("/private", "origin"), ("/*", "drain")]);
}

#[tokio::test]
async fn a_client_is_told_of_when_it_comes_while_it_stays_and_when_it_leaves() {
    let origin = Origin::start();
    let gateway = started(&logging("all", policies(&origin))).await;
    for (n, path) in ["/shared", "/private"].into_iter().enumerate() {
        let client = Client::get(path).header("X-Request-Id", path.trim_start_matches('/'));
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        body.event(&numbered(1)).await;
        client.next_event().await;
        let came = lines(&gateway, "client came", n + 1).await.remove(n);
        let stays = loop {
            let all = lines(&gateway, "client stays", n + 1).await;
            if let Some(line) = all.iter().rev().find(|line| line["request_id"] == came["request_id"]) {
                break line.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert_eq!((&stays["events"], &stays["stream"]), (&1.into(), &came["stream"]), "{stays}");
        assert!(came.get("why").is_none() && stays.get("why").is_none(), "{came} {stays}");
        drop(client);
        lines(&gateway, "client left", n + 1).await;
    }
}

#[tokio::test]
async fn what_is_no_stream_is_told_too_and_off_is_off() {
    let origin = Origin::start();
    let routes = || {
        let proxied = route("/proxied/*", &origin).with("kind = \"proxy\"");
        [proxied, route("/stream", &origin)]
    };
    let gateway = started(&logging("end", routes())).await;
    let ask = async |exchange: crate::origin::Exchange| exchange.reply(404, &[], "nothing").await;
    let mut proxied = asked(Client::get("/proxied/x?token=secret"), &gateway, &origin, ask).await;
    assert_eq!(proxied.text().await, "nothing", "a client that leaves before the end is told of in another way");
    drop(Client::get("/nowhere?token=secret").connect(&gateway).await);
    let mut posted = Connection::open(gateway.addr()).await;
    posted.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    posted.receive(12).await;
    let answered = lines(&gateway, "request answered", 3).await;
    let told = |path: &str| answered.iter().find(|line| line["path"] == path).unwrap_or_else(|| panic!("{answered:?}"));
    let proxied = told("/proxied/x");
    assert_eq!((&proxied["status"], &proxied["bytes"], &proxied["why"]), (&404.into(), &7.into(), &"done".into()));
    assert_eq!((&proxied["route"], &proxied["method"]), (&"/proxied/*".into(), &"GET".into()));
    let nowhere = told("/nowhere");
    assert_eq!((&nowhere["status"], &nowhere["route"], &nowhere["why"]), (&404.into(), &Value::Null, &"route".into()));
    let posted = told("/stream");
    assert_eq!((&posted["status"], &posted["why"]), (&405.into(), &"method".into()), "{posted}");
    assert!(!gateway.log().contains("secret"), "{}", gateway.log());

    let gateway = started(&logging("off", routes())).await;
    drop(opened(Client::get("/stream"), &gateway, &origin).await);
    drop(Client::get("/nowhere").connect(&gateway).await);
    gateway.log_line("no_route").await;
    assert!(!gateway.log().contains("manifold::access"), "{}", gateway.log());
}

#[tokio::test]
async fn the_id_of_a_request_goes_to_the_origin_of_one_client_alone() {
    let origin = Origin::start();
    let proxied = route("/proxied/*", &origin).with("kind = \"proxy\"");
    let private = route("/private/*", &origin).with("share.mode = \"private\"");
    let gateway = Gateway::with_all([proxied, private, route("/shared/*", &origin)]).await;
    for (n, path) in ["/proxied/", "/private/"].into_iter().enumerate() {
        for (sent, is_taken) in [("id-7", true), ("two words", false), ("", false)] {
            let client = Client::get(format!("{path}{n}{}", sent.len())).header("X-Request-Id", sent);
            let client = asked(client, &gateway, &origin, async |ask| ask.reply(200, &[], "").await).await;
            assert_eq!(client.headers.one("x-request-id"), None, "a client gets none");
            let requests = origin.requests();
            let id = requests.last().unwrap().headers.one("x-request-id").unwrap().to_owned();
            assert_eq!(id == sent, is_taken, "{sent:?} became {id:?}");
            assert!(is_taken || id.len() == 32, "{id:?}");
        }
    }
    let (_client, _body) = opened(Client::get("/shared/x").header("X-Request-Id", "id-7"), &gateway, &origin).await;
    assert_eq!(origin.requests().last().unwrap().headers.one("x-request-id"), None, "a shared request is nobody's");
}
