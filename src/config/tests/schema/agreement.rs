//! What the reader takes, the schema takes. What the reader refuses, the schema refuses as far as a schema can tell.

use super::*;
use crate::config::tests::bad::{document, documents, rules};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Parts of the errors of which a schema knows nothing: it does not see files, variables, other routes and merged
/// layers, it computes nothing, and it compares no two keys.
const BEYOND: [&str; 64] = [
    // Other spellings of one value.
    "is in the list twice",
    "is in the table twice",
    "origins[0] = \"https://A.com\": must be",
    "origins[1] = \"https://b.com:443\": must be",
    "must not have bits after its prefix",
    // Numbers inside strings.
    "must be at most 1024GiB",
    "must have a port from 1 to 65535",
    "a port is at most 65535",
    // Two keys.
    "can be reached from other machines",
    "must not be an address of server.listen",
    "must not be the address of server.admin",
    "needs an address in server.listen",
    "must be one or more whole segments at the beginning of the route's path",
    "must not be in both headers and credential_headers",
    "must not be above",
    "must be less than age_secs",
    "credentials must not be true while origins is",
    "has no kind",
    "has no meaning with kind",
    "needs algorithms",
    "needs exactly one of",
    "needs url",
    "needs keys_file",
    "needs names",
    "needs [routes.auth]",
    "must not have two claims of one field",
    "must not be a client's field",
    // Two routes.
    "must not be the path of another route",
    "is never used: ",
    "must not be the name of another route",
    // The meaning of headers, whose names may have any case.
    "is a hop-by-hop header",
    "is the host of the route's origin",
    "is always \"identity\"",
    "describes the body of a request",
    "describes a body",
    "asks for a part of a response",
    "makes a request conditional",
    "is set by manifold itself",
    "says where a stream resumes",
    "cookies are listed in share.cookies",
    // Variables and files.
    "the environment variable is not set",
    "has a private key",
    "key_file = \"empty\": is empty",
    "has no key for the algorithms",
    "names a file that is no list of keys",
    "of the file must be a key of at least",
    "the environment variable is empty",
    ".env = \"LINES\": the value contains",
    ".file = \"lines\": the value contains",
    "the file cannot be read",
    "the file is empty",
    "the file must contain one token",
    "the file contains no certificate",
    "the file is not well-formed PEM",
    "certificate 1 of the file",
    "the file contains a private key and no certificate",
    "the file contains a certificate and no private key",
    "the file contains no private key",
    "the file contains no key",
    "line 2 of the file must be a key",
    "the key is encrypted",
    "the key cannot be used",
    "the key does not belong to the certificate",
    "no client can ask for this certificate",
];

/// Words and numbers of which each key takes some. The words of a key are tried, too.
const SIMPLE: &str =
    "'off' 'on' 'auto' 'all' 'none' 'any' 'live' 'origin' '' '1MiB' '0B' [] true -1 0 0.5 1 1.5 2000000000";

/// Unusual values that the reader takes.
const ODD: &[(&str, &str, &[&str])] = &[
    ("server", "listen", &["['0.0.0.0:0', '0.0.0.0:0']", "['[fe80::1%1]:080', 'unix:/run/m sock']"]),
    ("server", "unix_mode", &["'2'", "'0640'", "'00020'", "'777'"]),
    ("server", "trusted_proxies", &["['::ffff:10.0.0.0/104', '11.0.0.0/08', 'unix', '0.0.0.0/0', '::/0']"]),
    ("server", "head_bytes", &["1024", "'01024B'", "'1024KiB'", "'1MiB'"]),
    ("server", "drain_secs", &["0.001", "1e3", "31536000"]),
    ("server", "replay_bytes", &["1", "0x400", "1099511627776", "'0512B'", "'1024GiB'", "'1099511627776B'"]),
    ("server.limits", "new_per_address_per_sec", &["1000000"]),
    ("routes", "path", &["'/'", "'/a/'", "'/%C3%A4:8/$'", "'/a[b{c^d|e'", "'/a.b/:8/-:/*'", "\"/'\\\"~\""]),
    ("routes", "origin", &["'HTTPS://O.example:8443/base/'", "'http://[::1]'", "'http://\u{e4}.example/\u{20ac} a'"]),
    ("routes", "name", &["'\u{e4}[\u{20ac}]*'"]),
    ("routes", "host", &["'0::1'", "'[::1]'", "['A.com.', '10.0.0.1', 'a_b']"]),
    ("routes", "methods", &["['GET', 'HEAD', '${NONE:-OPTIONS}']", "['${NONE:-GET}']"]),
    ("routes", "accept", &["'Text/Event-Stream'", "'application/vnd.x+json'"]),
    ("routes", "kind", &["'${NONE:-proxy}'\nproxy.idle_timeout_secs = 1\nmethods = ['QUERY', 'purge']"]),
    ("routes.share", "mode", &["'private'\n[routes.replay]"]),
    ("routes.share", "query", &["[]", "['c d', '\u{e4}', '$x']"]),
    ("routes.share", "headers", &["['X-A', \"!#$%&'*+-.^_`|~\"]"]),
    ("routes.share", "cookies", &["[]", "[\"!#$%&'*+-.^_`|~\"]"]),
    ("routes.share", "linger_secs", &["0", "0.0", "0.001"]),
    ("routes.replay", "events", &["'off'\nstart = 'live'", "2\nstart = 2"]),
    ("routes.replay", "gap_event", &["' x\ty '"]),
    ("routes.client", "retry_ms", &["1", "31536000000"]),
    ("routes.client", "retry_jitter", &["0", "1", "0.0"]),
    ("routes.upstream", "headers", &["{ x-a = '', X-B = \"a\\tb\", c.env = 'TOKEN', d.file = 'token' }"]),
    ("routes.cors", "origins", &["['app://X', 'http://[::1]:8080']", "['https://a.example']\ncredentials = true"]),
    ("defaults.cors", "credentials", &["true\norigins = ['*']\n[routes.cors]\norigins = ['https://a.example']"]),
    ("defaults.share", "mode", &["'private'\n[routes.share]\nmode = 'shared'\nquery = 'none'"]),
];

/// The keys of the process and of routes. Those under `[defaults]` have the same schemas.
fn settings() -> Vec<Key> {
    let settings: Vec<_> = keys().into_iter().filter(|key| !key.section.is_empty()).collect();
    settings.into_iter().filter(|key| !key.path().starts_with("defaults") && key.name != "NAME").collect()
}

/// Simple values that the schema takes and the reader refuses, because of the default of another key.
const MORE: [(&str, &str); 8] = [
    ("routes.auth.kind", "'jwt'"),
    ("routes.auth.kind", "'forward'"),
    ("routes.auth.kind", "'key'"),
    ("routes.auth.kind", "'mtls'"),
    ("routes.client.flush_ms", "2000000000"),
    ("routes.cors.credentials", "true"),
    ("routes.upstream.backoff_max_ms", "1"),
    ("routes.upstream.backoff_min_ms", "2000000000"),
];

/// Whether the value of a key names a file or a variable, which must be there.
fn names_a_source(path: &str) -> bool {
    let is_of_tls = path.starts_with("server.tls.") && (path.ends_with(".cert") || path.ends_with(".key"));
    path.ends_with("_file") || path.ends_with(".key_env") || path.contains(".NAME.") || is_of_tls
}

#[test]
fn of_simple_values_a_key_takes_the_same_in_both() {
    let mut differ = Vec::new();
    for key in settings().iter().filter(|key| !names_a_source(&key.path())) {
        let words = alternatives(key.schema).filter_map(|schema| Some(format!("'{}'", schema["const"].as_str()?)));
        for value in words.chain(SIMPLE.split(' ').map(str::to_owned)) {
            let text = with(&key.section, &key.name, &value);
            let (is_read, refused) = (parse(&text).is_ok(), faults(&text).unwrap());
            if is_read != refused.is_empty() && !MORE.contains(&(key.path().as_str(), &value)) {
                differ.push(format!("{} = {value}: {refused:?}", key.path()));
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn an_odd_value_that_the_reader_takes_fits_the_schema() {
    for (section, key, values) in ODD {
        for value in *values {
            good(&with(section, key, value));
        }
    }
}

#[test]
fn what_the_reader_refuses_the_schema_refuses_unless_it_cannot_tell() {
    let of_rules = rules().into_iter().map(|(table, written, _)| document(table, written));
    let of_documents = documents().into_iter().map(|(text, _)| text.to_owned());
    let (mut used, mut refused) = (BTreeSet::new(), 0);
    for text in of_rules.chain(of_documents) {
        let (Some(faults), Err(errors)) = (faults(&text), parse(&text)) else { continue };
        let beyond = |error: &str| BEYOND.into_iter().find(|part| error.contains(part));
        let errors = errors.to_string();
        let untold: Vec<_> = errors.lines().map(beyond).collect();
        assert_eq!(faults.is_empty(), untold.iter().all(Option::is_some), "{text}\n{errors}\n{faults:?}");
        refused += usize::from(!faults.is_empty());
        used.extend(untold.into_iter().flatten());
    }
    assert!(refused > 150, "{refused}");
    let unused: Vec<_> = BEYOND.iter().filter(|part| !used.contains(*part)).collect();
    assert!(unused.is_empty(), "no error has {unused:?}");
}

#[test]
fn a_key_of_any_type_takes_its_value_from_a_variable() {
    let fixed = |path: &str| match path {
        "routes.path" => Some("/a".to_owned()),
        "routes.origin" => Some("http://o".to_owned()),
        "routes.name" => Some("n".to_owned()),
        "server.threads" | "server.shards" => Some("2".to_owned()),
        _ => None,
    };
    let mut tried = 0;
    for key in settings() {
        let reference = |default: &str| format!("'${{NONE:-{default}}}'");
        let value = match &resolved(key.schema)["default"] {
            Value::String(text) => reference(text),
            Value::Array(elements) => format!(
                "[{}]",
                elements.iter().map(|one| reference(one.as_str().unwrap())).collect::<Vec<_>>().join(", ")
            ),
            default @ (Value::Number(_) | Value::Bool(_)) => reference(&default.to_string()),
            Value::Object(_) => continue,
            Value::Null => match fixed(&key.path()) {
                Some(text) => reference(&text),
                None => continue,
            },
        };
        let text = with(&key.section, &key.name, &value);
        good(&text);
        tried += 1;
    }
    assert!(tried > 70, "{tried}");
    let broken = with("server", "drain_secs", "'${3}'");
    assert!(!faults(&broken).unwrap().is_empty() && parse(&broken).is_err());
}

/// Keys that take texts, whether in a list, and how most of their texts begin.
const TEXTS: [(&str, &str, bool, &str); 18] = [
    ("server", "listen", true, "127.0.0.1:"),
    ("server", "unix_mode", false, "0"),
    ("server", "admin", false, "unix:/"),
    ("server", "admin_hosts", true, "a"),
    ("server", "trusted_proxies", true, "::"),
    ("routes", "path", false, "/a"),
    ("routes", "origin", false, "http://o"),
    ("routes", "name", false, "a"),
    ("routes", "host", false, ""),
    ("routes", "host", true, "a"),
    ("routes", "methods", true, "A"),
    ("routes", "accept", false, "text/a"),
    ("routes.share", "query", true, ""),
    ("routes.share", "headers", true, "a"),
    ("routes.share", "cookies", true, ""),
    ("routes.replay", "gap_event", false, ""),
    ("routes.cors", "origins", true, "https://a"),
    ("routes.upstream.headers", "NAME", false, ""),
];

/// What the rest of a text is made of.
const PIECES: &str =
    "a B 0 7 80 . .. : :: / // - _ + ~ = ! ^ | ' \" \\ ` ; , % %41 %2f [ ] { } < > ( ) $ $$ & * ? # @ \u{e4} a.b";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_text_that_the_reader_takes_is_refused(
        (section, key, is_list, begin) in prop::sample::select(&TEXTS[..]),
        pieces in prop::collection::vec(prop::sample::select(PIECES.split(' ').collect::<Vec<_>>()), 0..4),
    ) {
        let value = serde_json::to_string(&format!("{begin}{}", pieces.concat())).unwrap();
        let text = with(section, key, &if is_list { format!("[{value}]") } else { value });
        if parse(&text).is_ok() {
            takes(&text);
        }
    }
}
