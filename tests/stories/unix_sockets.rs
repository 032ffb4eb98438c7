//! The file of a Unix socket: who may connect, and when the file exists.

use crate::client::Client;
use crate::gateway::{BINARY, Gateway, Route, command, config_file, configuration, route};
use crate::guard::guarded;
use crate::origin::{Origin, Port};
use crate::stage::{Successor, answered, numbered, unanswered};
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory for a socket.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("manifold.sock")
    }

    fn mode(&self) -> u32 {
        fs::metadata(self.socket()).unwrap().mode() & 0o7777
    }

    fn inode(&self) -> u64 {
        fs::metadata(self.socket()).unwrap().ino()
    }

    /// A configuration that listens in this directory, with these lines under `[server]`.
    fn configured(&self, server: &str, routes: impl IntoIterator<Item = Route>) -> String {
        configuration(server, routes).replace("127.0.0.1:0", &format!("unix:{}", self.socket().display()))
    }

    /// Waits until the file is gone.
    async fn vacant(&self) {
        let look = async {
            while self.socket().exists() {
                tokio::task::yield_now().await;
            }
        };
        guarded("the socket's file to be removed", look).await;
    }

    /// A stream through the socket, with an event.
    async fn serves(&self, origin: &Origin) {
        let socket = self.socket();
        let (client, mut body) = tokio::join!(Client::get("/").connect(socket.as_path()), origin.stream());
        body.event(&numbered(1)).await;
        assert_eq!(client.stream().next_data().await, "1");
    }
}

fn proxy(origin: &Origin) -> Route {
    route("/*", origin).with("kind = \"proxy\"")
}

#[tokio::test]
async fn the_file_has_the_configured_rights_whatever_the_umask_is() {
    let origin = Origin::start();
    for (server, expected) in
        [("", 0o660), ("unix_mode = \"0600\"", 0o600), ("unix_mode = \"666\"", 0o666), ("unix_mode = \"0020\"", 0o020)]
    {
        for umask in ["000", "022", "077", "777"] {
            let place = Place::new();
            let file = config_file(&place.configured(server, [route("/*", &origin)]));
            let script = format!("umask {umask}; exec \"$0\" \"$@\"");
            let gateway = Gateway::run_by(command("sh", &["-c", &script, BINARY, "-c", file.path().to_str().unwrap()]));
            gateway.log_line("listening addr=unix:").await;
            assert_eq!(place.mode(), expected, "{server} under {umask}: {:o}", place.mode());
            UnixStream::connect(place.socket()).unwrap();
        }
    }
}

#[tokio::test]
async fn the_file_is_gone_when_the_drain_begins_and_the_one_of_a_successor_stays() {
    let (origin, place) = (Origin::start(), Place::new());
    let text = place.configured("drain_secs = 3600", [proxy(&origin)]);
    let mut old = Gateway::start(&text).await;
    let request = unanswered(place.socket().as_path(), &origin).await;
    old.signal(Signal::TERM);
    // The unanswered request holds up the drain.
    place.vacant().await;
    let new = Gateway::start(&text).await;
    let inode = place.inode();
    answered(request).await;
    assert_eq!(old.exit_code().await, 0, "{}", old.log());
    assert_eq!(place.inode(), inode);
    answered(unanswered(place.socket().as_path(), &origin).await).await;
    drop(new);
}

#[tokio::test]
async fn the_file_is_gone_after_sigint() {
    let (origin, place) = (Origin::start(), Place::new());
    let mut gateway = Gateway::start(&place.configured("", [route("/*", &origin)])).await;
    place.serves(&origin).await;
    gateway.signal(Signal::INT);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    assert!(!place.socket().exists());
}

#[tokio::test]
async fn a_file_that_another_process_put_in_its_place_stays() {
    let (origin, place) = (Origin::start(), Place::new());
    for signal in [Signal::TERM, Signal::INT] {
        let mut gateway = Gateway::start(&place.configured("", [route("/*", &origin)])).await;
        fs::remove_file(place.socket()).unwrap();
        let another = UnixListener::bind(place.socket()).unwrap();
        gateway.signal(signal);
        assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
        UnixStream::connect(place.socket()).unwrap();
        drop(another);
        // The next process finds a file without a process that listens.
        fs::remove_file(place.socket()).unwrap();
    }
}

#[tokio::test]
async fn a_successor_has_the_file_and_removes_it_in_the_end() {
    let (origin, place) = (Origin::start(), Place::new());
    let mut gateway = Gateway::start(&place.configured("", [route("/*", &origin)])).await;
    let inode = place.inode();
    // The permissions of a new configuration apply, too.
    let text = place.configured("unix_mode = \"0606\"", [route("/*", &origin)]);
    fs::write(gateway.config(), text).unwrap();
    gateway.signal(Signal::QUIT);
    let successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    assert_eq!((place.inode(), place.mode()), (inode, 0o606));
    place.serves(&origin).await;
    successor.signal(Signal::TERM);
    place.vacant().await;
}

#[tokio::test]
async fn a_successor_that_serves_elsewhere_leaves_no_file() {
    let (origin, place) = (Origin::start(), Place::new());
    let mut gateway = Gateway::start(&place.configured("", [route("/*", &origin)])).await;
    fs::write(gateway.config(), configuration("", [route("/*", &origin)])).unwrap();
    gateway.signal(Signal::QUIT);
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    let closed = gateway.log_line("an inherited socket matches no configured address").await;
    assert!(closed.contains(place.socket().to_str().unwrap()), "{closed}");
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    assert!(!place.socket().exists());
}

#[tokio::test]
async fn a_successor_that_cannot_serve_leaves_the_file_as_it_was() {
    let (origin, place) = (Origin::start(), Place::new());
    let gateway = Gateway::start(&place.configured("", [route("/*", &origin)])).await;
    let inode = place.inode();
    let taken = format!("127.0.0.1:0\", \"{}", origin.addr());
    fs::write(gateway.config(), configuration("", [route("/*", &origin)]).replace("127.0.0.1:0", &taken)).unwrap();
    gateway.signal(Signal::QUIT);
    gateway.log_line("SIGQUIT: this process continues to serve").await;
    assert_eq!(place.inode(), inode);
    place.serves(&origin).await;
}

#[tokio::test]
async fn a_socket_of_systemd_keeps_its_rights_and_its_file_and_so_does_a_successors() {
    let (origin, place) = (Origin::start(), Place::new());
    let socket: OwnedFd = UnixListener::bind(place.socket()).unwrap().into();
    fs::set_permissions(place.socket(), fs::Permissions::from_mode(0o623)).unwrap();
    let inode = place.inode();
    let file = config_file(&place.configured("", [route("/*", &origin)]));
    let mut start = command(BINARY, &["-c", file.path().to_str().unwrap()]);
    let mapping = FdMapping { parent_fd: socket.try_clone().unwrap(), child_fd: 3 };
    start.env("LISTEN_FDS", "1").as_std_mut().fd_mappings(vec![mapping]).unwrap();
    let mut gateway = Gateway::run_by(start);
    gateway.log_line("listening addr=unix:").await;
    place.serves(&origin).await;
    gateway.signal(Signal::QUIT);
    let successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    successor.signal(Signal::TERM);
    // This is the exit code of the successor, which writes to the same log.
    assert_eq!(gateway.exit_code().await, 0);
    gateway.log_line("drained: exit").await;
    assert_eq!((place.mode(), place.inode()), (0o623, inode));
    UnixStream::connect(place.socket()).unwrap();
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_file() {
    let (taken, place) = (Origin::start(), Place::new());
    let text = place.configured("", [route("/*", &taken)]);
    let text = text.replace("manifold.sock\"", &format!("manifold.sock\", \"{}\"", taken.addr()));
    let (code, said) = start(&text).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&taken.addr().to_string()), "{said}");
    assert!(!place.socket().exists());
}

/// Runs with this configuration until the process exits. Returns the exit code and the output.
async fn start(text: &str) -> (i32, String) {
    let file = config_file(text);
    Gateway::run(&["-c", file.path().to_str().unwrap()]).await
}

#[tokio::test]
async fn what_is_in_the_way_of_a_socket_is_told() {
    let origin = Origin::start();
    let told = async |place: &Place, what: &str| {
        let (code, said) = start(&place.configured("", [route("/*", &origin)])).await;
        assert_eq!(code, 1, "{said}");
        let line = said.lines().last().unwrap_or_default();
        let path = place.socket();
        assert!(
            line.starts_with("manifold: cannot listen on unix:") && line.contains(path.to_str().unwrap()),
            "{said}"
        );
        assert!(line.contains(what), "{what}:\n{said}");
    };

    let place = Place::new();
    let _listener = UnixListener::bind(place.socket()).unwrap();
    told(&place, "another process listens there").await;
    UnixStream::connect(place.socket()).unwrap();

    // This process is stuck: it accepts no connection, and its queue is full.
    let place = Place::new();
    let _stuck = stuck(&place.socket());
    told(&place, "another process listens there, and its queue is full").await;

    let place = Place::new();
    fs::write(place.socket(), "a file").unwrap();
    told(&place, "the file there is not a socket").await;
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "a file");

    let place = Place::new();
    fs::remove_dir(place.0.path()).unwrap();
    told(&place, "its directory must exist").await;
}

/// A socket whose queue is full.
fn stuck(path: &Path) -> Vec<socket2::Socket> {
    let socket = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let address = socket2::SockAddr::unix(path).unwrap();
    let listener = socket();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let mut sockets = vec![listener];
    loop {
        let waiting = socket();
        waiting.set_nonblocking(true).unwrap();
        let is_full = waiting.connect(&address).is_err();
        sockets.push(waiting);
        if is_full {
            return sockets;
        }
    }
}

#[tokio::test]
async fn the_file_of_a_process_that_was_killed_is_in_nobodys_way() {
    let (origin, place) = (Origin::start(), Place::new());
    drop(UnixListener::bind(place.socket()).unwrap());
    let _gateway = Gateway::start(&place.configured("", [route("/*", &origin)])).await;
    place.serves(&origin).await;
}

#[tokio::test]
async fn healthcheck_asks_a_unix_socket() {
    let (origin, place, admin) = (Origin::start(), Place::new(), Port::reserve());
    let socket = place.configured("", [route("/*", &origin)]);
    let both = place.configured(&format!("admin = \"{}\"", admin.addr()), [route("/*", &origin)]);
    let path = place.socket();
    for (text, healthy) in [
        (socket, format!("healthy: unix:{} answers\n", path.display())),
        (both, format!("healthy: {} says ready\n", admin.addr())),
    ] {
        let file = config_file(&text);
        let ask = ["healthcheck", "-c", file.path().to_str().unwrap()];
        assert_eq!(Gateway::run(&ask).await.0, 1);
        let mut gateway = Gateway::start(&text).await;
        gateway.log_line("listening addr=unix:").await;
        if text.contains("admin") {
            gateway.admin().await;
        }
        assert_eq!(Gateway::run(&ask).await, (0, healthy));
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.exit_code().await, 0);
        assert_eq!(Gateway::run(&ask).await.0, 1);
    }
    assert_eq!(origin.connections(), 0);
}
