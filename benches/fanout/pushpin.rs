//! Pushpin. It needs Debian's package pushpin.

use super::child::Child;
use super::process;
use super::server::free_address;
use super::{Failure, clock};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = "/usr/bin/pushpin";

/// The processes that the program starts.
const PROCESSES: usize = 4;

/// How long Pushpin may take until it listens, in seconds.
const START: u64 = 20;

/// The installed version, such as "Pushpin 1.36.0". `None`: it is not installed.
pub(crate) fn version() -> Option<String> {
    let said = Command::new(PROGRAM).arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    Some(format!("Pushpin {}", said.trim().rsplit_once(' ')?.1))
}

/// A running Pushpin.
#[derive(Debug)]
pub(crate) struct Pushpin {
    pub(crate) address: SocketAddr,
    /// Where events are pushed to.
    pub(crate) push: SocketAddr,
    /// The program and the processes that it started.
    pub(crate) pids: Vec<u32>,
    program: Child,
}

impl Pushpin {
    /// Starts Pushpin on core `cpu`, in front of `origin`. `files`: an empty folder.
    pub(crate) fn start(cpu: usize, files: &Path, origin: SocketAddr) -> Result<Self, Failure> {
        // Pushpin cannot report the ports that the kernel chose, so free ones are searched for.
        let (address, push, http) = (free_address()?, free_address()?, free_address()?);
        let path = files.join("pushpin.conf");
        fs::write(&path, config(files, address, push, http))?;
        fs::write(files.join("routes"), format!("* {origin}\n"))?;
        let program = Child::start("pushpin", cpu, Path::new(PROGRAM), &["--config".as_ref(), path.as_os_str()])?;
        let give_up = clock::now() + START * clock::SECOND;
        loop {
            let mut pids = process::descendants(program.pid())?;
            if pids.len() == PROCESSES && TcpStream::connect(push).is_ok() && is_ready(address) {
                pids.push(program.pid());
                return Ok(Self { address, push, pids, program });
            }
            if clock::now() > give_up {
                return Err("Pushpin does not listen".into());
            }
            clock::sleep_until(clock::now() + clock::SECOND / 20);
        }
    }
}

/// Whether a client is served. Pushpin listens before its processes have found each other, and answers with 502 then.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(b"GET /s/0 HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut status = [0; 15];
        socket.read_exact(&mut status)?;
        Ok::<_, std::io::Error>(status)
    };
    ask().is_ok_and(|status| status == *b"HTTP/1.1 200 OK")
}

impl Drop for Pushpin {
    fn drop(&mut self) {
        self.program.terminate();
    }
}

/// The default options, except for addresses, folders, and limits that the load would reach.
fn config(files: &Path, address: SocketAddr, push: SocketAddr, http: SocketAddr) -> String {
    let (files, http_port) = (files.display(), http.port());
    let ipc = |name: &str| format!("ipc://{files}/{name}");
    let (requests, more, answers) = (ipc("bench-zurl-in"), ipc("bench-zurl-in-stream"), ipc("bench-zurl-out"));
    let (sub, command) = (ipc("sub"), ipc("command"));
    format!(
        "[global]
include={{libdir}}/internal.conf
rundir={files}
ipc_prefix=bench-
[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port={address}
logdir={files}
log_level=1
client_buffer_size=8192
client_maxconn=19000
condure_bin=condure
zurl_bin=zurl
[proxy]
routesfile=routes
zurl_out_specs={requests}
zurl_out_stream_specs={more}
zurl_in_specs={answers}
updates_check=off
sig_key=bench
[handler]
push_in_spec=tcp://{push}
push_in_sub_specs={sub}
command_spec={command}
push_in_http_addr=127.0.0.1
push_in_http_port={http_port}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
message_rate=1000000000
message_hwm=1000000
message_wait=5000
"
    )
}
