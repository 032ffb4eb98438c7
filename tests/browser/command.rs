//! `manifold demo` on the command line.

use crate::browser::guarded;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

fn demo(listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_manifold"));
    command.args(["demo", "--listen", listen]).env_remove("RUST_LOG").stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn it_says_its_address_and_two_lines_that_work() {
    let mut child = demo("127.0.0.1:0").spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    while lines.iter().filter(|line: &&String| line.contains("curl")).count() < 2 {
        lines.push(guarded("the greeting", said.next_line()).await.unwrap().expect("two lines to try"));
    }
    assert!(lines[0].starts_with("manifold demo: http://127.0.0.1:"), "{lines:?}");
    for line in lines.iter().filter(|line| line.contains("curl")) {
        // The command is run as it is written, by a shell, because users paste it into one.
        let mut curl = Command::new("sh")
            .args(["-c", &format!("exec {}", line.trim())])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut events = BufReader::new(curl.stdout.take().unwrap()).lines();
        let first = async {
            loop {
                let line = events.next_line().await.unwrap().expect("an event");
                if let Some(data) = line.strip_prefix("data: ") {
                    break data.to_owned();
                }
            }
        };
        let first = guarded("an event", first).await;
        assert!(first.contains(r#""n":"#), "{first}");
        curl.kill().await.unwrap();
    }
    signal(&child, Signal::TERM);
    assert_eq!(guarded("the end", child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_demo_on_all_addresses_greets_with_one_that_works_here() {
    let mut child = demo("0.0.0.0:0").spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut greeting = Vec::new();
    while !greeting.iter().any(|line: &String| line.contains("Ctrl-C")) {
        greeting.push(guarded("the greeting", said.next_line()).await.unwrap().expect("a line that ends it"));
    }
    assert!(greeting[0].starts_with("manifold demo: http://127.0.0.1:"), "{greeting:?}");
    let all = greeting.join("\n");
    assert!(!all.contains("http://0.0.0.0") && all.contains("listens on 0.0.0.0:"), "{all}");
    assert!(all.contains("other machines"), "{all}");
    signal(&child, Signal::TERM);
    assert_eq!(guarded("the end", child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_line_that_names_it_and_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut child = demo(&address.to_string()).spawn().unwrap();
    assert_eq!(guarded("the end", child.wait()).await.unwrap().code(), Some(1));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with(&format!("manifold: cannot listen on {address}: ")), "{said}");
    assert!(said.contains("manifold demo --listen 127.0.0.1:"), "{said}");
}

#[tokio::test]
async fn sigint_ends_it_at_once() {
    let mut child = demo("127.0.0.1:0").env("RUST_LOG", "manifold=info").spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let greeting = guarded("the greeting", said.next_line()).await.unwrap().expect("an address");
    let (_, address) = greeting.split_once("http://").expect("a URL");
    let mut client = tokio::net::TcpStream::connect(address.trim_end_matches('/')).await.unwrap();
    client.write_all(b"GET /ticker HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_ne!(guarded("a stream", client.read(&mut [0; 64])).await.unwrap(), 0);
    signal(&child, Signal::INT);
    assert_eq!(guarded("the end", child.wait()).await.unwrap().code(), Some(0));
    // A drain would have ended the stream in order, with its last chunk.
    let mut rest = Vec::new();
    let _cut = guarded("the end of the stream", client.read_to_end(&mut rest)).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(log.contains("SIGINT: exit at once") && !log.contains("draining"), "{log}");
}
