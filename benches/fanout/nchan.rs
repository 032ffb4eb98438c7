//! nginx with Nchan. It needs Debian's packages nginx and libnginx-mod-nchan.

use super::child::Child;
use super::process;
use super::server::free_address;
use super::specs::Policy;
use super::{Failure, clock};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of stream 0 is this and a 0, both for the publisher and for subscribers.
pub(crate) const PUBLISH: &str = "/publish/";
pub(crate) const SUBSCRIBE: &str = "/s/";

const PROGRAMS: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// How long nginx may take until it listens, in seconds.
const START: u64 = 10;

/// The installed versions, such as "nginx 1.22.1, Nchan 1.3.6". `None`: something is missing.
pub(crate) fn version() -> Option<String> {
    let nginx = Command::new(program()?).arg("-v").output().ok()?;
    let nginx = String::from_utf8(nginx.stderr).ok()?;
    let nginx = nginx.trim().rsplit_once('/')?.1.to_owned();
    let query = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "libnginx-mod-nchan"]).output();
    let module = query.ok().and_then(|query| String::from_utf8(query.stdout).ok()).unwrap_or_default();
    // Debian writes 1.3.6 as 1:1.3.6+dfsg-2.
    let module = module.split_once(':').map_or(&*module, |(_, version)| version);
    let module = module.split_once('+').map_or(module, |(version, _)| version);
    Some(format!("nginx {nginx}, Nchan {module}"))
}

fn program() -> Option<PathBuf> {
    let program = PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists())?;
    Path::new(MODULE).exists().then_some(program)
}

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nchan {
    pub(crate) address: SocketAddr,
    /// The worker process, which serves. The master only minds it.
    pub(crate) worker: u32,
    master: Child,
}

impl Nchan {
    /// Starts nginx with one worker on core `cpu`. `files`: an empty folder.
    pub(crate) fn start(cpu: usize, files: &Path, policy: &Policy) -> Result<Self, Failure> {
        let program = program().ok_or("nginx or Nchan is not installed")?;
        // nginx cannot report the port that the kernel chose, so a free port is searched for.
        let address = free_address()?;
        let path = files.join("nginx.conf");
        fs::write(&path, config(files, address, policy))?;
        let master = Child::start("nginx", cpu, &program, &["-c".as_ref(), path.as_os_str()])?;
        let give_up = clock::now() + START * clock::SECOND;
        loop {
            let worker = process::descendants(master.pid())?.first().copied();
            if let Some(worker) = worker.filter(|_| TcpStream::connect(address).is_ok()) {
                return Ok(Self { address, worker, master });
            }
            if clock::now() > give_up {
                let error = fs::read_to_string(files.join("error.log")).unwrap_or_default();
                return Err(format!("nginx does not listen: {error}").into());
            }
            clock::sleep_until(clock::now() + clock::SECOND / 50);
        }
    }
}

impl Drop for Nchan {
    fn drop(&mut self) {
        // A master that is killed would leave its worker behind.
        self.master.terminate();
    }
}

/// Nchan keeps as many events, for as long, as manifold does.
fn config(files: &Path, address: SocketAddr, policy: &Policy) -> String {
    let (heartbeat_secs, log_events) = (policy.heartbeat_secs, policy.log_events.unwrap_or(1000));
    let files = files.display();
    // As root, nginx would serve as another user, who might not be allowed to enter the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off; worker_processes 1; {user} pid {files}/nginx.pid; error_log {files}/error.log warn;
load_module {MODULE};
worker_rlimit_nofile 20000;
events {{ worker_connections 19900; }}
http {{
  access_log off; tcp_nodelay on; keepalive_timeout 1h; keepalive_requests 1000000000;
  client_body_temp_path {files}/body; proxy_temp_path {files}/proxy; fastcgi_temp_path {files}/fastcgi;
  uwsgi_temp_path {files}/uwsgi; scgi_temp_path {files}/scgi;
  client_max_body_size 1m; client_body_buffer_size 64k;
  nchan_shared_memory_size 512M; nchan_message_buffer_length {log_events}; nchan_message_timeout 5m;
  server {{
    listen {address} backlog=4096;
    location ~ ^{PUBLISH}(\\d+)$ {{ nchan_publisher; nchan_channel_id $1; }}
    location ~ ^{SUBSCRIBE}(\\d+)$ {{
      nchan_subscriber eventsource; nchan_channel_id $1; nchan_subscriber_timeout 0;
      nchan_eventsource_ping_interval {heartbeat_secs};
      nchan_eventsource_ping_event \"\"; nchan_eventsource_ping_comment \"ping\";
    }}
  }}
}}
"
    )
}
