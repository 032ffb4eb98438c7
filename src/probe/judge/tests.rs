//! What is said of which facts.

use super::super::facts::{
    Again, Compressed, Connection, Facts, Head, HeadMethod, Hop, NoHead, Page, Plain, Resume, Resumption, Stream,
};
use super::super::finding::{Finding, Key, Verdict};
use super::super::flow::{Flow, Lumps, Proof};
use super::super::lines::Lines;
use super::super::reading::Ending;
use super::super::resumed::Resumed;
use super::findings;
use crate::upstream::NoWire;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use std::time::{Duration, SystemTime};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn fields(text: &str) -> HeaderMap {
    let fields = text.lines().map(|line| line.split_once(": ").unwrap());
    fields.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

const WELL: &str = "content-type: text/event-stream\ncache-control: no-cache\nx-accel-buffering: no";

fn stream() -> Stream {
    Stream {
        listened: secs(10),
        bytes: 500,
        events: 10,
        without_id: 0,
        ids: 10,
        different: 10,
        retries: vec![3000],
        refused: 0,
        flow: Flow::Flowing(10),
        moments: 10,
        first: Some(Duration::from_millis(5)),
        silence: secs(1),
        lines: Lines::default(),
        end: None,
    }
}

/// The facts of a stream with which all is well.
fn well() -> Facts {
    let connection =
        Connection { address: ([127, 0, 0, 1], 9).into(), took: secs(0), tls: None, at: SystemTime::UNIX_EPOCH };
    let (status, version) = (StatusCode::OK, Version::HTTP_11);
    let page = Page { origin: "https://a.example".to_owned(), credentials: false, asks: Vec::new(), preflight: None };
    Facts {
        patience: secs(10),
        hops: Vec::new(),
        host: "127.0.0.1".to_owned(),
        connection: Some(Ok(connection)),
        head: Some(Ok(Head { fields: fields(&format!("{WELL}\naccess-control-allow-origin: *")), ..Head::default() })),
        compressed: None,
        stream: Some(stream()),
        resume: Some(Resume { id: "7".into(), answer: Resumption::Stream(Resumed::Continued(3)) }),
        page: Some(page),
        head_method: Some(HeadMethod::Answered { status, version, fields: fields(WELL), again: Some(Again::Answered) }),
    }
}

/// The finding about `key` among those of changed facts.
fn told(key: Key, change: impl FnOnce(&mut Facts)) -> Finding {
    let mut facts = well();
    change(&mut facts);
    let all = findings(&facts);
    all.iter().find(|finding| finding.key == key).unwrap_or_else(|| panic!("nothing about {key:?} in {all:#?}")).clone()
}

fn is(finding: &Finding, verdict: Verdict, words: &str) {
    let said = format!("{} {}", finding.seen, finding.advice);
    assert!(finding.verdict == verdict && said.contains(words), "{verdict} {words:?}, and not {finding:#?}");
    assert_eq!(finding.advice.is_empty(), verdict == Verdict::Good, "whatever is not good has advice: {finding:?}");
}

#[test]
fn where_all_is_well_nothing_is_to_be_done_and_everything_was_looked_at() {
    let all = findings(&well());
    for finding in &all {
        is(finding, Verdict::Good, "");
    }
    let keys: Vec<_> = all.iter().map(|finding| finding.key).collect();
    // These are told only if there is something to tell. The connection of these facts is in the clear.
    let silent = [Key::Redirect, Key::Length, Key::Preflight, Key::Tls, Key::Certificate];
    let expected: Vec<_> = Key::ALL.into_iter().filter(|key| !silent.contains(key)).collect();
    assert_eq!(keys, expected);
}

#[test]
fn the_head_is_judged_field_by_field() {
    use Verdict::{Good, Note, Wrong};
    for (key, head, verdict, words) in [
        (Key::Type, "x: y", Wrong, "no Content-Type"),
        (Key::Type, "content-type: text/html", Wrong, "\"text/html\""),
        (Key::Type, "content-type: text/event-stream; charset=UTF-8", Good, ""),
        (Key::Type, "content-type: text/event-stream; charset=latin1", Note, "always read event streams as UTF-8"),
        (Key::Cache, "x: y", Note, "no Cache-Control"),
        (Key::Cache, "cache-control: private", Note, "\"private\""),
        (Key::Cache, "cache-control: max-age=0", Note, "\"max-age=0\""),
        (Key::Cache, "cache-control: no-store", Good, ""),
        (Key::Cache, "cache-control: max-age=60", Wrong, "caches may keep"),
        (Key::Cache, "cache-control: public", Wrong, "caches may keep"),
        (Key::Cache, "cache-control: no-cache\nage: 17", Wrong, "Age is \"17\""),
        (Key::Length, "content-length: 90", Wrong, "Content-Length: \"90\""),
        (Key::Accel, "x: y", Note, "proxy_buffering off"),
        (Key::Accel, "x-accel-buffering: yes", Wrong, "X-Accel-Buffering is \"yes\""),
        (Key::Proxy, "server: nginx/1.24", Note, "proxy_buffering off"),
        (Key::Proxy, "server: cloudflare\ncf-ray: 1", Note, "100 s"),
        (Key::Proxy, "via: 1.1 varnish", Note, "do_stream"),
        (Key::Proxy, "x-envoy-upstream-service-time: 4", Note, "timeout: 0s"),
        (Key::Proxy, "server: Apache", Note, "flushpackets"),
        (Key::Proxy, "server: Apache-Coyote/1.1", Good, ""),
        (Key::Proxy, "server: uvicorn", Good, "The probe has no advice"),
    ] {
        let finding = told(key, |facts| facts.head = Some(Ok(Head { fields: fields(head), ..Head::default() })));
        is(&finding, verdict, words);
    }
    for (key, took, first, verdict, words) in [
        (Key::HeadTime, 0, 0, Good, ""),
        (Key::HeadTime, 4, 4, Note, "together with the first bytes"),
        (Key::HeadTime, 4, 6, Note, "Answer first"),
    ] {
        let finding = told(key, |facts| {
            facts.head = Some(Ok(Head { took: secs(took), ..Head::default() }));
            facts.stream.as_mut().unwrap().first = Some(secs(first));
        });
        is(&finding, verdict, words);
    }
}

#[test]
fn a_status_other_than_200_ends_an_event_source_for_ever() {
    for (status, words) in [
        (204, "204 does so on purpose"),
        (302, "the URL of the stream itself"),
        (401, "--header"),
        (404, "Check the path"),
        (405, "allow both"),
        (429, "limits its clients"),
        (500, "The server failed"),
        (502, "A proxy answers in place of the origin"),
        (206, "Answer with 200"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let head = Head { status, fields: fields("content-type: text/html"), ..Head::default() };
        let mut facts = Facts { head: Some(Ok(head)), ..Facts::default() };
        let all = findings(&facts);
        let finding = all.iter().find(|finding| finding.key == Key::Status).unwrap();
        is(finding, Verdict::Wrong, words);
        is(finding, Verdict::Wrong, "ends an EventSource for ever");
        assert!(!all.iter().any(|finding| finding.key == Key::Type), "the page of an error needs no type: {all:?}");
        facts.head = Some(Err(NoHead::Late));
        assert_eq!(findings(&facts)[0].key, Key::HeadTime);
    }
    let failed = |facts: &mut Facts| facts.head = Some(Err(NoHead::Failed("closed by the origin".to_owned())));
    is(&told(Key::Status, failed), Verdict::Wrong, "no answer: closed by the origin");
    let refused = |facts: &mut Facts| {
        let why = NoWire::Unreachable("127.0.0.1:9: connection refused".to_owned());
        facts.connection = Some(Err(why.into()));
    };
    is(&told(Key::Connection, refused), Verdict::Wrong, "No connection: 127.0.0.1:9: connection refused.");
    for (refused, verdict) in [(None, Verdict::Note), (Some("it is the sixth redirect"), Verdict::Wrong)] {
        let hop = Hop { status: StatusCode::FOUND, to: "http://h/b".to_owned(), refused };
        is(&told(Key::Redirect, |facts| facts.hops.push(hop)), verdict, "302 and leads to \"http://h/b\"");
    }
    let old = |facts: &mut Facts| facts.head = Some(Ok(Head { version: Version::HTTP_10, ..Head::default() }));
    is(&told(Key::Protocol, old), Verdict::Note, "proxy_http_version 1.1");
}

#[test]
fn what_compresses_and_collects_is_told_apart_from_what_flushes() {
    use Verdict::{Note, Wrong};
    for (moments, plain, moments_plain, verdict, words) in [
        (0, Plain::Came, 5, Wrong, "came never, those of the same stream without compression at 5 moments"),
        (1, Plain::Came, 5, Wrong, "came once"),
        (0, Plain::Came, 1, Wrong, "came never, those of the same stream without compression once"),
        (1, Plain::Came, 2, Note, "too few to say"),
        (0, Plain::Came, 0, Note, "too few to say"),
        (1, Plain::Came, 1, Note, "too few to say"),
        (5, Plain::Came, 5, Note, "so the compressor flushes"),
        (5, Plain::Compressed, 0, Wrong, "even for \"Accept-Encoding: identity\""),
        (5, Plain::Failed, 0, Wrong, "no such answer"),
    ] {
        let finding = told(Key::Compression, |facts| {
            facts.compressed = Some(Compressed { coding: "gzip".to_owned(), moments, plain });
            facts.stream.as_mut().unwrap().moments = moments_plain;
        });
        is(&finding, verdict, words);
        is(&finding, verdict, "gzip off");
    }
}

#[test]
fn the_rhythm_of_events_is_judged_by_how_sure_it_is() {
    use Verdict::{Good, Note, Wrong};
    let lumps = |lumps, proof| {
        let largest = (12, Duration::from_millis(3), secs(8));
        Flow::Lumps(Lumps { lumps, events: 12 * lumps, largest, smallest: 4096, proof })
    };
    // Small groups of events, again and again, are no full buffers.
    let small = Lumps { lumps: 2, events: 6, largest: (3, secs(0), secs(1)), smallest: 200, proof: Proof::None };
    for (lumps, end, verdict) in [(2, None, Note), (1, None, Note), (1, Some(Ending::Orderly), Wrong)] {
        let finding = told(Key::Buffering, |facts| {
            facts.head = Some(Ok(Head { fields: fields("server: nginx"), ..Head::default() }));
            let stream = facts.stream.as_mut().unwrap();
            (stream.flow, stream.end) = (Flow::Lumps(Lumps { lumps, ..small.clone() }), end);
        });
        is(&finding, verdict, "");
    }
    for (server, flow, verdict, words) in [
        ("x: y", Flow::Flowing(7), Good, "at 7 moments"),
        ("x: y", Flow::TooFew(1), Note, "1 event came: too few"),
        ("x: y", Flow::AtTheStart(9), Note, "All 9 events came at once"),
        ("x: y", lumps(1, Proof::None), Note, "12 events came within 3 ms, after 8.0 s of silence. Either"),
        ("server: nginx", lumps(1, Proof::None), Wrong, "comes through nginx"),
        ("server: cloudflare", lumps(1, Proof::None), Note, "Either the origin"),
        ("x: y", lumps(3, Proof::Size(8192)), Wrong, "a multiple of 8192 bytes"),
        ("x: y", lumps(1, Proof::Times(secs(7))), Wrong, "The times in them are 7.0 s apart. That is certain"),
    ] {
        let finding = told(Key::Buffering, |facts| {
            facts.head = Some(Ok(Head { fields: fields(server), ..Head::default() }));
            facts.stream.as_mut().unwrap().flow = flow;
        });
        is(&finding, verdict, words);
    }
}

#[test]
fn silence_ids_retry_and_the_end_are_judged() {
    use Verdict::{Good, Note, Wrong};
    let with = |key, verdict, words: &str, change: &dyn Fn(&mut Stream)| {
        is(&told(key, |facts| change(facts.stream.as_mut().unwrap())), verdict, words);
    };
    with(Key::Heartbeat, Good, "no silence of more than 1.0 s", &|_| ());
    with(Key::Heartbeat, Note, "--secs 60", &|stream| stream.silence = secs(9));
    with(Key::Heartbeat, Wrong, "Nothing came for 31.0 s", &|stream| stream.silence = secs(31));
    with(Key::Heartbeat, Good, "2 comment lines came. The longest silence was 15.0 s", &|stream| {
        (stream.silence, stream.lines.comments) = (secs(15), 2);
    });
    with(Key::Events, Note, "Nothing came within", &|stream| (stream.events, stream.bytes) = (0, 0));
    with(Key::Events, Wrong, "500 bytes came within 10.0 s, and no event", &|stream| stream.events = 0);
    with(Key::Events, Note, "4 comment lines and no event", &|stream| {
        stream.events = 0;
        (0..4).for_each(|_| stream.lines.take(b":\n"));
    });
    with(Key::Ids, Note, "None of the 10 events has an id", &|stream| (stream.ids, stream.different) = (0, 0));
    with(Key::Ids, Note, "3 of 10 events have no id", &|stream| stream.without_id = 3);
    with(Key::Ids, Wrong, "the same id", &|stream| (stream.ids, stream.different) = (1, 1));
    with(Key::Ids, Wrong, "came again later", &|stream| stream.different = 9);
    with(Key::Retry, Good, "browsers wait 3 to 5 seconds", &|stream| stream.retries.clear());
    with(Key::Retry, Note, "Say 1000 or more", &|stream| stream.retries = vec![5000, 0]);
    with(Key::Retry, Note, "Say less", &|stream| stream.retries = vec![600_000]);
    with(Key::End, Note, "ended in order after 10.0 s", &|stream| stream.end = Some(Ending::Orderly));
    with(Key::End, Note, "asks clients to come back later", &|stream| {
        (stream.end, stream.events) = (Some(Ending::Orderly), 0);
    });
    with(Key::End, Note, "the only end", &|stream| stream.end = Some(Ending::Closed));
    with(Key::End, Good, "was left", &|stream| stream.end = Some(Ending::Enough));
    with(Key::End, Wrong, "broke off", &|stream| stream.end = Some(Ending::Cut));
}

#[test]
fn lines_that_break_clients_are_told_with_their_cure() {
    use Verdict::{Note, Wrong};
    let with = |verdict, words: &str, change: &dyn Fn(&mut Stream)| {
        is(&told(Key::Blocks, |facts| change(facts.stream.as_mut().unwrap())), verdict, words);
    };
    with(Wrong, "1 line is not UTF-8. Clients replace", &|stream| stream.lines.bad_utf8 = 1);
    with(Wrong, "2 lines are without a name that clients know, such as \"{\\u{1b}}\"", &|stream| {
        stream.lines.unknown = (2, "{\u{1b}}".to_owned());
    });
    with(Wrong, "1 event is larger than 4 MiB", &|stream| stream.refused = 1);
    with(Wrong, "The last event has no empty line after it", &|stream| {
        (stream.end, stream.lines.is_within_block) = (Some(Ending::Orderly), true);
    });
    with(Note, "1 retry value is not numeric", &|stream| stream.lines.bad_retries = 1);
    with(Note, "byte order mark", &|stream| stream.lines.has_bom = true);
    with(Note, "2 blocks have an id and no data", &|stream| stream.lines.only_id = 2);
    with(Note, "1 block has neither id nor data", &|stream| stream.lines.only_others = 1);
    with(Note, "The longest line has 68 KiB", &|stream| stream.lines.longest = 70_000);
    with(Wrong, "1 line is not UTF-8; the stream begins", &|stream| {
        (stream.lines.bad_utf8, stream.lines.has_bom) = (1, true);
    });
}

#[test]
fn what_follows_an_id_is_judged() {
    use Verdict::{Good, Note, Wrong};
    for (answer, verdict, words) in [
        (Resumption::NoAnswer, Wrong, "there was no answer"),
        (Resumption::Status(StatusCode::NOT_FOUND), Wrong, "the answer is 404"),
        (Resumption::Stream(Resumed::Continued(3)), Good, "Last-Event-ID \"7\": 3 ids that followed it came again"),
        (Resumption::Stream(Resumed::Skipped(1)), Wrong, "at least 1 is missing"),
        (Resumption::Stream(Resumed::Lost(3)), Wrong, "only newer ones"),
        (Resumption::Stream(Resumed::Silent(1)), Wrong, "the 1 id that had followed it did not come"),
        (Resumption::Stream(Resumed::Repeated), Wrong, "The origin ignores the id"),
        (Resumption::Stream(Resumed::Unknown), Note, "no newer event is known"),
    ] {
        is(&told(Key::Resume, |facts| facts.resume = Some(Resume { id: "7".into(), answer })), verdict, words);
    }
    let hostile = Resume { id: "\u{202e}\"x".into(), answer: Resumption::NoAnswer };
    is(&told(Key::Resume, |facts| facts.resume = Some(hostile)), Wrong, r#""\u{202e}\"x""#);
}

#[test]
fn a_page_of_another_origin_may_read_or_not() {
    use Verdict::{Good, Note, Wrong};
    let origin = "access-control-allow-origin: https://a.example";
    let with_credentials = format!("{origin}\naccess-control-allow-credentials: true\nvary: accept, Origin");
    for (credentials, head, verdict, words) in [
        (false, "x: y", Wrong, "no Access-Control-Allow-Origin"),
        (false, "access-control-allow-origin: *", Good, ""),
        (false, origin, Note, "Vary: Origin"),
        (false, &with_credentials, Good, ""),
        (false, "access-control-allow-origin: https://b.example", Wrong, "is \"https://b.example\", not"),
        (false, "access-control-allow-origin: *\naccess-control-allow-origin: *", Wrong, "more than once"),
        (true, "access-control-allow-origin: *", Wrong, "not enough with credentials"),
        (true, origin, Wrong, "Access-Control-Allow-Credentials is not \"true\""),
        (true, &with_credentials, Good, "with credentials"),
    ] {
        let finding = told(Key::Cors, |facts| {
            facts.head = Some(Ok(Head { fields: fields(head), ..Head::default() }));
            facts.page.as_mut().unwrap().credentials = credentials;
        });
        is(&finding, verdict, words);
    }
    let allows =
        |names: &str| Some((204, format!("access-control-allow-origin: *\naccess-control-allow-headers: {names}")));
    for (answer, verdict, words) in [
        (None, Wrong, "there was no answer"),
        (Some((401, "access-control-allow-origin: *".to_owned())), Wrong, "the answer is 401"),
        (Some((204, "x: y".to_owned())), Wrong, "no Access-Control-Allow-Origin"),
        (allows("x-b"), Wrong, "does not name authorization"),
        (allows("*"), Wrong, "does not name authorization"),
        (allows("Authorization, *"), Good, "that is allowed"),
        (allows("x-b, Authorization"), Good, "that is allowed"),
    ] {
        let finding = told(Key::Preflight, |facts| {
            let page = facts.page.as_mut().unwrap();
            page.asks = ["authorization", "x-b"].map(HeaderName::from_static).to_vec();
            page.preflight = answer.map(|(status, text)| (StatusCode::from_u16(status).unwrap(), fields(&text)));
        });
        is(&finding, verdict, words);
    }
}

#[test]
fn head_and_the_connection_are_judged() {
    use Verdict::{Good, Note, Wrong};
    let answered = |status, version, again| {
        let status = StatusCode::from_u16(status).unwrap();
        Some(HeadMethod::Answered { status, version, fields: fields(WELL), again })
    };
    let html = Head { fields: fields("content-type: text/html"), ..Head::default() };
    let other = told(Key::HeadMethod, |facts| facts.head = Some(Ok(html)));
    is(&other, Note, "another Content-Type");
    for (key, answer, verdict, words) in [
        (Key::HeadMethod, Some(HeadMethod::NoAnswer), Note, "HEAD brought no answer"),
        (Key::HeadMethod, answered(405, Version::HTTP_11, Some(Again::Answered)), Note, "answered with 405"),
        (Key::KeepAlive, answered(405, Version::HTTP_11, Some(Again::Answered)), Good, ""),
        (Key::KeepAlive, answered(200, Version::HTTP_11, Some(Again::Lost)), Wrong, "got no answer"),
        (Key::KeepAlive, answered(200, Version::HTTP_11, Some(Again::Garbled)), Note, "cannot be judged"),
        (Key::HeadMethod, answered(200, Version::HTTP_11, Some(Again::Garbled)), Note, "answered with a body"),
        (Key::KeepAlive, answered(200, Version::HTTP_10, None), Note, "closed after the answer"),
        (Key::KeepAlive, answered(200, Version::HTTP_2, Some(Again::Answered)), Good, "HTTP/2"),
    ] {
        is(&told(key, |facts| facts.head_method = answer), verdict, words);
    }
    for (version, connection, lives) in [
        (Version::HTTP_11, "x: y", true),
        (Version::HTTP_11, "connection: TE, Close", false),
        (Version::HTTP_10, "x: y", false),
        (Version::HTTP_10, "connection: Keep-Alive", true),
        (Version::HTTP_2, "x: y", true),
    ] {
        let head = Head { version, fields: fields(connection), ..Head::default() };
        assert_eq!(super::says_that_it_lives(&head), lives, "{version:?} {connection}");
    }
}
