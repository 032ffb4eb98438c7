//! The cases of each scenario.

use super::scale::number;
use super::scenarios::{HEARTBEAT_SECS, READERS};
use super::specs::{Chunks, Crowd, Http2, Policy, Reads, Returns, Work};
use super::target::Target;
use super::trial::{Act, Case, Deed};

/// The number of clients that fit into a process with 20,000 descriptors, beside manifold's reserve.
const MANY: usize = 18_000;

const SIZE: usize = 128;

const ALL: &[Target] = &[Target::Floor, Target::Manifold, Target::Nchan, Target::Pushpin, Target::Varnish];
/// All but Varnish, which needs a thread for each client and sends no heartbeats.
const NO_THREADS: &[Target] = &[Target::Floor, Target::Manifold, Target::Nchan, Target::Pushpin];
const THREE: &[Target] = &[Target::Floor, Target::Manifold, Target::Nchan];
const SERVERS: &[Target] = &[Target::Manifold, Target::Nchan, Target::Pushpin];
const WITH_FLOOR: &[Target] = &[Target::Floor, Target::Manifold];
/// Those that speak TLS.
const SECURE: &[Target] = &[Target::Floor, Target::Manifold, Target::Nchan, Target::Terminator];
const MANIFOLD: &[Target] = &[Target::Manifold];
/// Those that speak HTTP/2.
const HTTP_2: &[Target] = &[Target::Manifold, Target::Session, Target::Nchan];
const HTTP_2_MANIFOLD: &[Target] = &[Target::Manifold, Target::Session];

pub(crate) fn cpu() -> Vec<Case> {
    let many = Case { targets: NO_THREADS, ..case("18,000 clients", MANY, 1, 1, SIZE) };
    vec![Case { targets: ALL, ..case("5,000 clients", 5_000, 1, 10, SIZE) }, many]
}

pub(crate) fn few() -> Vec<Case> {
    vec![Case { targets: ALL, ..case("100 clients", 100, 1, 10, SIZE) }]
}

pub(crate) fn latency() -> Vec<Case> {
    vec![Case { targets: ALL, ..case("1,000 clients", 1_000, 1, 10, SIZE) }]
}

/// With a stream per client, a gateway has two connections per client. The streams of the last case are slower than
/// those of the others, so that the origin and the clients fit onto one core.
pub(crate) fn streams() -> Vec<Case> {
    vec![
        case("1 x 5,000 clients", 5_000, 1, 10, SIZE),
        case("1,000 x 5 clients", 5_000, 1_000, 10, SIZE),
        case("5,000 x 1 client", 5_000, 5_000, 2, SIZE),
    ]
}

pub(crate) fn throughput() -> Vec<Case> {
    vec![Case { secs: 30, ..case("1,000 clients", 1_000, 1, 1_000, SIZE) }]
}

/// More events are due than any server delivers. Each server takes as many as it can.
pub(crate) fn flood() -> Vec<Case> {
    let mut flood = Case { targets: SERVERS, ..case("1,000 clients", 1_000, 1, 5_000, SIZE) };
    for crowd in &mut flood.crowds {
        crowd.reads = Reads::Bytes;
    }
    vec![flood]
}

pub(crate) fn bursts() -> Vec<Case> {
    let bursts = |name, chunks| {
        let case = Case { targets: MANIFOLD, ..case(name, 1_000, 1, 500, SIZE) };
        Case { work: Work { burst: 50, chunks, ..case.work }, ..case }
    };
    vec![bursts("1 chunk", Chunks::PerBurst), bursts("50 chunks", Chunks::PerEvent)]
}

pub(crate) fn connect() -> Vec<Case> {
    let in_step = Case { secs: 1, warm_secs: 0, ..case("128 at a time", MANY, 1, 0, SIZE) };
    vec![in_step.clone(), at_once("all at once", in_step)]
}

/// Some clients are there all the time. The log is filled before the others come, and then the events are few, so that
/// the window measures the return.
pub(crate) fn returns() -> Vec<Case> {
    let alone = Case {
        targets: MANIFOLD,
        warm_secs: 5,
        pace: Some(2),
        secs: 6,
        least_secs: 6,
        ..case("nobody returns", 500, 1, 50, SIZE)
    };
    let returning = |name: &str, ids| {
        let crowd = Crowd {
            at_once: true,
            returns: Some(Returns { behind: 100, ids }),
            ..crowd("returning", MANY - 500, 0, 1)
        };
        Case { name: name.to_owned(), acts: vec![Act { at_secs: 1, deed: Deed::Come(crowd) }], ..alone.clone() }
    };
    vec![alone.clone(), returning("1 id", 1), returning("50 ids", 50)]
}

/// The floor has the same clients, so it shows how much of the latency is the load's own. It does not notice that the
/// clients of a quiet stream leave, so it needs descriptors for both crowds.
pub(crate) fn departure() -> Vec<Case> {
    let few = crowd(READERS, 10, 0, 1);
    let alone =
        Case { targets: WITH_FLOOR, crowds: vec![few], secs: 10, least_secs: 6, ..beside_quiet("10 alone", 10, 50) };
    let crowd = Crowd { at_once: true, ..crowd("crowd", 9_000, 1, 1) };
    let mut beside = Case { name: "beside 9,000".to_owned(), ..alone.clone() };
    beside.crowds.insert(0, crowd.clone());
    beside.acts = vec![Act { at_secs: 1, deed: Deed::Go("crowd") }, Act { at_secs: 3, deed: Deed::Come(crowd) }];
    vec![alone, beside]
}

/// Nobody was there before the clients that connect at once. Their memory is measured 5 s after the last of them was
/// answered.
pub(crate) fn memory() -> Vec<Case> {
    let later = case("after others", MANY, 1, 1, SIZE);
    let first = Case { vanguard: false, warm_secs: 0, secs: 4, least_secs: 4, ..case("all at once", MANY, 1, 0, SIZE) };
    vec![at_once("all at once", first), Case { targets: NO_THREADS, ..later }]
}

/// The log of each stream keeps 100 events, and is full after 5 s.
pub(crate) fn logs() -> Vec<Case> {
    let few = |name: &str, clients, rate| {
        let case = Case { vanguard: false, ..case(name, clients, 1_000, rate, SIZE) };
        Case { policy: Policy { log_events: Some(100), ..case.policy }, ..case }
    };
    let idle = few("1,000 x 1 client, no events", 1_000, 0);
    vec![
        Case { warm_secs: 0, secs: 4, ..idle },
        Case { warm_secs: 6, least_secs: 6, ..few("1,000 x 5 clients, full logs", 5_000, 20) },
    ]
}

pub(crate) fn idle() -> Vec<Case> {
    // A shorter window might contain no heartbeat, and heartbeats are all that is measured here.
    let idle =
        Case { targets: SERVERS, secs: 30, least_secs: HEARTBEAT_SECS, ..case("18,000 clients", MANY, 1, 0, SIZE) };
    let nobody = Case { name: "no client".to_owned(), crowds: Vec::new(), least_secs: 5, ..idle.clone() };
    vec![idle, nobody]
}

/// A stream with events, alone and beside one without. Heartbeats come often, so that every window contains some.
pub(crate) fn quiet() -> Vec<Case> {
    let mut cases = Vec::new();
    for (clients, name, beside) in [(10, "10 alone", "10 beside"), (1_000, "1,000 alone", "1,000 beside")] {
        let alone = beside_quiet(name, clients, 20);
        let mut both = Case { name: beside.to_owned(), ..alone.clone() };
        both.crowds.insert(0, crowd("quiet", 16_000, 1, 1));
        cases.extend([alone, both]);
    }
    cases
}

/// Clients of a stream that has a quiet one beside it. Both streams are open in all cases.
fn beside_quiet(name: &str, clients: usize, rate: u64) -> Case {
    let case = Case { targets: MANIFOLD, secs: 12, least_secs: 6, ..case(name, clients, 1, rate, SIZE) };
    Case { work: Work { quiet: 1, ..case.work }, policy: Policy { heartbeat_secs: 5, ..case.policy }, ..case }
}

/// Ten clients of one stream, once alone and once beside 10,000 clients of another. Both streams are open in both
/// cases.
pub(crate) fn neighbours() -> Vec<Case> {
    let few = crowd(READERS, 10, 1, 1);
    let alone = Case { targets: MANIFOLD, crowds: vec![few.clone()], ..case("10 alone", 10, 2, 10, SIZE) };
    let many = crowd("neighbours", 10_000, 0, 1);
    let beside = Case { name: "beside 10,000".to_owned(), crowds: vec![many, few], ..alone.clone() };
    vec![alone, beside]
}

/// Two cases with the same 4,950 clients: once alone, and once beside 50 clients that read nothing. The events are
/// larger than in other scenarios and the warm-up is longer. So the kernel's buffers of the slow clients are full when
/// the window begins, if the server bounds them to less than 100 KB. No server closes the slow clients within the
/// window.
pub(crate) fn slow() -> Vec<Case> {
    let alone = Case {
        targets: MANIFOLD,
        warm_secs: 10,
        policy: Policy { stall_secs: 600, ..policy() },
        ..case("4,950 alone", 4_950, 1, 10, 1_024)
    };
    let mut beside = Case { name: "beside 50 slow".to_owned(), ..alone.clone() };
    beside.crowds.insert(0, Crowd { reads: Reads::Nothing, ..crowd("slow", 50, 0, 1) });
    vec![alone, beside]
}

pub(crate) fn shards() -> Vec<Case> {
    let shards = |shards, name| {
        let policy = Policy { shards, ..policy() };
        Case { targets: MANIFOLD, policy, ..case(name, 5_000, 1, 10, SIZE) }
    };
    vec![shards(1, "1 shard"), shards(2, "2 shards"), shards(4, "4 shards")]
}

/// The same load plain and over TLS. Of ten clients one checks its events. The others do not even decrypt them, so that
/// the clients need less of their core than the server does of its own.
pub(crate) fn tls() -> Vec<Case> {
    let mut cases = Vec::new();
    for (size, plain, secure) in [(SIZE, "128 B, plain", "128 B, TLS"), (1_024, "1 KB, plain", "1 KB, TLS")] {
        let mut plain = Case { targets: MANIFOLD, ..case(plain, 5_000, 1, 10, size) };
        for crowd in &mut plain.crowds {
            crowd.reads = Reads::Bytes;
        }
        cases.extend([plain.clone(), over_tls(secure, SECURE, plain)]);
    }
    let first = Case { vanguard: false, warm_secs: 0, secs: 4, least_secs: 4, ..case("", MANY, 1, 0, SIZE) };
    let mut plain = Case { targets: MANIFOLD, ..at_once("18,000, plain", first) };
    for crowd in &mut plain.crowds {
        crowd.reads = Reads::Bytes;
    }
    let secure = over_tls("18,000, TLS", MANIFOLD, plain.clone());
    cases.extend([plain.clone(), secure.clone(), after_others("18,000, TLS, after others", secure)]);
    // If all connect to Nchan at once, some of them get no answer for minutes.
    for crowd in &mut plain.crowds {
        crowd.at_once = false;
    }
    cases.push(over_tls("18,000, TLS, 128 at a time", &[Target::Nchan], plain));
    for (name, resumed) in [("full handshakes", false), ("resumed handshakes", true)] {
        let shaking = Crowd { reads: Reads::Handshakes { resumed }, ..crowd("shaking", 64, 0, 1) };
        let case = Case { crowds: vec![shaking], vanguard: false, secs: 6, ..case(name, 0, 1, 0, SIZE) };
        cases.push(over_tls(name, THREE, case));
    }
    cases.extend(beside_handshakes());
    cases
}

/// Clients of one stream over TLS, alone and while others connect to a quiet one. The window is short, so that much of
/// it is the time of the handshakes.
fn beside_handshakes() -> [Case; 2] {
    let alone = Case { targets: WITH_FLOOR, secs: 4, least_secs: 4, ..beside_quiet("", 1_000, 50) };
    let alone = over_tls("1,000 alone", WITH_FLOOR, alone);
    let coming = Crowd { at_once: true, yields: true, ..crowd("coming", 2_000, 1, 1) };
    let acts = vec![Act { at_secs: 1, deed: Deed::Come(coming) }];
    [alone.clone(), Case { name: "1,000 beside 2,000".to_owned(), acts, ..alone }]
}

/// The same, over TLS and on other servers.
fn over_tls(name: &str, targets: &'static [Target], case: Case) -> Case {
    Case { name: name.to_owned(), targets, policy: Policy { tls: true, ..case.policy }, ..case }
}

/// The clients of one stream, with a connection each and with fewer connections. In a name, the number of connections
/// comes first.
pub(crate) fn http2() -> Vec<Case> {
    let five_thousand = Case { targets: MANIFOLD, secs: 6, least_secs: 2, ..case("", 5_000, 1, 10, SIZE) };
    let plain = Case { name: "5,000 x 1, HTTP/1.1".to_owned(), ..five_thousand.clone() };
    let mut cases = vec![
        plain,
        over_http2("5,000 x 1, h2c", 1, HTTP_2, five_thousand.clone()),
        over_http2("1,000 x 5, h2c", 5, HTTP_2, five_thousand.clone()),
        over_http2("50 x 100, h2c", 100, HTTP_2, five_thousand.clone()),
        over_tls("5,000 x 1, TLS, HTTP/1.1", MANIFOLD, five_thousand.clone()),
    ];
    for (name, clients) in [("5,000 x 1, TLS, h2", 1), ("50 x 100, TLS, h2", 100)] {
        cases.push(over_tls(name, HTTP_2, over_http2(name, clients, HTTP_2, five_thousand.clone())));
    }
    let idle = |name, all, clients| {
        let idle = Case { vanguard: false, warm_secs: 0, secs: 4, least_secs: 4, ..case("", all, 1, 0, SIZE) };
        over_http2(name, clients, HTTP_2, at_once(name, idle))
    };
    let (one, hundred) = (idle("5,000 x 1, no events", 5_000, 1), idle("50 x 100, no events", 5_000, 100));
    cases.extend(
        [("5,000 x 1, after others", &one), ("50 x 100, after others", &hundred)]
            .map(|(name, first)| Case { targets: MANIFOLD, ..after_others(name, first.clone()) }),
    );
    cases.extend([one, idle("50 x 1, no events", 50, 1), hundred]);
    cases.extend(beside_stalled());
    cases
}

/// Some streams of each connection, alone and beside one more whose window is never opened again. The events are large,
/// so that this window is used up in the warm-up, also in a short one.
fn beside_stalled() -> [Case; 2] {
    let policy = Policy { stall_secs: 600, ..policy() };
    let case = |clients| Case { warm_secs: 8, secs: 6, policy: policy.clone(), ..case("", clients, 1, 10, 2_048) };
    let alone = over_http2("20 x 99 alone", 99, HTTP_2_MANIFOLD, case(20 * 99));
    let mut beside = over_http2("20 x 99 beside a stalled one", 100, HTTP_2_MANIFOLD, case(20 * 100));
    for crowd in &mut beside.crowds {
        crowd.http2 = Some(Http2 { clients: 100, stalled: true });
    }
    [alone, beside]
}

/// The same over HTTP/2 and on other servers, with this many clients on each connection.
fn over_http2(name: &str, clients: usize, targets: &'static [Target], case: Case) -> Case {
    let http2 = Some(Http2 { clients, stalled: false });
    let crowds = case.crowds.into_iter().map(|crowd| Crowd { http2, ..crowd }).collect();
    Case { name: name.to_owned(), targets, crowds, policy: Policy { http2: true, ..case.policy }, ..case }
}

pub(crate) fn clients() -> Vec<Case> {
    let clients = |clients| Case { secs: 6, ..case(&named(clients, "clients"), clients, 1, 10, SIZE) };
    [100, 1_000, 5_000, 10_000, MANY].map(clients).to_vec()
}

pub(crate) fn rates() -> Vec<Case> {
    let rate = |rate| Case { secs: 6, ..case(&named(rate, "events/s"), 1_000, 1, rate, SIZE) };
    [1, 10, 100, 1_000].map(rate).to_vec()
}

pub(crate) fn sizes() -> Vec<Case> {
    let size = |size| Case { secs: 6, ..case(&named(size, "bytes"), 1_000, 1, 10, size) };
    [100, 1_024, 16_384].map(size).to_vec()
}

/// A crowd of clients that read all streams.
fn case(name: &str, clients: usize, streams: u64, rate: u64, size: usize) -> Case {
    Case {
        name: name.to_owned(),
        targets: THREE,
        work: Work { streams, quiet: 0, rate, size, ids: true, burst: 1, chunks: Chunks::PerEvent },
        crowds: vec![crowd(READERS, clients, 0, streams)],
        vanguard: true,
        warm_secs: 2,
        pace: None,
        secs: 10,
        least_secs: 1,
        acts: Vec::new(),
        policy: policy(),
    }
}

/// The same, with clients that all connect at once.
fn at_once(name: &str, case: Case) -> Case {
    let crowds = case.crowds.into_iter().map(|crowd| Crowd { at_once: true, ..crowd }).collect();
    Case { name: name.to_owned(), crowds, ..case }
}

/// The same clients, when what the server allocates once is already there.
fn after_others(name: &str, case: Case) -> Case {
    Case { name: name.to_owned(), vanguard: true, ..case }
}

fn crowd(name: &str, clients: usize, first_stream: u64, streams: u64) -> Crowd {
    let name = name.to_owned();
    Crowd {
        name,
        clients,
        first_stream,
        streams,
        reads: Reads::Events,
        at_once: false,
        returns: None,
        http2: None,
        yields: false,
    }
}

fn policy() -> Policy {
    Policy { heartbeat_secs: HEARTBEAT_SECS, stall_secs: 30, shards: 1, log_events: None, tls: false, http2: false }
}

/// A label such as "1,000 clients".
fn named(count: impl TryInto<u32>, what: &str) -> String {
    format!("{} {what}", number(f64::from(count.try_into().unwrap_or(u32::MAX))))
}
