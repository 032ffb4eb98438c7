//! What the new process does.

use super::Moved;
use super::link::Link;
use super::messages::{Answer, Hello, Say, Taken, VERSION, hear_all, say};
use crate::config::stream_identity;
use crate::fanout::Released;
use crate::gateway::{Adopted, CurrentRouting, Front};
use crate::hub::{Hub, MovingStream, RouteId};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What is taken from another process.
struct Taking<'a> {
    hub: &'a Hub,
    routing: &'a CurrentRouting,
    front: &'a Arc<Front>,
    routes: HashMap<String, RouteId>,
    /// Where the streams are here, by the numbers that they had there.
    streams: HashMap<usize, Adopted>,
    moved: Moved,
    current: Current,
}

/// The stream that is being taken, and its clients. Nobody serves them yet.
#[derive(Default)]
struct Current {
    taken: Taken,
    /// What came in each message.
    prepared: Vec<Released>,
}

/// Takes everything that the old process gives.
///
/// # Errors
/// When the way to it breaks. What was taken by then goes on here.
pub(in super::super) async fn take(
    link: &Arc<Link>,
    hub: &Hub,
    routing: &CurrentRouting,
    front: &Arc<Front>,
) -> io::Result<Moved> {
    let served = routing.streams();
    let routes = served.iter().map(|(id, route)| (route.name.to_string(), *id)).collect();
    let identities = served.iter().map(|(_, route)| (route.name.to_string(), stream_identity(route))).collect();
    say(link, &Hello { version: VERSION, routes: identities }).await?;
    let (streams, moved, current) = (HashMap::new(), Moved::default(), Current::default());
    let mut taking = Taking { hub, routing, front, routes, streams, moved, current };
    let mut heard = hear_all(link);
    loop {
        match heard.recv().await.ok_or(io::ErrorKind::UnexpectedEof)?? {
            (Say::Stream { route, number, stream, taken }, _) => taking.stream(&route, number, &stream, taken),
            (Say::Clients(passages), sockets) => {
                let Taking { streams, current: Current { taken, prepared }, .. } = &mut taking;
                let place = |number| streams.get(&number).copied();
                let prepare = |(passage, socket)| front.prepare_socket(socket, passage, &place);
                let sockets = noted(passages.into_iter().zip(sockets).map(prepare), &mut taken.sockets);
                prepared.push(Released { sockets, ..Released::default() });
            }
            (Say::Carriers(passages), sockets) => {
                let Taking { streams, current: Current { taken, prepared }, .. } = &mut taking;
                let place = |number| streams.get(&number).copied();
                let prepare = |(passage, socket)| front.prepare_carrier(socket, passage, &place);
                let carriers = noted(passages.into_iter().zip(sockets).map(prepare), &mut taken.carriers);
                prepared.push(Released { carriers, ..Released::default() });
            }
            (Say::Record(record), _) => front.permissions().take(*record),
            (Say::Whole, _) => taking.serve(link).await?,
            (Say::Done, _) => return Ok(taking.moved),
        }
    }
}

impl Taking<'_> {
    fn stream(&mut self, route: &str, number: usize, stream: &MovingStream, taken: SystemTime) {
        let adopted = self.routes.get(route).and_then(|id| {
            let age = SystemTime::now().duration_since(taken).unwrap_or_default();
            let taken = Instant::now().checked_sub(age)?;
            Some((*id, self.hub.adopt(*id, stream, &self.routing.settings(*id)?, taken.into())?))
        });
        self.streams.extend(adopted.map(|adopted| (number, adopted)));
        self.current = Current::default();
        self.current.taken.stream = adopted.is_some();
    }

    /// Says what is served from now on, and serves it.
    async fn serve(&mut self, link: &Arc<Link>) -> io::Result<()> {
        let Current { taken, prepared } = std::mem::take(&mut self.current);
        self.moved.streams += usize::from(taken.stream);
        say(link, &Answer::Taken(taken)).await?;
        self.moved.clients += prepared.iter().map(Released::clients).sum::<usize>();
        self.front.serve_prepared(prepared);
        Ok(())
    }
}

/// Those that are taken. For each of them all, it is noted whether it is.
fn noted<T>(all: impl Iterator<Item = Option<T>>, taken: &mut Vec<bool>) -> Vec<T> {
    all.inspect(|one| taken.push(one.is_some())).flatten().collect()
}

/// Tells the old process that this one accepts connections.
pub(in super::super) async fn say_ready(link: &Arc<Link>) -> io::Result<()> {
    say(link, &Answer::Ready).await
}
