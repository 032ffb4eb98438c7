//! `manifold probe`: what it says of streams with one fault each.

use crate::gateway::{Gateway, config_file};
use crate::origin::{Body, Coding, Exchange, Origin, Port, ResumingOrigin, Speech};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The head of a stream with which all is well.
pub const WELL: [(&str, &str); 3] =
    [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")];

/// Listens for longer than any answer takes to end.
const PATIENT: [&str; 2] = ["--secs", "60"];

/// What a probe said: the exit code, and the findings in JSON.
pub struct Said {
    code: i32,
    report: Value,
}

impl Said {
    /// Probes a URL, with further arguments.
    pub async fn of(url: &str, arguments: &[&str]) -> Self {
        let (code, text) = Gateway::run(&[&["probe", url, "--json"], arguments].concat()).await;
        let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self { code, report }
    }

    /// The verdict on a key, with what was seen and what is to be done. Empty: nothing was said.
    pub fn about(&self, key: &str) -> (String, String) {
        let findings = self.report["findings"].as_array().unwrap();
        let found = findings.iter().filter(|finding| finding["key"] == key).collect::<Vec<_>>();
        assert!(found.len() <= 1, "{key} more than once in {:#}", self.report);
        let text = |name: &str| found.first().map_or("", |finding| finding[name].as_str().unwrap()).to_owned();
        (text("verdict"), format!("{} {}", text("seen"), text("advice")))
    }

    pub fn is(&self, key: &str, verdict: &str, words: &str) -> &Self {
        let (is, said) = self.about(key);
        assert!(is == verdict && said.contains(words), "{key}: {verdict} {words:?}, and not {:#}", self.report);
        self
    }

    /// Nothing is wrong but this.
    pub fn wrong(&self, keys: &[&str]) -> &Self {
        let findings = self.report["findings"].as_array().unwrap().iter();
        let wrong: Vec<_> = findings.filter(|finding| finding["verdict"] == "wrong").map(|one| &one["key"]).collect();
        assert_eq!(wrong, keys, "{:#}", self.report);
        assert_eq!(self.code, i32::from(!keys.is_empty()), "{:#}", self.report);
        self
    }
}

/// The events from 1 to 4 that follow this id.
fn after(id: &str) -> String {
    let seen = id.parse().unwrap_or(0);
    (seen + 1..=4).fold(String::new(), |all, n: u32| all + &format!("id: {n}\ndata: {n}\n\n"))
}

fn id_of(exchange: &Exchange) -> String {
    exchange.request.headers.one("last-event-id").unwrap_or_default().to_owned()
}

/// An origin whose answers to HEAD are as they should be. The story gives the other ones.
pub fn origin<A: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(Exchange) -> A + Send + Sync + 'static,
) -> Origin {
    Origin::answering(move |exchange| {
        let answered: Pin<Box<dyn Future<Output = ()> + Send>> = if exchange.request.method == "HEAD" {
            Box::pin(async { exchange.reply(200, &WELL, "").await })
        } else {
            Box::pin(answer(exchange))
        };
        answered
    })
}

/// An origin that answers with this head, sends what follows the id, and ends.
pub fn with_head(fields: &'static [(&str, &str)]) -> Origin {
    origin(move |exchange| async move {
        let events = after(&id_of(&exchange));
        let mut body = exchange.head(200, fields, Coding::Chunked).await;
        body.raw(events).await;
        body.end().await;
    })
}

/// An origin that sends this text to everybody, and ends.
fn saying(text: &'static str) -> Origin {
    origin(move |exchange| async move {
        let mut body = exchange.head(200, &WELL, Coding::Chunked).await;
        body.raw(text).await;
        body.end().await;
    })
}

#[tokio::test]
async fn a_stream_with_which_all_is_well_is_good_in_every_point() {
    let origin = with_head(&WELL);
    let said = Said::of(&origin.url(), &PATIENT).await;
    said.wrong(&[]).is("connection", "good", &origin.addr().to_string()).is("type", "good", "text/event-stream");
    said.is("events", "good", "4 events").is("ids", "good", "4 ids").is("blocks", "good", "");
    said.is("resume", "good", "Last-Event-ID \"1\": 3 ids that followed it came again");
    said.is("compression", "good", "").is("head-method", "good", "").is("keep-alive", "good", "");
    said.is("end", "note", "ended in order").is("cors", "", "");
    let request = origin.request(1).await;
    let sent = |name| request.headers.one(name);
    assert_eq!((sent("accept"), sent("accept-encoding")), (Some("text/event-stream"), Some("gzip, deflate, br, zstd")));
    assert_eq!((sent("via"), sent("origin")), (None, None), "it asks as a browser does");
}

#[tokio::test]
async fn what_is_wrong_with_the_head_is_named() {
    for (fields, key, words) in [
        (&[("Content-Type", "text/plain")][..], "type", "\"text/plain\""),
        (&[], "type", "no Content-Type"),
        (&[WELL[0], ("Cache-Control", "max-age=60")], "cache", "caches may keep"),
        (&[WELL[0], ("X-Accel-Buffering", "yes")], "accel", "\"yes\""),
    ] {
        let origin = with_head(fields);
        Said::of(&origin.url(), &PATIENT).await.wrong(&[key]).is(key, "wrong", words);
    }
    let length = origin(|exchange| async { exchange.reply(200, &WELL, &after("")).await });
    Said::of(&length.url(), &PATIENT).await.is("length", "wrong", "A stream has no length");
    let missing = origin(|exchange| async { exchange.reply(404, &[], "no").await });
    Said::of(&missing.url(), &PATIENT).await.wrong(&["status"]).is("status", "wrong", "ends an EventSource for ever");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_waited_for_and_told() {
    let origin = origin(Exchange::gone);
    let said = Said::of(&origin.url(), &["--secs", "1"]).await;
    said.wrong(&["head-time"]).is("head-time", "wrong", "no response head came within 1.0 s");
}

#[tokio::test]
async fn a_stream_that_only_its_compressed_form_holds_back_is_told() {
    let origin = origin(|exchange| async {
        let is_asked = exchange.request.headers.one("accept-encoding").unwrap().contains("gzip");
        if is_asked {
            let fields = [&WELL[..], &[("Content-Encoding", "gzip")]].concat();
            return exchange.head(200, &fields, Coding::Chunked).await.gone().await;
        }
        let events = after(&id_of(&exchange));
        let mut body = exchange.head(200, &WELL, Coding::Chunked).await;
        body.raw(events).await;
        body.end().await;
    });
    let said = Said::of(&origin.url(), &PATIENT).await;
    said.wrong(&["compression"]).is("compression", "wrong", "(Content-Encoding: \"gzip\"). Bytes of it came never");
    said.is("events", "good", "4 events").is("resume", "good", "");
}

#[tokio::test]
async fn events_that_were_made_one_by_one_and_came_together_are_told() {
    let origin = origin(|exchange| async {
        let mut body = exchange.head(200, &WELL, Coding::Chunked).await;
        let mut events = String::new();
        for n in 0..5 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
            write!(events, "data: {{\"n\":{n},\"at\":{now}}}\n\n").unwrap();
        }
        body.raw(events).await;
        body.end().await;
    });
    let said = Said::of(&origin.url(), &PATIENT).await;
    said.wrong(&["buffering"]).is("buffering", "wrong", "5 events came within");
    said.is("buffering", "wrong", "That is certain").is("ids", "note", "None of the 5 events has an id");
}

#[tokio::test]
async fn an_id_that_is_not_heeded_is_told() {
    type Resumed = fn(Exchange) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    async fn send(exchange: Exchange, text: &str) {
        let mut body = exchange.head(200, &WELL, Coding::Chunked).await;
        body.raw(text).await;
        body.end().await;
    }
    let cases: [(Resumed, &str); 5] = [
        (|exchange| Box::pin(async { send(exchange, &after("")).await }), "events came that the client already has"),
        (|exchange| Box::pin(async { send(exchange, "id: 9\ndata: 9\n\n").await }), "only newer ones"),
        (|exchange| Box::pin(async { send(exchange, &after("2")).await }), "at least 1 is missing"),
        (|exchange| Box::pin(async { send(exchange, ":\n").await }), "the 3 ids that had followed it did not come"),
        (|exchange| Box::pin(async { exchange.reply(410, &[], "").await }), "the answer is 410"),
    ];
    for (resumed, words) in cases {
        let origin = origin(move |exchange| async move {
            if id_of(&exchange).is_empty() { send(exchange, &after("")).await } else { resumed(exchange).await }
        });
        Said::of(&origin.url(), &PATIENT).await.wrong(&["resume"]).is("resume", "wrong", words);
    }
}

#[tokio::test]
async fn a_stream_that_goes_on_is_resumed_while_it_does() {
    let origin = ResumingOrigin::start();
    (0..5).for_each(|_| origin.publish());
    let said = Said::of(&Origin::url(&origin), &["--secs", "5"]).await;
    // On a machine that is slow, the events may come later. Nothing is wrong then either.
    let (verdict, words) = said.about("resume");
    assert!(verdict.is_empty() || verdict == "good", "{words}");
    said.is("end", "good", "still open");
    // This origin answers HEAD like GET, with a stream.
    said.is("head-method", "note", "").is("keep-alive", "note", "cannot be judged");
}

#[tokio::test]
async fn a_connection_that_is_closed_without_a_word_is_told() {
    let origin = Origin::answering(|exchange| async {
        let is_head = exchange.request.method == "HEAD";
        let mut body = exchange.head(200, &WELL, Coding::Chunked).await;
        if is_head {
            return body.cut().await;
        }
        body.raw("data: 1\n\n").await;
        body.end().await;
    });
    let said = Said::of(&origin.url(), &PATIENT).await;
    said.wrong(&["keep-alive"]).is("keep-alive", "wrong", "the next request on it got no answer");
    let closing = Origin::answering(|exchange| async {
        let is_head = exchange.request.method == "HEAD";
        let mut body = exchange.head(200, &[&WELL[..], &[("Connection", "close")]].concat(), Coding::UntilClose).await;
        body.raw(if is_head { "" } else { "data: 1\n\n" }).await;
        body.end().await;
    });
    let said = Said::of(&closing.url(), &PATIENT).await;
    said.wrong(&[]).is("keep-alive", "note", "closed after the answer").is("end", "note", "the only end");
    said.is("protocol", "note", "HTTP/1.0");
}

#[tokio::test]
async fn lines_that_break_clients_and_a_stream_that_breaks_off_are_told() {
    for (text, key, words) in [
        ("{\"a\":1}\n\n", "events", "no event"),
        ("id: 1\ndata: 1\n\nid: 1\n{\"a\":1}\n\n", "blocks", "such as"),
        ("data: 1\n\ndata: 2\n", "blocks", "no empty line after it"),
    ] {
        let said = Said::of(&saying(text).url(), &PATIENT).await;
        said.is(key, "wrong", words);
        assert_eq!(said.code, 1);
    }
    let origin = origin(|exchange| async {
        let mut body: Body = exchange.head(200, &WELL, Coding::Chunked).await;
        body.raw("data: 1\n\n").await;
        body.cut().await;
    });
    Said::of(&origin.url(), &PATIENT).await.wrong(&["end"]).is("end", "wrong", "broke off");
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_or_not() {
    let page = ["--origin", "https://a.example"];
    let closed = with_head(&WELL);
    let said = Said::of(&closed.url(), &[&PATIENT[..], &page].concat()).await;
    said.wrong(&["cors"]).is("cors", "wrong", "no Access-Control-Allow-Origin");
    assert_eq!(closed.request(1).await.headers.one("origin"), Some("https://a.example"));

    let anybody = Origin::answering(|exchange| async {
        if exchange.request.method == "OPTIONS" {
            let fields = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", "x-a")];
            return exchange.reply(204, &fields, "").await;
        }
        let fields = [&WELL[..], &[("Access-Control-Allow-Origin", "*")]].concat();
        exchange.reply(200, &fields, "").await;
    });
    let with = async |more: &[&str]| Said::of(&anybody.url(), &[&PATIENT[..], &page, more].concat()).await;
    with(&[]).await.is("cors", "good", "").is("preflight", "", "");
    with(&["--credentials"]).await.is("cors", "wrong", "not enough with credentials");
    with(&["--header", "x-a: 1"]).await.is("preflight", "good", "For x-a a browser asks first");
    with(&["--header", "X-B: 1"]).await.is("preflight", "wrong", "does not name x-b");
    let asked = anybody.requests().iter().find(|request| request.method == "OPTIONS").unwrap().clone();
    assert_eq!(asked.headers.one("access-control-request-headers"), Some("x-a"));
    assert_eq!(asked.headers.one("x-a"), None, "a preflight has no such fields");
}

#[tokio::test]
async fn what_keeps_it_from_connecting_is_told_in_the_words_of_the_log() {
    let closed = Port::reserve();
    let said = Said::of(&closed.url(), &PATIENT).await;
    said.wrong(&["connection"]).is("connection", "wrong", "connection refused: start the origin");

    let tls = Origin::speaking(Speech::Tls(&["h2", "http/1.1"]));
    let anybody = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap().cert.pem();
    let anybody = config_file(&anybody);
    let url = tls.url();
    for (file, words) in [
        (anybody.path(), "another authority of the same name signed its certificate"),
        (Path::new("/nowhere"), "SSL_CERT_FILE=\"/nowhere\" cannot be used"),
    ] {
        let (code, text) =
            Gateway::run_with(&["probe", &url, "--json"], &[("SSL_CERT_FILE", file.to_str().unwrap())]).await;
        let said = Said { code, report: serde_json::from_str(&text).unwrap() };
        said.wrong(&["connection"]).is("connection", "wrong", words);
    }
    assert_eq!(tls.requests().len(), 0, "nothing is sent to a server that is not trusted");
    let plainly = url.replace("https", "http");
    Said::of(&plainly, &PATIENT).await.wrong(&["status"]).is("status", "wrong", "its URL must begin with https://");
    let securely = saying(":").url().replace("http", "https");
    let said = Said::of(&securely, &PATIENT).await;
    said.wrong(&["connection"]);
}

#[tokio::test]
async fn a_stream_over_tls_and_http2_is_probed() {
    let origin = Origin::speaking(Speech::Tls(&["h2"]));
    let url = origin.url();
    let file = origin.authority().path().to_str().unwrap().to_owned();
    let (variables, arguments) = ([("SSL_CERT_FILE", file.as_str())], ["probe", &url, "--json", "--secs", "60"]);
    let answers = async {
        loop {
            let exchange = origin.accept().await;
            let (is_head, events) = (exchange.request.method == "HEAD", after(&id_of(&exchange)));
            let mut body = exchange.head(200, &WELL, Coding::Bare).await;
            if !is_head {
                body.raw(events).await;
            }
            body.end().await;
        }
    };
    let (code, text) = tokio::select! {
        said = Gateway::run_with(&arguments, &variables) => said,
        () = answers => unreachable!(),
    };
    let said = Said { code, report: serde_json::from_str(&text).unwrap() };
    said.wrong(&[]).is("tls", "good", "TLS 1.3").is("certificate", "good", "\"localhost\"");
    said.is("protocol", "good", "HTTP/2");
    said.is("resume", "good", "").is("keep-alive", "good", "HTTP/2");
}
