//! Gives tickets for credentials.

use super::judge::Knowledge;
use crate::auth::{AuthPolicy, Permission, Ticket};
use crate::caller::TicketId;
use crate::gateway::client::ClientFacts;
use crate::gateway::refusal::Why;
use crate::gateway::routing::Routing;
use crate::gateway::served::{Served, StreamRoute};
use crate::millis::unix_millis;
use crate::route::{PathPattern, Target, Wanted, check_target};
use http::{HeaderMap, Method};
use serde_json::json;
use std::sync::Arc;
use url::form_urlencoded;

/// The parameter of the query that names the path of the stream.
const PATH_PARAMETER: &str = "path";

/// The route and the path that a ticket is to be good for. `None` in place of the path: every path of the route. `givers`:
/// the routes whose tickets are given where the request asks.
///
/// # Errors
/// When none of these routes serves the path, or when several give tickets and no path is named.
pub(in crate::gateway) fn wanted<'r>(
    givers: &[&'r Arc<StreamRoute>],
    target: &Target<'_>,
    host: Option<&str>,
    routing: &Routing,
) -> Result<(&'r Arc<StreamRoute>, Option<String>), Why> {
    let mut pairs = form_urlencoded::parse(target.query.unwrap_or_default().as_bytes());
    let Some((_, path)) = pairs.find(|(name, _)| name == PATH_PARAMETER) else {
        let [served] = givers else { return Err(Why::TicketPath) };
        return Ok(match &served.route.path {
            PathPattern::Exact(path) => (served, Some(path.clone())),
            PathPattern::Prefix(_) => (served, None),
        });
    };
    // The target of a stream may have a query. The ticket is for the path.
    let checked = check_target(&Method::GET, &path).map_err(Why::Target)?;
    let headers = HeaderMap::new();
    let wanted = Wanted { host, path: checked.path, method: &Method::GET, headers: &headers };
    let found = match routing.find(&wanted) {
        Ok(Served::Stream(found)) => givers.iter().find(|giver| Arc::ptr_eq(giver, found)),
        Ok(Served::Proxy(_)) | Err(_) => None,
    };
    found.map(|served| (*served, Some(checked.path.to_owned()))).ok_or(Why::TicketPath)
}

/// A ticket for what a credential permits, as the body of an answer.
pub(in crate::gateway) fn issue(
    served: &StreamRoute,
    auth: &AuthPolicy,
    mut permission: Permission,
    path: Option<String>,
    client: &ClientFacts,
    known: Knowledge<'_>,
) -> String {
    let Some(tickets) = &auth.tickets else { return String::new() };
    let id = TicketId::random();
    permission.grant.ticket = Some(id);
    // Nobody can ask again with a ticket alone.
    permission.grant.expire_instead_of_recheck(known.now);
    let needed = auth.claims_of_tickets(served.policy.share.claims.iter().map(|claim| claim.claim.as_str()));
    let ticket = Ticket {
        route: (&*served.route.name).into(),
        path: path.map(String::into_boxed_str),
        claims: permission.claims.only(needed.into_iter()).0,
        grant: permission.grant,
        issued: unix_millis(known.now),
        address: client.caller.address().filter(|_| tickets.binds_address),
    };
    let keys = tickets.keys.clone().unwrap_or_else(|| known.record.key());
    let text = keys.first().map(|key| ticket.seal(key)).unwrap_or_default();
    json!({ "ticket": text, "id": id.to_string(), "expires_in": tickets.lifetime.as_secs_f64() }).to_string()
}
