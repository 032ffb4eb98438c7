//! nginx, alone or with a module. It needs Debian's package nginx.

use super::child::Child;
use super::identity::Identity;
use super::process;
use super::{Failure, clock};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/// How long nginx may take until it listens, in seconds.
const START: u64 = 10;

/// The installed version, such as "nginx 1.22.1". `None`: it is not installed.
pub(crate) fn version() -> Option<String> {
    let nginx = Command::new(program()?).arg("-v").output().ok()?;
    let nginx = String::from_utf8(nginx.stderr).ok()?;
    Some(format!("nginx {}", nginx.trim().rsplit_once('/')?.1))
}

fn program() -> Option<PathBuf> {
    PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists())
}

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    /// The worker process, which serves. The master only minds it.
    pub(crate) worker: u32,
    master: Child,
}

impl Nginx {
    /// Starts nginx with one worker on core `cpu`, and returns when it listens at `address`. `files`: a folder of its own.
    /// `modules` and `http`: the lines that load modules, and those of the block `http`.
    pub(crate) fn start(
        cpu: usize,
        files: &Path,
        address: SocketAddr,
        modules: &str,
        http: &str,
    ) -> Result<Self, Failure> {
        let program = program().ok_or("nginx is not installed")?;
        let path = files.join("nginx.conf");
        fs::write(&path, config(files, modules, http))?;
        let master = Child::start("nginx", cpu, &program, &["-c".as_ref(), path.as_os_str()])?;
        let give_up = clock::now() + START * clock::SECOND;
        loop {
            let worker = process::descendants(master.pid())?.first().copied();
            if let Some(worker) = worker.filter(|_| TcpStream::connect(address).is_ok()) {
                return Ok(Self { worker, master });
            }
            if clock::now() > give_up {
                let error = fs::read_to_string(files.join("error.log")).unwrap_or_default();
                return Err(format!("nginx does not listen: {error}").into());
            }
            clock::sleep_until(clock::now() + clock::SECOND / 50);
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A master that is killed would leave its worker behind.
        self.master.terminate();
    }
}

/// The lines of a block `server` that make it listen at `address` for TLS 1.3. Session tickets are on by default.
/// `http2`: clients may choose HTTP/2.
pub(crate) fn listen_tls(address: SocketAddr, identity: &Identity, http2: bool) -> String {
    let http2 = if http2 { " http2" } else { "" };
    let (cert, key) = (identity.cert.display(), identity.key.display());
    format!(
        "    listen {address} ssl{http2} backlog=4096; ssl_protocols TLSv1.3;
    ssl_certificate {cert}; ssl_certificate_key {key};
"
    )
}

fn config(files: &Path, modules: &str, http: &str) -> String {
    let files = files.display();
    // As root, nginx would serve as another user, who might not be allowed to enter the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off; worker_processes 1; {user} pid {files}/nginx.pid; error_log {files}/error.log warn;
{modules}
worker_rlimit_nofile 20000;
events {{ worker_connections 19900; }}
http {{
  access_log off; tcp_nodelay on; keepalive_timeout 1h; keepalive_requests 1000000000;
  client_body_temp_path {files}/body; proxy_temp_path {files}/proxy; fastcgi_temp_path {files}/fastcgi;
  uwsgi_temp_path {files}/uwsgi; scgi_temp_path {files}/scgi;
{http}}}
"
    )
}
