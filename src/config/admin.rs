//! `[server] admin`: the address for operators, and who may ask there.

use super::environment::ADMIN_TOKEN_FILE;
use super::reader::{Item, Rule, Section};
use super::server::{ListenAddr, listen_addr};
use super::sources::Sources;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use toml::de::DeValue;

/// The value of `admin_token_file` that lets an address beyond loopback be without a token.
const NONE: &str = "none";

const HOST_RULE: &str = "must be a name without a port, such as \"manifold.internal\"";

/// Who may ask at the admin address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminAccess {
    /// The token that requests must bear. `None`: none is needed.
    pub token: Option<Token>,
    /// The names besides addresses and `localhost` by which the address may be called, in lower case.
    pub hosts: Vec<String>,
}

/// A secret that requests must bear.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: Arc<str>,
    /// The path of the file, as it is written.
    file: Arc<str>,
    /// Whether every user of the machine may read the file.
    is_exposed: bool,
}

impl Token {
    /// Whether `text` is the token. That takes the same time for every text of one length.
    #[must_use]
    pub fn is(&self, text: &[u8]) -> bool {
        self.text.as_bytes().ct_eq(text).into()
    }

    /// The path of its file, as the configuration writes it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The value of `Authorization` of a request that bears it.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.text)
    }

    /// The warning that every user of the machine may read the token's file.
    pub(super) fn advice(&self) -> Option<String> {
        let path = &self.file;
        let text = "every user of this machine can read";
        self.is_exposed.then(|| format!("server.admin_token_file: {text} {path}: chmod o-r keeps the token secret"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What `admin_token_file` says.
#[derive(PartialEq)]
enum Needed {
    /// Nothing, which is enough for loopback addresses and Unix sockets.
    Unsaid,
    /// Everybody may ask.
    No,
    Token(Option<Token>),
}

/// Reads the keys of the admin address.
pub(super) fn read(
    section: &mut Section<'_>,
    listen: &[ListenAddr],
    sources: &dyn Sources,
) -> (Option<ListenAddr>, AdminAccess) {
    let item = section.take("admin").filter(|item| item.str() != Some("off"));
    let admin = item.as_ref().and_then(|item| address(item, listen));
    let needed = section.take("admin_token_file").map_or(Needed::Unsaid, |item| token_file(&item, sources));
    let hosts = section
        .take("admin_hosts")
        .and_then(|item| item.list("must be a list of names such as [\"manifold.internal\"]", host));
    if let (Some(item), Some(ListenAddr::Tcp(tcp)), Needed::Unsaid) = (&item, &admin, &needed)
        && !is_loopback(tcp.ip())
    {
        item.fail(format_args!(
            "can be reached from other machines, so it needs a token: set server.admin_token_file or the variable \
             {ADMIN_TOKEN_FILE} to a file with a token, or to \"none\" if anyone who can reach the address may ask"
        ));
    }
    let token = if let Needed::Token(token) = needed { token } else { None };
    (admin, AdminAccess { token, hosts: hosts.unwrap_or_default() })
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn address(item: &Item<'_>, listen: &[ListenAddr]) -> Option<ListenAddr> {
    let address = item.converted(|value| listen_addr(value.as_str(), ", or \"unix:/path\", or \"off\""))?;
    let is_chosen_later = matches!(address, ListenAddr::Tcp(tcp) if tcp.port() == 0);
    if !is_chosen_later && listen.contains(&address) {
        item.fail("must not be an address of server.listen");
        return None;
    }
    Some(address)
}

fn token_file(item: &Item<'_>, sources: &dyn Sources) -> Needed {
    match item.converted(|value| value.as_str().map(str::to_owned).ok_or_else(|| path_rule(value))) {
        Some(path) if path == "off" => Needed::Unsaid,
        Some(path) if path == NONE => Needed::No,
        Some(path) => Needed::Token(item.converted(|_| token(&path, sources))),
        None => Needed::Token(None),
    }
}

fn path_rule(_: &DeValue<'_>) -> Rule {
    "must be the path of a file, or \"off\" or \"none\"".to_owned()
}

/// The token in a file. Its line end does not count.
fn token(path: &str, sources: &dyn Sources) -> Result<Token, Rule> {
    let file = Path::new(path);
    let text = sources.text(file).map_err(|error| format!("the file cannot be read: {error}"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err("the file is empty: it must contain a token".to_owned());
    }
    // These are the characters that can stand in `Authorization: Bearer` (RFC 6750, section 2.1).
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
        return Err("the file must contain one token and nothing else: letters, digits and -._~+/=".to_owned());
    }
    let is_exposed = sources.is_readable_by_all(file);
    Ok(Token { text: Arc::from(text), file: Arc::from(path), is_exposed })
}

fn host(name: &str) -> Result<String, Rule> {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_name { Ok(name.to_ascii_lowercase()) } else { Err(HOST_RULE.to_owned()) }
}
