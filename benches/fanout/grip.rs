//! The origin of Pushpin. It answers each request with the order to hold the client on a channel.

use super::clients::GRACE_SECS;
use super::{Failure, say};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// How long a connection of Pushpin may be idle.
const IDLE: Duration = Duration::from_secs(600 + GRACE_SECS);

/// Answers until the standard input ends. `heartbeat_secs`: how often Pushpin is to send a comment to an idle client.
pub(crate) fn serve(heartbeat_secs: u64) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, 4096)?;
    say("listening", &listener.local_addr()?)?;
    thread::spawn(move || {
        // Pushpin keeps its connections, so there are few.
        for socket in listener.incoming().flatten() {
            thread::spawn(move || answer_all(socket, heartbeat_secs));
        }
    });
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

/// Answers the requests of one connection, until it ends or breaks.
fn answer_all(socket: TcpStream, heartbeat_secs: u64) -> Option<()> {
    socket.set_read_timeout(Some(IDLE)).ok()?;
    let mut requests = BufReader::new(socket);
    let mut line = String::new();
    loop {
        line.clear();
        if requests.read_line(&mut line).ok()? == 0 {
            return None;
        }
        // Such as `GET /s/7 HTTP/1.1`. The channel's name is the stream's number.
        let channel = line.split(' ').nth(1)?.rsplit('/').next()?.to_owned();
        while line.trim_end() != "" {
            line.clear();
            requests.read_line(&mut line).ok()?;
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nGrip-Hold: stream\r\nGrip-Channel: {channel}\r\n\
             Grip-Keep-Alive: :\\n; format=cstring; timeout={heartbeat_secs}\r\nContent-Length: 2\r\n\r\n:\n"
        );
        requests.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}
