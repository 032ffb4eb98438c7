//! Who has a place, who waits for one, and who is told that there is none.

use super::counts::Kind;
use super::*;
use futures_util::FutureExt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Plays steps against this many places. `n`: a newcomer, `g`: a guest, `c`: a client, `s`: a stream, `o`: another connection,
/// `l`: one of two descriptors. `-` before the letter: the oldest of these goes. `=`: the oldest newcomer is
/// settled. Returns the letters of the steps for which there was a place, and `.` for each of the others. `!`: a guest
/// must go.
fn played(most: usize, kept: usize, steps: &str) -> String {
    let mut counts = Counts { kept, ..Counts::new(most) };
    let mut record = String::new();
    let mut steps = steps.chars().filter(|step| !step.is_whitespace());
    while let Some(step) = steps.next() {
        let kind = match step {
            'n' => Kind::Newcomer,
            'g' => Kind::Guest,
            'c' => Kind::Client,
            's' => Kind::Stream,
            'o' => Kind::Others(1),
            'l' => Kind::Others(2),
            '=' => {
                counts.promised -= 1;
                continue;
            }
            _ => {
                match steps.next().unwrap() {
                    'c' => counts.clients -= 1,
                    'g' => counts.guests -= 1,
                    's' => counts.streams -= 1,
                    _ => counts.others -= 1,
                }
                continue;
            }
        };
        record.push(if counts.take(kind) { step } else { '.' });
        if counts.are_needed() {
            record.push('!');
        }
        assert!(counts.clients + counts.streams + counts.others <= most, "{counts:?}");
    }
    record
}

#[test]
fn a_client_has_a_place_only_with_one_for_its_stream_until_its_request_is_known() {
    for (most, kept, steps, record) in [
        (4, 0, "nnn", "nn."),
        // Both open a stream of their own.
        (4, 0, "nn s= s= nc", "nnss.."),
        // All join one stream. The last of them has no promise, because there is no place for another stream.
        (4, 0, "n s= n= n c s", "nsn.c."),
        // Who left makes room.
        (4, 0, "nn s= s= n -c n -s n", "nnss..n"),
        // A stream may take a promised place, and what was promised is nobody else's.
        (3, 0, "n o", "no"),
        (2, 0, "n o s", "n.s"),
        (2, 0, "n = o s", "no."),
        // The last places are for other connections to origins.
        (6, 2, "n n s= s= c o o o", "nnss.oo."),
        (6, 2, "n n s= s= l o", "nnssl."),
        (6, 2, "o o o n n -o n", "ooon.n"),
        (6, 2, "o o o n -o -o n n", "ooonn."),
        // A crowd that joins one stream: who is a guest at first has a place when the others have asked.
        (8, 0, "nnnn n g g g", "nnnn.ggg"),
        (8, 0, "nnnn gg s= = = = -g c -g c n", "nnnnggscc."),
        // A guest takes no promised place when it asks before the others, and goes when a place is needed.
        (4, 0, "nn g g -g c", "nngg."),
        (4, 0, "nn g g s= -g s", "nnggs!s!"),
        (4, 0, "nn g g s= -g s -g", "nnggs!s!"),
        // Newcomers do not come on the places of guests.
        (4, 0, "nn g g = = n -g n", "nngg.n"),
        (6, 2, "nn g g g", "nngg."),
    ] {
        assert_eq!(played(most, kept, steps), record, "{most} {kept} {steps}");
    }
}

#[test]
fn a_crowd_of_clients_leaves_a_place_for_the_stream_of_each() {
    let descriptors = Descriptors::new(236);
    let newcomers: Vec<_> = (0..220).map(|_| descriptors.newcomer()).collect();
    let mut served = Vec::new();
    for newcomer in newcomers {
        let (client, promise) = match newcomer {
            Some((client, promise)) => (client, Some(promise)),
            // The client has sent its request in the meantime.
            None => match client(&descriptors) {
                Some(client) => (client, None),
                None => continue,
            },
        };
        let stream = descriptors.stream();
        drop(promise);
        served.push((client, stream.expect("each client that has a place has a stream")));
    }
    assert_eq!(served.len(), 111);
    served.truncate(110);
    assert!(descriptors.newcomer().is_some(), "there is room when they have left");
}

/// A client's place, if there is one at once.
fn client(descriptors: &Descriptors) -> Option<ClientPlace> {
    descriptors.client(Instant::now()).now_or_never().expect("no stream gives way")
}

/// The places of streams that no client is on. One that gives way is free a moment later.
#[derive(Debug, Default)]
struct Empty {
    places: Mutex<Vec<StreamPlace>>,
    gave_way: Mutex<Vec<StreamPlace>>,
}

impl Empty {
    fn gives_way_for(self: &Arc<Self>, descriptors: &Descriptors) {
        let empty = Arc::clone(self);
        descriptors.gives_way().name(move |()| empty.give_way());
    }

    fn give_way(&self) -> bool {
        let place = self.places.lock().pop();
        let is_one = place.is_some();
        self.gave_way.lock().extend(place);
        is_one
    }
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_gets_that_of_a_stream_which_no_client_is_on() {
    let descriptors = Descriptors::new(8);
    let empty = Arc::new(Empty::default());
    empty.gives_way_for(&descriptors);
    empty.places.lock().extend(std::iter::from_fn(|| descriptors.stream()));
    assert_eq!(empty.places.lock().len(), 6, "two are kept for others");
    let deadline = || Instant::now() + Duration::from_secs(1);
    // Each that comes has one place of its own.
    let coming = async {
        let (client, stream) = tokio::join!(descriptors.client(deadline()), descriptors.stream_by(deadline()));
        (client.unwrap(), stream.unwrap())
    };
    let closing = async {
        tokio::task::yield_now().await;
        assert_eq!(empty.gave_way.lock().len(), 2);
        empty.gave_way.lock().clear();
    };
    let (_served, ()) = tokio::join!(coming, closing);
    // The kept ones are taken, so a further connection needs one, too.
    let others = [descriptors.connection(None, 1), descriptors.connection(None, 1)];
    let more = async {
        tokio::task::yield_now().await;
        empty.gave_way.lock().clear();
    };
    let (_further, ()) = tokio::join!(descriptors.free_connection(None, 1), more);
    assert_eq!((others.iter().flatten().count(), empty.places.lock().len()), (2, 3));
    // The last ones do not close in time.
    for left in [2, 1, 0] {
        assert!(descriptors.client(deadline()).await.is_none());
        assert_eq!(empty.places.lock().len(), left);
    }
    assert!(descriptors.client(deadline()).now_or_never().flatten().is_none(), "nobody gives way, so nobody waits");
}

#[tokio::test(start_paused = true)]
async fn no_guest_goes_while_a_stream_gives_way() {
    let descriptors = Descriptors::new(6);
    let empty = Arc::new(Empty::default());
    empty.gives_way_for(&descriptors);
    empty.places.lock().extend(descriptors.stream());
    let _guests = [descriptors.guest().unwrap(), descriptors.guest().unwrap()];
    let mut needed = pin!(descriptors.needed());
    assert!(needed.as_mut().now_or_never().is_none());
    let _streams: Vec<_> = (0..4).map(|_| descriptors.stream().unwrap()).collect();
    assert!(needed.as_mut().now_or_never().is_none(), "a stream gives way instead");
    assert_eq!(empty.gave_way.lock().len(), 1);
    empty.gave_way.lock().clear();
    assert!(needed.as_mut().now_or_never().is_none(), "that was enough");
    let _stream = descriptors.stream().unwrap();
    assert!(needed.now_or_never().is_some(), "no other stream gives way");
}

#[test]
fn some_places_are_kept_for_connections_that_no_stream_has() {
    for (most, kept) in [(0, 0), (1, 0), (4, 1), (8, 2), (40, 2), (236, 14), (20_000, 64), (usize::MAX / 2, 64)] {
        assert_eq!(Counts::new(most).kept, kept, "{most}");
    }
}

#[test]
fn everything_that_was_taken_is_given_back() {
    let descriptors = Descriptors::new(16);
    let before = *descriptors.0.counts.lock();
    let (newcomer, client) = (descriptors.newcomer(), client(&descriptors));
    let stream = descriptors.stream().unwrap();
    let connection = descriptors.connection(Some(&stream), 1).unwrap();
    let successor = descriptors.connection(Some(&stream), 1).unwrap();
    assert_eq!(descriptors.0.counts.lock().others, 1, "the first has the place of the stream");
    drop(stream);
    assert_eq!(descriptors.0.counts.lock().streams, 1, "a connection outlives its stream");
    drop((connection, successor, descriptors.connection(None, 2), newcomer, client));
    assert_eq!(*descriptors.0.counts.lock(), before);
}

#[test]
fn a_connection_waits_for_its_turn_or_for_the_place_of_its_stream() {
    fn is_ready(waiting: std::pin::Pin<&mut impl Future<Output = ConnectionPlace>>) -> Option<ConnectionPlace> {
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }
    let descriptors = Descriptors::new(3);
    let (stream, two) = (descriptors.stream().unwrap(), descriptors.connection(None, 2));
    let own = descriptors.connection(Some(&stream), 1);
    let mut first = pin!(descriptors.free_connection(None, 1));
    let mut second = pin!(descriptors.free_connection(None, 1));
    let mut of_stream = pin!(descriptors.free_connection(Some(&stream), 1));
    assert!(is_ready(first.as_mut()).is_none() && is_ready(second.as_mut()).is_none());
    assert!(is_ready(of_stream.as_mut()).is_none());
    drop(own);
    assert!(is_ready(of_stream.as_mut()).is_some(), "the stream's place is for its own connections");
    assert!(is_ready(first.as_mut()).is_none());
    drop(two);
    let held = is_ready(first.as_mut());
    assert!(held.is_some());
    assert!(is_ready(second.as_mut()).is_some(), "there was room for both");
}

#[test]
fn a_guest_is_told_to_go_when_its_place_is_needed() {
    let descriptors = Descriptors::new(8);
    let newcomers: Vec<_> = (0..3).map(|_| descriptors.newcomer().unwrap()).collect();
    let mut guests: Vec<_> = (0..3).map(|_| descriptors.guest().unwrap()).collect();
    assert!(descriptors.guest().is_none());
    let mut needed = [pin!(descriptors.needed()), pin!(descriptors.needed()), pin!(descriptors.needed())];
    let mut told = || {
        let context = &mut Context::from_waker(Waker::noop());
        needed.iter_mut().filter_map(|it| it.as_mut().poll(context).is_ready().then_some(())).count()
    };
    let connection = |stream: &Option<StreamPlace>| descriptors.connection(stream.as_ref(), 1);
    let mut streams = vec![descriptors.stream(), descriptors.stream()];
    let connected = connection(&streams[0]);
    assert!(connected.is_some());
    assert_eq!(told(), 0, "there is a place for each of them");
    streams.push(descriptors.stream());
    assert_eq!(told(), 1, "there is one place too few");
    assert!(connection(&streams[1]).is_none(), "the guest may have its descriptor still");
    let mut waits = pin!(descriptors.free_connection(streams[1].as_ref(), 1));
    let mut is_connected = || waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(!is_connected());
    guests.pop();
    assert!(is_connected());
    assert_eq!(descriptors.0.counts.lock().guests, 2, "the others stay");
    drop((newcomers, connected));
}

/// A crowd connects and sends no request, so nothing that it was promised is settled.
#[tokio::test(start_paused = true)]
async fn who_asks_does_not_wait_for_long_for_those_who_say_nothing() {
    let descriptors = Descriptors::new(5);
    let silent = [descriptors.newcomer().unwrap(), descriptors.newcomer().unwrap()];
    assert!(descriptors.newcomer().is_none());
    let deadline = || Instant::now() + Duration::from_secs(1);
    let mut clients = Vec::new();
    for _ in 0..2 {
        let guest = descriptors.guest().unwrap();
        clients.push(guest.settle(deadline()).await.expect("one that is promised"));
    }
    assert!(descriptors.guest().is_none(), "all places are taken");
    drop(silent);
    drop(clients);
    let counts = *descriptors.0.counts.lock();
    assert_eq!((counts.clients, counts.guests, counts.promised), (0, 0, 0));
}
