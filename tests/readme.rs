//! The README's configurations are ones that load.

use manifold::config::{Config, Sources};
use std::env::VarError;
use std::io;
use std::path::Path;

const README: &str = include_str!("../README.md");

/// Has every variable and every file.
struct Everything;

impl Sources for Everything {
    fn variable(&self, _: &str) -> Result<String, VarError> {
        Ok("value".to_owned())
    }

    fn text(&self, _: &Path) -> io::Result<String> {
        Ok("value".to_owned())
    }
}

#[test]
fn every_configuration_of_the_readme_loads() {
    let blocks: Vec<&str> =
        README.split("\n```toml\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0).collect();
    assert!(blocks.len() >= 3, "{} blocks", blocks.len());
    for block in blocks {
        if let Err(errors) = Config::parse(block, &Everything) {
            panic!("{errors}\n{block}");
        }
    }
}
