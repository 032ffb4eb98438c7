//! No text makes the configuration panic, and a bad one always says why.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manifold::config::{Config, Sources};
use std::env::VarError;
use std::io;
use std::path::Path;

/// Every variable and every file there is holds the same text.
struct Everywhere;

impl Sources for Everywhere {
    fn variable(&self, _name: &str) -> Result<String, VarError> {
        Ok("s3cret".to_owned())
    }

    fn text(&self, _path: &Path) -> io::Result<String> {
        Ok("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n".to_owned())
    }
}

fuzz_target!(|text: &str| {
    match Config::parse(text, &Everywhere) {
        Ok(config) => assert!(!config.routes.routes().is_empty()),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
