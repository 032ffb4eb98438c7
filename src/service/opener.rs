//! Opens streams for the hub. The hub calls this through a trait, so that it does not depend on the code for origins.

use crate::gateway::CurrentRouting;
use crate::hub::{Backfilling, Open, Opening, Publisher, StreamRequest};
use crate::upstream::{Connector, Driver, backfill};

/// Opens a stream by spawning a driver for it.
#[derive(Debug)]
pub(super) struct Drivers {
    connector: Connector,
    routing: CurrentRouting,
}

impl Drivers {
    pub(super) fn new(connector: Connector, routing: CurrentRouting) -> Self {
        Self { connector, routing }
    }
}

impl Open for Drivers {
    fn open(&self, opening: Opening, publisher: Publisher) {
        // If the route does not exist any more, the publisher is dropped here, which closes the stream.
        if let Some(settings) = self.routing.driver(opening.request.key().route()) {
            let driver = Driver::new(settings, self.connector.clone(), opening, publisher);
            tokio::spawn(driver.run());
        }
    }

    fn backfill(&self, request: StreamRequest, backfilling: Backfilling) {
        if let Some(settings) = self.routing.driver(request.key().route()) {
            let settings = settings.borrow().clone();
            tokio::spawn(backfill(settings, self.connector.clone(), request, backfilling));
        }
    }
}
