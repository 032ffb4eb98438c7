//! The hand-over of streams and clients to a new process.
//!
//! ```text
//!   the new process                                   this process
//!      Hello: its version, and its routes ─────────────▶ stops accepting connections
//!                                                        for each stream of these routes:
//!                                                          freezes it, and takes its clients from their shards
//!      goes on with the stream ◀──────────── Stream ────
//!      Taken ──────────────────────────────────────────▶
//!      goes on with them ◀── Clients, and their sockets
//!      Taken: which of them ───────────────────────────▶ forgets these
//!      accepts connections ◀──────────────────── Done ──
//! ```
//!
//! Only one of the two ever writes to a client's socket: this process has taken the client from its shard before it sends
//! it, and the new one answers before it serves it. If an answer does not come, the clients that were not taken go on
//! here, and so does the stream.

mod link;
#[cfg(test)]
mod tests;

use super::accept::Accepting;
use crate::config::stream_identity;
use crate::fanout::{Engine, Moving, Passage};
use crate::gateway::{CurrentRouting, Front};
use crate::hub::{Hub, MovingStream, RouteId};
pub(super) use link::Link;
use link::MOST_DESCRIPTORS;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// The version of what the processes say. It changes with every change of that.
const VERSION: u32 = 1;

/// What the new process says first. The version comes first in every version.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    version: u32,
    /// The names of its routes, and what makes their streams what they are.
    routes: Vec<(String, [u8; 32])>,
}

/// What this process says.
#[derive(Debug, Serialize, Deserialize)]
enum Say {
    Stream {
        route: String,
        stream: Box<MovingStream>,
        taken: SystemTime,
    },
    /// Clients of the stream before. Their sockets come beside the message.
    Clients(Vec<Passage>),
    Done,
}

/// What the new process answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// Whether it goes on with the stream.
    Stream(bool),
    /// Whether it goes on with each of the clients.
    Clients(Vec<bool>),
    /// It accepts connections.
    Ready,
}

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    pub(super) streams: usize,
    pub(super) clients: usize,
    /// The longest time for which a stream and its clients were in neither process.
    pub(super) longest: Duration,
}

/// The way to the new process broke.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: io::Error,
    /// The stream that was being given, and its clients that were not taken.
    rest: Option<(usize, Vec<Moving>)>,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self { error, rest: None }
    }
}

/// What streams and clients are taken from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) hub: Hub,
    pub(super) engine: Option<Engine>,
    pub(super) routing: CurrentRouting,
    pub(super) accepting: watch::Sender<Accepting>,
}

async fn say(link: &Arc<Link>, message: &impl Serialize, sockets: Vec<OwnedFd>) -> io::Result<()> {
    let bytes = rmp_serde::to_vec(message).map_err(io::Error::other)?;
    let link = Arc::clone(link);
    let sent = spawn_blocking(move || link.send(&bytes, &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>()));
    sent.await.map_err(io::Error::other)?
}

async fn hear<T: DeserializeOwned>(link: &Arc<Link>) -> io::Result<(T, Vec<OwnedFd>)> {
    let link = Arc::clone(link);
    let heard = spawn_blocking(move || link.receive()).await.map_err(io::Error::other)??;
    let (bytes, sockets) = heard.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((rmp_serde::from_slice(&bytes).map_err(io::Error::other)?, sockets))
}

impl Source {
    /// Gives everything that can move to the new process. The streams that were frozen for that are added to `frozen`.
    ///
    /// # Errors
    /// When the way to it breaks. The new process must be ended then, before what it has not taken [goes
    /// on](Self::goes_on).
    pub(super) async fn give(&self, link: &Arc<Link>, frozen: &mut Vec<usize>) -> Result<Moved, Broken> {
        let Some(hello) = hello(link).await? else { return Ok(Moved::default()) };
        self.accepting.send_replace(Accepting::Paused);
        let theirs: HashMap<_, _> = hello.routes.into_iter().collect();
        let ours: HashMap<_, _> = self.routing.streams().into_iter().collect();
        let mut moved = Moved::default();
        for (number, key) in self.hub.movable() {
            let Some(route) = ours.get(&key.route()) else { continue };
            if theirs.get(&*route.name) == Some(&stream_identity(route)) && self.hub.freeze(number) {
                frozen.push(number);
                let began = Instant::now();
                if let Some(clients) = self.give_stream(link, number, &route.name).await? {
                    moved.streams += 1;
                    moved.clients += clients;
                    moved.longest = moved.longest.max(began.elapsed());
                }
            }
        }
        say(link, &Say::Done, Vec::new()).await?;
        Ok(moved)
    }

    /// Gives a frozen stream and its clients. Returns the number of the clients that moved. `None`: the new process does not
    /// go on with the stream.
    async fn give_stream(&self, link: &Arc<Link>, number: usize, route: &str) -> Result<Option<usize>, Broken> {
        let mut clients = match &self.engine {
            Some(engine) => engine.release(number).await,
            None => Vec::new(),
        };
        let asked = match self.hub.taken_down(number) {
            Some(stream) => goes_on_there(link, route, stream).await,
            None => Ok(false),
        };
        match asked {
            Ok(true) => {}
            Ok(false) => {
                self.come_back(number, clients).await;
                self.hub.thaw(number);
                return Ok(None);
            }
            Err(error) => return Err(Broken { error, rest: Some((number, clients)) }),
        }
        // From here on the stream is the other process's. Who stays here is asked back in the drain.
        let mut moved = 0;
        while !clients.is_empty() {
            let rest = clients.split_off(clients.len().min(MOST_DESCRIPTORS));
            let parcel = Parcel::of(&clients);
            let taken = match parcel {
                Ok(parcel) => parcel.send(link).await,
                Err(error) => Err(error),
            };
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    clients.extend(rest);
                    return Err(Broken { error, rest: Some((number, clients)) });
                }
            };
            let all = clients.into_iter().zip(taken);
            let (gone, stay): (Vec<_>, Vec<_>) = all.partition(|(_, is_taken)| *is_taken);
            moved += gone.len();
            drop(gone);
            self.come_back(number, stay.into_iter().map(|(client, _)| client).collect()).await;
            clients = rest;
        }
        Ok(Some(moved))
    }

    /// The new process is gone. What it had not taken goes on here, so do the streams that were `frozen`, and connections are
    /// accepted again.
    pub(super) async fn goes_on(&self, broken: Broken, frozen: &[usize]) {
        if let Some((stream, clients)) = broken.rest {
            self.come_back(stream, clients).await;
        }
        frozen.iter().for_each(|stream| self.hub.thaw(*stream));
        self.accepting.send_if_modified(|accepting| {
            let is_paused = *accepting == Accepting::Paused;
            if is_paused {
                *accepting = Accepting::Yes;
            }
            is_paused
        });
    }

    /// Clients that were not taken go on here.
    async fn come_back(&self, stream: usize, clients: Vec<Moving>) {
        let Some(engine) = &self.engine else { return };
        for client in clients {
            let (caller, course) = (client.caller.clone(), client.course);
            let Some(subscription) = self.hub.again(stream, client.cursor, caller, course) else { continue };
            let arrival = client.goes_on(subscription, std::time::Instant::now());
            if let Err(refused) = engine.adopt(arrival).await {
                log::error!("a client that was not taken is lost: {refused}");
            }
        }
    }
}

/// Waits until the new process accepts connections.
pub(super) async fn is_ready(link: &Arc<Link>) -> io::Result<()> {
    match hear::<Answer>(link).await? {
        (Answer::Ready, _) => Ok(()),
        (Answer::Stream(_) | Answer::Clients(_), _) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Tells the old process that this one accepts connections.
pub(super) async fn say_ready(link: &Arc<Link>) -> io::Result<()> {
    say(link, &Answer::Ready, Vec::new()).await
}

/// What the new process says first. `None`: it speaks another version, so it takes nothing.
async fn hello(link: &Arc<Link>) -> io::Result<Option<Hello>> {
    let link = Arc::clone(link);
    let heard = spawn_blocking(move || link.receive()).await.map_err(io::Error::other)??;
    let (bytes, _) = heard.ok_or(io::ErrorKind::UnexpectedEof)?;
    // An array whose first item is the version, in every version.
    let version: u32 = match bytes.split_first() {
        Some((0x90..=0x9f, mut rest)) => rmp_serde::from_read(&mut rest).map_err(io::Error::other)?,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if version != VERSION {
        log::warn!(
            "streams and clients stay here, because the new process speaks another version version={version} ours={VERSION}"
        );
        return Ok(None);
    }
    rmp_serde::from_slice(&bytes).map(Some).map_err(io::Error::other)
}

/// Gives a stream. Returns whether the new process goes on with it.
async fn goes_on_there(link: &Arc<Link>, route: &str, stream: MovingStream) -> io::Result<bool> {
    let stream = Say::Stream { route: route.to_owned(), stream: Box::new(stream), taken: SystemTime::now() };
    say(link, &stream, Vec::new()).await?;
    let (answer, _) = hear::<Answer>(link).await?;
    Ok(matches!(answer, Answer::Stream(true)))
}

/// What is sent of some clients.
struct Parcel {
    passages: Vec<Passage>,
    sockets: Vec<OwnedFd>,
    /// Whether each client can go.
    can_go: Vec<bool>,
}

impl Parcel {
    fn of(clients: &[Moving]) -> io::Result<Self> {
        let mut parcel = Self { passages: Vec::new(), sockets: Vec::new(), can_go: Vec::new() };
        for client in clients {
            let passage = client.passage();
            parcel.can_go.push(passage.is_some());
            if let Some(passage) = passage {
                parcel.passages.push(passage);
                parcel.sockets.push(client.socket.try_clone()?);
            }
        }
        Ok(parcel)
    }

    /// Sends it. Returns which of the clients were taken.
    async fn send(self, link: &Arc<Link>) -> io::Result<Vec<bool>> {
        let Self { passages, sockets, can_go } = self;
        say(link, &Say::Clients(passages), sockets).await?;
        let (Answer::Clients(taken), _) = hear::<Answer>(link).await? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut taken = taken.into_iter();
        // As many as there are clients, whatever was answered.
        Ok(can_go.into_iter().map(|can_go| can_go && taken.next().unwrap_or_default()).collect())
    }
}

/// Takes everything that the old process gives.
///
/// # Errors
/// When the way to it breaks. What was taken by then goes on here.
pub(super) async fn take(
    link: &Arc<Link>,
    hub: &Hub,
    routing: &CurrentRouting,
    front: &Arc<Front>,
) -> io::Result<Moved> {
    let streams = routing.streams();
    let routes: HashMap<String, RouteId> = streams.iter().map(|(id, route)| (route.name.to_string(), *id)).collect();
    let identities = streams.iter().map(|(_, route)| (route.name.to_string(), stream_identity(route))).collect();
    say(link, &Hello { version: VERSION, routes: identities }, Vec::new()).await?;
    let (mut moved, mut current) = (Moved::default(), None);
    loop {
        match hear::<Say>(link).await? {
            (Say::Stream { route, stream, taken }, _) => {
                current = routes.get(&route).and_then(|id| {
                    let age = SystemTime::now().duration_since(taken).unwrap_or_default();
                    let taken = Instant::now().checked_sub(age)?;
                    Some((*id, hub.adopt(*id, &stream, &routing.settings(*id)?, taken)?))
                });
                moved.streams += usize::from(current.is_some());
                say(link, &Answer::Stream(current.is_some()), Vec::new()).await?;
            }
            (Say::Clients(passages), sockets) => {
                let mut taken = Vec::with_capacity(passages.len());
                for (passage, socket) in passages.into_iter().zip(sockets) {
                    let Some((route, stream)) = current else { break };
                    taken.push(front.adopt(route, stream, socket, passage).await);
                }
                moved.clients += taken.iter().filter(|taken| **taken).count();
                say(link, &Answer::Clients(taken), Vec::new()).await?;
            }
            (Say::Done, _) => return Ok(moved),
        }
    }
}
