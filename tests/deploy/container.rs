//! manifold as the first process of a container. The container is a process namespace (`unshare` of util-linux).

use crate::checkout::ends;
use crate::client::Client;
use crate::origin::Origin;
use crate::process::{BINARY, Manifold};
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::process::Command;

/// The only child of a process.
fn child_of(process: Pid) -> Pid {
    let id = process.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn the_first_process_of_a_container_refuses_to_be_replaced_and_says_why() {
    let (origin, folder) = (Origin::start(), TempDir::new().unwrap());
    let config = folder.path().join("manifold.toml");
    let routes = format!("[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", origin.url());
    let admin = folder.path().join("admin.sock");
    let server = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"unix:{}\"\n", admin.display());
    std::fs::write(&config, server + &routes).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", BINARY, "-c"]).arg(&config);
    let mut container = Manifold::run(command);
    let address = container.logged("] listening addr=").await.parse::<SocketAddr>().unwrap();
    let manifold = child_of(container.pid());

    kill_process(manifold, Signal::QUIT).unwrap();
    let line = container.logged("SIGQUIT: this process continues to serve").await;
    assert!(line.contains("process 1") && line.contains("container"), "{line}");
    container.logged("admin listening addr=").await;
    let (success, said, why) = ends(Command::new(BINARY).arg("upgrade").arg("-c").arg(&config), "").await;
    assert!(!success && said.is_empty(), "{said}");
    assert!(why.starts_with("manifold: upgrade: this is process 1 of a container"), "{why}");
    assert!(!container.log().contains("a new process is started"), "{}", container.log());
    let (client, mut body) = tokio::join!(Client::get("/").connect(address), origin.stream());
    body.event("data: still there\n\n").await;
    let mut client = client.stream();
    assert_eq!(client.next_data().await, "still there");
    drop(client);

    kill_process(manifold, Signal::TERM).unwrap();
    container.ends_well().await;
}
