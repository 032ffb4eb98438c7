//! Varnish, with all clients of a stream on one streaming fetch. It needs Debian's package varnish.
//!
//! Varnish sends a response to its clients while it is still being fetched, and keeps all of it. So a client that
//! comes late gets the stream from its first event on, and the memory grows with the stream. Each client needs a
//! thread. As long as nobody comes late and the stream is short, it does what manifold does.

use super::child::Child;
use super::process;
use super::server::free_address;
use super::{Failure, clock};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "/usr/sbin/varnishd";

/// How long Varnish may take until it listens, in seconds.
const START: u64 = 20;

/// The installed version, such as "Varnish 7.1.1". `None`: it is not installed.
pub(crate) fn version() -> Option<String> {
    let said = Command::new(PROGRAM).arg("-V").output().ok()?;
    let said = String::from_utf8(said.stderr).ok()?;
    let version = said.split_once("(varnish-")?.1;
    Some(format!("Varnish {}", version.split_once([' ', ')'])?.0))
}

/// A running Varnish.
#[derive(Debug)]
pub(crate) struct Varnish {
    pub(crate) address: SocketAddr,
    /// The process that serves. Its parent only minds it.
    pub(crate) worker: u32,
    parent: Child,
}

impl Varnish {
    /// Starts Varnish on core `cpu`, in front of `origin`. `files`: an empty folder.
    pub(crate) fn start(cpu: usize, files: &Path, origin: SocketAddr) -> Result<Self, Failure> {
        // Varnish reports no port that the kernel chose in a form that is easy to read, so a free one is searched for.
        let address = free_address()?;
        let path = files.join("bench.vcl");
        fs::write(&path, config(origin))?;
        let (listen, work) = (address.to_string(), files.join("work"));
        let mut args = ["-F", "-j", "none", "-s", "malloc,512m", "-a", &listen].map(str::to_owned).to_vec();
        args.extend(["-f".to_owned(), path.display().to_string(), "-n".to_owned(), work.display().to_string()]);
        args.extend(PARAMETERS.iter().flat_map(|parameter| ["-p".to_owned(), (*parameter).to_owned()]));
        let parent = Child::start("varnishd", cpu, Path::new(PROGRAM), &args)?;
        let give_up = clock::now() + START * clock::SECOND;
        loop {
            let worker = process::descendants(parent.pid())?.first().copied();
            if let Some(worker) = worker.filter(|_| TcpStream::connect(address).is_ok()) {
                return Ok(Self { address, worker, parent });
            }
            if clock::now() > give_up {
                return Err("Varnish does not listen".into());
            }
            clock::sleep_until(clock::now() + clock::SECOND / 20);
        }
    }
}

impl Drop for Varnish {
    fn drop(&mut self) {
        // A parent that is killed might leave its child behind.
        self.parent.terminate();
    }
}

/// A thread for each client, all of them in one pool, and no limit on how long a response may take.
const PARAMETERS: [&str; 8] = [
    "thread_pools=1",
    "thread_pool_min=100",
    "thread_pool_max=19000",
    "thread_pool_add_delay=0",
    "thread_queue_limit=19000",
    "listen_depth=4096",
    "send_timeout=86400",
    "idle_send_timeout=86400",
];

/// The built-in rules would not share a response that says `no-cache`, so these return before them.
fn config(origin: SocketAddr) -> String {
    let (host, port) = (origin.ip(), origin.port());
    format!(
        "vcl 4.1;
backend origin {{
  .host = \"{host}\"; .port = \"{port}\"; .first_byte_timeout = 1d; .between_bytes_timeout = 1d;
}}
sub vcl_recv {{ return (hash); }}
sub vcl_backend_response {{ set beresp.do_stream = true; set beresp.ttl = 1d; return (deliver); }}
"
    )
}
