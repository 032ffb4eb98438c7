//! Where the values of a configuration come from.

use crate::config::{Config, From, Part, Sources, Variables, read};
use std::env::VarError;
use std::io;
use std::path::Path;

struct Here;

impl Sources for Here {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        match name {
            "HOST" => Ok("o".to_owned()),
            "TOKEN" => Ok("planted-in-variable".to_owned()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn text(&self, _: &Path) -> io::Result<String> {
        Ok("planted-in-file".to_owned())
    }
}

const TEXT: &str = r#"[server]
listen = ["127.0.0.1:80"]
admin_token_file = "/run/token"

[log]
access = "all"

[defaults.client]
heartbeat_secs = 5

[defaults.upstream.headers]
authorization = "planted"
x-key = { file = "/run/key" }

[[routes]]
path = "/a"
origin = "http://${HOST}:81"
[routes.client]
stall_secs = 7.5
[routes.upstream.headers]
X-Key = { env = "TOKEN" }
[routes.cors]
origins = ["https://app.example"]

[[routes]]
path = "/b"
name = "bee"
origin = "http://o"
share.mode = "private"

[[routes]]
path = "/c"
origin = "http://o"
kind = "proxy"
upstream.idle_timeout_secs = 3
"#;

#[test]
fn every_value_says_where_it_came_from_and_secrets_are_left_out() {
    let settings = Config::parse(TEXT, &Here).unwrap().settings;
    let shown = |section: &str, route: Option<&str>, key: &str| {
        let is = |of: &&crate::config::Setting| of.section == section && of.route.as_deref() == route && of.key == key;
        let found: Vec<_> = settings.all.iter().filter(is).collect();
        assert!(found.len() < 2, "{section}.{key} twice");
        found.first().map(|of| {
            let value = of.value.as_ref().map_or_else(|| "hidden".to_owned(), ToString::to_string);
            let (from, variables) = (of.from.word(), of.variables.join(","));
            format!("{value} {from} {} {variables}", of.line.unwrap_or(0)).trim_end().to_owned()
        })
    };
    let cores = std::thread::available_parallelism().unwrap();
    for (section, route, key, expected) in [
        ("server", None, "listen", Some("[\"127.0.0.1:80\"] file 2")),
        ("server", None, "admin", Some("\"off\" default 0")),
        ("server", None, "admin_token_file", Some("\"/run/token\" file 3")),
        ("server", None, "threads", Some(&*format!("{cores} default 0"))),
        ("log", None, "access", Some("\"all\" file 6")),
        ("log", None, "format", Some("\"text\" default 0")),
        ("routes", Some("/a"), "origin", Some("\"http://o:81\" file 17 HOST")),
        ("routes", Some("/a"), "name", Some("\"/a\" default 0")),
        ("routes.client", Some("/a"), "heartbeat_secs", Some("5 defaults 9")),
        ("routes.client", Some("/a"), "stall_secs", Some("7.5 file 19")),
        ("routes.client", Some("/a"), "flush_ms", Some("\"off\" default 0")),
        ("routes.replay", Some("/a"), "events", Some("1000 default 0")),
        ("routes.upstream", Some("/a"), "headers.authorization", Some("hidden defaults 12")),
        ("routes.upstream", Some("/a"), "headers.x-key", Some("{\"env\":\"TOKEN\"} file 21 TOKEN")),
        ("routes.upstream", Some("bee"), "headers.x-key", Some("{\"file\":\"/run/key\"} defaults 13")),
        ("routes.cors", Some("/a"), "origins", Some("[\"https://app.example\"] file 23")),
        ("routes.cors", Some("/a"), "max_age_secs", Some("600 default 0")),
        ("routes", Some("bee"), "cors", Some("\"off\" default 0")),
        ("routes", Some("bee"), "name", Some("\"bee\" file 27")),
        ("routes.share", Some("bee"), "mode", Some("\"private\" file 29")),
        ("routes.share", Some("bee"), "linger_secs", None),
        ("routes.replay", Some("bee"), "events", None),
        ("routes.share", Some("bee"), "claims", Some("[] default 0")),
        ("routes.upstream", Some("bee"), "max_upstreams", Some("\"off\" default 0")),
        ("routes.upstream", Some("bee"), "multiplex", Some("\"off\" default 0")),
        ("routes.upstream", Some("bee"), "hold_secs", None),
        ("routes.limits", Some("bee"), "per_stream", None),
        ("routes.upstream", Some("/c"), "max_upstreams", Some("\"off\" default 0")),
        ("routes.upstream", Some("/c"), "multiplex", None),
        ("routes.client", Some("bee"), "heartbeat_secs", Some("5 defaults 9")),
        ("routes.client", Some("/c"), "heartbeat_secs", None),
        ("routes", Some("/c"), "cors", None),
        ("routes.proxy", Some("/c"), "idle_timeout_secs", Some("3 file 35")),
        ("routes.proxy", Some("/c"), "max_body_bytes", Some("\"off\" default 0")),
        ("routes.proxy", Some("/a"), "max_body_bytes", None),
    ] {
        assert_eq!(shown(section, route, key).as_deref(), expected, "{section}.{key} of {route:?}");
    }
    assert!(!format!("{settings:?}").contains("planted"), "{settings:?}");
}

#[test]
fn variables_that_stand_for_keys_are_named() {
    struct Container;
    impl Sources for Container {
        fn variable(&self, name: &str) -> Result<String, VarError> {
            (name == "MANIFOLD_ORIGIN").then(|| "http://o".to_owned()).ok_or(VarError::NotPresent)
        }

        fn text(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    let config = read("", Variables::Alone, Part::Whole, &Container, Config::of).unwrap();
    let of = |key| config.settings.all.iter().find(|setting| setting.key == key).unwrap();
    assert_eq!(
        (of("origin").from, &of("origin").variables[..]),
        (From::Environment, &["MANIFOLD_ORIGIN".to_owned()][..])
    );
    assert_eq!((of("path").from, of("listen").from), (From::Default, From::Default));
    assert_eq!(of("listen").value.as_ref().unwrap()[0], "0.0.0.0:8080");
}
