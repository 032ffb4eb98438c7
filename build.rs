//! Tells the program its version. A release build names the commit, too.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=MANIFOLD_COMMIT");
    let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
    let version = match variable("MANIFOLD_COMMIT").or_else(of_git) {
        // A full name of a commit is longer than is needed to find it.
        Some(commit) if commit.len() == 40 => format!("{version} ({})", commit.get(..10).unwrap_or_default()),
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo:rustc-env=MANIFOLD_VERSION={version}");
}

/// The commit of the checkout that is built. `None`: this is not a release build, or not a checkout. Other builds would
/// have to be made again after each commit.
fn of_git() -> Option<String> {
    let is_release = variable("PROFILE").is_some_and(|profile| profile == "release");
    if !is_release || !Path::new(".git").exists() {
        return None;
    }
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={head}");
    git(&["rev-parse", "--short=10", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    Some(said.trim().to_owned()).filter(|said| !said.is_empty())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
