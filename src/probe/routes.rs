//! `manifold --test --probe`: asks the origin of each route.

use super::ask::{Asker, NoAnswer, browser_fields};
use super::finding::Verdict;
use super::question::Target;
use super::report::wrapped;
use crate::quoted::quoted;
use crate::route::{Hosts, PathPattern, Route, RouteKind, RouteTable};
use crate::upstream::{NamedBy, UpstreamOptions, unusable};
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The longest time for a response head.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of origins that are asked at once.
const AT_ONCE: usize = 16;

/// The width of the text, and how far it is indented behind the first line.
const WIDTH: usize = 80;
const INDENT: usize = 2;

/// What was found about the origin of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteVerdict {
    /// The name of the route.
    pub route: Arc<str>,
    /// How good it is.
    pub verdict: Verdict,
    /// What was seen, and what to do.
    pub text: String,
}

impl fmt::Display for RouteVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: route {}", self.verdict, self.route)?;
        wrapped(&self.text, WIDTH - INDENT).iter().try_for_each(|line| write!(f, "\n{:INDENT$}{line}", ""))
    }
}

/// Asks the origin of each route, with the route's own fields and certificates.
pub async fn probe_routes(table: &RouteTable) -> Vec<RouteVerdict> {
    let mut tasks = JoinSet::new();
    let mut verdicts = Vec::new();
    for (place, route) in table.routes().iter().enumerate() {
        if tasks.len() >= AT_ONCE {
            verdicts.extend(tasks.join_next().await.and_then(Result::ok));
        }
        let route = Arc::clone(route);
        tasks.spawn(async move { (place, probe_route(&route).await) });
    }
    while let Some(done) = tasks.join_next().await {
        verdicts.extend(done);
    }
    verdicts.sort_by_key(|(place, _)| *place);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

async fn probe_route(route: &Route) -> RouteVerdict {
    let options = match &route.kind {
        RouteKind::Stream(policy) => &policy.upstream,
        RouteKind::Proxy(policy) => &policy.upstream,
    };
    let (verdict, text) = match ask(route, options).await {
        Ok((verdict, text)) | Err((verdict, text)) => (verdict, text),
    };
    RouteVerdict { route: Arc::clone(&route.name), verdict, text }
}

type Told = (Verdict, String);

/// Connects to the origin and, if the route has one path only, asks for it.
async fn ask(route: &Route, options: &UpstreamOptions) -> Result<Told, Told> {
    let root = route.origin.root_url();
    let (path, is_prefix) = match &route.path {
        PathPattern::Exact(path) => (path, false),
        PathPattern::Prefix(path) => (path, true),
    };
    let target = Target { origin: route.origin.clone(), path_and_query: route.upstream_path(path) };
    let url = target.shown();
    let mut asker = Asker::new(NamedBy::Route);
    let connected = asker.connect(&target, options).await;
    let (mut link, connection) = connected.map_err(|why| (Verdict::Wrong, format!("{root}: no connection: {why}")))?;
    if is_prefix {
        let text = format!(
            "{root} accepts connections at {}. The route is for every path below {}, so there is none to ask for. Ask \
             for one by its URL: manifold probe {url}...",
            connection.address, route.path
        );
        return Ok((Verdict::Note, text));
    }
    let mut fields = browser_fields(&[], "identity");
    // A route that passes on the client's host is asked for a host that it serves.
    if let (true, Hosts::Only(hosts)) = (route.preserve_host, &route.hosts)
        && let Some(host) = hosts.first().and_then(|host| HeaderValue::from_str(host).ok())
    {
        fields.insert(HOST, host);
    }
    for (name, value) in &options.headers {
        fields.insert(name, value.now());
    }
    match link.ask(&Method::GET, &target.path_and_query, &fields, PATIENCE).await {
        Ok(answer) => Ok(judged(route, &url, answer.head.status, &answer.head.fields)),
        Err(NoAnswer::Late) => Ok((
            Verdict::Note,
            format!(
                "{url} accepted the request and sent no response head within {} seconds. Many origins send it with the \
                 first event; otherwise the origin hangs. See: manifold probe {url} --secs 60",
                PATIENCE.as_secs()
            ),
        )),
        Err(NoAnswer::Failed(why) | NoAnswer::Garbled(why)) => {
            Err((Verdict::Wrong, format!("{url}: no answer: {why}")))
        }
    }
}

/// The verdict on an answer.
fn judged(route: &Route, url: &str, status: StatusCode, fields: &HeaderMap) -> Told {
    let code = status.as_u16();
    if route.stream().is_none() {
        return if status.is_server_error() {
            (Verdict::Wrong, format!("{url} answers {code}. Look into the log of the origin."))
        } else {
            (Verdict::Good, format!("{url} answers {code}."))
        };
    }
    match code {
        200 => match unusable(fields) {
            None => (Verdict::Good, format!("{url} answers with an event stream.")),
            Some(why) => (Verdict::Wrong, format!("{url}: {}.", quoted(why))),
        },
        204 => (
            Verdict::Note,
            format!("{url} answers 204: there are no events, and clients should stop. Clients get 204 too."),
        ),
        300..=399 => (
            Verdict::Note,
            format!(
                "{url} answers {code}, a redirect. manifold follows it only within {}. See: manifold probe {url}",
                route.origin.root_url()
            ),
        ),
        401 | 403 => (
            Verdict::Note,
            format!(
                "{url} answers {code}: it requires credentials. If clients send them, this is as it should be: \
                 manifold probe {url} --header 'authorization: ...'. If they are manifold's own, set upstream.headers."
            ),
        ),
        404 => (
            Verdict::Wrong,
            format!(
                "{url} answers 404. Correct the route's origin or strip_prefix: the path of the request is appended \
                 to the path of the origin."
            ),
        ),
        400 if !route.origin.is_tls() => {
            (Verdict::Wrong, format!("{url} answers 400. If the origin speaks TLS, its URL must begin with https://."))
        }
        500..=599 => (Verdict::Wrong, format!("{url} answers {code}. Look into the log of the origin.")),
        _ => (Verdict::Wrong, format!("{url} answers {code}, which is not a stream.")),
    }
}
