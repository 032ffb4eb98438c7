//! nginx that ends TLS and passes the plain bytes on, which is how a gateway without TLS of its own is run.

use super::Failure;
use super::identity::Identity;
use super::nginx::{self, Nginx};
use super::server::free_address;
use std::net::SocketAddr;
use std::path::Path;

/// A running nginx in front of another server.
#[derive(Debug)]
pub(crate) struct Terminator {
    pub(crate) address: SocketAddr,
    pub(crate) nginx: Nginx,
}

impl Terminator {
    /// Starts nginx with one worker on core `cpu`, in front of `origin`. `files`: a folder of its own.
    pub(crate) fn start(cpu: usize, files: &Path, identity: &Identity, origin: SocketAddr) -> Result<Self, Failure> {
        let address = free_address()?;
        let nginx =
            Nginx::start(cpu, files, address, "", &config(&nginx::listen_tls(address, identity, false), origin))?;
        Ok(Self { address, nginx })
    }
}

/// What documentation recommends for streams: no buffering, and HTTP/1.1 to the origin. `secure`: the lines that make
/// nginx listen for TLS.
fn config(secure: &str, origin: SocketAddr) -> String {
    format!(
        "  server {{
{secure}    location / {{
      proxy_pass http://{origin}; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_set_header Host $host; proxy_buffering off; proxy_read_timeout 1h; proxy_send_timeout 1h;
    }}
  }}
"
    )
}
