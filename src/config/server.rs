//! `[server]`: sockets, threads and limits of the process.

use super::admin::{self, AdminAccess};
use super::limits::{self, ServerLimits};
use super::networks::{Networks, trusted};
use super::reader::{Item, Rule, Section};
use super::sources::Sources;
use super::tls::{self, TlsConfig};
use super::value::{boolean, bytes, bytes_or, count_or, count_to, count_to_or_off, seconds, word};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;
use toml::de::DeValue;

/// The most threads. A larger number is probably a mistake.
const MAX_THREADS: usize = 1024;
/// The longest path of a Unix socket, without the final NUL (`sun_path` in unix(7)).
const MAX_SOCKET_PATH: usize = 107;
/// The limits of `head_bytes`. With less, requests of browsers would be refused. A larger head would be refused by
/// pingora.
const HEAD_BYTES: RangeInclusive<usize> = 1 << 10..=1 << 20;

/// How old a snapshot may be, unless the configuration says it.
const SNAPSHOT_MAX_AGE: Duration = Duration::from_secs(300);

/// The write permissions of owner, group and others. A client needs one of them to connect to a Unix socket
/// (unix(7)).
const ANYBODY_WRITES: u32 = 0o222;

const TCP_RULE: &str = "must be an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\"";

/// Sockets, threads and limits of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The addresses that clients connect to without TLS. There is at least one, unless there is `tls`.
    pub listen: Vec<ListenAddr>,
    /// The permissions of the files of Unix sockets, as for chmod(2).
    pub unix_mode: u32,
    /// The address for health, metrics and status. `None`: off.
    pub admin: Option<ListenAddr>,
    /// Who may ask there.
    pub admin_access: AdminAccess,
    /// The proxies that are believed about a client's address, scheme and host. Fields of other peers about these are
    /// replaced.
    pub trusted_proxies: Networks,
    /// Connections of trusted proxies begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The most bytes of a request head. A larger head is answered with 431.
    pub head_bytes: usize,
    /// The time for a whole request head. It begins with the connection or, for later requests, with the first byte. A
    /// slower head is answered with 408.
    pub head_timeout: Duration,
    /// How long a connection without a request is kept open.
    pub keepalive: Duration,
    /// The worker threads of the tokio runtime.
    pub threads: NonZeroUsize,
    /// The number of threads of the delivery engine. `None`: there is no engine, and each client is served by a task of
    /// the tokio runtime.
    pub shards: Option<NonZeroUsize>,
    /// Whether the delivery engine may send through io_uring.
    pub io_uring: bool,
    /// What serves connections of HTTP/2.
    pub http2: Http2By,
    /// The most connections at once. Each further stream of an HTTP/2 connection counts as one. `None`: the descriptor
    /// limit less a reserve.
    pub max_connections: Option<usize>,
    /// The bytes that the logs of all streams may hold together. `None`: a quarter of the machine's memory.
    pub replay_bytes: Option<usize>,
    /// The longest time from SIGTERM to the exit.
    pub drain: Duration,
    /// Where the replay logs are kept between two processes. `None`: nowhere.
    pub snapshot: Option<SnapshotFile>,
    /// Whether the configuration is read again when its file, or a file that it names, changes.
    pub watch: bool,
    /// What one client address may take, and how clients are refused.
    pub limits: ServerLimits,
    /// The addresses that clients connect to with TLS. `None`: there are none.
    pub tls: Option<TlsConfig>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            listen: vec![ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))],
            unix_mode: 0o660,
            admin: None,
            admin_access: AdminAccess::default(),
            trusted_proxies: Networks::default(),
            proxy_protocol: false,
            head_bytes: 64 << 10,
            head_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(75),
            threads: cores,
            shards: Some(cores),
            io_uring: true,
            http2: Http2By::Engine,
            max_connections: None,
            replay_bytes: None,
            drain: Duration::from_secs(8),
            snapshot: None,
            watch: false,
            limits: ServerLimits::default(),
            tls: None,
        }
    }
}

/// The file in which the replay logs are kept between two processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its path.
    pub path: PathBuf,
    /// An older snapshot is not used.
    pub max_age: Duration,
}

/// What serves connections of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2By {
    /// The delivery engine, if there is one.
    Engine,
    /// Sessions of pingora.
    Session,
}

/// An address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// A TCP address. With port 0 the system chooses the port.
    Tcp(SocketAddr),
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub(super) fn read(section: Section<'_>, sources: &dyn Sources) -> ServerConfig {
    let (server, tls) = without_tls(section, sources);
    let tls = tls::read(tls, &server.listen, server.admin.as_ref(), sources);
    ServerConfig { tls, ..server }
}

/// Reads everything but `[server.tls]`, and returns that table.
pub(super) fn without_tls<'a>(mut section: Section<'a>, sources: &dyn Sources) -> (ServerConfig, Section<'a>) {
    let mut server = ServerConfig::default();
    if let Some(item) = section.take("listen") {
        server.listen = listen(&item, section.peek("tls").is_some());
    }
    section.set(&mut server.unix_mode, "unix_mode", file_mode);
    (server.admin, server.admin_access) = admin::read(&mut section, &server.listen, sources);
    if let Some(item) = section.take("trusted_proxies") {
        let rule = "must be a list of addresses and networks such as [\"127.0.0.1\", \"10.0.0.0/8\"]";
        server.trusted_proxies = item.list(rule, trusted).unwrap_or_default().into_iter().collect();
    }
    let proxy_protocol =
        section.set(&mut server.proxy_protocol, "proxy_protocol", word(&[("off", false), ("on", true)]));
    // Without trusted proxies, any client could claim another address.
    if let Some(item) = proxy_protocol.filter(|_| server.proxy_protocol && server.trusted_proxies.is_empty()) {
        item.fail("needs server.trusted_proxies: manifold believes such headers only if they come from these proxies");
    }
    section.set(&mut server.head_bytes, "head_bytes", head_bytes);
    section.set(&mut server.head_timeout, "head_secs", seconds);
    section.set(&mut server.keepalive, "keepalive_secs", seconds);
    section.set(&mut server.threads, "threads", count_to(MAX_THREADS));
    section.set(&mut server.shards, "shards", count_to_or_off(MAX_THREADS));
    section.set(&mut server.io_uring, "io_uring", word(&[("auto", true), ("off", false)]));
    section.set(&mut server.http2, "http2", word(&[("engine", Http2By::Engine), ("session", Http2By::Session)]));
    let max_connections = section.take("max_connections").and_then(|item| item.converted(count_or("auto")));
    server.max_connections = max_connections.flatten().map(NonZeroUsize::get);
    section.set(&mut server.replay_bytes, "replay_bytes", bytes_or("auto"));
    section.set(&mut server.drain, "drain_secs", seconds);
    server.snapshot = snapshot(&mut section, sources);
    section.set(&mut server.watch, "watch", boolean);
    server.limits = limits::of_server(section.section("limits"));
    let tls = section.section("tls");
    section.finish();
    (server, tls)
}

fn snapshot(section: &mut Section<'_>, sources: &dyn Sources) -> Option<SnapshotFile> {
    let mut max_age = SNAPSHOT_MAX_AGE;
    section.set(&mut max_age, "snapshot_max_age_secs", seconds);
    let path = section.take("snapshot_file").and_then(|item| item.converted(snapshot_file)).flatten()?;
    let path = sources.located(&path).unwrap_or(path);
    Some(SnapshotFile { path, max_age })
}

/// The path of a file. `None`: off.
fn snapshot_file(value: &DeValue<'_>) -> Result<Option<PathBuf>, Rule> {
    let text = value.as_str().filter(|text| !text.is_empty() && !text.contains('\0') && !text.ends_with('/'));
    match text.ok_or("must be the path of a file, such as \"/var/lib/manifold/snapshot\", or \"off\"")? {
        "off" => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    }
}

fn head_bytes(value: &DeValue<'_>) -> Result<usize, Rule> {
    let bytes = bytes(value)?;
    if HEAD_BYTES.contains(&bytes) { Ok(bytes) } else { Err("must be from 1KiB to 1MiB".to_owned()) }
}

/// `has_tls`: there are other addresses, so there need not be one here.
fn listen(item: &Item<'_>, has_tls: bool) -> Vec<ListenAddr> {
    let Some(elements) = item.elements() else {
        item.fail("must be a list of addresses such as [\"127.0.0.1:8080\", \"unix:/run/manifold.sock\"]");
        return Vec::new();
    };
    if elements.is_empty() && !has_tls {
        item.fail("must name at least one address");
    }
    let mut listen = Vec::with_capacity(elements.len());
    for element in elements {
        let Some(address) = element.converted(|value| listen_addr(value.as_str(), ", or \"unix:/path\"")) else {
            continue;
        };
        // Each port 0 becomes a different port.
        let is_chosen_later = matches!(address, ListenAddr::Tcp(tcp) if tcp.port() == 0);
        if listen.contains(&address) && !is_chosen_later {
            element.fail("is in the list twice");
        } else {
            listen.push(address);
        }
    }
    listen
}

/// An address. `alternatives`: what else may stand there, in words.
pub(super) fn listen_addr(text: Option<&str>, alternatives: &str) -> Result<ListenAddr, String> {
    let Some(path) = text.and_then(|text| text.strip_prefix("unix:")) else {
        return tcp_addr(text, alternatives).map(ListenAddr::Tcp);
    };
    if !path.starts_with('/') || path.len() > MAX_SOCKET_PATH || path.contains('\0') {
        return Err(format!("must be \"unix:\" and an absolute path of at most {MAX_SOCKET_PATH} bytes"));
    }
    Ok(ListenAddr::Unix(PathBuf::from(path)))
}

/// Permissions as octal digits in quotes. A number is refused, because `660` in TOML is decimal.
fn file_mode(value: &DeValue<'_>) -> Result<u32, Rule> {
    let digits = value.as_str().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()).filter(|mode| *mode <= 0o777);
    let mode = mode.ok_or("must be octal digits in quotes, at most \"0777\", such as \"0660\"")?;
    if mode & ANYBODY_WRITES == 0 {
        let rule =
            "must allow the owner, the group or others to write, because clients need that to connect, as in \"0660\"";
        return Err(rule.to_owned());
    }
    Ok(mode)
}

/// A TCP address. `alternatives`: what else may stand there, in words.
pub(super) fn tcp_addr(text: Option<&str>, alternatives: &str) -> Result<SocketAddr, String> {
    let address = text.and_then(|text| text.parse().ok());
    address.ok_or_else(|| {
        let fault = text.and_then(fault_of_address).map(|fault| format!(": {fault}"));
        format!("{TCP_RULE}{alternatives}{}", fault.unwrap_or_default())
    })
}

/// What is wrong with a text that is no TCP address, if it looks like one.
fn fault_of_address(text: &str) -> Option<&'static str> {
    const NO_PORT: &str = "the port is missing";
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with("http://") || text.starts_with("https://") {
        return Some("it is no URL, so leave out what stands before the address");
    }
    if are_digits(text.strip_prefix(':').unwrap_or(text)) {
        return Some("the address is missing: 0.0.0.0 stands for every IPv4 address of the machine");
    }
    match text.parse() {
        Ok(IpAddr::V4(_)) => return Some(NO_PORT),
        Ok(IpAddr::V6(_)) => return Some("an IPv6 address needs brackets and a port"),
        Err(_) => {}
    }
    let in_brackets = |text: &str| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    if in_brackets(text).is_some() {
        return Some(NO_PORT);
    }
    let (host, _) = text.rsplit_once(':').filter(|(_, port)| are_digits(port))?;
    if host.parse::<Ipv4Addr>().is_ok() || in_brackets(host).is_some() {
        return Some("a port is at most 65535");
    }
    // A name may have several addresses, and the configuration must say which of them to bind.
    Some("host names are not allowed here").filter(|_| !host.contains(['/', ':', '[', ']']))
}
