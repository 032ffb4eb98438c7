//! `manifold demo`: the gateway, a small origin and a page that shows them, in one process.
//!
//! ```text
//! browser, curl ──▶ gateway ──▶ origin   /ticker /numbered /flaky   an HTTP server that a button stops and starts
//!                      └──────▶ page     /*                         a second one, so that the page outlives the origin
//! ```
//!
//! The gateway has no special knowledge of the demo. It is configured by a text like any other, and reached over
//! sockets.

mod crowd;
mod origin;
mod page;
mod ticker;

use crate::config::{Config, ConfigErrors, ListenAddr, SystemSources};
use crate::service::{Running, Service, StartError};
use crate::web::Server;
use crowd::Crowd;
use origin::{Kind, Switch};
use page::Page;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ticker::Ticker;
use tokio::net::TcpListener;

/// The address where the demo listens by default.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The time between two events: slow enough to read them, and fast enough not to wait for them.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(1);

/// The options of the demo.
#[derive(Debug, Clone, Copy)]
pub struct DemoOptions {
    /// The address where the gateway listens. Port 0: any free port.
    pub listen: SocketAddr,
    /// The time between two events of the origin.
    pub period: Duration,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { listen: DEFAULT_ADDRESS, period: DEFAULT_PERIOD }
    }
}

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Another program listens on the gateway's address.
    #[error("{0}: another program listens there; stop it, or choose another port: manifold demo --listen {1}")]
    Taken(StartError, SocketAddr),
    /// The gateway cannot start for another reason.
    #[error(transparent)]
    Bind(StartError),
    /// The origin or the page cannot listen.
    #[error("the demo's origin cannot listen on a free port of 127.0.0.1: {0}")]
    Origin(io::Error),
    /// The demo's own configuration is wrong.
    #[error("{0}")]
    Config(ConfigErrors),
}

/// A running demo. Dropping it ends it.
#[derive(Debug)]
pub struct Demo {
    running: Running,
    address: SocketAddr,
    run: String,
    crowd: Arc<Crowd>,
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
        let text = configuration(options.listen, origin.address(), page_address);
        let config = Config::parse(&text, &SystemSources::beside(Path::new("demo.toml"))).map_err(DemoError::Config)?;
        let running = Service::bind(config).map_err(|error| bind_error(error, options.listen))?.start();
        let address = running.addresses().iter().find_map(tcp).unwrap_or(options.listen);
        let crowd = Arc::new(Crowd::new(address));
        let run = ticker.run().to_owned();
        let page_state = Page::new(address, &text, ticker, origin, Arc::clone(&crowd), running.counters());
        Ok(Self { running, address, run, crowd, _page: Server::start(page, Arc::new(page_state)) })
    }

    /// The address where the gateway listens, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The text for the user who started the demo: the address, and two commands to try.
    #[must_use]
    pub fn greeting(&self) -> String {
        let (address, [first, second]) = (self.address, curl_lines(self.address, &self.run));
        format!(
            "manifold demo: http://{address}/\n\nOpen it in a browser, or try\n\n    {first}\n    {second}\n\n\
             Ctrl-C ends it. With RUST_LOG=manifold=info in the environment, the gateway says what it does.\n"
        )
    }

    /// Ends every client's stream in an orderly way. Resolves when the last client is gone.
    pub async fn drain(self) {
        self.crowd.close();
        self.running.drain().await;
    }
}

/// Two commands: one reads a stream from now on, the other from an earlier event.
fn curl_lines(address: SocketAddr, run: &str) -> [String; 2] {
    [
        format!("curl -N http://{address}{}", Kind::Ticker.path()),
        format!("curl -N -H 'Last-Event-ID: {run}-5' http://{address}{}", Kind::Numbered.path()),
    ]
}

/// The gateway's configuration, as a user would write it.
fn configuration(listen: SocketAddr, origin: SocketAddr, page: SocketAddr) -> String {
    let mut text = format!(
        "[server]\nlisten = [\"{listen}\"]\n\n\
         [defaults.share]\n\
         credentials = \"share\"      # public streams: cookies make no difference\n\
         query = \"none\"\n\n\
         [defaults.upstream]\n\
         backoff_max_ms = 2000      # an origin that is back is found within two seconds\n"
    );
    for kind in Kind::ALL {
        let (name, path) = (kind.name(), kind.path());
        // Writing to a string cannot fail.
        let _infallible = write!(
            text,
            "\n[[routes]]                 # {}\nname = \"{name}\"\npath = \"{path}\"\norigin = \"http://{origin}\"\n",
            kind.comment()
        );
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
