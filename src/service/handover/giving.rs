//! What the old process does.

use super::super::accept::Accepting;
use super::Moved;
use super::hand::Hand;
use super::link::{Link, MOST_DESCRIPTORS};
use super::messages::{Answer, Say, Taken, bytes_of, hear_answer, hear_bytes, hear_hello, heard, say};
use crate::config::stream_identity;
use crate::fanout::{Engine, MovingCarrier, MovingSocket, Released, Releasing};
use crate::gateway::{CurrentRouting, Permissions};
use crate::hub::Hub;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// What streams and clients are taken from.
#[derive(Debug, Clone)]
pub(in super::super) struct Source {
    pub(in super::super) hub: Hub,
    pub(in super::super) engine: Option<Engine>,
    pub(in super::super) routing: CurrentRouting,
    pub(in super::super) permissions: Permissions,
    pub(in super::super) accepting: watch::Sender<Accepting>,
}

/// The streams that were frozen to be given.
#[derive(Debug, Default)]
pub(in super::super) struct Given {
    /// In whose hand each of them is.
    hands: HashMap<usize, Hand>,
    /// Those that are not in ours.
    moved: Arc<HashSet<usize>>,
    /// The new process speaks another version, so it takes nothing.
    is_strange: bool,
}

impl Given {
    /// A stream is frozen and offered.
    fn offer(&mut self, stream: usize) {
        self.hands.insert(stream, Hand::Offered);
        Arc::make_mut(&mut self.moved).insert(stream);
    }

    /// The new process has answered, or has ended.
    fn decide(&mut self, stream: usize, by: impl FnOnce(&mut Hand)) {
        let Some(hand) = self.hands.get_mut(&stream) else { return };
        by(hand);
        if hand.is_ours() {
            Arc::make_mut(&mut self.moved).remove(&stream);
        }
    }
}

/// The way to the new process broke.
#[derive(Debug)]
pub(in super::super) struct Broken {
    pub(in super::super) error: io::Error,
    /// The stream that was being given.
    unanswered: Option<Unanswered>,
}

/// A stream and its clients, of which it is not known whether the new process has taken them.
#[derive(Debug)]
struct Unanswered {
    stream: usize,
    clients: Vec<Released>,
    /// Which of them were sent. `None`: not all were, so the new process has not taken any.
    went: Option<Taken>,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self { error, unanswered: None }
    }
}

impl Source {
    /// Gives everything that can move to the new process. The streams that were frozen for that are noted in `given`.
    ///
    /// # Errors
    /// When the way to it breaks. The new process must be ended then, before what it has not taken [goes
    /// on](Self::goes_on).
    pub(in super::super) async fn give(&self, link: &Arc<Link>, given: &mut Given) -> Result<Moved, Broken> {
        let Some(hello) = hear_hello(link).await? else {
            // It learns by the end that nothing comes.
            link.finish()?;
            given.is_strange = true;
            return Ok(Moved::default());
        };
        self.accepting.send_replace(Accepting::Paused);
        // Before the clients: who of them may not listen any more is found when they arrive.
        self.give_record(link).await?;
        let theirs: HashMap<_, _> = hello.routes.into_iter().collect();
        let both = self.routing.streams().into_iter();
        let both: HashMap<_, _> =
            both.filter(|(_, route)| theirs.get(&*route.name) == Some(&stream_identity(route))).collect();
        let mut moved = Moved::default();
        for (number, key) in self.hub.movable() {
            let Some(route) = both.get(&key.route()) else { continue };
            if self.hub.freeze(number) {
                given.offer(number);
                let began = Instant::now();
                if let Some(clients) = self.give_stream(link, number, &route.name, given).await? {
                    moved.longest = moved.longest.max(began.elapsed());
                    moved.streams += 1;
                    moved.clients += clients.iter().map(Released::clients).sum::<usize>();
                    // The next stream is frozen only after thousands of sockets are closed: its silence is shorter then, and
                    // the new process has the cores for these clients meanwhile.
                    spawn_blocking(move || drop(clients)).await.map_err(io::Error::other)?;
                }
            }
        }
        // Again, for what was noted meanwhile.
        self.give_record(link).await?;
        say(link, &Say::Done).await?;
        Ok(moved)
    }

    async fn give_record(&self, link: &Arc<Link>) -> io::Result<()> {
        say(link, &Say::Record(Box::new(self.permissions.state()))).await
    }

    /// Gives a frozen stream and its clients. Returns the clients that moved, which are the new process's from here on.
    /// `None`: it does not go on with the stream.
    async fn give_stream(
        &self,
        link: &Arc<Link>,
        number: usize,
        route: &str,
        given: &mut Given,
    ) -> Result<Option<Vec<Released>>, Broken> {
        let (released, answer) = match self.hub.taken_down(number) {
            Some(stream) => {
                let stream = Box::new(stream);
                let say = Say::Stream { route: route.to_owned(), number, stream, taken: SystemTime::now() };
                let release = |engine: &Engine| engine.release(number, &given.moved);
                ask(link, say, self.engine.as_ref().map_or_else(Releasing::nothing, release)).await
            }
            // It is over.
            None => (Vec::new(), Ok(Taken::default())),
        };
        let taken = match answer {
            Ok(taken) => taken,
            Err((error, went)) => {
                return Err(Broken { error, unanswered: Some(Unanswered { stream: number, clients: released, went }) });
            }
        };
        given.decide(number, |hand| hand.answered(taken.stream));
        let (moved, rest) = parted(released, &taken);
        self.come_back(rest);
        if !taken.stream {
            self.hub.thaw(number);
            return Ok(None);
        }
        // From here on the stream is the other process's.
        Ok(Some(moved))
    }

    /// The new process accepts connections. The clients that are left here on streams that it has taken are asked to come
    /// back at once, because nothing more comes on these streams.
    pub(in super::super) fn leaves(&self, given: &Given) {
        given.moved.iter().for_each(|stream| self.hub.moved(*stream));
    }

    /// The new process is gone. What it had not taken goes on here, and connections are accepted again. The clients that are
    /// left on streams that it had taken are asked to come back, because the ids of these streams are used up.
    pub(in super::super) async fn goes_on(&self, link: &Arc<Link>, broken: Broken, mut given: Given) {
        if let Some(Unanswered { stream, clients, went }) = broken.unanswered {
            // It may have answered just before its end. Then it may have sent something to the clients, too.
            let late = match went {
                Some(went) => hear_late(link, went).await,
                None => None,
            };
            given.decide(stream, |hand| hand.ended(late.as_ref().map(|taken| taken.stream)));
            self.come_back(parted(clients, &late.unwrap_or_default()).1);
        }
        for (stream, hand) in given.hands {
            if hand.is_ours() { self.hub.thaw(stream) } else { self.hub.moved(stream) }
        }
        self.accepting.send_if_modified(|accepting| {
            let is_paused = *accepting == Accepting::Paused;
            if is_paused {
                *accepting = Accepting::Yes;
            }
            is_paused
        });
    }

    /// Clients that were not taken go on here.
    fn come_back(&self, released: Vec<Released>) {
        if let Some(engine) = &self.engine {
            engine.return_all(released.into_iter().map(|part| part.returning(&self.hub, Instant::now())));
        }
    }
}

/// What was taken, and what was not.
fn parted(released: Vec<Released>, taken: &Taken) -> (Vec<Released>, Vec<Released>) {
    let (mut sockets, mut carriers) = (taken.sockets.iter().copied(), taken.carriers.iter().copied());
    let parts = released.into_iter().map(|part| {
        let (mut moved, mut rest) = (Released::default(), Released::default());
        let mut is_taken = || sockets.next().unwrap_or_default();
        (moved.sockets, rest.sockets) = part.sockets.into_iter().partition(|_| is_taken());
        let mut is_taken = || carriers.next().unwrap_or_default();
        (moved.carriers, rest.carriers) = part.carriers.into_iter().partition(|_| is_taken());
        (moved, rest)
    });
    parts.unzip()
}

/// Waits until the new process accepts connections. What a process of another version says then is not understood, so
/// anything counts.
pub(in super::super) async fn is_ready(link: &Arc<Link>, given: &Given) -> io::Result<()> {
    if given.is_strange {
        return hear_bytes(link).await.map(|_| ());
    }
    match hear_answer(link).await? {
        Answer::Ready => Ok(()),
        Answer::Taken(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Gives a stream and the clients that shards give up, and waits for the answer. Returns the clients in any case.
async fn ask(
    link: &Arc<Link>,
    stream: Say,
    releasing: Arc<Releasing>,
) -> (Vec<Released>, Result<Taken, (io::Error, Option<Taken>)>) {
    let link = Arc::clone(link);
    let asked = spawn_blocking(move || {
        let mut released = Vec::new();
        let answer = match send_all(&link, &stream, &releasing, &mut released) {
            Ok(went) => hear_taken(&link, &went).map_err(|error| (error, Some(went))),
            Err(error) => Err((error, None)),
        };
        // What was not sent comes back, too.
        released.extend(std::iter::from_fn(|| releasing.next()));
        (released, answer)
    });
    asked.await.unwrap_or_else(|error| (Vec::new(), Err((io::Error::other(error), None))))
}

/// The answer of a process that has ended, if it gave one.
async fn hear_late(link: &Arc<Link>, went: Taken) -> Option<Taken> {
    let link = Arc::clone(link);
    spawn_blocking(move || hear_taken(&link, &went)).await.ok()?.ok()
}

/// Which of those that `went` the new process has taken.
fn hear_taken(link: &Link, went: &Taken) -> io::Result<Taken> {
    match heard(link)?.0 {
        Answer::Taken(taken) => Ok(taken.of(went)),
        Answer::Ready => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Sends a stream, and all of its clients that can go, as soon as their shards have given them up. Says which did go. All of
/// them are added to `released`.
fn send_all(link: &Link, stream: &Say, releasing: &Releasing, released: &mut Vec<Released>) -> io::Result<Taken> {
    link.send(&bytes_of(stream)?, &[])?;
    let mut went = Taken { stream: true, ..Taken::default() };
    while let Some(part) = releasing.next() {
        let sent = send_part(link, &part, &mut went);
        released.push(part);
        sent?;
    }
    link.send(&bytes_of(&Say::Whole)?, &[])?;
    Ok(went)
}

/// Sends what can go, and adds to `went` which did.
fn send_part(link: &Link, Released { sockets, carriers }: &Released, went: &mut Taken) -> io::Result<()> {
    let now = Instant::now();
    let sent = send(link, sockets, MovingSocket::passage, |moving| &moving.socket, Say::Clients)?;
    went.sockets.extend(sent);
    let passage = |moving: &MovingCarrier| moving.passage(now);
    went.carriers.extend(send(link, carriers, passage, |moving| &moving.parts.socket, Say::Carriers)?);
    Ok(())
}

impl Taken {
    /// The same for all that could go, by those of them that `went`.
    fn of(self, went: &Self) -> Self {
        let spread = |taken: Vec<bool>, went: &[bool]| {
            let mut taken = taken.into_iter();
            went.iter().map(|went| *went && taken.next().unwrap_or_default()).collect()
        };
        Self {
            stream: self.stream,
            sockets: spread(self.sockets, &went.sockets),
            carriers: spread(self.carriers, &went.carriers),
        }
    }
}

/// Sends what can go. Returns for each whether it can.
fn send<T, P>(
    link: &Link,
    all: &[T],
    passage: impl Fn(&T) -> Option<P>,
    socket: impl Fn(&T) -> &OwnedFd,
    say: impl Fn(Vec<P>) -> Say,
) -> io::Result<Vec<bool>> {
    let mut went = Vec::with_capacity(all.len());
    for some in all.chunks(MOST_DESCRIPTORS) {
        let (mut passages, mut sockets) = (Vec::with_capacity(some.len()), Vec::with_capacity(some.len()));
        for one in some {
            let passage = passage(one);
            went.push(passage.is_some());
            sockets.extend(passage.is_some().then(|| socket(one).as_fd()));
            passages.extend(passage);
        }
        if !passages.is_empty() {
            link.send(&bytes_of(&say(passages))?, &sockets)?;
        }
    }
    Ok(went)
}
