use super::*;
use http::HeaderMap;

/// Fields that the table does not name. Some belong to a family.
const OTHERS: [&str; 9] = [
    "access-control-allow-origin",
    "cache-control",
    "content-disposition",
    "if-match",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-odd",
    "x_odd",
];

/// The nature of each field and the questions that are answered with yes.
const EXPECTED: &str = "
accept Usual: forwardable own same-for-all survives-lines
accept-encoding Own: same-for-all survives-lines
accept-ranges Bytes: own
alt-svc Place: forwardable own survives-lines
authorization Credential: forwardable own survives-lines
connection HopByHop:
content-digest Bytes: own
content-encoding Content: own in-shared-refusals survives-lines
content-language Content: own in-shared-streams in-shared-refusals survives-lines
content-length Framing:
content-md5 Bytes: own
content-range Bytes: own
content-type Content: own in-shared-refusals survives-lines
cookie Credential: forwardable own survives-lines
digest Bytes: own
etag Bytes: own
expect Framing:
host Own: same-for-all survives-lines
http2-settings HopByHop:
keep-alive HopByHop:
last-event-id Resume: own same-for-all survives-lines
link EndToEnd: forwardable own in-shared-streams in-shared-refusals survives-lines
location EndToEnd: forwardable own in-shared-refusals survives-lines
origin Page: forwardable own same-for-all survives-lines
proxy-authenticate HopByHop:
proxy-authentication-info HopByHop:
proxy-authorization HopByHop:
proxy-connection HopByHop:
range Partial: own survives-lines
repr-digest Bytes: own
retry-after EndToEnd: forwardable own in-shared-refusals survives-lines
set-cookie Credential: forwardable own survives-lines
te HopByHop:
trailer HopByHop:
transfer-encoding HopByHop:
upgrade HopByHop:
www-authenticate EndToEnd: forwardable own in-shared-refusals survives-lines
x-content-type-options EndToEnd: forwardable own in-shared-streams in-shared-refusals survives-lines
access-control-allow-origin Page: forwardable own same-for-all survives-lines
cache-control EndToEnd: forwardable own survives-lines
content-disposition Content: own survives-lines
if-match Partial: own survives-lines
user-agent EndToEnd: forwardable own survives-lines
via EndToEnd: forwardable own survives-lines
x-forwarded-for EndToEnd: forwardable own survives-lines
x-odd EndToEnd: forwardable own survives-lines
x_odd EndToEnd: forwardable survives-lines
";

fn name(text: &str) -> HeaderName {
    HeaderName::from_bytes(text.as_bytes()).unwrap()
}

fn row_of(field: &str) -> String {
    let name = name(field);
    let answers = [
        ("forwardable", is_forwardable(&name)),
        ("own", is_the_clients_own(&name)),
        ("same-for-all", is_same_for_all(&name)),
        ("in-shared-streams", is_shared(&name, false)),
        ("in-shared-refusals", is_shared(&name, true)),
        ("survives-lines", survives_lines(&name)),
    ];
    let said: String = answers.iter().filter(|(_, is)| *is).map(|(word, _)| format!(" {word}")).collect();
    format!("{field} {:?}:{said}", Nature::of(&name))
}

#[test]
fn each_field_goes_where_it_belongs() {
    let fields = TABLE.iter().map(|(field, ..)| *field).chain(OTHERS);
    let rows: Vec<_> = fields.map(row_of).collect();
    assert_eq!(rows, EXPECTED.trim().lines().collect::<Vec<_>>());
}

#[test]
fn the_table_is_in_order_and_names_each_field_once() {
    assert!(TABLE.is_sorted_by(|(one, ..), (next, ..)| one < next));
}

#[test]
fn what_the_connection_names_does_not_cross() {
    let mut head = HeaderMap::new();
    for (field, value) in [
        ("connection", "close, X-Hop"),
        ("connection", "\"x-quoted\", x-OTHER"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("x-hop", "2"),
        ("x-other", "3"),
        ("x-quoted", "4"),
        ("close", "5"),
        ("x-stays", "6"),
        ("upgrade", "h2c"),
    ] {
        head.append(name(field), value.parse().unwrap());
    }
    let mut passed: Vec<_> = end_to_end(&head).map(|(name, _)| name.as_str()).collect();
    passed.sort_unstable();
    assert_eq!(passed, ["x-quoted", "x-stays"]);
}
