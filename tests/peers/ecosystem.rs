//! Runs the programs of each ecosystem.

use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// A file in `tests`.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// A Node script.
pub fn node(script: &str) -> Command {
    run("node", script)
}

/// JavaScript code, which may import the packages of the clients, with an argument.
pub fn node_code(code: &str, argument: &str) -> Command {
    let mut command = Command::new("node");
    command.current_dir(file("clients/node")).args(["--input-type=module", "--eval", code, argument]);
    command
}

/// A Python script, with the packages of the requirements files.
pub fn python(script: &str) -> Command {
    let python = file("peers/.venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/setup --test", python.display());
    run(python.to_str().unwrap(), script)
}

/// A Go program, which is built first.
pub async fn go(source: &str) -> Command {
    static ORIGIN: OnceCell<PathBuf> = OnceCell::const_new();
    static CLIENT: OnceCell<PathBuf> = OnceCell::const_new();
    let built = if source.starts_with("origins") { &ORIGIN } else { &CLIENT };
    let binary = built.get_or_init(|| build_go(source)).await;
    let mut command = Command::new(binary);
    command.current_dir(file(source).parent().unwrap());
    command
}

async fn build_go(source: &str) -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let binary = scratch.join(source.replace('/', "-")).with_extension("bin");
    let mut build = Command::new("go");
    build.args(["build", "-buildvcs=false", "-o"]).arg(&binary).arg(file(source));
    build.env("GOCACHE", scratch.join("go-cache")).env("GOPATH", scratch.join("go"));
    build.kill_on_drop(true);
    let output = build.output().await.expect("go runs: scripts/setup --test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    binary
}

/// nginx in the foreground, as one process. It writes only into this folder.
pub fn nginx(folder: &Path) -> Command {
    // Debian has it in a directory that only root has in its PATH.
    let binary = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if binary.exists() { binary } else { Path::new("nginx") });
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(["-e", "stderr"]);
    command
}

/// The configuration of one nginx server that listens here, with these lines in it.
pub fn nginx_configuration(listen: &str, server: &str) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;
         events {{}}
         http {{
             access_log off;
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;
             server {{ listen {listen}; {server} }}
         }}"
    )
}

fn run(program: &str, script: &str) -> Command {
    let script = file(script);
    let mut command = Command::new(program);
    command.current_dir(script.parent().unwrap()).arg(script);
    command
}
