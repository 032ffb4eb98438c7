//! The files of the checkout, and the programs that check them.

use crate::ecosystem;
use crate::guard::guarded;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A file or folder of the checkout.
pub fn checkout(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the checkout.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(checkout(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a command until it exits, and returns its standard output. Fails the test if the command fails.
pub async fn succeeds(command: &mut Command, input: &str) -> String {
    let (success, output, complaints) = ends(command, input).await;
    assert!(success, "{:?} failed:\n{output}\n{complaints}", command.as_std());
    output
}

/// Runs a command until it exits. Returns whether it succeeded, its standard output and its standard error.
pub async fn ends(command: &mut Command, input: &str) -> (bool, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let what = format!("{:?}", command.as_std());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}: run scripts/setup --test"));
    let mut stdin = child.stdin.take().unwrap();
    let run = async {
        // A command that does not read its input may exit before the input is written.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        child.wait_with_output().await.unwrap()
    };
    let output = guarded(&what, run).await;
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), out, err)
}

/// The documents of a YAML text.
pub async fn yaml(text: &str) -> Vec<Value> {
    let json = succeeds(&mut ecosystem::python("deploy/yaml_to_json.py"), text).await;
    serde_json::from_str(&json).unwrap()
}

/// Every text under a key of this name.
pub fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == key => found.push(text),
                    _ => texts(field, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

/// A checker that is a Python package.
pub fn python_tool(name: &str) -> Command {
    Command::new(checkout("tests/peers/.venv/bin").join(name))
}

/// A table of a TOML text.
pub fn table(text: &str, name: &str) -> toml::Table {
    let whole: toml::Table = toml::from_str(text).unwrap();
    whole[name].as_table().unwrap().clone()
}

/// A number of `[server]`.
pub fn server_number(text: &str, key: &str) -> f64 {
    let value = &table(text, "server")[key];
    value.as_float().or_else(|| value.to_string().parse().ok()).unwrap_or_else(|| panic!("{key} = {value}"))
}

/// The port of the only address under `server.listen`, and of `server.admin`.
pub fn server_ports(text: &str) -> (u64, u64) {
    let server = table(text, "server");
    let [listen] = &server["listen"].as_array().unwrap()[..] else { panic!("several addresses: {server}") };
    let port = |address: &toml::Value| address.as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
    (port(listen), port(&server["admin"]))
}
