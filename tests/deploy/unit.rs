//! docker/manifold.service and docker/manifold.socket as systemd reads them.

use crate::checkout::text;
use crate::process::BINARY;
use std::path::Path;

pub const SERVICE: &str = "docker/manifold.service";
pub const SOCKET: &str = "docker/manifold.socket";

/// The path at which the unit expects the binary.
pub const INSTALLED: &str = "/usr/local/bin/manifold";

/// The values of a key, in order.
pub fn values(unit: &str, key: &str) -> Vec<String> {
    let text = text(unit);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).collect()
}

/// The only value of a key.
pub fn value(unit: &str, key: &str) -> String {
    let values = values(unit, key);
    let [value] = &values[..] else { panic!("{key} in {unit}: {values:?}") };
    value.clone()
}

/// The arguments of `ExecStart`, with another configuration than that in /etc.
pub fn start_arguments(config: &Path) -> Vec<String> {
    let start = value(SERVICE, "ExecStart");
    let mut words = start.split(' ');
    assert_eq!(words.next(), Some(INSTALLED));
    let config = config.to_str().unwrap();
    words.map(|word| if word == "/etc/manifold/manifold.toml" { config } else { word }.to_owned()).collect()
}

/// Writes both units into a folder, with the binary under test.
pub fn install(folder: &Path) -> [std::path::PathBuf; 2] {
    [SERVICE, SOCKET].map(|unit| {
        let path = folder.join(Path::new(unit).file_name().unwrap());
        let code = text(unit).lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        std::fs::write(&path, code.replace(INSTALLED, BINARY) + "\n").unwrap();
        path
    })
}
