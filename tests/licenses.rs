//! `docs/third-party-licenses.txt` names exactly the crates that Cargo.lock compiles into manifold on Linux, and the
//! libraries in C that some of them hold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

const FILE: &str = include_str!("../docs/third-party-licenses.txt");

const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// The crates that contain C or assembler: each with the name of its library in the file, and with words of the
/// licence.
const LIBRARIES: [(&str, &str, &str); 5] = [
    ("libz-ng-sys", "zlib-ng", "(C) 1995-2024 Jean-loup Gailly and Mark Adler"),
    ("ring", "code of BoringSSL and fiat-crypto", "Copyright 2015-2025 Brian Smith"),
    ("ring", "code of BoringSSL and fiat-crypto", "Copyright 2015-2020 the fiat-crypto authors"),
    ("tikv-jemalloc-sys", "jemalloc", "Copyright (C) 2002-present Jason Evans"),
    ("zstd-sys", "zstd", "Copyright (c) Meta Platforms, Inc. and affiliates"),
];

/// The output of a cargo command. cargo runs this test, so it has downloaded the crates.
fn cargo(subcommand: &str, target_option: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap());
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args([subcommand, "--locked"]).args(arguments);
    for target in TARGETS {
        command.args([target_option, target]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Name and version of every crate that is compiled into the binary, macros included.
fn compiled() -> BTreeSet<String> {
    let own = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let tree = cargo("tree", "--target", &["--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    tree.lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap()))
        .filter(|package| package != own)
        .collect()
}

/// One licence of the file: the crates, by name and version, and the text.
struct Licence {
    used_by: BTreeSet<String>,
    text: &'static str,
}

fn licences() -> Vec<Licence> {
    FILE.split(&format!("\n{}\n", "=".repeat(80)))
        .skip(1)
        .map(|part| {
            let (head, text) = part.split_once(&format!("\n{}\n", "-".repeat(80))).unwrap();
            let entries = head.lines().filter_map(|line| line.strip_prefix("  - "));
            let used_by = entries.map(|entry| entry.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
            Licence { used_by, text }
        })
        .collect()
}

#[test]
fn the_licences_are_those_of_the_crates_in_use() {
    let compiled = compiled();
    assert!(compiled.len() > 100, "too few crates: {compiled:?}");
    let named: BTreeSet<String> = licences().into_iter().flat_map(|licence| licence.used_by).collect();
    let missing: Vec<_> = compiled.difference(&named).collect();
    let unused: Vec<_> = named.difference(&compiled).collect();
    assert!(
        missing.is_empty() && unused.is_empty(),
        "docs/third-party-licenses.txt is not up to date: run `make licenses`\nmissing: {missing:?}\nno longer used: {unused:?}"
    );
}

#[test]
fn every_licence_has_a_text_of_its_owner() {
    for Licence { used_by, text } in licences() {
        assert!(!used_by.is_empty() && text.trim().len() > 200, "a licence without crates or text: {used_by:?} {text}");
        for blank in ["<year>", "<owner>", "<copyright holder", "[year]", "[fullname]"] {
            assert!(
                !text.contains(blank),
                "the licence of {used_by:?} is a form with {blank} in it: name the file of its text in \
                 scripts/licenses/about.toml, then run `make licenses`"
            );
        }
    }
}

/// A crate that contains C declares it with the key `links`, because cargo allows only one crate for a library.
#[test]
fn the_libraries_in_c_are_named() {
    let metadata: Value =
        serde_json::from_str(&cargo("metadata", "--filter-platform", &["--format-version", "1"])).unwrap();
    let compiled = compiled();
    let packages = metadata["packages"].as_array().unwrap();
    for package in packages.iter().filter(|package| !package["links"].is_null()) {
        let name = package["name"].as_str().unwrap();
        let used = compiled.contains(&format!("{name} {}", package["version"].as_str().unwrap()));
        assert!(
            !used || LIBRARIES.iter().any(|(holder, ..)| *holder == name),
            "{name} links a library: name it in tests/licenses.rs, scripts/licenses/text.hbs and, with the file of its \
             licence, scripts/licenses/about.toml, then run `make licenses`"
        );
    }
    for (holder, library, words) in LIBRARIES {
        let entry = format!("\n  {holder:<17} {library}\n");
        assert!(FILE.contains(&entry), "the head of docs/third-party-licenses.txt has no {entry:?}");
        let found = licences().iter().any(|licence| {
            licence.text.contains(words) && licence.used_by.iter().any(|krate| krate.starts_with(&format!("{holder} ")))
        });
        assert!(
            found,
            "docs/third-party-licenses.txt lacks {words:?} under {holder}: bring scripts/licenses/about.toml up to the \
             files of this version, then run `make licenses`"
        );
    }
}
