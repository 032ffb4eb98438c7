//! A crowd that returns: who is served when, and what each client gets.

use super::*;
use crate::replay::Start;
use std::num::NonZeroUsize;

/// More than a turn serves.
const CROWD: usize = 120;

/// The events of a stream's log. They fill two batches, and a socket takes them.
const EVENTS: usize = 8;
const EVENT: usize = 12 << 10;

/// A stage whose clients begin with all events of the log.
fn stage() -> Stage {
    let start = Start::Back(NonZeroUsize::new(EVENTS).unwrap());
    Stage::with(ReplayOptions { start, ..ReplayOptions::default() }, |_| {})
}

/// Fills the log of a stream.
fn fill(publisher: &Publisher, with: &str) {
    let data = Bytes::from(with.repeat(EVENT));
    for number in 0..EVENTS {
        let id = Bytes::from(number.to_string());
        let event = Event { last_event_id: id.clone(), id: Some(id), data: data.clone(), ..Event::default() };
        publisher.append(&[event], &mut Continuation::fresh(false));
    }
}

/// Makes the kernel take a whole log for a client that reads nothing.
fn hold_all(arrival: &mut Arrival) {
    sockopt::set_socket_send_buffer_size(&arrival.socket, 400 << 10).unwrap();
}

/// A client that comes back to `/a` and got the event with this id last.
fn returning(stage: &mut Stage, last: usize) -> Reader {
    let (hub, settings) = (stage.hub.clone(), stage.settings.clone());
    stage.client_with("/a", |arrival| {
        let request = StreamRequest::new(RouteId(1), &ShareOptions::default(), "/a", None, &HeaderMap::new());
        arrival.delivery.subscription = hub.join(request, &settings, Some(&Bytes::from(last.to_string()))).unwrap();
    })
}

/// Readers that note how many events they got.
struct Crowd(Vec<(Reader, usize)>);

impl Crowd {
    fn of(clients: impl IntoIterator<Item = Reader>) -> Self {
        Self(clients.into_iter().map(|client| (client, 0)).collect())
    }

    /// How many events each has got by now.
    fn got(&mut self) -> Vec<usize> {
        let count = |(client, got): &mut (Reader, usize)| {
            // The kernel may have taken a part of a line.
            *got += client.take().windows(6).filter(|bytes| *bytes == b"data: ").count();
            *got
        };
        self.0.iter_mut().map(count).collect()
    }
}

/// Nobody begins before those who came earlier have all, whatever their streams are.
#[test]
fn a_crowd_is_served_in_the_order_in_which_it_came() {
    let mut stage = stage();
    let (_first_of_a, a) = stage.opened("/a");
    let (_first_of_b, b) = stage.opened("/b");
    fill(&a, "a");
    fill(&b, "b");
    stage.settle();
    let path = |n: usize| if (30..35).contains(&n) || n.is_multiple_of(7) { "/b" } else { "/a" };
    let mut crowd = Crowd::of((0..CROWD).map(|n| stage.client_with(path(n), hold_all)));
    let mut turns = 0;
    loop {
        stage.turn();
        turns += 1;
        let got = crowd.got();
        let whole = got.iter().take_while(|got| **got >= EVENTS).count();
        assert!(got.iter().skip(whole + 1).all(|got| *got == 0), "{got:?}");
        if whole == CROWD {
            break;
        }
        // The stream goes on, and nobody waits for that until the whole crowd was served.
        publish(&a, &["later"]);
    }
    assert!(turns > 5, "the crowd is served in slices: {turns}");
}

#[test]
fn live_clients_get_an_event_before_those_who_return_have_got_all() {
    const LIVE: usize = 90;
    let mut stage = Stage::new();
    let (first, publisher) = stage.opened("/live");
    let mut live: Vec<_> = (1..LIVE).map(|_| stage.client("/live")).collect();
    live.push(first);
    let (_first_of_a, a) = stage.opened("/a");
    fill(&a, "a");
    stage.settle();
    let mut live = Crowd::of(live);
    // A part of the crowd has arrived and is being served, and the others arrive.
    let returning = |stage: &mut Stage| Crowd::of((0..CROWD).map(|_| returning(stage, 0)));
    let (mut crowd, mut late) = (returning(&mut stage), Crowd(Vec::new()));
    for _ in 0..2 {
        stage.turn();
        late = returning(&mut stage);
    }
    publish(&publisher, &["now"]);
    stage.turn();
    assert_eq!(live.got(), [1; LIVE], "one turn gives it to all of them");
    let through = crowd.got().iter().filter(|got| **got >= EVENTS - 1).count();
    assert!((1..CROWD / 2).contains(&through), "{through}");
    // Nobody who is behind is starved, though there is something to be sent to live clients in each turn.
    let mut turns = 0;
    while [&mut crowd, &mut late].into_iter().any(|crowd| crowd.got().iter().any(|got| *got < EVENTS - 1)) {
        publish(&publisher, &["more"]);
        stage.turn();
        turns += 1;
        assert!(turns < ENOUGH);
    }
    let got = live.got();
    assert!(got.iter().all(|got| *got >= turns), "and those who are live keep up: {turns} {got:?}");
}

#[test]
fn each_gets_what_it_missed_though_many_share_what_is_built() {
    const IDS: usize = 9;
    let mut stage = Stage::new();
    let (_first, publisher) = stage.opened("/a");
    let mut published = 0;
    let mut publish_next = || {
        let id = Bytes::from(published.to_string());
        let next = Event { last_event_id: id.clone(), id: Some(id), ..event(&published.to_string()) };
        publisher.append(&[next], &mut Continuation::fresh(false));
        published += 1;
        published
    };
    (0..=IDS).for_each(|_| _ = publish_next());
    stage.settle();
    let mut crowd: Vec<_> = (0..CROWD).map(|n| returning(&mut stage, n % IDS)).collect();
    let mut published = IDS + 1;
    while !stage.shard.backlog.is_empty() || published == IDS + 1 {
        stage.turn();
        published = publish_next();
    }
    stage.settle();
    assert!(published > IDS + 2, "it takes a while: {published}");
    for (number, client) in crowd.iter_mut().enumerate() {
        let expected: Vec<_> = (number % IDS + 1..published).map(|number| number.to_string()).collect();
        assert_eq!(client.data(), expected.join(" "));
    }
}

/// A group that is gone leaves its key to another. What was built for its clients is for nobody else.
#[test]
fn no_client_gets_what_was_built_for_another_stream() {
    let mut stage = stage();
    stage.events = Events::with_capacity(1024);
    let (_of_c, c) = stage.opened("/c");
    let (of_a, a) = stage.opened("/a");
    fill(&c, "c");
    fill(&a, "a");
    stage.settle();
    let late = stage.client_with("/a", hold_all);
    let _crowd: Vec<_> = (0..2 * CROWD).map(|_| stage.client_with("/c", hold_all)).collect();
    stage.turn();
    stage.turn();
    drop((of_a, late));
    let groups = |stage: &Stage| stage.shard.members.groups().len();
    while groups(&stage) == 2 {
        stage.turn();
    }
    let mut of_b = stage.client_with("/b", hold_all);
    let b = stage.publisher();
    fill(&b, "b");
    while groups(&stage) == 1 {
        stage.turn();
    }
    assert!(stage.shard.replays.until().is_some(), "what was built is kept");
    stage.settle();
    stage.later(2 * SECOND);
    assert!(stage.shard.replays.until().is_none(), "and not for long");
    let text = of_b.text();
    assert!(text.contains("bbb") && !text.contains("aaa"), "{}", text.get(..200).unwrap_or_default());
}
