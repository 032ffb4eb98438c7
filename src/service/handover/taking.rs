//! What the new process does.

use super::Moved;
use super::link::Link;
use super::messages::{Answer, Hello, Say, Taken, VERSION, hear, say};
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
    prepared: Released,
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
    loop {
        match hear::<Say>(link).await? {
            (Say::Stream { route, number, stream, taken }, _) => taking.stream(&route, number, &stream, taken),
            (Say::Clients(passages), sockets) => {
                let Taking { streams, current: Current { taken, prepared }, .. } = &mut taking;
                let place = |number| streams.get(&number).copied();
                for (passage, socket) in passages.into_iter().zip(sockets) {
                    let client = front.prepare_socket(socket, passage, &place);
                    taken.sockets.push(client.is_some());
                    prepared.sockets.extend(client);
                }
            }
            (Say::Carriers(passages), sockets) => {
                let Taking { streams, current: Current { taken, prepared }, .. } = &mut taking;
                let place = |number| streams.get(&number).copied();
                for (passage, socket) in passages.into_iter().zip(sockets) {
                    let carrier = front.prepare_carrier(socket, passage, &place);
                    taken.carriers.push(carrier.is_some());
                    prepared.carriers.extend(carrier);
                }
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
        self.moved.clients += prepared.clients();
        self.front.serve_prepared(prepared);
        Ok(())
    }
}

/// Tells the old process that this one accepts connections.
pub(in super::super) async fn say_ready(link: &Arc<Link>) -> io::Result<()> {
    say(link, &Answer::Ready).await
}
