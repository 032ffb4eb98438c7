//! Every command of docs/deploy.md is run, or is named there as one that is not run.

use crate::checkout::{checkout, ends, text};
use crate::process::{BINARY, Manifold};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

const DOCUMENT: &str = "docs/deploy.md";

/// The commands of the fenced blocks.
fn commands(document: &str) -> Vec<&str> {
    let blocks = document.split("\n```sh\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0);
    blocks.flat_map(str::lines).collect()
}

/// The commands that the document says are not run.
fn not_run(document: &str) -> Vec<&str> {
    let (_, table) = document.split_once("These commands are not run there:").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once("` | ").expect("a reason").0).collect()
}

/// A command, with its absolute paths moved into a folder, and with the binary and configuration of the test.
fn moved(command: &str, root: &Path) -> Command {
    let mut words = command.split(' ').map(|word| match word {
        "target/release/manifold" | "manifold" => BINARY.to_owned(),
        "site.toml" => checkout("conf/minimal.toml").to_str().unwrap().to_owned(),
        _ if word.starts_with('/') => format!("{}{word}", root.display()),
        _ => word.to_owned(),
    });
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(checkout(""));
    command
}

/// Runs the command beside the installed manifold, which has the configuration that the document shows.
async fn upgrades(command: &str, document: &str, root: &Path) {
    let shown = document.split("\n```toml\n").nth(1).unwrap().split_once("\n```").unwrap().0;
    let socket = format!("unix:{}", root.join("admin.sock").display());
    let text = shown.replace("127.0.0.1:9090", &socket);
    assert!(text.contains(&socket), "{shown}");
    let config = root.join("etc/manifold/manifold.toml");
    fs::write(&config, text.replace("[server]\n", "[server]\nlisten = [\"127.0.0.1:0\"]\n")).unwrap();
    let mut start = Command::new(root.join("usr/local/bin/manifold"));
    start.arg("-c").arg(&config);
    let mut old = Manifold::run(start);
    old.logged("admin listening addr=").await;
    let (success, said, complaints) = ends(&mut moved(command, root), "").await;
    assert!(success, "{command}:\n{said}\n{complaints}\n{}", old.log());
    let process = said.strip_prefix("upgraded: process ").and_then(|rest| rest.strip_suffix(" serves now\n"));
    let process: i32 = process.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    old.ends_well().await;
    kill_process(Pid::from_raw(process).unwrap(), Signal::TERM).unwrap();
}

#[tokio::test]
async fn every_command_of_the_document_runs_or_is_named_as_one_that_does_not() {
    let document = text(DOCUMENT);
    let not_run = not_run(&document);
    assert_eq!(not_run, ["docker", "kubectl apply", "systemctl"]);
    let root = TempDir::new().unwrap();
    for folder in ["usr/local/bin", "etc/systemd/system"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let mut run = 0;
    for command in commands(&document) {
        if not_run.iter().any(|start| command.starts_with(&format!("{start} "))) {
            continue;
        }
        if command.starts_with("manifold upgrade ") {
            upgrades(command, &document, root.path()).await;
        } else {
            let (success, said, complaints) = ends(&mut moved(command, root.path()), "").await;
            assert!(success, "{command}:\n{said}\n{complaints}");
        }
        run += 1;
    }
    assert_eq!(run, 6, "the commands that are run");
    // The commands installed the files that the unit needs.
    for file in ["usr/local/bin/manifold", "etc/manifold/manifold.toml", "etc/systemd/system/manifold.socket"] {
        assert!(root.path().join(file).exists(), "{file}");
    }
}
