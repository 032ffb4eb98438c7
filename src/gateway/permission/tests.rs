use super::judge::{Answers, Judged, Knowledge, Question, Seeker, judge};
use crate::auth::{
    Allow, AuthPolicy, Certificate, Demand, Demands, Denial, Forward, ForwardUrl, KeyRing, Kind, Names, PathRule,
    Record, Revocation, Source, Sources, Ticket, TicketPolicy, Verdict, Whom,
};
use crate::caller::{Grant, TicketId};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The key `abc`, of alice.
const RING: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad alice";

fn at(secs: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs)
}

fn keys(allow: &str) -> AuthPolicy {
    let sources = Sources(vec![Source::Header(AUTHORIZATION), Source::Query("token".to_owned())]);
    let allow = Allow::Rules(vec![PathRule::parse(allow).unwrap()]);
    AuthPolicy::new(Kind::Key(KeyRing::parse(RING).unwrap()), sources, Demands { require: Vec::new(), allow })
}

fn with_tickets(mut policy: AuthPolicy) -> AuthPolicy {
    policy.tickets = Some(TicketPolicy {
        path: "/ticket".to_owned(),
        lifetime: Duration::from_secs(30),
        grace: Duration::from_secs(300),
        longest: Duration::from_secs(3600),
        keys: None,
        binds_address: false,
    });
    policy
}

fn seeker<'a>(path: &'a str, query: Option<&'a str>, headers: &'a HeaderMap) -> Seeker<'a> {
    Seeker {
        method: &Method::GET,
        headers,
        path,
        query,
        host: Some("a.example"),
        is_tls: false,
        address: None,
        certificate: None,
        route: "r",
        is_without_path: false,
    }
}

/// The judgement, in words.
fn judged(auth: &AuthPolicy, seeker: &Seeker<'_>, record: &Record, answers: &Answers) -> String {
    let known = Knowledge { now: at(1_000), record, answers };
    match judge(&Arc::new(auth.clone()), seeker, known, true) {
        Judged::Permitted(permit) => {
            let Grant { subject, expires, ticket, .. } = &permit.permission.grant;
            let ticket = ticket.map(|_| " ticket").unwrap_or_default();
            format!("{} until {expires:?}{ticket}", subject.as_deref().unwrap_or("-"))
        }
        Judged::Denied(denial) => denial.reason().to_owned(),
        Judged::Asks(Question::Keys { newer, .. }) => format!("asks for keys, newer: {newer}"),
        Judged::Asks(Question::Service(asked)) => {
            let fields = asked.fields.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
            format!("asks {}", fields.collect::<Vec<_>>().join(" "))
        }
    }
}

#[test]
fn a_key_permits_its_paths_until_it_is_revoked() {
    let (record, answers, auth) = (Record::default(), Answers::default(), keys("/users/{name}/*"));
    let none = HeaderMap::new();
    let ask = |path, query| judged(&auth, &seeker(path, query, &none), &record, &answers);
    assert_eq!(ask("/users/alice/a", Some("token=abc")), "alice until None");
    assert_eq!(ask("/users/bob/a", Some("token=abc")), "not permitted");
    assert_eq!(ask("/users/alice/a", Some("token=abd")), "no such key");
    assert_eq!(ask("/users/alice/a", None), "no credential");
    assert_eq!(ask("/users/alice/a", Some("ticket=abc&token=abc")), "alice until None", "the route has no tickets");
    assert!(record.revocations.add(Revocation { whom: Whom::Subject("alice".into()), at: 999, until: 2_000 }));
    assert_eq!(ask("/users/alice/a", Some("token=abc")), "revoked");
}

#[test]
fn a_ticket_stands_in_the_place_of_the_credential() {
    let (record, answers, auth) = (Record::default(), Answers::default(), with_tickets(keys("/users/{name}/*")));
    let none = HeaderMap::new();
    // The grant as the route gives it, with the id of the ticket.
    let known = Knowledge { now: at(1_000), record: &record, answers: &answers };
    let asked = seeker("/users/alice/a", Some("token=abc"), &none);
    let Judged::Permitted(permit) = judge(&Arc::new(auth.clone()), &asked, known, false) else { panic!() };
    let grant = Grant { ticket: Some(TicketId([1; 16])), ..permit.permission.grant };
    let claims = permit.permission.claims.0;
    let ticket = Ticket { route: "r".into(), path: None, grant, claims, issued: 990_000, address: None };
    let key = record.key();
    let ask = |ticket: &Ticket, path: &str| {
        let query = format!("ticket={}", ticket.seal(&key[0]));
        judged(&auth, &seeker(path, Some(&query), &none), &record, &answers)
    };
    assert_eq!(ask(&ticket, "/users/alice/a"), "alice until Some(4590000) ticket");
    assert_eq!(ask(&ticket, "/users/bob/a"), "not permitted");
    let bound = Ticket { path: Some("/users/alice/b".into()), ..ticket.clone() };
    assert_eq!(ask(&bound, "/users/alice/a"), "ticket of another path");
    assert_eq!(ask(&Ticket { route: "s".into(), ..ticket.clone() }, "/users/alice/a"), "ticket of another route");
    let ended = Ticket { grant: Grant { expires: Some(1_000_000), ..ticket.grant.clone() }, ..ticket.clone() };
    assert_eq!(ask(&ended, "/users/alice/a"), "expired");
    let gone = Ticket { grant: Grant { credential: [9; 32], ..ticket.grant.clone() }, ..ticket.clone() };
    assert_eq!(ask(&gone, "/users/alice/a"), "its credential is good no longer", "the key is on no ring");
    let earlier = Ticket { grant: Grant { policy: 7, ..ticket.grant.clone() }, ..ticket.clone() };
    assert_eq!(ask(&earlier, "/users/alice/a"), "its credential is good no longer", "the policy changed");
    let query = "ticket=AAAA&token=abc";
    assert_eq!(judged(&auth, &seeker("/users/alice/a", Some(query), &none), &record, &answers), "no ticket of ours");
    assert!(record.revocations.add(Revocation { whom: Whom::Ticket(TicketId([1; 16])), at: 999, until: 2_000 }));
    assert_eq!(ask(&ticket, "/users/alice/a"), "revoked");
}

#[test]
fn a_service_is_asked_with_the_named_fields_and_its_answer_counts_as_long_as_it_says() {
    let service = Forward {
        url: Arc::new(ForwardUrl::parse("http://127.0.0.1:1/check").unwrap()),
        pass: vec![HeaderName::from_static("cookie")],
        fail_open: false,
        recheck: None,
        subject: Some(HeaderName::from_static("x-user")),
    };
    let sources = Sources(vec![Source::Query("token".to_owned())]);
    let require = vec![Demand { claim: "x-role".to_owned(), value: Some("admin".to_owned()) }];
    let policy = |service: &Forward| {
        let demands = Demands { require: require.clone(), allow: Allow::Everything };
        AuthPolicy::new(Kind::Forward(service.clone()), sources.clone(), demands)
    };
    let record = Record::default();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("cookie"), HeaderValue::from_static("a=1"))]);
    let asked = seeker("/x", Some("token=t&a=b"), &headers);
    let ask = |service: &Forward, answers: &Answers| judged(&policy(service), &asked, &record, answers);
    assert_eq!(
        ask(&service, &Answers::default()),
        "asks cookie=a=1 authorization=Bearer t x-forwarded-method=GET x-forwarded-proto=http \
         x-forwarded-host=a.example x-forwarded-uri=/x?a=b"
    );
    let answered = |status: u16, lines: &[(&'static str, &'static str)]| {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = lines.iter().map(line).collect();
        let status = StatusCode::from_u16(status).unwrap();
        let verdict = service.verdict(status, &headers, Bytes::new(), [1; 32]);
        Answers { verdict: Some(verdict), ..Answers::default() }
    };
    let alice = [("x-user", "alice"), ("x-role", "admin")];
    assert_eq!(ask(&service, &answered(200, &alice)), "alice until None");
    let for_a_minute = [alice[0], alice[1], ("cache-control", "max-age=60")];
    assert_eq!(ask(&service, &answered(204, &for_a_minute)), "alice until Some(1060000)");
    let rechecked = Forward { recheck: Some(Duration::from_secs(5)), ..service.clone() };
    assert_eq!(ask(&rechecked, &answered(204, &for_a_minute)), "alice until None", "it is asked again");
    assert_eq!(ask(&service, &answered(200, &[("x-role", "user")])), "not permitted");
    assert_eq!(ask(&service, &answered(403, &alice)), "the authorisation service denies it");
    assert_eq!(ask(&service, &answered(500, &alice)), "the authorisation service answered 500");
    let down = Verdict::Denied(Denial::Unavailable("down".into()));
    assert_eq!(ask(&service, &Answers { verdict: Some(down), ..Answers::default() }), "down");
}

#[test]
fn a_certificate_is_judged_by_its_names() {
    let names = Names(vec!["CN=device-*".to_owned()]);
    let auth = AuthPolicy::new(Kind::Mtls(names), Sources::default(), Demands::default());
    let (record, answers, none) = (Record::default(), Answers::default(), HeaderMap::new());
    let certificate = |common: &str| Certificate {
        subject: crate::certificates::Subject {
            name: format!("CN={common}"),
            common_name: Some(common.to_owned()),
            alternatives: Vec::new(),
        },
        digest: [1; 32],
        not_after: at(2_000),
    };
    let (device, other) = (certificate("device-7"), certificate("other"));
    let expired = Certificate { not_after: at(1_000), ..device.clone() };
    for (certificate, expected) in [
        (Some(&device), "CN=device-7 until Some(2000000)"),
        (Some(&other), "not permitted"),
        (Some(&expired), "expired"),
        (None, "no credential"),
    ] {
        let asked = Seeker { certificate, ..seeker("/x", None, &none) };
        assert_eq!(judged(&auth, &asked, &record, &answers), expected);
    }
}
