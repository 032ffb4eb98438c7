//! Sessions that are resumed, and those that must not be.

use super::*;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NEXT: &str = "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn keys(text: &str) -> Option<TicketKeys> {
    Some(TicketKeys::from_text(text.as_bytes()).unwrap())
}

/// How a client that was at `first` begins at `second`.
fn kind(client: &Client, first: &Identity, second: &Identity) -> Result<HandshakeKind, rustls::Error> {
    let (begun, _) = client.connect(&first.server_config(), "a").unwrap();
    assert_eq!(begun.handshake_kind(), Some(HandshakeKind::Full));
    client.connect(&second.server_config(), "a").map(|(_, server)| server.handshake_kind().unwrap())
}

/// Whether a client that was at `first` resumes at `second`, with either version.
fn resumes(own: &Files, first: &Identity, second: &Identity) -> bool {
    let resumes = [&TLS12, &TLS13]
        .map(|version| kind(&Client::trusting(&[own], &[version]), first, second).unwrap() == HandshakeKind::Resumed);
    assert_eq!(resumes[0], resumes[1]);
    resumes[0]
}

#[test]
fn processes_with_the_same_keys_resume_each_others_sessions() {
    let own = Files::of(&["a"]);
    let base = options(vec![own.pair()]);
    let with = |text: &str| identity(&IdentityOptions { ticket_keys: keys(text), ..base.clone() });
    for (first, second, expected) in [
        (KEY, KEY, true),
        (KEY, NEXT, false),
        // A key is rotated: first the new one comes behind the old one, then before it, then the old one goes.
        (KEY, &format!("# old\n{KEY}\n\n{NEXT}\n"), true),
        (&format!("{KEY}\n{NEXT}"), &format!("{NEXT}\r\n{KEY}\r\n"), true),
        (&format!("{NEXT}\n{KEY}"), NEXT, true),
        (&format!("{KEY}\n{NEXT}"), NEXT, false),
    ] {
        assert_eq!(resumes(&own, &with(first), &with(second)), expected, "{first} {second}");
    }
    let own_keys = identity(&base);
    assert!(!resumes(&own, &with(KEY), &own_keys) && !resumes(&own, &own_keys, &with(KEY)));
}

#[test]
fn a_process_resumes_its_own_sessions_also_over_a_reload() {
    let (own, other) = (Files::of(&["a"]), Files::of(&["other"]));
    let base = options(vec![own.pair()]);
    let running = identity(&base);
    assert!(resumes(&own, &running, &running));
    let another = || identity(&options(vec![own.pair(), other.pair()]));
    assert!(!resumes(&own, &running, &another()), "another process");
    assert!(resumes(&own, &running, &another().with_tickets_of(&running)));
    let shared = identity(&IdentityOptions { ticket_keys: keys(KEY), ..base.clone() });
    let shared_again = identity(&IdentityOptions { ticket_keys: keys(KEY), ..base.clone() });
    assert!(resumes(&own, &shared, &shared_again.with_tickets_of(&shared)));
    let next = identity(&IdentityOptions { ticket_keys: keys(NEXT), ..base });
    assert!(!resumes(&own, &shared, &next.with_tickets_of(&shared)));
    assert!(!resumes(&own, &shared, &running.with_tickets_of(&shared)));
}

#[test]
fn who_was_not_checked_does_not_resume_where_clients_are_checked() {
    let own = Files::of(&["a"]);
    let (authority, another) = (Authority::new(), Authority::new());
    let clients = |authority: &Authority, auth| Some(Clients { authorities: authority.authorities(), auth });
    let modes = [
        None,
        clients(&authority, ClientAuth::Optional),
        clients(&authority, ClientAuth::Required),
        clients(&another, ClientAuth::Optional),
    ];
    for ticket_keys in [None, keys(KEY)] {
        let base = IdentityOptions { ticket_keys, ..options(vec![own.pair()]) };
        for (from, first) in modes.iter().enumerate() {
            for (to, second) in modes.iter().enumerate() {
                let [first, second] = [first, second]
                    .map(|clients| identity(&IdentityOptions { clients: clients.clone(), ..base.clone() }));
                let second = second.with_tickets_of(&first);
                for version in [&TLS12, &TLS13] {
                    let known = authority.signs(&params(&["c"]));
                    let client = Client::with(&[&own], &known, &[version]);
                    // The fourth does not let this client in.
                    if from == 3 {
                        continue;
                    }
                    let kind = kind(&client, &first, &second).ok();
                    let expected = if from == to { Some(HandshakeKind::Resumed) } else { Some(HandshakeKind::Full) };
                    assert_eq!(kind, expected.filter(|_| to != 3), "{from} {to} {version:?}");
                }
            }
        }
    }
}

#[test]
fn a_resumed_client_is_the_one_that_was_checked() {
    let own = Files::of(&["a"]);
    let authority = Authority::new();
    let known = authority.signs(&params(&["known.example"]));
    let clients = Some(Clients { authorities: authority.authorities(), auth: ClientAuth::Required });
    let server = identity(&IdentityOptions { clients, ticket_keys: keys(KEY), ..options(vec![own.pair()]) });
    let client = Client::with(&[&own], &known, &[&TLS13]);
    client.connect(&server.server_config(), "a").unwrap();
    let (_, resumed) = client.connect(&server.server_config(), "a").unwrap();
    assert_eq!(resumed.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(resumed.peer_certificates().unwrap(), [known.der()]);
}

#[test]
fn a_client_gets_one_ticket() {
    let own = Files::of(&["a"]);
    let server = identity(&options(vec![own.pair()]));
    let client = Client::trusting(&[&own], &[&TLS13]);
    let (begun, _) = client.connect(&server.server_config(), "a").unwrap();
    assert_eq!(begun.tls13_tickets_received(), 1);
}
