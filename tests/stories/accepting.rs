//! Connections are accepted until the process is told to stop. If they cannot be, the process logs why and exits.

use crate::client::Client;
use crate::gateway::{BINARY, Gateway, command, config_file, configuration, route};
use crate::origin::Origin;
use crate::stage::opened;
use command_fds::{CommandFdExt, FdMapping};
use rustix::net::{Shutdown, shutdown};
use std::net::TcpListener;

#[tokio::test]
async fn a_socket_that_cannot_be_accepted_from_any_more_ends_the_process_with_a_reason() {
    let origin = Origin::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let text = configuration("", [route("/*", &origin)]).replace("127.0.0.1:0", &address.to_string());
    let config = config_file(&text);
    let mut start = command(BINARY, &["-c", config.path().to_str().unwrap()]);
    let mapping = FdMapping { parent_fd: listener.try_clone().unwrap().into(), child_fd: 3 };
    start.env("LISTEN_FDS", "1").as_std_mut().fd_mappings(vec![mapping]).unwrap();
    let mut gateway = Gateway::run_by(start);
    gateway.log_line("listening addr=").await;
    let (_client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    // From now on the kernel does not treat the socket as a listening one.
    shutdown(&listener, Shutdown::Read).unwrap();
    assert_eq!(gateway.exit_code().await, 1);
    let log = gateway.log();
    assert!(log.contains(&format!("can no longer accept connections at {address}: ")), "{log}");
}
