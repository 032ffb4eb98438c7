//! The files of the checkout fit the schema, and name it in their first line.

use super::*;
use std::path::PathBuf;

/// Every TOML file in a folder of the checkout and in its folders.
fn toml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            toml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_shipped_file_fits_and_names_the_schema_first() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = root.join("docs/manifold.schema.json");
    let mut files = Vec::new();
    for folder in ["conf", "docker"] {
        toml_files(&root.join(folder), &mut files);
    }
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        takes(&text);
        let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
        let named = named.map(|path| file.parent().unwrap().join(path).canonicalize().unwrap());
        assert_eq!(named.as_ref(), Some(&schema), "{}", file.display());
    }
}
