//! How streams are fed: the value handed to the hub, which so need not know of origins.

use crate::downstream::{RetryPolicy, SharingVerdict, sharing_verdict, unshareable_advice};
use crate::hub::{Backfilling, Open, Opening, Publisher, StreamRequest};
use crate::route::{Route, StreamPolicy};
use crate::upstream::{Connector, Driver, DriverSettings, SharingCheck, backfill};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Said when a response is given to nobody.
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

impl Drivers {
    fn settings_of(&self, request: &StreamRequest) -> Option<&DriverSettings> {
        let number = usize::try_from(request.key().route().0).ok()?;
        self.settings.get(number)?.as_ref()
    }
}

impl Open for Drivers {
    fn open(&self, opening: Opening, publisher: Publisher) {
        // Without settings the publisher is dropped, which closes the stream.
        if let Some(settings) = self.settings_of(&opening.request) {
            let driver = Driver::new(settings.clone(), self.connector.clone(), opening, publisher);
            tokio::spawn(driver.run());
        }
    }

    fn backfill(&self, request: StreamRequest, backfilling: Backfilling) {
        if let Some(settings) = self.settings_of(&request) {
            tokio::spawn(backfill(settings.clone(), self.connector.clone(), request, backfilling));
        }
    }
}

fn settings(route: &Route, policy: &StreamPolicy) -> DriverSettings {
    DriverSettings {
        route: Arc::clone(&route.name),
        origin: Arc::new(route.origin.clone()),
        options: Arc::new(policy.upstream.clone()),
        no_content_memory: policy.share.linger,
        sharing: sharing(&route.name, policy),
        pass_retry: policy.client.retry == RetryPolicy::Origin,
    }
}

/// Who may be given a response. That one is not shared is said once for each route.
fn sharing(route: &Arc<str>, policy: &StreamPolicy) -> SharingCheck {
    let (route, share, told) = (Arc::clone(route), policy.share.clone(), AtomicBool::new(false));
    Arc::new(move |head, has_credentials| {
        let verdict = sharing_verdict(head, &share, has_credentials);
        if let SharingVerdict::Unshareable(why) = &verdict
            && !told.swap(true, Ordering::Relaxed)
        {
            let advice = unshareable_advice(head, &share);
            log::warn!(
                "response not shared, each client gets an upstream of its own route={route} why=\"{why}\": {advice}"
            );
        }
        verdict.into_sharing().map_err(|refusal| format!("{refusal}: {WHAT_TO_DO}"))
    })
}
