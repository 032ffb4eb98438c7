//! `manifold demo`: the gateway, a small origin and a page that shows them, in one process.
//!
//! ```text
//! browser, curl ──▶ gateway ──▶ origin   /ticker /numbered /flaky /wide   an HTTP server that a button stops and starts
//!                      └──────▶ page     /*                               a second one, so that the page outlives the origin
//! ```
//!
//! The gateway has no special knowledge of the demo. It is configured by a text like any other, and reached over
//! sockets.

mod certificate;
mod crowd;
mod origin;
mod page;
mod pair;
mod ticker;

use crate::config::{Config, ConfigErrors, ListenAddr, SystemSources};
use crate::service::{Running, Service, StartError};
use crate::web::{Server, within_reach};
use certificate::Certificate;
use crowd::Crowd;
use origin::{Kind, Switch};
use page::Page;
use pair::Pair;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ticker::Ticker;
use tokio::net::TcpListener;

/// The address where the demo listens by default.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The time between two events: slow enough to read them, and fast enough not to wait for them.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(1);

/// What the configuration says of the stream for the slow client: the log is short, and a client that falls out of it
/// stays connected.
const WIDE: &str = "share.linger_secs = 1\nreplay.events = 5\nclient.on_lag = \"skip\"     # a slow client loses events and is told so\n";

/// The options of the demo.
#[derive(Debug, Clone, Copy)]
pub struct DemoOptions {
    /// The address where the gateway listens. Port 0: any free port.
    pub listen: SocketAddr,
    /// The address where the gateway also listens for clients that use TLS. `None`: nowhere.
    pub tls: Option<SocketAddr>,
    /// The time between two events of the origin.
    pub period: Duration,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { listen: DEFAULT_ADDRESS, tls: None, period: DEFAULT_PERIOD }
    }
}

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Another program listens on the gateway's address.
    #[error("{0}: another program listens there: stop it, or choose another port: manifold demo --listen {1}")]
    Taken(StartError, SocketAddr),
    /// The gateway cannot start for another reason.
    #[error(transparent)]
    Bind(StartError),
    /// The origin or the page cannot listen.
    #[error("the demo's origin cannot listen on a free port of 127.0.0.1: {0}")]
    Origin(io::Error),
    /// The certificate cannot be made.
    #[error("the demo's certificate cannot be made: {0}")]
    Certificate(io::Error),
    /// The demo's own configuration is wrong.
    #[error("{0}")]
    Config(ConfigErrors),
}

/// A running demo. Dropping it ends it.
#[derive(Debug)]
pub struct Demo {
    running: Running,
    address: SocketAddr,
    /// The address with TLS, and the certificate there.
    tls: Option<(SocketAddr, Certificate)>,
    crowd: Arc<Crowd>,
    pair: Arc<Pair>,
    _page: Server,
}

impl Demo {
    /// Starts the origin, the page and the gateway, on the current runtime.
    ///
    /// # Errors
    /// Fails when one of them cannot listen on its address.
    pub async fn start(options: DemoOptions) -> Result<Self, DemoError> {
        let any_port = (Ipv4Addr::LOCALHOST, 0);
        let ticker = Arc::new(Ticker::start(options.period));
        let origin = Switch::start(Arc::clone(&ticker)).await.map_err(DemoError::Origin)?;
        let page = TcpListener::bind(any_port).await.map_err(DemoError::Origin)?;
        let page_address = page.local_addr().map_err(DemoError::Origin)?;
        let certificate = options.tls.map(|address| Certificate::make(address.ip())).transpose();
        let certificate = certificate.map_err(DemoError::Certificate)?;
        let tls = options.tls.zip(certificate.as_ref());
        let text = configuration(options.listen, tls, origin.address(), page_address);
        let config = Config::parse(&text, &SystemSources::beside(Path::new("demo.toml"))).map_err(DemoError::Config)?;
        let running = Service::bind(config).map_err(|error| bind_error(error, options.listen))?.start();
        // The address with TLS comes after the one without.
        let mut addresses = running.addresses().iter().filter_map(tcp);
        let address = addresses.next().unwrap_or(options.listen);
        let tls = addresses.next().zip(certificate);
        let crowd = Arc::new(Crowd::new(address));
        let pair = Arc::new(Pair::new(address, Arc::clone(&ticker), options.period));
        let counters = running.counters();
        let page_state = Page::new(address, &text, ticker, origin, Arc::clone(&crowd), Arc::clone(&pair), counters);
        Ok(Self { running, address, tls, crowd, pair, _page: Server::start(page, Arc::new(page_state)) })
    }

    /// The address where the gateway listens, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address where the gateway listens for clients that use TLS, with its real port, and the certificate there.
    #[must_use]
    pub fn tls(&self) -> Option<(SocketAddr, PathBuf)> {
        self.tls.as_ref().map(|(address, certificate)| (*address, certificate.cert()))
    }

    /// The text for the user who started the demo: the address, and two commands to try.
    #[must_use]
    pub fn greeting(&self) -> String {
        let near = within_reach(self.address);
        let reach = if self.address.ip().is_unspecified() {
            format!(
                "It listens on {}, so other machines can reach it too. Anyone who can reach it can press its buttons.\n\n",
                self.address
            )
        } else {
            String::new()
        };
        let over_tls = self.tls().map_or_else(String::new, |(address, cert)| {
            let (near, cert) = (within_reach(address), cert.display());
            format!(
                "\nOver TLS: https://{near}/. The browser warns once, because nobody has signed the certificate. Or try:\n\n    \
                 curl -N --cacert {cert} https://{near}{}\n",
                Kind::Ticker.path()
            )
        });
        // The shell asks for an id when the command is run, because an id in the text would soon be too old.
        let recent = format!("\"Last-Event-ID: $(curl -s http://{near}{})\"", page::RECENT_ID);
        format!(
            "manifold demo: http://{near}/\n\n{reach}Open this address in a browser, or try:\n\n    {}\n    {}\n\n\
             The second command resumes: it gets the last five events first. Ctrl-C ends the demo.\n\
             Set the variable RUST_LOG=manifold=info to see what the gateway does.\n{over_tls}",
            curl(near, Kind::Ticker, None),
            curl(near, Kind::Numbered, Some(&recent)),
        )
    }

    /// Ends every client's stream in an orderly way. Resolves when the last client is gone.
    pub async fn drain(self) {
        self.crowd.close();
        self.pair.close();
        self.running.drain().await;
    }
}

/// A command that reads a stream. `header`: a request header, quoted for the shell.
fn curl(address: SocketAddr, kind: Kind, header: Option<&str>) -> String {
    let header = header.map(|header| format!("-H {header} ")).unwrap_or_default();
    format!("curl -N {header}http://{address}{}", kind.path())
}

/// The gateway's configuration, as a user would write it.
fn configuration(
    listen: SocketAddr,
    tls: Option<(SocketAddr, &Certificate)>,
    origin: SocketAddr,
    page: SocketAddr,
) -> String {
    let tls = tls.map_or_else(String::new, |(listen, of)| {
        format!("[server.tls]\nlisten = [\"{listen}\"]\ncert = {:?}\nkey = {:?}\n\n", of.cert(), of.key())
    });
    let mut text = format!(
        "[server]\nlisten = [\"{listen}\"]\n\n{tls}\
         [defaults.share]\n\
         credentials = \"share\"      # public streams: cookies make no difference\n\
         query = \"none\"\n\n\
         [defaults.upstream]\n\
         backoff_max_ms = 2000      # manifold finds an origin that is back within two seconds\n"
    );
    for kind in Kind::ALL {
        let (name, path) = (kind.name(), kind.path());
        // Writing to a string cannot fail.
        let _infallible = write!(
            text,
            "\n[[routes]]                 # {}\nname = \"{name}\"\npath = \"{path}\"\norigin = \"http://{origin}\"\n",
            kind.comment()
        );
        if kind == Kind::Wide {
            text.push_str(WIDE);
        }
    }
    text + &format!(
        "\n[[routes]]                 # everything else: this page\nname = \"page\"\npath = \"/*\"\n\
         origin = \"http://{page}\"\nkind = \"proxy\"\n"
    )
}

fn tcp(address: &ListenAddr) -> Option<SocketAddr> {
    match address {
        ListenAddr::Tcp(address) => Some(*address),
        ListenAddr::Unix(_) => None,
    }
}

fn bind_error(error: StartError, wanted: SocketAddr) -> DemoError {
    let kind = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    if kind == Some(io::ErrorKind::AddrInUse) {
        let other = SocketAddr::new(wanted.ip(), wanted.port().checked_add(1).unwrap_or_default());
        DemoError::Taken(error, other)
    } else {
        DemoError::Bind(error)
    }
}
