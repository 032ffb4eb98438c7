//! What the process does on each signal, at any time of its life.

use crate::client::{Client, End};
use crate::gateway::{BINARY, Gateway, command, config_file, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::releases::{Releases, install};
use crate::stage::{Successor, answered, joined, numbered, opened, unanswered};
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The signals that only cause a line in the log. By default they kill a process.
const IDLE: [(Signal, &str); 2] = [(Signal::USR1, "SIGUSR1: ignored"), (Signal::USR2, "SIGUSR2: ignored")];

/// A drain that is longer than any wait of a story.
const HOUR: &str = "drain_secs = 3600";

#[tokio::test]
async fn signals_that_ask_for_nothing_are_told_so_and_change_nothing() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let hangup = (Signal::HUP, "configuration read again: nothing changed");
    for (n, (signal, line)) in (1..).zip(IDLE.into_iter().chain([hangup])) {
        gateway.signal(signal);
        gateway.log_line(line).await;
        body.event(&numbered(n)).await;
        assert_eq!(client.next_data().await, n.to_string());
        joined(Client::get("/"), &gateway).await;
    }
}

#[tokio::test]
async fn the_demo_survives_them_too() {
    let mut demo = Gateway::run_by(command(BINARY, &["demo", "--listen", "127.0.0.1:0"]));
    demo.log_line("listening addr=").await;
    for (signal, line) in IDLE.into_iter().chain([(Signal::HUP, "SIGHUP: ignored: a demo")]) {
        demo.signal(signal);
        demo.log_line(line).await;
    }
    demo.signal(Signal::TERM);
    assert_eq!(demo.exit_code().await, 0, "{}", demo.log());
}

/// A gateway that waits for the text of its configuration, and the pipe for that text.
fn waiting(directory: &TempDir) -> (Gateway, PathBuf) {
    let pipe = directory.path().join("manifold.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    (Gateway::spawn_on(&["-c", pipe.to_str().unwrap()], &[]), pipe)
}

/// Opens the pipe as soon as the gateway reads from it.
async fn read_by_the_gateway(pipe: PathBuf) -> fs::File {
    let opened = tokio::task::spawn_blocking(|| fs::OpenOptions::new().write(true).open(pipe));
    guarded("the configuration to be read", opened).await.unwrap().unwrap()
}

#[tokio::test]
async fn no_signal_kills_a_process_that_does_not_serve_yet() {
    let (origin, directory) = (Origin::start(), tempfile::tempdir().unwrap());
    let (gateway, pipe) = waiting(&directory);
    let mut pipe = read_by_the_gateway(pipe).await;
    let quit = (Signal::QUIT, "SIGQUIT: ignored: this process does not serve yet");
    let hangup = (Signal::HUP, "SIGHUP: ignored: this process does not serve yet");
    for (signal, line) in IDLE.into_iter().chain([quit, hangup]) {
        gateway.signal(signal);
        gateway.log_line(line).await;
    }
    std::io::Write::write_all(&mut pipe, configuration("", [route("/*", &origin)]).as_bytes()).unwrap();
    drop(pipe);
    gateway.log_line("listening addr=").await;
    opened(Client::get("/"), &gateway, &origin).await;
}

#[tokio::test]
async fn a_process_that_does_not_serve_yet_ends_when_it_is_told_to() {
    for (signal, line) in [(Signal::TERM, "SIGTERM: exit"), (Signal::INT, "SIGINT: exit")] {
        let directory = tempfile::tempdir().unwrap();
        let (mut gateway, pipe) = waiting(&directory);
        let _pipe = read_by_the_gateway(pipe).await;
        gateway.signal(signal);
        assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
        gateway.log_line(line).await;
    }
}

#[tokio::test]
async fn a_drain_is_not_disturbed_by_another_sigterm_nor_by_a_sigquit() {
    let origin = Origin::start();
    let text = configuration(HOUR, [route("/*", &origin).with("kind = \"proxy\"")]);
    let mut gateway = Gateway::start(&text).await;
    let request = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::TERM);
    gateway.log_line("SIGTERM: draining").await;
    gateway.signal(Signal::TERM);
    gateway.log_line("SIGTERM: already draining").await;
    gateway.signal(Signal::QUIT);
    gateway.log_line("SIGQUIT: ignored: this process drains").await;
    gateway.signal(Signal::HUP);
    gateway.log_line("SIGHUP: ignored: this process drains").await;
    for (signal, line) in IDLE {
        gateway.signal(signal);
        gateway.log_line(line).await;
    }
    answered(request).await;
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    gateway.log_line("drained: exit").await;
}

#[tokio::test]
async fn sigint_ends_a_drain_at_once() {
    let origin = Origin::start();
    let text = configuration(HOUR, [route("/*", &origin).with("kind = \"proxy\"")]);
    let mut gateway = Gateway::start(&text).await;
    let (_client, _exchange) = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::TERM);
    gateway.log_line("SIGTERM: draining").await;
    gateway.signal(Signal::INT);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    gateway.log_line("SIGINT: exit at once").await;
    assert!(!gateway.log().contains("drained"), "{}", gateway.log());
}

/// The ways in which a release is started.
#[derive(Debug, Clone, Copy)]
enum By {
    AbsolutePath,
    /// By a path relative to `current`, from a shell that changed to that directory.
    RelativePath,
    /// By a path relative to the directory above, with a `PWD` that does not tell how the directory was reached.
    RelativePathOfBefore,
    Search,
    /// By an absolute path, and under a name that leads nowhere.
    AnotherName,
}

#[tokio::test]
async fn sigquit_starts_the_release_that_the_path_names_now() {
    let origin = Origin::start();
    let file = config_file(&configuration("", [route("/*", &origin)]));
    let arguments = ["-c", file.path().to_str().unwrap()];
    for by in [By::AbsolutePath, By::RelativePath, By::RelativePathOfBefore, By::Search, By::AnotherName] {
        let releases = Releases::serving();
        let current = releases.path("current");
        let program = match by {
            By::AbsolutePath | By::AnotherName => current.join("manifold"),
            By::RelativePath => PathBuf::from("./manifold"),
            By::RelativePathOfBefore => PathBuf::from("current/manifold"),
            By::Search => PathBuf::from("manifold"),
        };
        let mut start = command(program, &arguments);
        match by {
            By::AbsolutePath => &mut start,
            By::RelativePath => start.current_dir(&current).env("PWD", &current),
            By::RelativePathOfBefore => start.current_dir(releases.path("")).env_remove("PWD"),
            By::Search => start.env("PATH", format!("{}:/usr/bin:/bin", current.display())),
            By::AnotherName => start.arg0("nowhere/to-be-found"),
        };
        let mut gateway = Gateway::run_by(start);
        gateway.log_line("listening addr=").await;
        releases.switch();
        gateway.signal(Signal::QUIT);
        let _successor = Successor::of(&gateway.log_line("a new process serves").await);
        assert!(gateway.log().contains("the second release"), "{by:?}:\n{}", gateway.log());
        assert_eq!(gateway.succeeded().await, 0, "{by:?}:\n{}", gateway.log());
        joined_anew(&gateway, &origin).await;
    }
}

/// A new client is served by the process that has the address now.
async fn joined_anew(gateway: &Gateway, origin: &Origin) {
    let (mut client, mut body) = opened(Client::get("/"), gateway, origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn sigquit_starts_a_file_that_has_replaced_the_running_one() {
    let (origin, releases) = (Origin::start(), Releases::serving());
    let program = releases.path("manifold");
    install(Path::new(BINARY), &program);
    let file = config_file(&configuration("", [route("/*", &origin)]));
    let mut gateway = Gateway::run_by(command(&program, &["-c", file.path().to_str().unwrap()]));
    gateway.log_line("listening addr=").await;
    fs::rename(releases.path("2/manifold"), &program).unwrap();
    gateway.signal(Signal::QUIT);
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert!(gateway.log().contains("the second release"), "{}", gateway.log());
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
}

#[tokio::test]
async fn a_release_that_is_not_there_is_named_and_changes_nothing() {
    let (origin, releases) = (Origin::start(), Releases::serving());
    let (gateway, _file) = releases.run(&configuration("", [route("/*", &origin)])).await;
    let program = releases.path("current/manifold");
    fs::remove_file(releases.path("current")).unwrap();
    gateway.signal(Signal::QUIT);
    let line = gateway.log_line("SIGQUIT: this process continues to serve").await;
    assert!(line.contains(program.to_str().unwrap()), "{line}");
    joined_anew(&gateway, &origin).await;
}

#[tokio::test]
async fn whoever_asks_for_the_end_during_an_upgrade_does_not_wait_for_it() {
    let origin = Origin::start();
    for (signal, end) in [(Signal::TERM, Some(End::Orderly)), (Signal::INT, None)] {
        let releases = Releases::silent();
        let (mut gateway, _file) = releases.run(&configuration("", [route("/*", &origin)])).await;
        let (mut client, _body) = opened(Client::get("/"), &gateway, &origin).await;
        releases.switch();
        gateway.signal(Signal::QUIT);
        gateway.log_line("the second release").await;
        gateway.signal(Signal::QUIT);
        gateway.log_line("SIGQUIT: ignored: a new process is already starting").await;
        gateway.signal(signal);
        let ended = client.ended().await;
        assert_eq!(ended == End::Orderly, end.is_some(), "{ended:?}");
        drop(client);
        // The log ends when no process holds its pipe. So the new process has ended, too.
        assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
        // The upgrade did not fail by itself before that.
        assert!(!gateway.log().contains("continues to serve"), "{}", gateway.log());
    }
}

#[tokio::test]
async fn a_process_that_took_over_hands_over_in_turn() {
    let (origin, releases) = (Origin::start(), Releases::serving());
    let (mut gateway, _file) = releases.run(&configuration("", [route("/*", &origin)])).await;
    gateway.signal(Signal::QUIT);
    let second = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    assert!(!gateway.log().contains("the second release"), "{}", gateway.log());
    releases.switch();
    second.signal(Signal::QUIT);
    let lines = gateway.log_lines("a new process serves", 2).await;
    let _third = Successor::of(&lines[1]);
    gateway.log_lines("drained: exit", 2).await;
    assert!(gateway.log().contains("the second release"), "{}", gateway.log());
    joined_anew(&gateway, &origin).await;
}

#[tokio::test]
async fn inherited_sockets_that_match_no_address_are_named_and_closed() {
    let (origin, directory) = (Origin::start(), tempfile::tempdir().unwrap());
    let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (ours, stray) = (listener(), listener());
    let (address, stray_address) = (ours.local_addr().unwrap(), stray.local_addr().unwrap());
    let stray_path = directory.path().join("stray.sock");
    let stray_unix = UnixListener::bind(&stray_path).unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    let connected = std::net::TcpStream::connect(address).unwrap();
    let sockets: [OwnedFd; 5] = [stray.into(), connected.into(), datagrams.into(), ours.into(), stray_unix.into()];

    let text = configuration("", [route("/*", &origin)]).replace("127.0.0.1:0", &address.to_string());
    let file = config_file(&text);
    let mut start = command(BINARY, &["-c", file.path().to_str().unwrap()]);
    start.env("LISTEN_FDS", sockets.len().to_string());
    let mappings = (3..).zip(sockets).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    start.as_std_mut().fd_mappings(mappings.collect()).unwrap();
    // The command holds the sockets until it is dropped.
    let gateway = Gateway::run_by(start);
    gateway.log_line("listening addr=").await;
    for what in [&format!("addr={stray_address}"), &format!("addr=unix:{}", stray_path.display())] {
        let line = gateway.log_line("an inherited socket matches no configured address").await;
        assert!(gateway.log().contains(what) && line.contains("WARN"), "{what}:\n{}", gateway.log());
    }
    gateway.log_line("it is a socket that does not listen").await;
    gateway.log_line("it is a datagram socket").await;
    assert!(tokio::net::TcpStream::connect(stray_address).await.is_err());
    assert!(tokio::net::UnixStream::connect(&stray_path).await.is_err());
    joined_anew(&gateway, &origin).await;
}
