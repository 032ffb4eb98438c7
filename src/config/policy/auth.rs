//! `[routes.auth]`.

use super::upstream::trusted;
use crate::auth::{
    Algorithm, Allow, AuthPolicy, Demand, Demands, Forward, ForwardUrl, Jwt, KeyRing, KeySet, Keys, Kind, Names,
    PathRule, Source, Sources, TicketKey, TicketPolicy, algorithm_of, is_short_secret, keys_of_text,
};
use crate::config::reader::{Item, Rule, Section};
use crate::config::sources::Sources as Files;
use crate::config::value::{boolean, seconds, seconds_or_off, seconds_or_zero, word};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// All keys of the table, each with the kinds that it has a meaning for. Empty: for all.
const KEYS: [(&str, &[Word]); 25] = [
    ("kind", &[]),
    ("from", &[Word::Jwt, Word::Key, Word::Forward]),
    ("algorithms", &[Word::Jwt]),
    ("key_file", &[Word::Jwt]),
    ("key_env", &[Word::Jwt]),
    ("jwks_url", &[Word::Jwt]),
    ("issuer", &[Word::Jwt]),
    ("audience", &[Word::Jwt]),
    ("leeway_secs", &[Word::Jwt]),
    ("require", &[]),
    ("allow", &[]),
    ("url", &[Word::Forward]),
    ("pass_headers", &[Word::Forward]),
    ("subject_header", &[Word::Forward]),
    ("fail_open", &[Word::Forward]),
    ("recheck_secs", &[Word::Forward]),
    ("ca_file", &[Word::Jwt, Word::Forward]),
    ("keys_file", &[Word::Key]),
    ("names", &[Word::Mtls]),
    ("ticket_path", &[]),
    ("ticket_secs", &[]),
    ("ticket_grace_secs", &[]),
    ("ticket_max_secs", &[]),
    ("ticket_key_file", &[]),
    ("ticket_address", &[]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Jwt,
    Forward,
    Key,
    Mtls,
}

/// The table as far as it has been read: its keys, over those of `[defaults.auth]`.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct AuthLayer<'a> {
    items: BTreeMap<&'static str, Item<'a>>,
}

/// The table of a route, while it is resolved.
struct Table<'a, 'f> {
    items: BTreeMap<&'static str, Item<'a>>,
    files: &'f dyn Files,
    /// What is probably not meant.
    advice: Vec<String>,
}

impl<'a> AuthLayer<'a> {
    fn read(mut section: Section<'a>, base: &Self) -> Self {
        let mut items = base.items.clone();
        for (key, _) in KEYS {
            items.extend(section.take(key).map(|item| (key, item)));
        }
        section.finish();
        Self { items }
    }

    /// Reads `auth` over that of a layer below. `None`: there is none, or it is off.
    pub(in crate::config) fn over(
        section: &mut Section<'a>,
        base: Option<&(Self, Item<'a>)>,
    ) -> Option<(Self, Item<'a>)> {
        match section.take("auth") {
            // `"off"` is the only way to undo `[defaults.auth]`, because a route without the key inherits the table.
            Some(item) if item.str() == Some("off") => None,
            Some(item) => {
                let base = base.map(|(layer, _)| layer.clone()).unwrap_or_default();
                item.section().map(|table| (Self::read(table, &base), item))
            }
            None => {
                // Read so that its keys are known to exist.
                Self::read(section.absent("auth"), &Self::default());
                base.cloned()
            }
        }
    }

    /// The policy. `at`: the table, for an error about a key that is missing. `files`: what it names.
    pub(in crate::config) fn resolve(self, at: &Item<'a>, files: &dyn Files) -> Option<AuthPolicy> {
        Table { items: self.items, files, advice: Vec::new() }.policy(at)
    }
}

impl<'a> Table<'a, '_> {
    fn policy(mut self, at: &Item<'a>) -> Option<AuthPolicy> {
        let Some(kind) = self.items.get("kind") else {
            at.fail("has no kind: write kind = \"jwt\", \"forward\", \"key\" or \"mtls\"");
            return None;
        };
        let words = [("jwt", Word::Jwt), ("forward", Word::Forward), ("key", Word::Key), ("mtls", Word::Mtls)];
        let (kind_item, kind) = (kind.clone(), kind.converted(word(&words))?);
        for (key, of) in KEYS {
            if let Some(item) = self.items.get(key).filter(|_| !of.is_empty() && !of.contains(&kind)) {
                item.fail(format_args!("has no meaning with kind = \"{}\"", kind_item.str().unwrap_or_default()));
            }
        }
        let sources = self.sources(kind);
        let demands = Demands { require: self.require(), allow: self.allow() };
        let trusted = self.items.get("ca_file").and_then(|item| trusted(item, self.files));
        let tickets = self.tickets();
        let kind = match kind {
            Word::Jwt => Kind::Jwt(self.jwt(&kind_item)?),
            Word::Forward => Kind::Forward(self.forward(&kind_item)?),
            Word::Key => Kind::Key(self.key_ring(&kind_item)?),
            Word::Mtls => Kind::Mtls(self.names(&kind_item)?),
        };
        let mut policy = AuthPolicy::new(kind, sources?, demands);
        (policy.tickets, policy.trusted, policy.advice) = (tickets?, trusted, self.advice);
        Some(policy)
    }

    fn set<T>(&self, target: &mut T, key: &str, convert: impl Fn(&toml::de::DeValue<'_>) -> Result<T, Rule>) {
        if let Some(value) = self.items.get(key).and_then(|item| item.converted(convert)) {
            *target = value;
        }
    }

    fn sources(&self, kind: Word) -> Option<Sources> {
        let rule = "must be a list such as [\"header\", \"cookie:session\", \"query:token\"]";
        match self.items.get("from") {
            Some(item) if item.elements().is_some_and(|all| all.is_empty()) => {
                item.fail(rule);
                None
            }
            Some(item) => item.list(rule, source).map(Sources),
            None if matches!(kind, Word::Jwt | Word::Key) => Some(Sources(vec![Source::Header(AUTHORIZATION)])),
            None => Some(Sources::default()),
        }
    }

    /// `require`: a list of claims, or a table of claims and their values.
    fn require(&self) -> Vec<Demand> {
        let Some(item) = self.items.get("require") else { return Vec::new() };
        if item.value().is_table() {
            let rule = "must be a table of strings such as { scope = \"events:read\" }";
            let demands = item.all().into_iter().filter_map(|(claim, item)| {
                let value = item.converted(|value| value.as_str().map(str::to_owned).ok_or_else(|| rule.to_owned()))?;
                Some(Demand { claim: claim.to_owned(), value: Some(value) })
            });
            return demands.collect();
        }
        let rule = "must be a list of claims, or a table of claims and their values";
        item.list(rule, |claim| Ok(Demand { claim: claim.to_owned(), value: None })).unwrap_or_default()
    }

    fn allow(&self) -> Allow {
        let Some(item) = self.items.get("allow").filter(|item| item.str() != Some("off")) else {
            return Allow::Everything;
        };
        let rule = |text: &str| PathRule::parse(text).map_err(|invalid| invalid.to_string());
        let read = match item.str() {
            Some(text) => match text.strip_prefix("claim:") {
                Some("") => {
                    item.fail("must name a claim: \"claim:paths\"");
                    None
                }
                Some(claim) => Some(Allow::Listed(claim.to_owned())),
                None => item.converted(|_| rule(text)).map(|rule| Allow::Rules(vec![rule])),
            },
            None if item.elements().is_some_and(|all| all.is_empty()) => {
                item.fail("must have at least one path: without any, nobody would be let in");
                None
            }
            None => {
                let form =
                    "must be \"off\", a path such as \"/users/{sub}/*\", a list of such paths, or \"claim:paths\"";
                item.list(form, rule).map(Allow::Rules)
            }
        };
        // With an error nothing is served, so it does not matter what is allowed.
        read.unwrap_or(Allow::Rules(Vec::new()))
    }

    fn jwt(&mut self, kind: &Item<'a>) -> Option<Jwt> {
        let algorithms = match self.items.get("algorithms") {
            Some(item) if item.elements().is_some_and(|all| !all.is_empty()) => {
                let rule = "must be a list of algorithms";
                item.list(rule, |name| algorithm_of(name).ok_or_else(|| NO_ALGORITHM.to_owned()))?
            }
            Some(item) => {
                item.fail("must be a list such as [\"RS256\"]: a token may use no other algorithm");
                return None;
            }
            None => {
                kind.fail("needs algorithms, such as algorithms = [\"RS256\"]: a token may use no other");
                return None;
            }
        };
        let mut leeway = Duration::from_secs(30);
        self.set(&mut leeway, "leeway_secs", seconds_or_zero);
        let (issuers, audiences) = (self.texts("issuer"), self.texts("audience"));
        let keys = self.keys(kind, &algorithms)?;
        if matches!(keys, Keys::Published(_)) && audiences.is_empty() {
            let path = kind.path();
            self.advice.push(format!(
                "{}: without audience, a token that the issuer made for another service is accepted",
                path.strip_suffix(".kind").unwrap_or(path)
            ));
        }
        Some(Jwt { algorithms, issuers, audiences, leeway, keys })
    }

    /// A text, a list of texts, or `"off"`.
    fn texts(&self, key: &str) -> Vec<String> {
        let Some(item) = self.items.get(key).filter(|item| item.str() != Some("off")) else { return Vec::new() };
        let text = |text: &str| if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) };
        match item.str() {
            Some(one) => item.converted(|_| text(one)).into_iter().collect(),
            None => item.list("must be \"off\", a string or a list of strings", text).unwrap_or_default(),
        }
    }

    fn keys(&mut self, kind: &Item<'a>, algorithms: &[Algorithm]) -> Option<Keys> {
        let given: Vec<_> =
            ["key_file", "key_env", "jwks_url"].into_iter().filter(|key| self.items.contains_key(key)).collect();
        let [key] = given[..] else {
            kind.fail("needs exactly one of key_file, key_env and jwks_url");
            return None;
        };
        let item = self.items.get(key)?.clone();
        let text = match key {
            "jwks_url" => return url(&item).map(|url| Keys::Published(Arc::new(url))),
            "key_env" => {
                let name = item.str().filter(|name| !name.is_empty());
                let Some(name) = name else {
                    item.secret().fail("must be the name of an environment variable");
                    return None;
                };
                self.files
                    .variable(name)
                    .map_err(|_| item.fail("the environment variable is not set, or is not UTF-8"))
                    .ok()?
            }
            _ => self.text(&item)?,
        };
        if is_short_secret(&text, algorithms) {
            self.advice.push(format!(
                "{}: the secret is shorter than the algorithm's digest, so it may be guessed from a token (RFC 7518, \
                 section 3.2)",
                item.path()
            ));
        }
        let keys = keys_of_text(&text, algorithms).map_err(|invalid| item.fail(invalid)).ok()?;
        Some(Keys::Fixed(Arc::<KeySet>::new(keys)))
    }

    /// The text of a file.
    fn text(&self, item: &Item<'a>) -> Option<String> {
        let Some(path) = item.str().filter(|path| !path.is_empty()) else {
            item.fail("must be the path of a file");
            return None;
        };
        let text = self.files.text(Path::new(path));
        text.map_err(|error| item.fail(format_args!("the file cannot be read: {error}"))).ok()
    }

    fn forward(&self, kind: &Item<'a>) -> Option<Forward> {
        let Some(item) = self.items.get("url") else {
            kind.fail("needs url, such as url = \"https://auth.example/check\"");
            return None;
        };
        let url = url(item)?;
        let mut pass = vec![AUTHORIZATION, COOKIE];
        if let Some(names) =
            self.items.get("pass_headers").and_then(|item| item.list("must be a list of header names", header_name))
        {
            pass = names;
        }
        let mut subject = None;
        if let Some(item) = self.items.get("subject_header").filter(|item| item.str() != Some("off")) {
            subject = item.converted(|value| header_name(value.as_str().unwrap_or_default()));
        }
        let (mut fail_open, mut recheck) = (false, None);
        self.set(&mut fail_open, "fail_open", boolean);
        self.set(&mut recheck, "recheck_secs", seconds_or_off);
        Some(Forward { url: Arc::new(url), pass, fail_open, recheck, subject })
    }

    fn key_ring(&self, kind: &Item<'a>) -> Option<KeyRing> {
        let Some(item) = self.items.get("keys_file") else {
            kind.fail("needs keys_file: a file with a SHA-256 digest and a name on each line");
            return None;
        };
        let text = self.text(item)?;
        KeyRing::parse(&text)
            .map_err(|invalid| item.fail(format_args!("names a file that is no list of keys: {invalid}")))
            .ok()
    }

    fn names(&self, kind: &Item<'a>) -> Option<Names> {
        let Some(item) = self.items.get("names") else {
            kind.fail("needs names, such as names = [\"CN=device-*\", \"DNS:*.devices.example\"]");
            return None;
        };
        if item.elements().is_some_and(|all| all.is_empty()) {
            item.fail("must have at least one name: without any, nobody would be let in");
            return None;
        }
        let pattern = |text: &str| {
            let rule =
                "must be such as \"CN=device-*\", \"DNS:*.example\", \"URI:spiffe://example/*\" or \"email:*@example\"";
            if Names::is_pattern(text) { Ok(text.to_owned()) } else { Err(rule.to_owned()) }
        };
        item.list("must be a list of names", pattern).map(Names)
    }

    fn tickets(&self) -> Option<Option<TicketPolicy>> {
        let path = self.items.get("ticket_path").filter(|item| item.str() != Some("off"));
        let mut policy = TicketPolicy {
            path: String::new(),
            lifetime: Duration::from_secs(30),
            grace: Duration::from_secs(300),
            longest: Duration::from_secs(3600),
            keys: None,
            binds_address: false,
        };
        self.set(&mut policy.lifetime, "ticket_secs", seconds);
        self.set(&mut policy.grace, "ticket_grace_secs", seconds_or_zero);
        self.set(&mut policy.longest, "ticket_max_secs", seconds);
        self.set(&mut policy.binds_address, "ticket_address", boolean);
        if let Some(item) = self.items.get("ticket_key_file").filter(|item| item.str() != Some("off")) {
            let text = self.text(item)?;
            let rule = |line| format!("line {line} of the file must be a key of at least 16 characters");
            policy.keys = Some(TicketKey::of_text(&text).map_err(|line| item.clone().secret().fail(rule(line))).ok()?);
        }
        let Some(item) = path else { return Some(None) };
        policy.path = item.converted(ticket_path)?;
        Some(Some(policy))
    }
}

const NO_ALGORITHM: &str =
    "must be one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA";

fn ticket_path(value: &toml::de::DeValue<'_>) -> Result<String, Rule> {
    let is_path = |path: &&str| path.starts_with('/') && !path.contains(['*', '?', '#', ' ', '{']) && path.len() > 1;
    value
        .as_str()
        .filter(is_path)
        .map(str::to_owned)
        .ok_or_else(|| "must be \"off\" or an exact path such as \"/ticket\"".to_owned())
}

fn source(text: &str) -> Result<Source, Rule> {
    let rule = "must be \"header\", \"header:NAME\", \"cookie:NAME\" or \"query:NAME\"";
    match text.split_once(':') {
        None if text == "header" => Ok(Source::Header(AUTHORIZATION)),
        Some((_, "")) => Err(rule.to_owned()),
        Some(("header", name)) => header_name(name).map(Source::Header),
        Some(("cookie", name)) => Ok(Source::Cookie(name.to_owned())),
        Some(("query", name)) => Ok(Source::Query(name.to_owned())),
        _ => Err(rule.to_owned()),
    }
}

fn header_name(name: &str) -> Result<HeaderName, Rule> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| "must be a header's name".to_owned())
}

fn url(item: &Item<'_>) -> Option<ForwardUrl> {
    let text = item.str().unwrap_or_default();
    // A URL that wrongly holds credentials is still a secret.
    let item = if text.contains('@') { item.clone().secret() } else { item.clone() };
    ForwardUrl::parse(text).map_err(|invalid| item.fail(invalid)).ok()
}
