//! The systemd units are checked by systemd's own checkers.

use crate::checkout::ends;
use crate::unit::{SERVICE, SOCKET, install, value};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::process::Command;

/// The largest result of `systemd-analyze security`, in tenths. The network, which the service needs for its clients
/// and origins, counts 1.1 of it.
const EXPOSURE: &str = "15";

/// systemd's checker, and copies of the units in a folder.
fn analyze(arguments: &[&str]) -> (Command, [PathBuf; 2], TempDir) {
    let folder = TempDir::new().unwrap();
    let units = install(folder.path());
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).env("SYSTEMD_COLORS", "0").env("COLUMNS", "120");
    (command, units, folder)
}

#[tokio::test]
async fn systemd_finds_nothing_wrong_with_the_units() {
    let (mut verify, units, _folder) = analyze(&["verify", "--man=no"]);
    let (success, said, complaints) = ends(verify.args(units), "").await;
    // The checker also looks at other units of the machine, which may have faults of their own.
    let ours: Vec<_> = complaints.lines().filter(|line| line.contains("manifold")).collect();
    assert!(success && ours.is_empty(), "{said}\n{complaints}");
}

#[tokio::test]
async fn the_service_is_exposed_as_little_as_a_network_service_can_be() {
    let threshold = format!("--threshold={EXPOSURE}");
    let (mut security, [service, _], _folder) = analyze(&["security", "--offline=true", "--no-pager", &threshold]);
    let (success, said, complaints) = ends(security.arg(service), "").await;
    assert!(success, "{said}\n{complaints}");
}

#[tokio::test]
async fn the_service_is_killed_after_its_drain() {
    let timeout: f64 = value(SERVICE, "TimeoutStopSec").parse().unwrap();
    // The unit comes without a configuration, so the default of the reference configuration counts.
    let reference = crate::checkout::text("conf/manifold.toml");
    let (_, drain) = reference.split_once("\n#drain_secs = ").unwrap();
    let drain: f64 = drain.lines().next().unwrap().parse().unwrap();
    assert!(timeout > drain, "TimeoutStopSec {timeout} is not above drain_secs {drain}");
}

#[tokio::test]
async fn a_bad_configuration_is_not_tried_again() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("manifold.toml");
    std::fs::write(&config, "[server]\nlisten = 1\n").unwrap();
    let mut start = Command::new(crate::process::BINARY);
    start.args(crate::unit::start_arguments(&config)).stderr(std::process::Stdio::null());
    let code = start.status().await.unwrap().code().unwrap();
    assert_eq!(value(SERVICE, "Restart"), "on-failure");
    assert_eq!(value(SERVICE, "RestartPreventExitStatus"), code.to_string());
    // systemd compares the exit code of ExecStart only.
    assert!(crate::unit::values(SERVICE, "ExecStartPre").is_empty());
}

#[tokio::test]
async fn the_socket_is_where_the_document_listens() {
    let document = crate::checkout::text("docs/deploy.md");
    let listen = format!("listen = [{:?}]", value(SOCKET, "ListenStream"));
    assert!(document.contains(&listen), "docs/deploy.md has no {listen}");
}

#[tokio::test]
async fn the_document_says_by_which_lines_of_the_unit_it_reloads_and_upgrades() {
    let document = crate::checkout::text("docs/deploy.md");
    let reloads = crate::unit::values(SERVICE, "ExecReload");
    assert!(document.contains(&format!("`ExecReload={}`", reloads.last().unwrap())), "{reloads:?}");
    for key in ["Type", "NotifyAccess"] {
        let line = format!("`{key}={}`", value(SERVICE, key));
        assert!(document.contains(&line), "docs/deploy.md has no {line}");
    }
    // The unit and the document name the same two ways to an upgrade.
    let unit = crate::checkout::text(SERVICE);
    for way in
        ["manifold upgrade -c /etc/manifold/manifold.toml", "systemctl kill --kill-whom=main --signal=QUIT manifold"]
    {
        assert!(unit.contains(&format!("# {way}\n")) && document.contains(way), "{way}");
    }
}
