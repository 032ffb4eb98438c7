//! Who a client is, on its way to another process.

use super::{Caller, Grant, Looks, RequestId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// What is kept of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallerState {
    address: Option<IpAddr>,
    user_agent: Option<Box<str>>,
    page_origin: Option<Box<str>>,
    /// As it was shown.
    request_id: Option<Box<str>>,
    last_event_id: Option<Box<str>>,
    grant: Option<Grant>,
}

impl Caller {
    /// What another process needs to know who the client is.
    #[must_use]
    pub fn state(&self) -> CallerState {
        CallerState {
            address: self.address(),
            user_agent: self.user_agent().map(Into::into),
            page_origin: self.page_origin().map(Into::into),
            request_id: self.request_id().map(|id| id.to_string().into()),
            last_event_id: self.last_event_id().map(Into::into),
            grant: self.grant().map(|grant| Grant::clone(grant)),
        }
    }

    /// The client of another process.
    #[must_use]
    pub fn of_state(state: CallerState) -> Self {
        let CallerState { address, user_agent, page_origin, request_id, last_event_id, grant } = state;
        let mut caller = Self { looks: Looks::shared(user_agent, page_origin), more: None, number: 0, v4: None };
        match address {
            Some(IpAddr::V4(address)) => caller.v4 = Some(address),
            Some(address) => caller.more().address = Some(address),
            None => {}
        }
        if request_id.is_some() || last_event_id.is_some() {
            let more = caller.more();
            (more.request_id, more.last_event_id) = (request_id, last_event_id);
        }
        debug_assert!(caller.request_id().is_none_or(|id| matches!(id, RequestId::Taken(_))));
        let grant = grant.map(|mut grant| {
            // What is needed to ask again stays where it is.
            grant.expire_instead_of_recheck(SystemTime::now());
            Arc::new(grant)
        });
        caller.granted(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn a_client_is_the_same_in_another_process() {
        let mut headers = HeaderMap::new();
        let nobody = Caller::default();
        assert_eq!(Caller::of_state(nobody.state()).state(), nobody.state());
        for (name, value) in
            [("user-agent", "curl"), ("origin", "https://a.example"), ("x-request-id", "7"), ("accept", "*/*")]
        {
            headers.insert(name, value.parse().unwrap());
            for address in [None, Some("192.0.2.1"), Some("2001:db8::1")] {
                let address = address.map(|address| address.parse().unwrap());
                let grant = Grant { subject: Some("a".into()), expires: Some(7), ..Grant::default() };
                let caller = Caller::of(&headers, address, true).resuming(Some(&"5".into()));
                let caller = caller.granted(Some(Arc::new(grant)));
                let state: CallerState = rmp_serde::from_slice(&rmp_serde::to_vec(&caller.state()).unwrap()).unwrap();
                let moved = Caller::of_state(state);
                assert_eq!(format!("{:?}", moved.state()), format!("{:?}", caller.state()));
                assert_eq!(moved.request_id().map(|id| id.to_string()), caller.request_id().map(|id| id.to_string()));
            }
        }
    }
}
