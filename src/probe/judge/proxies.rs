//! The servers and proxies that name themselves in the head, and what each usually does to streams.

use super::super::finding::{Finding, Key};
use crate::quoted::quoted;
use http::header::{SERVER, VIA};
use http::{HeaderMap, HeaderName};

/// A proxy: its name, how it is known, and what it does to streams.
struct Known {
    name: &'static str,
    /// A word of `Server` or `Via`, in lower case.
    word: &'static str,
    /// A field that it sends.
    field: &'static str,
    /// What it does, and the directive.
    habit: &'static str,
}

const fn known(name: &'static str, word: &'static str, field: &'static str, habit: &'static str) -> Known {
    Known { name, word, field, habit }
}

/// The proxies that are known.
const ALL: [Known; 15] = [
    known(
        "nginx",
        "nginx",
        "",
        "nginx collects answers in buffers of 4 or 8 KiB (proxy_buffering on), and cuts after 60 s of silence \
         (proxy_read_timeout). Set proxy_buffering off, or let the origin say \"X-Accel-Buffering: no\"; set \
         proxy_http_version 1.1.",
    ),
    known(
        "OpenResty",
        "openresty",
        "",
        "It is nginx: set proxy_buffering off, or let the origin say \"X-Accel-Buffering: no\".",
    ),
    known(
        "Cloudflare",
        "cloudflare",
        "cf-ray",
        "Cloudflare passes event streams on, but cuts after 100 s of silence, and compresses what may be transformed. \
         Send a comment line every 15 s, and \"Cache-Control: no-cache, no-transform\".",
    ),
    known(
        "Varnish",
        "varnish",
        "x-varnish",
        "Varnish collects an answer that it may cache, and shares one fetch among clients. In VCL, return (pipe) or \
         return (pass) for the path, with beresp.do_stream = true.",
    ),
    known(
        "Fastly",
        "fastly",
        "x-served-by",
        "Fastly passes a stream on if the path is passed (return (pass)) and beresp.do_stream is true; it cuts after \
         first_byte_timeout and between_bytes_timeout.",
    ),
    known(
        "CloudFront",
        "cloudfront",
        "x-amz-cf-id",
        "CloudFront cuts after 30 s of silence (the origin response timeout). Use the policy CachingDisabled, and \
         send a comment line every 15 s.",
    ),
    known(
        "an AWS load balancer",
        "awselb",
        "",
        "It cuts after 60 s of silence (idle_timeout.timeout_seconds). Send a comment line every 15 s.",
    ),
    known(
        "Envoy",
        "envoy",
        "x-envoy-upstream-service-time",
        "Envoy cuts an answer that lasts longer than 15 s (the route's timeout) and after five minutes of silence \
         (stream_idle_timeout). Set timeout: 0s for the route.",
    ),
    known(
        "Apache",
        "apache",
        "",
        "Apache's mod_deflate collects what it compresses, and mod_proxy collects without flushpackets=on. Set SetEnv \
         no-gzip 1 for the path, and ProxyPass ... flushpackets=on.",
    ),
    known("Caddy", "caddy", "", "Caddy passes event streams on at once. Leave text/event-stream out of encode."),
    known(
        "IIS",
        "microsoft-iis",
        "",
        "IIS collects answers for ARR and compresses. Set responseBufferLimit=\"0\" for ARR, and turn dynamic \
         compression off for text/event-stream.",
    ),
    known(
        "Google's front end",
        "google",
        "",
        "The load balancer cuts an answer after its backend timeout (30 s by default), whether it is silent or not. \
         Raise timeoutSec of the backend service.",
    ),
    known("Heroku's router", "vegur", "", "It cuts after 55 s of silence. Send a comment line every 15 s."),
    known(
        "Akamai",
        "akamai",
        "x-akamai-request-id",
        "Akamai collects answers unless chunked streaming is on for the path.",
    ),
    known("Squid", "squid", "x-squid-error", "Squid may collect answers, and cuts after read_timeout (15 minutes)."),
];

pub(super) fn of(fields: &HeaderMap) -> Option<Finding> {
    let says = |name: &HeaderName| -> String {
        let lines = fields.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        lines.collect::<Vec<_>>().join(", ")
    };
    let (server, via) = (says(&SERVER), says(&VIA));
    let named: Vec<String> = [("Server", &server), ("Via", &via)]
        .into_iter()
        .filter(|(_, said)| !said.is_empty())
        .map(|(name, said)| format!("{name} is {}", quoted(said)))
        .collect();
    let found = found(fields);
    if found.is_empty() && named.is_empty() {
        return Some(Finding::good(Key::Proxy, "No server and no proxy names itself in the head."));
    }
    let names: Vec<_> = found.iter().map(|known| known.name).collect();
    let seen = match (named.is_empty(), names.is_empty()) {
        (false, true) => format!("{}. The probe has no advice about it.", named.join(", ")),
        (false, false) => format!("{}: that is {}.", named.join(", "), names.join(", ")),
        (true, _) => format!("The head has fields of {}.", names.join(", ")),
    };
    if found.is_empty() {
        return Some(Finding::good(Key::Proxy, seen));
    }
    let habits: Vec<_> = found.iter().map(|known| known.habit).collect();
    Some(Finding::note(Key::Proxy, seen, habits.join(" ")))
}

/// The proxies that the head names.
fn found(fields: &HeaderMap) -> Vec<&'static Known> {
    let lines = [SERVER, VIA].into_iter().flat_map(|name| {
        fields
            .get_all(name)
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase())
            .collect::<Vec<_>>()
    });
    // Tomcat calls itself Apache-Coyote, and is none of these.
    let said = lines.collect::<Vec<_>>().join(" ").replace("apache-coyote", "coyote");
    ALL.iter()
        .filter(|known| said.contains(known.word) || (!known.field.is_empty() && fields.contains_key(known.field)))
        .collect()
}

/// Whether a proxy that is known to collect events names itself.
pub(super) fn collects(fields: &HeaderMap) -> Option<&'static str> {
    const COLLECTING: [&str; 6] = ["nginx", "OpenResty", "Varnish", "Apache", "IIS", "Akamai"];
    found(fields).into_iter().map(|known| known.name).find(|name| COLLECTING.contains(name))
}
