//! Variables in strings, variables over a file, and variables alone.

use super::*;
use crate::config::{Addresses, ListenAddr, Part, Variables, read};

const FILE: &str = "[[routes]]\npath = '/a'\norigin = 'http://o'\n";

fn environment(variables: &[(&'static str, &'static str)]) -> Imagined {
    Imagined { variables: variables.iter().copied().collect(), ..Imagined::usual() }
}

fn over(file: &str, variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
    read(file, Variables::OverFile, Part::Whole, &environment(variables), Config::of)
}

fn alone(variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
    read("", Variables::Alone, Part::Whole, &environment(variables), Config::of)
}

fn listen(config: &Config) -> Vec<String> {
    config.server.listen.iter().map(ToString::to_string).collect()
}

/// The path and origin of each route.
fn routes(config: &Config) -> Vec<(String, String)> {
    config.routes.routes().iter().map(|route| (route.path.to_string(), route.origin.to_string())).collect()
}

fn pair(path: &str, origin: &str) -> (String, String) {
    (path.to_owned(), origin.to_owned())
}

#[test]
fn one_variable_makes_a_route_for_every_path_on_every_address() {
    let config = alone(&[("MANIFOLD_ORIGIN", "http://app:9000")]).unwrap();
    assert_eq!(routes(&config), [pair("/*", "http://app:9000")]);
    assert_eq!((listen(&config), config.server.admin), (vec!["0.0.0.0:8080".to_owned()], None));
    assert_eq!(&*config.routes.routes()[0].name, "/*");
    assert_eq!(*policy(&config.routes.routes()[0]), StreamPolicy::default());
}

#[test]
fn each_variable_has_its_key() {
    let config = alone(&[
        ("MANIFOLD_ORIGIN", "https://app/base"),
        ("MANIFOLD_PATH", "/events"),
        ("MANIFOLD_LISTEN", "127.0.0.1:81, [::1]:81,unix:/run/m.sock"),
        ("MANIFOLD_ADMIN", "127.0.0.1:9090"),
    ])
    .unwrap();
    assert_eq!(routes(&config), [pair("/events", "https://app/base")]);
    assert_eq!(listen(&config), ["127.0.0.1:81", "[::1]:81", "unix:/run/m.sock"]);
    assert_eq!(config.server.admin, Some(ListenAddr::Tcp("127.0.0.1:9090".parse().unwrap())));
}

#[test]
fn variables_stand_over_a_file_key_by_key() {
    let file =
        "[server]\nlisten = ['127.0.0.1:1']\nadmin = '127.0.0.1:2'\ndrain_secs = 3\n[defaults.replay]\nevents = 7\n";
    let config = over(&format!("{file}{FILE}client.retry_ms = 9"), &[("MANIFOLD_ORIGIN", "http://p")]).unwrap();
    assert_eq!(routes(&config), [pair("/a", "http://p")]);
    assert_eq!(listen(&config), ["127.0.0.1:1"]);
    let config = over(
        &format!("{file}{FILE}"),
        &[("MANIFOLD_LISTEN", "127.0.0.1:4"), ("MANIFOLD_ADMIN", "off"), ("MANIFOLD_PATH", "/b/*")],
    )
    .unwrap();
    assert_eq!(routes(&config), [pair("/b/*", "http://o")]);
    assert_eq!((listen(&config), config.server.admin), (vec!["127.0.0.1:4".to_owned()], None));
    assert_eq!(config.server.drain.as_secs(), 3);
    // If a file has no route, the route of the variables gets the file's defaults.
    let config = over(file, &[("MANIFOLD_ORIGIN", "http://p")]).unwrap();
    assert_eq!(routes(&config), [pair("/*", "http://p")]);
    assert_eq!(policy(&config.routes.routes()[0]).replay.events.map(std::num::NonZeroUsize::get), Some(7));
    // A file that names no address listens on loopback, although the variables alone would listen on all addresses.
    assert_eq!(listen(&over(FILE, &[]).unwrap()), ["127.0.0.1:8080"]);
}

#[test]
fn a_bad_variable_is_told_as_a_bad_key_is() {
    for (variables, expected) in [
        (
            &[("MANIFOLD_ORIGIN", "app:9000"), ("MANIFOLD_PATH", "events"), ("MANIFOLD_LISTEN", "8080")][..],
            "MANIFOLD_ORIGIN = \"app:9000\": must begin with http:// or https://, as in http://127.0.0.1:9000\n\
             MANIFOLD_LISTEN = \"8080\": must be an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \
             \"unix:/path\": the address is missing: 0.0.0.0 stands for every IPv4 address of the machine\n\
             MANIFOLD_PATH = \"events\": must begin with \"/\"",
        ),
        (
            &[
                ("MANIFOLD_ORIGIN", "http://o"),
                ("MANIFOLD_LISTEN", "127.0.0.1:1,127.0.0.1:1"),
                ("MANIFOLD_ADMIN", "on"),
            ],
            "MANIFOLD_LISTEN = \"127.0.0.1:1\": is in the list twice\n\
             MANIFOLD_ADMIN = \"on\": must be an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path\", \
             or \"off\"",
        ),
        (&[("MANIFOLD_ORIGIN", "")], "MANIFOLD_ORIGIN = \"\": must be a URL such as http://127.0.0.1:9000"),
        (
            &[("MANIFOLD_ORIGIN", "http://me:s3cret@o")],
            "MANIFOLD_ORIGIN: must not contain a user name or a password: use [routes.upstream] headers",
        ),
        (
            &[("MANIFOLD_ORIGIN", "http://o"), ("MANIFOLD_ADMIN", "0.0.0.0:8080")],
            "MANIFOLD_ADMIN = \"0.0.0.0:8080\": must not be an address of server.listen",
        ),
    ] {
        let errors = alone(variables).unwrap_err().to_string();
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&errors), sorted(expected), "{errors}");
    }
}

#[test]
fn an_admin_address_that_others_reach_needs_no_file() {
    let admin = ("MANIFOLD_ADMIN", "0.0.0.0:9090");
    let origin = ("MANIFOLD_ORIGIN", "http://o");
    let errors = alone(&[origin, admin]).unwrap_err().to_string();
    assert_eq!(
        errors,
        "MANIFOLD_ADMIN = \"0.0.0.0:9090\": can be reached from other machines, so it needs a token: set \
         server.admin_token_file or the variable MANIFOLD_ADMIN_TOKEN_FILE to a file with a token, or to \"none\" if \
         anyone who can reach the address may ask"
    );
    let access = alone(&[origin, admin, ("MANIFOLD_ADMIN_TOKEN_FILE", "none")]).unwrap().server.admin_access;
    assert_eq!((access.token, access.hosts), (None, vec![]));
    let hosts = ("MANIFOLD_ADMIN_HOSTS", "Sse, sse.internal");
    let access =
        alone(&[origin, admin, ("MANIFOLD_ADMIN_TOKEN_FILE", "one-token"), hosts]).unwrap().server.admin_access;
    assert!(access.token.unwrap().is(b"s3cret"));
    assert_eq!(access.hosts, ["sse", "sse.internal"]);
    let over_a_file = "[server]\nadmin = '0.0.0.0:1'\nadmin_token_file = 'one-token'\nadmin_hosts = ['a']\n";
    let access = over(&format!("{over_a_file}{FILE}"), &[("MANIFOLD_ADMIN_TOKEN_FILE", "none"), hosts]);
    let access = access.unwrap().server.admin_access;
    assert_eq!((access.token, access.hosts), (None, vec!["sse".to_owned(), "sse.internal".to_owned()]));
    let bad = [("MANIFOLD_ADMIN_TOKEN_FILE", "nowhere"), ("MANIFOLD_ADMIN_HOSTS", "a,b:9090,")];
    let errors = alone(&[origin, admin, bad[0], bad[1]]).unwrap_err().to_string();
    let rule = "must be a name without a port, such as \"manifold.internal\"";
    for line in [
        "MANIFOLD_ADMIN_TOKEN_FILE = \"nowhere\": the file cannot be read: entity not found".to_owned(),
        format!("MANIFOLD_ADMIN_HOSTS = \"b:9090\": {rule}"),
        format!("MANIFOLD_ADMIN_HOSTS = \"\": {rule}"),
    ] {
        assert!(errors.lines().any(|told| told == line), "{line}\n{errors}");
    }
}

#[test]
fn errors_of_a_file_and_of_variables_are_told_together() {
    let errors = over(&format!("[server]\nthreads = 0\n{FILE}"), &[("MANIFOLD_ADMIN", "on")]).unwrap_err();
    let expected = "m.toml:2:11: server.threads = 0: must be a whole number above 0\n\
         MANIFOLD_ADMIN = \"on\": must be an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path\", \
             or \"off\"";
    assert_eq!(errors.of_file(Path::new("m.toml")).to_string(), expected);
}

#[test]
fn an_origin_for_several_routes_is_refused_with_the_way_to_say_it() {
    let several = format!("{FILE}[[routes]]\npath = '/b'\norigin = 'http://o'\n");
    let errors = over(&several, &[("MANIFOLD_ORIGIN", "http://p"), ("MANIFOLD_LISTEN", "127.0.0.1:1")]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "MANIFOLD_ORIGIN: sets the origin of a single route, and there are 2: write origin = \"${MANIFOLD_ORIGIN}\" in \
         the routes that need it, and give the variable another name"
    );
    assert!(over(&several, &[("MANIFOLD_LISTEN", "127.0.0.1:1")]).is_ok());
}

#[test]
fn a_path_without_a_route_misses_its_origin() {
    let errors = over("", &[("MANIFOLD_PATH", "/a")]).unwrap_err().to_string();
    assert_eq!(errors, "routes: is missing: write [[routes]] with a path and an origin");
}

#[test]
fn a_text_alone_knows_no_variables_of_manifold() {
    let sources = environment(&[("MANIFOLD_LISTEN", "127.0.0.1:1"), ("MANIFOLD_ORIGIN", "http://p")]);
    let config = Config::parse(FILE, &sources).unwrap();
    assert_eq!((listen(&config), routes(&config)), (vec!["127.0.0.1:8080".to_owned()], vec![pair("/a", "http://o")]));
}

#[test]
fn references_in_strings_are_replaced_whatever_the_key_asks_for() {
    let variables =
        [("PORT", "81"), ("HOST", "o.example"), ("N", "12"), ("T", "0.5"), ("YES", "true"), ("TOKEN", "s3cret")];
    let text = "[server]\nlisten = ['127.0.0.1:${PORT}']\nthreads = '${N}'\ndrain_secs = '${T}'\nadmin = '${ADMIN:-off}'\n\
         [defaults.replay]\nevents = '${EVENTS:-off}'\n\
         [[routes]]\npath = '/a'\nname = '${N}'\norigin = 'http://${HOST}:${PORT}/$${N}'\n\
         share = { trust_origin = '${YES}', query = ['${N}', '$x'] }\n\
         upstream.headers = { authorization = 'Bearer ${TOKEN}' }\n";
    let config = over(text, &variables).unwrap();
    schema::takes(text);
    assert_eq!((listen(&config), config.server.threads.get()), (vec!["127.0.0.1:81".to_owned()], 12));
    assert_eq!((config.server.drain.as_millis(), config.server.admin), (500, None));
    let route = &config.routes.routes()[0];
    assert_eq!((&*route.name, route.origin.to_string().as_str()), ("12", "http://o.example:81/$%7BN%7D"));
    let policy = policy(route);
    assert_eq!((policy.replay.events, policy.share.trust_origin), (None, true));
    assert_eq!(policy.share.query, crate::hub::QueryPolicy::Only(vec!["12".to_owned(), "$x".to_owned()]));
    assert_eq!(policy.upstream.headers[0].1.now().to_str().unwrap(), "Bearer s3cret");
    // Only a value from a variable may be a number in quotes.
    let errors = over(&format!("[server]\nthreads = '12'\n{FILE}"), &variables).unwrap_err().to_string();
    assert_eq!(errors, "line 2, column 11: server.threads = '12': must be a whole number above 0");
}

#[test]
fn a_reference_that_cannot_be_replaced_names_key_and_variable_and_is_told_once() {
    let text = "[server]\nlisten = ['127.0.0.1:1', '127.0.0.1:${PORT}']\nthreads = '${THREADS}'\n\
         [[routes]]\npath = '/a'\norigin = '${ORIGIN'\nupstream.headers = { x-key = '${KEY}' }\n\
         [defaults.client]\nretry_ms = '${MS:-0}'\n";
    assert_eq!(
        over(text, &[]).unwrap_err().to_string(),
        "line 2, column 26: server.listen[1]: the environment variable PORT is not set: set it, or write ${PORT:-default}\n\
         line 3, column 11: server.threads: the environment variable THREADS is not set: set it, or write ${THREADS:-default}\n\
         line 6, column 10: routes[0].origin: \"${\" has no \"}\": write ${NAME} or ${NAME:-default}, or $$ for a dollar\n\
         line 7, column 30: routes[0].upstream.headers.x-key: the environment variable KEY is not set: set it, or write ${KEY:-default}\n\
         line 9, column 12: defaults.client.retry_ms = '${MS:-0}': must be a whole number of milliseconds above 0, or \"origin\" (the value comes from the environment: MS)"
    );
}

#[test]
fn the_server_alone_is_read_whatever_is_wrong_elsewhere() {
    let of_server = |text: &str| -> Result<Addresses, ConfigErrors> {
        let sources = environment(&[("MANIFOLD_ADMIN", "127.0.0.1:9"), ("MANIFOLD_ORIGIN", "nonsense")]);
        read(text, Variables::OverFile, Part::Server, &sources, |mut root, sources| {
            Addresses::read(root.section("server"), sources)
        })
    };
    let server = of_server("odd = 1\n[server]\nlisten = ['127.0.0.1:1']\n[[routes]]\norigin = '${NONE}'").unwrap();
    assert_eq!(server.admin, Some(ListenAddr::Tcp("127.0.0.1:9".parse().unwrap())));
    let odd = of_server("[server]\nodd = 1").unwrap_err().to_string();
    assert!(odd.starts_with("line 2, column 1: server.odd: unknown key; the keys of server are admin, "), "{odd}");
}
