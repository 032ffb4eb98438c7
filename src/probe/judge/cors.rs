//! Whether a page of another origin may read the stream (Fetch standard, section 3.3).

use super::super::facts::{Facts, Page};
use super::super::finding::{Finding, Key};
use crate::quoted::quoted;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, VARY,
};
use http::{HeaderMap, HeaderName};

pub(super) fn of(facts: &Facts) -> Vec<Finding> {
    let (Some(page), Some(Ok(head))) = (&facts.page, &facts.head) else { return Vec::new() };
    let mut found = vec![cors(page, &head.fields)];
    if !page.asks.is_empty() {
        found.push(preflight(page));
    }
    found
}

/// Why an answer with these fields is kept from the page. `None`: the page may read it.
fn refusal(page: &Page, fields: &HeaderMap) -> Option<String> {
    let allowed: Vec<_> = fields
        .get_all(ACCESS_CONTROL_ALLOW_ORIGIN)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let origin = &page.origin;
    match allowed.as_slice() {
        [] => return Some("there is no Access-Control-Allow-Origin".to_owned()),
        [_, _, ..] => return Some("Access-Control-Allow-Origin came more than once".to_owned()),
        [any] if any == "*" && page.credentials => {
            return Some("Access-Control-Allow-Origin is \"*\", which is not enough with credentials".to_owned());
        }
        [one] if one != "*" && one != origin.as_str() => {
            return Some(format!("Access-Control-Allow-Origin is {}, not {}", quoted(one), quoted(origin)));
        }
        [_] => {}
    }
    let allows = fields.get(ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some_and(|value| value == "true");
    (page.credentials && !allows).then(|| "Access-Control-Allow-Credentials is not \"true\"".to_owned())
}

fn cors(page: &Page, fields: &HeaderMap) -> Finding {
    let origin = quoted(&page.origin).to_string();
    if let Some(why) = refusal(page, fields) {
        let credentials = if page.credentials { " and \"Access-Control-Allow-Credentials: true\"" } else { "" };
        return Finding::wrong(
            Key::Cors,
            format!("A page of {origin} may not read the stream: {why}."),
            format!(
                "The browser ends the EventSource for ever. Answer with \"Access-Control-Allow-Origin: {}\"{credentials}, \
                 on errors too. Behind manifold, [routes.cors] origins does it.",
                page.origin.escape_debug()
            ),
        );
    }
    let any = fields.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|value| value == "*");
    let names = names(fields, &VARY);
    let varies = names.iter().any(|name| name == "origin" || name == "*");
    let seen =
        format!("A page of {origin} may read the stream{}.", if page.credentials { ", with credentials" } else { "" });
    if any || varies {
        return Finding::good(Key::Cors, seen);
    }
    Finding::note(
        Key::Cors,
        format!("{seen} The answer names it, and there is no \"Vary: Origin\"."),
        "A cache may give this answer to pages of other origins, which may not read it. Add \"Vary: Origin\".",
    )
}

fn preflight(page: &Page) -> Finding {
    let asked = page.asks.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
    let wrong = |why: String| {
        Finding::wrong(
            Key::Preflight,
            format!("For {asked} a browser asks first, with OPTIONS: {why}."),
            format!(
                "The browser does not send the request. Answer OPTIONS with 204, \"Access-Control-Allow-Origin\" and \
                 \"Access-Control-Allow-Headers: {asked}\", without asking for a login. (A native EventSource sends no such \
                 headers; clients on fetch do.)"
            ),
        )
    };
    let Some((status, fields)) = &page.preflight else { return wrong("there was no answer".to_owned()) };
    if !status.is_success() {
        return wrong(format!("the answer is {}", status.as_u16()));
    }
    if let Some(why) = refusal(page, fields) {
        return wrong(why);
    }
    let allowed = names(fields, &ACCESS_CONTROL_ALLOW_HEADERS);
    let is_allowed = |name: &HeaderName| {
        let any = !page.credentials && *name != AUTHORIZATION && allowed.iter().any(|allowed| allowed == "*");
        any || allowed.iter().any(|allowed| allowed == name.as_str())
    };
    match page.asks.iter().find(|name| !is_allowed(name)) {
        Some(name) => wrong(format!("Access-Control-Allow-Headers does not name {name}")),
        None => {
            Finding::good(Key::Preflight, format!("For {asked} a browser asks first, with OPTIONS: that is allowed."))
        }
    }
}

/// The members of a list, in lower case.
fn names(fields: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = fields.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase());
    lines.flat_map(|line| line.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>()).collect()
}
