//! `[routes.share]`.

use super::headers::forwardable;
use crate::config::reader::{Item, Rule, Section};
use crate::config::value::{boolean, count, seconds_or_zero, word};
use crate::downstream::LAST_EVENT_ID_PARAMETERS;
use crate::fields::Nature;
use crate::hub::{ClaimField, CookiePolicy, Credentials, Mode, QueryPolicy, ShareOptions};
use http::HeaderName;
use http::header::{COOKIE, RANGE};
use std::num::NonZeroUsize;

/// The sharing policy as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct ShareLayer<'a> {
    options: ShareOptions,
    culprit: Option<Item<'a>>,
    claims: Option<Item<'a>>,
}

impl<'a> ShareLayer<'a> {
    pub(in crate::config) fn read(mut section: Section<'a>, base: &Self) -> Self {
        let mut options = base.options.clone();
        section.set(&mut options.mode, "mode", word(&[("shared", Mode::Shared), ("private", Mode::Private)]));
        if let Some(query) = section.take("query").and_then(|item| query(&item)) {
            options.query = query;
        }
        let headers = section.take("headers");
        if let Some(names) = headers.as_ref().and_then(|item| item.list("must be a list of header names", share_header))
        {
            options.headers = names;
        }
        let credentials = [("isolate", Credentials::Isolate), ("share", Credentials::Share)];
        section.set(&mut options.credentials, "credentials", word(&credentials));
        let secret = section.take("credential_headers");
        if let Some(names) = secret.as_ref().and_then(|item| item.list("must be a list of header names", share_header))
        {
            options.credential_headers = names;
        }
        if let Some(cookies) = section.take("cookies").and_then(|item| cookies(&item)) {
            options.cookies = cookies;
        }
        let named = section.take("claims");
        if let Some(claims) = named.as_ref().and_then(claims) {
            options.claims = claims;
        }
        section.set(&mut options.trust_origin, "trust_origin", boolean);
        section.set(&mut options.linger, "linger_secs", seconds_or_zero);
        section.set(&mut options.max_streams, "max_streams", |value| count(value).map(NonZeroUsize::get));
        section.finish();
        let culprit = headers.or(secret).or_else(|| base.culprit.clone());
        Self { options, culprit, claims: named.or_else(|| base.claims.clone()) }
    }

    pub(in crate::config) fn mode(&self) -> Mode {
        self.options.mode
    }

    /// Reports claims on a route that asks for no credential.
    pub(in crate::config) fn check_claims(&self, has_auth: bool) {
        if let Some(item) = self.claims.as_ref().filter(|_| !has_auth && !self.options.claims.is_empty()) {
            item.fail("needs [routes.auth]: without a credential there are no claims");
        }
    }

    /// The options. It is an error if a header is in both `headers` and `credential_headers`.
    pub(in crate::config) fn resolve(self) -> ShareOptions {
        let ShareOptions { headers, credential_headers, .. } = &self.options;
        let both = headers.iter().find(|name| credential_headers.contains(name));
        let all = headers.iter().chain(credential_headers);
        let of_claim = all.into_iter().find(|name| self.options.claims.iter().any(|claim| claim.field == **name));
        if let (Some(name), Some(culprit)) = (of_claim, &self.culprit) {
            culprit.fail(format_args!("{name} must not be a client's field: it is that of a claim"));
        }
        if let (Some(name), Some(culprit)) = (both, &self.culprit) {
            culprit.fail(format_args!("{name} must not be in both headers and credential_headers"));
        }
        self.options
    }
}

fn claims(item: &Item<'_>) -> Option<Vec<ClaimField>> {
    let claims = item.list("must be a list of claims", claim)?;
    for (at, claim) in claims.iter().enumerate() {
        if let Some(other) = claims.iter().take(at).find(|other| other.field == claim.field) {
            item.fail(format_args!("must not have two claims of one field: {} and {}", other.claim, claim.claim));
        }
    }
    Some(claims)
}

/// Reads the name of a claim. Its field is `x-claim-` and the name, in which every other character is a hyphen.
fn claim(name: &str) -> Result<ClaimField, Rule> {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let field = HeaderName::from_bytes(format!("x-claim-{plain}").as_bytes()).ok().filter(|_| !name.is_empty());
    let field = field.ok_or_else(|| "must be the name of a claim".to_owned())?;
    Ok(ClaimField { claim: name.to_owned(), field })
}

fn query(item: &Item<'_>) -> Option<QueryPolicy> {
    match item.str() {
        Some("all") => Some(QueryPolicy::All),
        Some("none") => Some(QueryPolicy::None),
        _ => {
            let rule = "must be \"all\", \"none\", or a list of parameter names";
            item.list(rule, parameter).map(QueryPolicy::Only)
        }
    }
}

fn parameter(name: &str) -> Result<String, Rule> {
    match name {
        "" => Err("must not be empty".to_owned()),
        // This parameter is removed from the query before the key of a stream is made.
        _ if LAST_EVENT_ID_PARAMETERS.contains(&name) => {
            Err("says where a client resumes: it is never forwarded".to_owned())
        }
        _ => Ok(name.to_owned()),
    }
}

fn share_header(name: &str) -> Result<HeaderName, Rule> {
    let name = forwardable(name)?;
    match Nature::of(&name) {
        _ if name == COOKIE => Err("must not be in this list: cookies are listed in share.cookies".to_owned()),
        Nature::Content | Nature::Bytes => Err("describes a body: the request for a stream has none".to_owned()),
        Nature::Partial if name == RANGE => Err("asks for a part of a response, which a stream cannot give".to_owned()),
        Nature::Partial => Err("makes a request conditional: the answer could be 304 instead of a stream".to_owned()),
        _ => Ok(name),
    }
}

fn cookies(item: &Item<'_>) -> Option<CookiePolicy> {
    if item.str() == Some("all") {
        return Some(CookiePolicy::All);
    }
    item.list("must be \"all\" or a list of cookie names", cookie_name).map(CookiePolicy::Only)
}

/// Reads a cookie's name, which is a token (RFC 6265, section 4.1.1, and RFC 9110, section 5.6.2).
fn cookie_name(name: &str) -> Result<String, Rule> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let name = Some(name).filter(|name| !name.is_empty() && name.chars().all(is_token));
    name.map(str::to_owned).ok_or_else(|| "must be a cookie's name: letters, digits and !#$%&'*+-.^_`|~".to_owned())
}
