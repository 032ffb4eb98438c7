//! The command line and the files that are shipped.

use crate::gateway::{Gateway, config_file};

async fn tested(config: &str) -> (i32, String) {
    let file = config_file(config);
    Gateway::run(&["--test", "-c", file.path().to_str().unwrap()]).await
}

#[tokio::test]
async fn a_bad_configuration_is_64_and_every_error_is_told() {
    let config =
        "[server]\nthreads = 0\nodd = 1\n[[routes]]\npath = \"ticks\"\norigin = \"ftp://x\"\nreplay.events = -1\n";
    let file = config_file(config);
    let path = file.path().to_str().unwrap();
    for arguments in [&["-c", path][..], &["--test", "-c", path]] {
        let (code, said) = Gateway::run(arguments).await;
        assert_eq!(code, 64, "{said}");
        for part in ["threads", "odd", "\"ticks\"", "ftp://x", "replay.events", "-1"] {
            assert!(said.contains(part), "{part:?} in\n{said}");
        }
    }
}

#[tokio::test]
async fn a_good_configuration_passes_the_test() {
    let (code, said) = tested("[[routes]]\npath = \"/ticks/*\"\norigin = \"http://127.0.0.1:9000\"\n").await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
async fn what_is_no_toml_or_no_file_is_64() {
    let (code, said) = tested("[[routes]\n").await;
    assert_eq!(code, 64, "{said}");
    let (code, said) = Gateway::run(&["-c", "/does/not/exist.toml"]).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("/does/not/exist.toml"), "{said}");
}

#[tokio::test]
async fn a_bad_command_line_is_64() {
    for arguments in [&[][..], &["--odd"], &["-c"], &["--test"]] {
        let (code, said) = Gateway::run(arguments).await;
        assert_eq!(code, 64, "{arguments:?}: {said}");
    }
    assert_eq!(Gateway::run(&["--help"]).await.0, 0);
    assert_eq!(Gateway::run(&["--version"]).await.0, 0);
}

#[tokio::test]
async fn every_shipped_configuration_is_good() {
    let shipped = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/conf")).unwrap();
    let mut tried = 0;
    for file in shipped {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let (code, said) = Gateway::run(&["--test", "-c", path.to_str().unwrap()]).await;
            assert_eq!(code, 0, "{}: {said}", path.display());
            tried += 1;
        }
    }
    assert!(tried >= 2, "{tried}");
}
