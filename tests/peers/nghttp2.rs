//! h2load and nghttp, the clients of nghttp2, over TLS and in the clear.

use crate::curl::until;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Authority, Origin};
use crate::program::Program;
use tokio::process::Command;

const REQUESTS: usize = 300;

/// A page, which is as long as it is here.
const PAGE: &str = "a page, and nothing else";

/// Waits for the program's end. Returns what it printed.
async fn output(mut command: Command, arguments: &[&str]) -> String {
    command.args(arguments);
    let mut program = Program::run(command);
    let mut printed = String::new();
    while let Some(line) = program.line_or_end().await {
        printed += &format!("{line}\n");
    }
    assert_eq!(program.exit_code().await, 0, "{printed}{}", program.complaints());
    printed
}

/// An origin whose streams end after three events.
fn brief() -> Origin {
    Origin::answering(async |asked| {
        if asked.request.target == "/page" {
            return asked.reply(200, &[("Content-Type", "text/plain")], PAGE).await;
        }
        let mut body = asked.sse().await;
        for n in 1..=3 {
            body.event(&format!("id: {n}\ndata: {n}\n\n")).await;
        }
        body.end().await;
    })
}

#[tokio::test]
async fn h2load_has_an_answer_to_every_request() {
    let (origin, authority) = (brief(), Authority::new());
    let routes =
        [route("/page", &origin).with("kind = \"proxy\""), route("/*", &origin).with("share.mode = \"private\"")];
    let gateway = Gateway::spawn(&format!("{}\n{}", configuration("", routes), authority.listens()));
    gateway.log_line(" tls=on").await;
    let (clear, tls) = (gateway.addr(), gateway.tls_addr().unwrap());
    let of_all = format!("--requests={REQUESTS}");
    for (base, option, protocol) in [
        (format!("https://{tls}"), "--npn-list=h2", "Application protocol: h2\n"),
        (format!("https://{tls}"), "--h1", "Application protocol: http/1.1\n"),
        (format!("http://{clear}"), "--no-tls-proto=h2c", "Application protocol: h2c\n"),
    ] {
        for path in ["/page", "/stream"] {
            let url = format!("{base}{path}");
            // Clients of HTTP/1.1 send one request after the other. Pipelined ones are not for streams.
            let at_once = if option == "--h1" { "1" } else { "10" };
            let arguments = [&of_all, "--clients=3", "--max-concurrent-streams", at_once, option, &url];
            let said = output(Command::new("h2load"), &arguments).await;
            assert!(said.contains(protocol), "{url}: {said}");
            let requests = format!(
                "requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 \
                 errored, 0 timeout\n"
            );
            assert!(said.contains(&requests), "{url}: {said}");
            assert!(said.contains(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx\n")), "{url}: {said}");
            if path == "/page" {
                assert!(said.contains(&format!("({}) data\n", REQUESTS * PAGE.len())), "{url}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn nghttp_reads_a_stream_to_its_end() {
    let authority = Authority::new();
    for scheme in ["https", "http"] {
        let origin = Origin::start();
        let routes = [route("/*", &origin).with("upstream.on_close = \"close\"")];
        let gateway = Gateway::spawn(&format!("{}\n{}", configuration("", routes), authority.listens()));
        gateway.log_line(" tls=on").await;
        let address = if scheme == "https" { gateway.tls_addr().unwrap() } else { gateway.addr() };
        // Without this, nghttp prints nothing before its buffer is full.
        let mut command = Command::new("stdbuf");
        command.args(["--output=L", "nghttp", "--no-verify-peer", &format!("{scheme}://{address}/a")]);
        let (mut nghttp, mut body) = tokio::join!(async { Program::run(command) }, origin.stream());
        for n in 1..=3 {
            body.event(&format!("id: {n}\ndata: {n}\n\n")).await;
            let (_, id) = until(&mut nghttp, &n.to_string()).await;
            assert_eq!(id, n.to_string(), "{scheme}");
        }
        body.end().await;
        while nghttp.line_or_end().await.is_some() {}
        assert_eq!(nghttp.exit_code().await, 0, "{scheme}: {}", nghttp.complaints());
        assert_eq!(nghttp.complaints(), "", "{scheme}");
    }
}
