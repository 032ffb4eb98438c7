//! A log that nobody reads.

use crate::client::Client;
use crate::gateway::{BINARY, config_file, configuration, route};
use crate::guard::guarded;
use crate::origin::{Origin, Port};
use crate::stage::numbered;
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

/// A gateway with this configuration. Its log is read up to the line that names its address.
pub async fn deaf(text: &str) -> (Child, SocketAddr, BufReader<ChildStderr>) {
    let file = config_file(text);
    let mut command = Command::new(BINARY);
    command.args(["-c", file.path().to_str().unwrap()]).env("RUST_LOG", "info").stderr(Stdio::piped());
    let mut gateway = command.kill_on_drop(true).spawn().unwrap();
    let mut log = BufReader::with_capacity(1, gateway.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(guarded("a log line", log.read_line(&mut line)).await.unwrap(), 0);
        if let Some((_, address)) = line.trim_end().split_once("listening addr=") {
            break address.parse().unwrap();
        }
    };
    (gateway, address, log)
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_events_nor_answers_nor_the_end() {
    for (server, is_read_again) in [("", true), ("shards = \"off\"", false)] {
        let origin = Origin::start();
        let nobody = Port::reserve();
        let dead = route("/dead", &nobody).with("kind = \"proxy\"");
        let text = configuration(server, [dead, route("/*", &origin).with("client.heartbeat_secs = 0.2")]);
        let (mut gateway, address, mut log) = deaf(&text).await;
        let client = Client::get("/a").connect(address);
        let (client, mut body) = tokio::join!(client, origin.stream());
        let mut client = client.stream();
        // Each failure writes a line. The queue and the pipe hold fewer than these.
        for n in 0..2000 {
            assert_eq!(Client::get("/dead").connect(address).await.status, 502, "{n}");
        }
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        client.next_comment().await;
        let mut rest = String::new();
        if is_read_again {
            while !rest.contains("log lines were dropped count=") {
                let mut room = [0; 4096];
                let read = guarded("the log", log.read(&mut room)).await.unwrap();
                assert_ne!(read, 0, "{rest}");
                rest.push_str(&String::from_utf8_lossy(&room[..read]));
            }
        }
        let pid = Pid::from_raw(gateway.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(guarded("the end", gateway.wait()).await.unwrap().code(), Some(0), "{server}");
    }
}
