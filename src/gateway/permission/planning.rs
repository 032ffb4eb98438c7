//! The part of the plan that is about credentials.

use super::judge::{Judged, Permit, Question, Seeker, TicketUse, claim_fields, judge};
use super::tickets;
use crate::auth::{AuthPolicy, Denial};
use crate::caller::Grant;
use crate::downstream::Preflight;
use crate::gateway::client::{ClientFacts, Scheme};
use crate::gateway::plan::{Facts, Plan, Request};
use crate::gateway::refusal::{Refusal, Why};
use crate::gateway::reply::Reply;
use crate::gateway::served::{ProxyRoute, StreamRoute};
use crate::route::Target;
use http::{HeaderName, HeaderValue, Method};
use std::borrow::Cow;
use std::sync::Arc;

/// A request for a stream that its credential permits, or that needs none.
#[derive(Debug)]
pub(in crate::gateway) struct Admitted<'q> {
    /// `None`: no credential is needed.
    pub(in crate::gateway) grant: Option<Arc<Grant>>,
    pub(in crate::gateway) ticket: Option<TicketUse>,
    /// The query without credentials.
    pub(in crate::gateway) query: Option<Cow<'q, str>>,
    /// What the origin is told of the credential.
    pub(in crate::gateway) claims: Vec<(HeaderName, HeaderValue)>,
}

/// Judges a request for a stream.
pub(in crate::gateway) fn admit<'q>(
    request: &Request<'q>,
    facts: Facts<'q>,
    served: &StreamRoute,
    target: &Target<'q>,
    client: &ClientFacts,
) -> Result<Admitted<'q>, Unpermitted> {
    let Some(auth) = &served.policy.auth else {
        let query = target.query.map(Cow::Borrowed);
        return Ok(Admitted { grant: None, ticket: None, query, claims: Vec::new() });
    };
    let permit = permit(Some(auth), &seeker(request, facts, target, client, &served.route.name), facts)?;
    let claims = permit.as_ref().map(|permit| &permit.permission.claims);
    let claims = claims.into_iter().flat_map(|claims| claim_fields(claims, &served.policy.share.claims)).collect();
    let (grant, ticket) = permit.map(|permit| (Arc::new(permit.permission.grant), permit.ticket)).unzip();
    Ok(Admitted { grant, ticket: ticket.flatten(), query: auth.without_credentials(target.query), claims })
}

/// Decides what to do with a request on a proxy route.
pub(in crate::gateway) fn plan_proxy(
    request: &Request<'_>,
    facts: Facts<'_>,
    served: &Arc<ProxyRoute>,
    target: &Target<'_>,
    mut client: ClientFacts,
) -> Result<Plan, Refusal> {
    if Preflight::of(request.method, request.headers).is_some() {
        // A browser sends no credential with it. The origin answers.
        return Ok(Plan::Proxy(Arc::clone(served), client, None));
    }
    let seeker = seeker(request, facts, target, &client, &served.route.name);
    match permit(served.policy.auth.as_ref(), &seeker, facts) {
        Ok(permit) => {
            let grant = permit.map(|permit| Arc::new(permit.permission.grant));
            client.caller = std::mem::take(&mut client.caller).granted(grant);
            Ok(Plan::Proxy(Arc::clone(served), client, None))
        }
        Err(Unpermitted::Asks(question)) => Ok(Plan::Asks(question)),
        Err(Unpermitted::Denied(denial)) => Err(Refusal::at(served, Why::Denied(denial)).to(&client.caller)),
    }
}

/// Decides what to do with a request for a ticket.
pub(in crate::gateway) fn plan_ticket(
    request: &Request<'_>,
    facts: Facts<'_>,
    served: &Arc<StreamRoute>,
    path: Result<Option<String>, Why>,
    target: &Target<'_>,
    client: &ClientFacts,
) -> Result<Plan, Refusal> {
    let cors = served.cors().map(|options| options.answer(request.headers));
    let refused = |why| Err(Refusal::on(served, cors.clone(), why).to(&client.caller));
    if let (Some(preflight), Some(options), Some(cors)) =
        (Preflight::of(request.method, request.headers), served.cors(), &cors)
    {
        return Ok(Plan::Answer(Reply::preflight(preflight.head(options, cors)).for_post()));
    }
    if *request.method != Method::POST {
        return refused(Why::TicketMethod);
    }
    let path = match path {
        Ok(path) => path,
        Err(why) => return refused(why),
    };
    let of_route = seeker(request, facts, target, client, &served.route.name);
    let (method, is_without_path) = (&Method::GET, path.is_none());
    let seeker = Seeker { method, path: path.as_deref().unwrap_or("/"), is_without_path, ..of_route };
    let Some(auth) = &served.policy.auth else { return refused(Why::Method) };
    match judge(auth, &seeker, facts.known, false) {
        Judged::Asks(question) => Ok(Plan::Asks(question)),
        Judged::Denied(denial) => refused(Why::Denied(denial)),
        Judged::Permitted(permit) => {
            let text = tickets::issue(served, auth, permit.permission, path, client, facts.known);
            Ok(Plan::Answer(Reply::ticket(&text, cors.as_ref())))
        }
    }
}

/// Why a request has no permission yet.
#[derive(Debug)]
pub(in crate::gateway) enum Unpermitted {
    Denied(Denial),
    Asks(Question),
}

/// The permission of a request. `Ok(None)`: none is needed.
fn permit(
    auth: Option<&Arc<AuthPolicy>>,
    seeker: &Seeker<'_>,
    facts: Facts<'_>,
) -> Result<Option<Permit>, Unpermitted> {
    let Some(auth) = auth else { return Ok(None) };
    match judge(auth, seeker, facts.known, true) {
        Judged::Permitted(permit) => Ok(Some(permit)),
        Judged::Denied(denial) => Err(Unpermitted::Denied(denial)),
        Judged::Asks(question) => Err(Unpermitted::Asks(question)),
    }
}

/// The parts of a request that count for its permission.
fn seeker<'a>(
    request: &Request<'a>,
    facts: Facts<'a>,
    target: &Target<'a>,
    client: &'a ClientFacts,
    route: &'a str,
) -> Seeker<'a> {
    Seeker {
        method: request.method,
        headers: request.headers,
        path: target.path,
        query: target.query,
        host: client.host.as_deref(),
        is_tls: client.scheme == Scheme::Https,
        address: client.caller.address(),
        certificate: facts.peer.certificate.as_deref(),
        route,
        is_without_path: false,
    }
}
