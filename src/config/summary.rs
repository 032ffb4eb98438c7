//! Describes a good configuration in words, as manifold understood it. `manifold --test` prints this.

use super::{Config, ServerConfig, TlsConfig};
use crate::auth::{AuthPolicy, Kind};
use crate::certificates::ClientAuth;
use crate::hub::{CookiePolicy, Credentials, Mode, QueryPolicy, ShareOptions};
use crate::route::{Hosts, Methods, PathPattern, Route, RouteKind};
use http::HeaderName;
use std::fmt;

impl Config {
    /// The addresses, and for each route its URL at the origin and which clients share a stream.
    #[must_use]
    pub fn summary(&self) -> String {
        let routes = self.routes.routes();
        let count = if routes.len() == 1 { "1 route".to_owned() } else { format!("{} routes", routes.len()) };
        let listen: Vec<_> = self.server.listen.iter().map(ToString::to_string).collect();
        let admin = self.server.admin.as_ref().map_or_else(|| "off".to_owned(), |address| address.to_string());
        let routes: String = routes.iter().map(|route| of_route(route)).collect();
        let advice: String = self.advice().iter().map(|line| format!("\nwarning: {line}")).collect();
        let listen = if listen.is_empty() { "off".to_owned() } else { listen.join(", ") };
        let tls = self.server.tls.as_ref().map(of_tls).unwrap_or_default();
        let proxies = of_proxies(&self.server);
        format!("configuration ok: {count}\nlisten: {listen}{tls}\nadmin: {admin}{proxies}{routes}{advice}")
    }
}

/// The lines about TLS.
fn of_tls(tls: &TlsConfig) -> String {
    let listen: Vec<_> = tls.listen.iter().map(ToString::to_string).collect();
    let options = tls.identity.options();
    let alpn: Vec<_> = options.alpn.iter().map(|alpn| alpn.name()).collect();
    let clients = match options.clients.as_ref().map(|clients| clients.auth) {
        None => "",
        Some(ClientAuth::Optional) => "; clients may have certificates",
        Some(ClientAuth::Required) => "; clients need certificates",
    };
    let redirect = if tls.redirect_http { "; requests without TLS are redirected" } else { "" };
    let pairs = options.pairs.iter().zip(&tls.files);
    let pairs: String =
        pairs.map(|(pair, file)| format!("\n  {}: {} ({})", file.path, pair.names(), pair.kind())).collect();
    format!("\ntls: {} ({}){clients}{redirect}{pairs}", listen.join(", "), alpn.join(", "))
}

/// The line about trusted proxies. Empty if there are none.
fn of_proxies(server: &ServerConfig) -> String {
    if server.trusted_proxies.is_empty() {
        return String::new();
    }
    let proxy_protocol = if server.proxy_protocol { ", whose connections begin with a PROXY header" } else { "" };
    format!("\ntrusted proxies: {}{proxy_protocol}", server.trusted_proxies)
}

fn of_route(route: &Route) -> String {
    let (path, name) = (&route.path, &route.name);
    let name = if name.as_ref() == path.to_string() { String::new() } else { format!(" name={name}") };
    let hosts = match &route.hosts {
        Hosts::Any => String::new(),
        Hosts::Only(hosts) => format!(" host={}", hosts.join(",")),
    };
    let methods = match &route.methods {
        Methods::Any => String::new(),
        only @ Methods::Only(_) => format!(" methods={only}"),
    };
    let accept = route.accept.as_ref().map(|accept| format!(" accept={accept}")).unwrap_or_default();
    let shares = policy_in_words(route);
    let access = route.auth().map(|auth| format!("\n  access: {}", who_may(auth))).unwrap_or_default();
    format!("\nroute {path}{name}{hosts}{methods}{accept}\n  origin: {}\n  {shares}{access}", UrlAtOrigin(route))
}

/// Who may have a route, in words.
fn who_may(auth: &AuthPolicy) -> String {
    let kind = match &auth.kind {
        Kind::Jwt(jwt) => {
            let algorithms: Vec<_> = jwt.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            format!("a JSON Web Token ({})", algorithms.join(", "))
        }
        Kind::Forward(service) => format!("what {} says", service.url.origin.root_url()),
        Kind::Key(_) => "a key".to_owned(),
        Kind::Mtls(names) => format!("a certificate ({})", names.0.join(", ")),
    };
    let tickets = auth.tickets.as_ref().map(|tickets| format!(", or a ticket of {}", tickets.path)).unwrap_or_default();
    format!("{kind}{tickets}")
}

/// Who shares a stream of the route, in words.
#[must_use]
pub fn policy_in_words(route: &Route) -> String {
    match &route.kind {
        RouteKind::Proxy(_) => "a plain proxy: each request goes to the origin".to_owned(),
        RouteKind::Stream(policy) => who_shares(&policy.share),
    }
}

/// Displays the URL that the origin is asked for. The star of a prefix stays.
struct UrlAtOrigin<'a>(&'a Route);

impl fmt::Display for UrlAtOrigin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(route) = self;
        let (PathPattern::Exact(path) | PathPattern::Prefix(path)) = &route.path;
        f.write_str(&route.url(path))?;
        if matches!(route.path, PathPattern::Prefix(_)) { f.write_str("*") } else { Ok(()) }
    }
}

/// Describes what requests must have in common to share an upstream.
fn who_shares(share: &ShareOptions) -> String {
    if share.mode == Mode::Private {
        return "private: each client has its own upstream".to_owned();
    }
    let mut same = vec!["the same path".to_owned()];
    match &share.query {
        QueryPolicy::All => same.push("query".to_owned()),
        QueryPolicy::None => {}
        QueryPolicy::Only(names) if names.is_empty() => {}
        QueryPolicy::Only(names) => same.push(format!("query parameters ({})", names.join(", "))),
    }
    if !share.headers.is_empty() {
        same.push(format!("headers ({})", names(&share.headers)));
    }
    let mut secrets = Vec::new();
    if share.credentials == Credentials::Isolate {
        secrets.extend(share.credential_headers.iter().map(ToString::to_string));
        match &share.cookies {
            CookiePolicy::All => secrets.push("cookies".to_owned()),
            CookiePolicy::Only(cookies) => secrets.extend(cookies.iter().map(|cookie| format!("cookie {cookie}"))),
        }
    }
    if !secrets.is_empty() {
        same.push(format!("credentials ({})", secrets.join(", ")));
    }
    let same = match same.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    };
    let hidden = if secrets.is_empty() { "; no credentials reach the origin" } else { "" };
    format!("shared: one upstream for all clients with {same}{hidden}")
}

fn names(names: &[HeaderName]) -> String {
    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SystemSources};
    use std::path::Path;

    #[test]
    fn who_is_believed_and_which_requests_a_route_is_for_are_told() {
        let text = "[server]\ntrusted_proxies = ['127.0.0.1', '10.0.0.0/8']\nproxy_protocol = 'on'\n\
             [[routes]]\npath = '/mcp'\norigin = 'http://o'\nmethods = ['GET']\naccept = 'text/event-stream'\nshare.mode = 'private'\n\
             [[routes]]\npath = '/mcp'\norigin = 'http://o'\nkind = 'proxy'\n";
        let config = Config::parse(text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
        let expected = "configuration ok: 2 routes\n\
            listen: 127.0.0.1:8080\n\
            admin: off\n\
            trusted proxies: 127.0.0.1, 10.0.0.0/8, whose connections begin with a PROXY header\n\
            route /mcp methods=GET accept=text/event-stream\n\
            \x20 origin: http://o/mcp\n\
            \x20 private: each client has its own upstream\n\
            route /mcp name=/mcp[any]\n\
            \x20 origin: http://o/mcp\n\
            \x20 a plain proxy: each request goes to the origin";
        assert_eq!(config.summary(), expected);
    }

    #[test]
    fn addresses_routes_and_who_shares_are_told() {
        let text = "[server]\nlisten = ['127.0.0.1:80', 'unix:/run/m.sock']\nadmin = '127.0.0.1:9090'\n\
             [[routes]]\npath = '/a/*'\norigin = 'https://o/base'\nstrip_prefix = '/a'\nname = 'all'\n\
             [[routes]]\npath = '/b'\norigin = 'http://o:81'\nhost = ['x.com', 'y.com']\n\
             share = { credentials = 'share', query = ['q', 'r'], headers = ['accept-language'] }\n\
             [[routes]]\npath = '/c'\norigin = 'http://o'\nshare = { query = 'none', credential_headers = [], cookies = ['sid'] }\n\
             [[routes]]\npath = '/d'\norigin = 'http://o'\nshare.mode = 'private'\n\
             [[routes]]\npath = '/e'\norigin = 'http://o'\nshare = { query = 'none', credentials = 'share' }\n\
             [[routes]]\npath = '/*'\norigin = 'http://o'\nkind = 'proxy'\n";
        let config = Config::parse(text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
        let expected = "configuration ok: 6 routes\n\
            listen: 127.0.0.1:80, unix:/run/m.sock\n\
            admin: 127.0.0.1:9090\n\
            route /a/* name=all\n\
            \x20 origin: https://o/base/*\n\
            \x20 shared: one upstream for all clients with the same path, query and credentials (authorization, x-api-key, \
            api-key, cookies)\n\
            route /b host=x.com,y.com\n\
            \x20 origin: http://o:81/b\n\
            \x20 shared: one upstream for all clients with the same path, query parameters (q, r) and headers \
            (accept-language); no credentials reach the origin\n\
            route /c\n\
            \x20 origin: http://o/c\n\
            \x20 shared: one upstream for all clients with the same path and credentials (cookie sid)\n\
            route /d\n\
            \x20 origin: http://o/d\n\
            \x20 private: each client has its own upstream\n\
            route /e\n\
            \x20 origin: http://o/e\n\
            \x20 shared: one upstream for all clients with the same path; no credentials reach the origin\n\
            route /*\n\
            \x20 origin: http://o/*\n\
            \x20 a plain proxy: each request goes to the origin";
        assert_eq!(config.summary(), expected);
    }
}
