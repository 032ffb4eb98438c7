//! How streams are fed: the value handed to the hub, which so need not know of origins.

use crate::downstream::{RetryPolicy, sharing_refusal};
use crate::hub::{Backfilling, Credentials, Open, Publisher, StreamRequest};
use crate::route::{Route, StreamPolicy};
use crate::upstream::{Connector, Driver, DriverSettings, Outages, SharingCheck, backfill};
use std::sync::Arc;

/// Said when a response is not shared.
const WHAT_TO_DO: &str =
    "share.credentials = 'isolate' keeps clients apart, share.trust_origin = true shares it all the same";

/// Opens streams by spawning a driver for each.
#[derive(Debug)]
pub(super) struct Drivers {
    connector: Connector,
    /// By route number; `None` for routes without streams.
    settings: Vec<Option<DriverSettings>>,
}

impl Drivers {
    pub(super) fn new(connector: Connector, routes: &[Arc<Route>]) -> Self {
        let outages = Outages::default();
        let settings =
            routes.iter().map(|route| route.stream().map(|policy| settings(route, policy, &outages))).collect();
        Self { connector, settings }
    }
}

impl Drivers {
    fn settings_of(&self, request: &StreamRequest) -> Option<&DriverSettings> {
        let number = usize::try_from(request.key().route().0).ok()?;
        self.settings.get(number)?.as_ref()
    }
}

impl Open for Drivers {
    fn open(&self, request: StreamRequest, publisher: Publisher) {
        // Without settings the publisher is dropped, which closes the stream.
        if let Some(settings) = self.settings_of(&request) {
            let driver = Driver::new(settings.clone(), self.connector.clone(), request, publisher);
            tokio::spawn(driver.run());
        }
    }

    fn backfill(&self, request: StreamRequest, backfilling: Backfilling) {
        if let Some(settings) = self.settings_of(&request) {
            tokio::spawn(backfill(settings.clone(), self.connector.clone(), request, backfilling));
        }
    }
}

fn settings(route: &Route, policy: &StreamPolicy, outages: &Outages) -> DriverSettings {
    DriverSettings {
        route: Arc::clone(&route.name),
        origin: Arc::new(route.origin.clone()),
        options: Arc::new(policy.upstream.clone()),
        no_content_memory: policy.share.linger,
        sharing: sharing(policy),
        outages: outages.clone(),
        pass_retry: policy.client.retry == RetryPolicy::Origin,
    }
}

/// With credentials in the key, whatever the origin says of privacy is respected by the key itself.
fn sharing(policy: &StreamPolicy) -> SharingCheck {
    if policy.share.credentials == Credentials::Isolate || policy.share.trust_origin {
        return Arc::new(|_| None);
    }
    let key_headers = policy.share.headers.clone();
    Arc::new(move |head| sharing_refusal(head, &key_headers).map(|refusal| format!("{refusal}: {WHAT_TO_DO}")))
}
