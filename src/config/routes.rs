//! `[defaults]` and `[[routes]]`.

use super::limits;
use super::policy::{
    AuthLayer, ClientLayer, CorsLayer, ReplayLayer, ShareLayer, UpstreamLayer, check_private, read_proxy,
};
use super::reader::{Item, Rule, Section};
use super::sources::Sources;
use super::value::{boolean, word};
use crate::auth::AuthPolicy;
use crate::hub::{Mode, SubscriberLimits};
use crate::route::{
    Hosts, MediaType, Methods, PathPattern, ProxyPolicy, Route, RouteKind, RouteTable, StreamPolicy, host_name,
};
use crate::upstream::{Origin, UpstreamOptions};
use http::Method;
use std::sync::Arc;
use toml::de::DeValue;

/// The longest name of a route. The name stands in every log line about the route.
const MAX_NAME_LEN: usize = 128;
/// Tables that have a meaning for streams only.
const STREAM_TABLES: [&str; 5] = ["share", "replay", "client", "cors", "limits"];

/// `[defaults]`, read over the built-in defaults.
struct Defaults<'a> {
    share: ShareLayer<'a>,
    replay: ReplayLayer<'a>,
    client: ClientLayer<'a>,
    upstream: UpstreamLayer<'a>,
    /// `None`: there is no `[defaults.cors]`.
    cors: Option<CorsLayer<'a>>,
    /// `None`: there is no `[defaults.auth]`.
    auth: Option<(AuthLayer<'a>, Item<'a>)>,
    proxy: ProxyPolicy,
    limits: SubscriberLimits,
}

/// A route as far as it could be read, with what is compared between routes.
struct Draft<'a> {
    /// `routes[0]`.
    label: String,
    path: Option<(PathPattern, Item<'a>)>,
    /// The name, given or made from the path, and the item that it comes from.
    name: Option<(String, Item<'a>)>,
    is_named: bool,
    hosts: Hosts,
    methods: Methods,
    accept: Option<MediaType>,
    origin: Option<Origin>,
    preserve_host: bool,
    strip_prefix: Option<String>,
    kind: RouteKind,
}

#[derive(Clone, Copy)]
enum Kind {
    Stream,
    Proxy,
}

pub(super) fn read<'a>(root: &mut Section<'a>, sources: &dyn Sources) -> RouteTable {
    let defaults = Defaults::read(root.section("defaults"), sources);
    let elements = match root.take("routes").map(|item| (item.elements(), item)) {
        Some((Some(elements), _)) if !elements.is_empty() => elements,
        Some((_, item)) => {
            item.fail("must be written [[routes]], once for each route");
            Vec::new()
        }
        None => {
            root.fail_missing("routes", "write [[routes]] with a path and an origin");
            Vec::new()
        }
    };
    let sections = elements.iter().filter_map(Item::section);
    let mut drafts: Vec<_> = sections.map(|section| Draft::read(section, &defaults, sources)).collect();
    name_apart(&mut drafts);
    for (at, draft) in drafts.iter().enumerate() {
        let earlier = drafts.get(..at).unwrap_or_default();
        draft.check_against(earlier);
    }
    RouteTable::new(drafts.into_iter().filter_map(Draft::finish).map(Arc::new).collect())
}

/// Names the routes of one path apart. Routes that differ in methods or `accept` need no names of their own: to the
/// name of each further one, its methods and `accept` are added.
fn name_apart(drafts: &mut [Draft<'_>]) {
    for at in 1..drafts.len() {
        let (earlier, rest) = drafts.split_at_mut(at);
        let Some(draft) = rest.first_mut().filter(|draft| !draft.is_named) else { continue };
        let differs = |other: &&Draft<'_>| {
            other.path.as_ref().map(|(path, _)| path) == draft.path.as_ref().map(|(path, _)| path)
                && (&other.methods, &other.accept) != (&draft.methods, &draft.accept)
        };
        if earlier.iter().any(|other| differs(&other))
            && let Some((name, _)) = &mut draft.name
        {
            name.push_str(&match &draft.accept {
                Some(accept) => format!("[{},{accept}]", draft.methods),
                None => format!("[{}]", draft.methods),
            });
        }
    }
}

impl<'a> Defaults<'a> {
    fn read(mut section: Section<'a>, sources: &dyn Sources) -> Self {
        let auth = AuthLayer::over(&mut section, None);
        let cors = section.section("cors");
        let has_cors = cors.is_present();
        let cors = CorsLayer::read(cors, &CorsLayer::default());
        let defaults = Self {
            share: ShareLayer::read(section.section("share"), &ShareLayer::default()),
            replay: ReplayLayer::read(section.section("replay"), &ReplayLayer::default()),
            client: ClientLayer::read(section.section("client"), &ClientLayer::default()),
            upstream: UpstreamLayer::read(section.section("upstream"), &UpstreamLayer::default(), sources),
            cors: has_cors.then_some(cors),
            auth,
            proxy: read_proxy(section.section("proxy"), &ProxyPolicy::default()),
            limits: limits::of_route(section.section("limits"), SubscriberLimits::default()),
        };
        section.finish();
        defaults
    }
}

impl<'a> Draft<'a> {
    fn read(mut section: Section<'a>, defaults: &Defaults<'a>, sources: &dyn Sources) -> Self {
        let path_item = section.take("path");
        if path_item.is_none() {
            section.fail_missing(
                "path",
                "it is the path to serve, such as \"/ticks\", or \"/ticks/*\" for all paths below it",
            );
        }
        let path = path_item.and_then(|item| item.converted(pattern).map(|pattern| (pattern, item)));
        let name = section.take("name").map(|item| (item.converted(name), item));
        let is_named = name.is_some();
        let name = match name {
            Some((name, item)) => name.map(|name| (name, item)),
            None => path.as_ref().map(|(pattern, item)| (pattern.to_string(), item.clone())),
        };
        let origin_item = section.take("origin");
        if origin_item.is_none() {
            section.fail_missing("origin", "it is the URL of the origin, such as \"http://127.0.0.1:9000\"");
        }
        let origin = origin_item.and_then(|item| origin(&item));
        let hosts = section.take("host").and_then(|item| hosts(&item)).unwrap_or(Hosts::Any);
        let methods_item = section.take("methods");
        let methods = methods_item.as_ref().and_then(methods).unwrap_or(Methods::Any);
        let accept = section.take("accept").filter(|item| item.str() != Some("any"));
        let accept = accept.and_then(|item| item.converted(media_type));
        let mut preserve_host = false;
        section.set(&mut preserve_host, "preserve_host", boolean);
        let strip_prefix = section.take("strip_prefix").filter(|item| item.str() != Some("off"));
        let strip_prefix = strip_prefix.and_then(|item| strip(&item, path.as_ref().map(|(pattern, _)| pattern)));
        let mut kind = Kind::Stream;
        section.set(&mut kind, "kind", word(&[("stream", Kind::Stream), ("proxy", Kind::Proxy)]));
        let kind = match kind {
            Kind::Stream => {
                if let Some(item) = &methods_item {
                    check_stream_methods(item, &methods);
                }
                RouteKind::Stream(stream_policy(&mut section, defaults, sources))
            }
            Kind::Proxy => proxy_policy(&mut section, defaults, sources),
        };
        let label = section.path().to_owned();
        section.finish();
        Self { label, path, name, is_named, hosts, methods, accept, origin, preserve_host, strip_prefix, kind }
    }

    /// Checks the rules between routes: no two serve the same requests, none is hidden by an earlier one, and no two
    /// have one name.
    fn check_against(&self, earlier: &[Self]) {
        if let (Some((_, item)), Some(other)) = (&self.path, earlier.iter().find(|other| other.hides(self))) {
            let label = &other.label;
            // Such routes also have one default name. That needs no error of its own.
            return if self.methods.cover(&other.methods) {
                item.fail(format_args!(
                    "must not be the path of another route for the same host: it is also the path of {label}"
                ));
            } else {
                item.fail(format_args!("is never used: {label} has the same path and all methods of this route"));
            };
        }
        let Some((name, item)) = &self.name else { return };
        if let Some(other) = earlier.iter().find(|other| other.name.as_ref().is_some_and(|(held, _)| held == name)) {
            let rule = "must not be the name of another route (a route without a name is named by its path)";
            item.fail(format_args!("{rule}: it is also the name of {}", other.label));
        }
    }

    /// Whether this route takes every request that `later` could serve. Of two routes with one path the more specific
    /// one is asked first. So a route can hide only a route that is as specific.
    fn hides(&self, later: &Self) -> bool {
        let (Some((path, _)), Some((of_later, _))) = (&self.path, &later.path) else { return false };
        let lists = |draft: &Self| draft.methods != Methods::Any;
        path == of_later
            && overlap(&self.hosts, &later.hosts)
            && self.accept == later.accept
            && lists(self) == lists(later)
            && self.methods.cover(&later.methods)
    }

    /// The route, if everything that it needs is good.
    fn finish(self) -> Option<Route> {
        Some(Route {
            name: Arc::from(self.name?.0),
            path: self.path?.0,
            hosts: self.hosts,
            methods: self.methods,
            accept: self.accept,
            origin: self.origin?,
            preserve_host: self.preserve_host,
            strip_prefix: self.strip_prefix,
            kind: self.kind,
        })
    }
}

fn stream_policy<'a>(section: &mut Section<'a>, defaults: &Defaults<'a>, sources: &dyn Sources) -> StreamPolicy {
    match section.take("proxy") {
        Some(item) => item.fail("is only for routes of kind \"proxy\""),
        // Read so that its keys are known to exist.
        None => drop(read_proxy(section.absent("proxy"), &ProxyPolicy::default())),
    }
    check_private(section, defaults.share.mode());
    let share = ShareLayer::read(section.section("share"), &defaults.share);
    let replay = ReplayLayer::read(section.section("replay"), &defaults.replay);
    let client = ClientLayer::read(section.section("client"), &defaults.client);
    let upstream = UpstreamLayer::read(section.section("upstream"), &defaults.upstream, sources);
    let cors = match section.take("cors") {
        // `"off"` is the only way to undo `[defaults.cors]`, because a route without the key inherits the table.
        Some(item) if item.str() == Some("off") => None,
        Some(item) => item.section().map(|table| CorsLayer::read(table, &defaults.cors.clone().unwrap_or_default())),
        None => {
            // Read so that its keys are known to exist.
            CorsLayer::read(section.absent("cors"), &CorsLayer::default());
            defaults.cors.clone()
        }
    };
    let limits = limits::of_route(section.section("limits"), defaults.limits);
    let auth = auth(section, defaults, sources);
    share.check_claims(auth.is_some());
    // On a private route events are neither kept nor held.
    if share.mode() == Mode::Shared {
        replay.check();
        client.check(&replay);
    }
    StreamPolicy {
        share: share.resolve(),
        replay: replay.resolve(),
        client: client.resolve(),
        upstream: upstream.resolve(),
        cors: cors.map(CorsLayer::resolve),
        limits,
        auth,
    }
}

fn auth<'a>(section: &mut Section<'a>, defaults: &Defaults<'a>, sources: &dyn Sources) -> Option<Arc<AuthPolicy>> {
    let (layer, item) = AuthLayer::over(section, defaults.auth.as_ref())?;
    layer.resolve(&item, sources).map(Arc::new)
}

fn proxy_policy<'a>(section: &mut Section<'a>, defaults: &Defaults<'a>, sources: &dyn Sources) -> RouteKind {
    for key in STREAM_TABLES {
        if let Some(item) = section.take(key) {
            item.fail("is only for routes of kind \"stream\"");
        }
    }
    let layer = UpstreamLayer::read_proxy(section.section("upstream"), &defaults.upstream, sources);
    let mut base = defaults.proxy.clone();
    if let Some(idle_timeout) = layer.written_idle_timeout() {
        base.idle_timeout = idle_timeout;
    }
    let policy = read_proxy(section.section("proxy"), &base);
    let auth = auth(section, defaults, sources);
    // The timeout is the same value in both places that code reads it from.
    let upstream = UpstreamOptions { idle_timeout: policy.idle_timeout, ..layer.resolve_proxy() };
    RouteKind::Proxy(ProxyPolicy { upstream, auth, ..policy })
}

fn pattern(value: &DeValue<'_>) -> Result<PathPattern, Rule> {
    let text = value.as_str().ok_or("must be a string")?;
    PathPattern::parse(text).map_err(|invalid| invalid.to_string())
}

/// Reads a name. It must not break the `key=value` form of log lines.
fn name(value: &DeValue<'_>) -> Result<String, Rule> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    let length = 1..=MAX_NAME_LEN;
    let name = value.as_str().filter(|name| length.contains(&name.chars().count()) && name.chars().all(is_plain));
    let rule = || format!("must be 1 to {MAX_NAME_LEN} characters without white space or quotes");
    name.map(str::to_owned).ok_or_else(rule)
}

fn origin(item: &Item<'_>) -> Option<Origin> {
    if item.value().is_array() {
        item.fail(
            "must be one URL, not a list: a route has one origin. If its host name has several addresses, manifold \
             tries each",
        );
        return None;
    }
    let text = item.str().unwrap_or_default();
    // A URL that wrongly holds credentials or a token is still a secret.
    let item = if text.contains(['@', '?', '#']) { item.clone().secret() } else { item.clone() };
    Origin::parse(text).map_err(|invalid| item.fail(invalid)).ok()
}

fn hosts(item: &Item<'_>) -> Option<Hosts> {
    let name = |text: &str| match text {
        "any" => Err("must not be in a list: write host = \"any\"".to_owned()),
        _ => host_name(text).map_err(|invalid| invalid.to_string()),
    };
    let rule = "must be \"any\", a host name, or a list of host names";
    match item.str() {
        Some("any") => Some(Hosts::Any),
        Some(text) => item.converted(|_| name(text)).map(|host| Hosts::Only(vec![host])),
        None if item.elements().is_some_and(|elements| elements.is_empty()) => {
            item.fail(rule);
            None
        }
        None => item.list(rule, name).map(Hosts::Only),
    }
}

fn methods(item: &Item<'_>) -> Option<Methods> {
    let rule = "must be \"any\" or a list of methods such as [\"GET\"]";
    if item.str() == Some("any") {
        return Some(Methods::Any);
    }
    if item.elements().is_some_and(|elements| elements.is_empty()) {
        item.fail(rule);
        return None;
    }
    let method = |text: &str| match text {
        "any" => Err("must not be in a list: write methods = \"any\"".to_owned()),
        _ => Methods::method(text).map_err(|invalid| invalid.to_string()),
    };
    item.list(rule, method).map(Methods::Only)
}

/// Checks the methods of a stream route. A stream is read with GET. A stream route with other methods would take
/// requests away from the next route of its path, only to refuse them.
fn check_stream_methods(item: &Item<'_>, methods: &Methods) {
    let Methods::Only(listed) = methods else { return };
    let is_of_streams = |method: &Method| [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    match listed.iter().find(|method| !is_of_streams(method)) {
        Some(other) => item.fail(format_args!(
            "must not contain {other} on a route of kind \"stream\", which is read with GET: use a route of kind \
             \"proxy\" for it"
        )),
        None if !listed.is_empty() && !listed.contains(&Method::GET) => {
            item.fail("must contain GET on a route of kind \"stream\"");
        }
        None => {}
    }
}

fn media_type(value: &DeValue<'_>) -> Result<MediaType, Rule> {
    MediaType::parse(value.as_str().unwrap_or_default()).map_err(|invalid| invalid.to_string())
}

/// Reads the prefix `/ticks` or `/ticks/`, which every path of the route must begin with. Returns it without the
/// final slash.
fn strip(item: &Item<'_>, pattern: Option<&PathPattern>) -> Option<String> {
    let prefix = item.str().map(|text| text.strip_suffix('/').unwrap_or(text));
    let Some(prefix) = prefix.filter(|prefix| prefix.starts_with('/')) else {
        item.fail("must be \"off\", or a path such as \"/ticks\"");
        return None;
    };
    if pattern.is_some_and(|pattern| !pattern.is_under(prefix)) {
        item.fail("must be one or more whole segments at the beginning of the route's path");
    }
    Some(prefix.to_owned())
}

/// Whether some host belongs to both.
fn overlap(one: &Hosts, other: &Hosts) -> bool {
    match (one, other) {
        (Hosts::Any, Hosts::Any) => true,
        (Hosts::Only(one), Hosts::Only(other)) => one.iter().any(|host| other.contains(host)),
        (Hosts::Any, Hosts::Only(_)) | (Hosts::Only(_), Hosts::Any) => false,
    }
}
