//! nginx with Nchan. It needs Debian's packages nginx and libnginx-mod-nchan.

use super::Failure;
use super::identity::Identity;
use super::nginx::{self, Nginx};
use super::server::free_address;
use super::specs::Policy;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The path of stream 0 is this and a 0, both for the publisher and for subscribers.
pub(crate) const PUBLISH: &str = "/publish/";
pub(crate) const SUBSCRIBE: &str = "/s/";

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// The installed versions, such as "nginx 1.22.1, Nchan 1.3.6". `None`: something is missing.
pub(crate) fn version() -> Option<String> {
    let nginx = nginx::version().filter(|_| Path::new(MODULE).exists())?;
    let query = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "libnginx-mod-nchan"]).output();
    let module = query.ok().and_then(|query| String::from_utf8(query.stdout).ok()).unwrap_or_default();
    // Debian writes 1.3.6 as 1:1.3.6+dfsg-2.
    let module = module.split_once(':').map_or(&*module, |(_, version)| version);
    let module = module.split_once('+').map_or(module, |(version, _)| version);
    Some(format!("{nginx}, Nchan {module}"))
}

/// A running nginx with Nchan.
#[derive(Debug)]
pub(crate) struct Nchan {
    /// Where subscribers connect.
    pub(crate) address: SocketAddr,
    /// Where events are posted. It is never TLS, and never HTTP/2.
    pub(crate) publish: SocketAddr,
    pub(crate) nginx: Nginx,
}

impl Nchan {
    /// Starts nginx with one worker on core `cpu`. `files`: a folder of its own. `identity`: subscribers connect over
    /// TLS.
    pub(crate) fn start(
        cpu: usize,
        files: &Path,
        policy: &Policy,
        identity: Option<&Identity>,
    ) -> Result<Self, Failure> {
        // nginx cannot report the port that the kernel chose, so a free port is searched for.
        let publish = free_address()?;
        let separate = identity.is_some() || policy.http2;
        let address = if separate { free_address()? } else { publish };
        let listen = match identity {
            Some(identity) => nginx::listen_tls(address, identity, policy.http2),
            // What listens for HTTP/2 without TLS understands no HTTP/1.1.
            None if policy.http2 => format!("    listen {address} http2 backlog=4096;\n"),
            None => String::new(),
        };
        let module = format!("load_module {MODULE};");
        let nginx = Nginx::start(cpu, files, address, &module, &config(publish, &listen, policy))?;
        Ok(Self { address, publish, nginx })
    }
}

/// Nchan keeps as many events, for as long, as manifold does. `listen`: the lines that make it listen elsewhere,
/// for TLS or HTTP/2.
fn config(address: SocketAddr, listen: &str, policy: &Policy) -> String {
    let (heartbeat_secs, log_events) = (policy.heartbeat_secs, policy.log_events.unwrap_or(1000));
    format!(
        "  client_max_body_size 1m; client_body_buffer_size 64k;
  nchan_shared_memory_size 512M; nchan_message_buffer_length {log_events}; nchan_message_timeout 5m;
  server {{
    listen {address} backlog=4096;
{listen}    location ~ ^{PUBLISH}(\\d+)$ {{ nchan_publisher; nchan_channel_id $1; }}
    location ~ ^{SUBSCRIBE}(\\d+)$ {{
      nchan_subscriber eventsource; nchan_channel_id $1; nchan_subscriber_timeout 0;
      nchan_eventsource_ping_interval {heartbeat_secs};
      nchan_eventsource_ping_event \"\"; nchan_eventsource_ping_comment \"ping\";
    }}
  }}
"
    )
}
