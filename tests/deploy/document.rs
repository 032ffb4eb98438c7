//! Every command of docs/deploy.md is run, or is named there as one that is not run.

use crate::checkout::{checkout, ends, text};
use crate::process::BINARY;
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
        "target/release/manifold" => BINARY.to_owned(),
        "site.toml" => checkout("conf/minimal.toml").to_str().unwrap().to_owned(),
        _ if word.starts_with('/') => format!("{}{word}", root.display()),
        _ => word.to_owned(),
    });
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(checkout(""));
    command
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
        let (success, said, complaints) = ends(&mut moved(command, root.path()), "").await;
        assert!(success, "{command}:\n{said}\n{complaints}");
        run += 1;
    }
    assert_eq!(run, 5, "the commands that are run");
    // The commands installed the files that the unit needs.
    for file in ["usr/local/bin/manifold", "etc/manifold/manifold.toml", "etc/systemd/system/manifold.socket"] {
        assert!(root.path().join(file).exists(), "{file}");
    }
}
