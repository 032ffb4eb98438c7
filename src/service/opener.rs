//! How streams are fed: the value handed to the hub, which so need not know of origins.

use crate::downstream::{RetryPolicy, sharing_refusal};
use crate::hub::{Credentials, Open, Opening, Publisher};
use crate::route::{Route, StreamPolicy};
use crate::upstream::{Connector, Driver, DriverSettings, SharingCheck};
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
        let settings = routes.iter().map(|route| route.stream().map(|policy| settings(route, policy))).collect();
        Self { connector, settings }
    }
}

impl Open for Drivers {
    fn open(&self, opening: Opening, publisher: Publisher) {
        let number = usize::try_from(opening.request.key().route().0).unwrap_or(usize::MAX);
        // Without settings the publisher is dropped, which closes the stream.
        if let Some(Some(settings)) = self.settings.get(number) {
            let driver = Driver::new(settings.clone(), self.connector.clone(), opening, publisher);
            tokio::spawn(driver.run());
        }
    }
}

fn settings(route: &Route, policy: &StreamPolicy) -> DriverSettings {
    DriverSettings {
        route: Arc::clone(&route.name),
        origin: Arc::new(route.origin.clone()),
        options: Arc::new(policy.upstream.clone()),
        no_content_memory: policy.share.linger,
        sharing: sharing(policy),
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
