//! The keys of the schema, with their descriptions and defaults.

use super::*;
use crate::config::reader::Section;
use crate::config::report::Report;
use crate::config::{LogConfig, ServerConfig};
use crate::downstream::CorsOptions;
use crate::route::ProxyPolicy;
use serde_json::{Map, json};
use std::collections::BTreeSet;

/// The keys without a default in the schema: the required ones, and those whose default is not the same everywhere.
const WITHOUT_DEFAULT: [&str; 26] = [
    "defaults.auth.algorithms",
    "defaults.auth.jwks_url",
    "defaults.auth.key_env",
    "defaults.auth.key_file",
    "defaults.auth.keys_file",
    "defaults.auth.kind",
    "defaults.auth.names",
    "defaults.auth.url",
    "routes.auth.algorithms",
    "routes.auth.jwks_url",
    "routes.auth.key_env",
    "routes.auth.key_file",
    "routes.auth.keys_file",
    "routes.auth.kind",
    "routes.auth.names",
    "routes.auth.url",
    "routes.name",
    "routes.origin",
    "routes.path",
    "server.shards",
    "server.threads",
    "server.tls.cert",
    "server.tls.certificates.cert",
    "server.tls.certificates.key",
    "server.tls.key",
    "server.tls.listen",
];

#[test]
fn it_is_a_draft_07_schema() {
    assert_eq!(ROOT["$schema"], "http://json-schema.org/draft-07/schema#");
    jsonschema::draft7::meta::validate(&ROOT).unwrap();
}

#[test]
fn it_has_the_keys_that_the_reader_knows_and_no_others() {
    let report = Report::new(
        "[[routes]]\npath = '/a'\norigin = 'http://o'\nupstream.headers.NAME.env = 'TOKEN'\n\
         [defaults]\nupstream.headers.NAME.env = 'TOKEN'\n[[server.tls.certificates]]",
    );
    let document = report.document().unwrap();
    Config::of(Section::root(&report, document.get_ref()), &Imagined::usual());
    let mut known: BTreeSet<(String, String)> =
        report.vocabulary().into_iter().map(|(section, key)| (section, key.to_owned())).collect();
    for table in ["defaults", "routes"] {
        // The reader takes any name there.
        known.insert((format!("{table}.upstream.headers"), "NAME".to_owned()));
        known.insert((format!("{table}.auth.require"), "NAME".to_owned()));
    }
    assert!(known.len() > 120, "{}", known.len());
    let described: BTreeSet<(String, String)> = keys().into_iter().map(|key| (key.section, key.name)).collect();
    let only = |one: &BTreeSet<_>, other| one.difference(other).cloned().collect::<Vec<(String, String)>>();
    assert_eq!((only(&known, &described), only(&described, &known)), (Vec::new(), Vec::new()));
}

#[test]
fn it_refuses_other_keys_in_every_table() {
    let sections: BTreeSet<String> = keys().into_iter().map(|key| key.section).collect();
    assert!(sections.len() > 20, "{sections:?}");
    for section in sections {
        // Any name is good in these tables.
        if section.ends_with("headers") || section.ends_with("require") {
            continue;
        }
        let text = with(&section, "odd", "1");
        let known = if section.ends_with("NAME") { "env = 'TOKEN'" } else { "" };
        takes(&text.replace("odd = 1", known));
        assert!(!faults(&text).unwrap().is_empty(), "{text}");
    }
}

#[test]
fn every_key_is_described_with_its_unit() {
    for key in keys() {
        let path = key.path();
        let description = resolved(key.schema)["description"].as_str().unwrap_or_else(|| panic!("{path}"));
        assert!(description.len() > 20 && description.ends_with('.'), "{path}: {description}");
        for (suffix, unit) in [("_secs", "second"), ("_ms", "millisecond"), ("bytes", "bytes")] {
            assert!(!key.name.ends_with(suffix) || description.contains(unit), "{path}: {description}");
        }
    }
}

/// The default that the schema says for a key, or the defaults of the keys of a table.
fn default(schema: &'static Value) -> Option<Value> {
    let schema = resolved(schema);
    schema.get("default").cloned().or_else(|| {
        let keys = schema["properties"].as_object()?;
        let keys = keys.iter().filter_map(|(key, schema)| Some((key.clone(), default(schema)?)));
        Some(keys.collect::<Map<_, _>>().into())
    })
}

#[test]
fn its_defaults_are_those_of_the_reader() {
    let is_named = |key: &Key| key.section.contains("headers") || key.section.contains("require");
    let is_setting = |key: &Key| !key.section.is_empty() && !is_named(key);
    let without = keys().into_iter().filter(|key| is_setting(key) && default(key.schema).is_none());
    assert_eq!(without.map(|key| key.path()).collect::<BTreeSet<_>>(), WITHOUT_DEFAULT.map(str::to_owned).into());

    let of = |name: &str| default(&ROOT["definitions"][name]).unwrap();
    let mut stream = of("route");
    stream["path"] = json!("/a");
    stream["origin"] = json!("http://o");
    let table = stream.as_object_mut().unwrap();
    table.remove("proxy").unwrap();
    let mut with_cors = stream.clone();
    with_cors["path"] = json!("/b");
    with_cors["cors"] = of("cors");
    let proxy = json!({ "path": "/p", "origin": "http://o", "kind": "proxy", "proxy": of("proxy") });
    let mut server = of("server");
    let tls = server.as_object_mut().unwrap().remove("tls").unwrap();
    let tls = with_tls(&toml::Table::try_from(tls).unwrap().to_string());
    let document = json!({
        "server": server,
        "log": of("log"),
        "defaults": { "share": of("share") },
        "routes": [stream, with_cors, proxy],
    });
    let config = good(&toml::Table::try_from(document).unwrap().to_string());
    assert_eq!(good(&tls).server.tls, good(&with_tls("")).server.tls);
    let [stream, with_cors, proxy] = config.routes.routes() else { panic!("three routes") };
    assert_eq!((&config.server, config.log), (&ServerConfig::default(), LogConfig::default()));
    assert_eq!(*policy(stream), StreamPolicy::default());
    assert_eq!(policy(with_cors).cors, Some(CorsOptions::default()));
    assert_eq!(proxy.kind, RouteKind::Proxy(ProxyPolicy::default()));
    assert_eq!(**stream, route(""));
}
