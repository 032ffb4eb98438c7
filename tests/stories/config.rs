//! The command line and the shipped files.

use crate::client::Client;
use crate::gateway::{Gateway, config_file, configuration, route};
use crate::origin::{Origin, Port};
use crate::stage::numbered;

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

#[tokio::test]
async fn the_schema_of_the_configuration_is_printed_and_the_help_names_it() {
    let (code, said) = Gateway::run(&["schema"]).await;
    assert_eq!((code, said.as_str()), (0, include_str!("../../docs/manifold.schema.json")));
    for arguments in [&["--help"][..], &["completions", "bash"], &["man"]] {
        let (code, said) = Gateway::run(arguments).await;
        assert!(code == 0 && said.contains("schema"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn variables_alone_make_a_gateway() {
    let (origin, port) = (Origin::start(), Port::reserve());
    let url = format!("{}/base", origin.url());
    let listen = port.addr().to_string();
    let variables = [("MANIFOLD_ORIGIN", &*url), ("MANIFOLD_LISTEN", &listen), ("MANIFOLD_PATH", "/events/*")];
    let gateway = Gateway::spawn_on(&[], &variables);
    gateway.log_line("listening addr=").await;
    assert_eq!(gateway.addr(), port.addr());
    let (mut client, mut body) = tokio::join!(Client::get("/events/a").connect(&gateway), origin.stream());
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(origin.request(1).await.target, "/base/events/a");
    assert_eq!(Client::get("/").connect(&gateway).await.status, 404);
}

#[tokio::test]
async fn a_variable_stands_over_a_file() {
    let (origin, wrong) = (Origin::start(), Port::reserve());
    let config = configuration("", [route("/*", &wrong)]);
    let gateway = Gateway::spawn_with(&config, &[("MANIFOLD_ORIGIN", &origin.url())]);
    gateway.log_line("listening addr=").await;
    let (mut client, mut body) = tokio::join!(Client::get("/").connect(&gateway), origin.stream());
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn without_file_and_variables_one_line_says_what_can_be_done() {
    for arguments in [&[][..], &["--test"], &["healthcheck"], &["upgrade"]] {
        let (code, said) = Gateway::run(arguments).await;
        assert_eq!((code, said.lines().count()), (64, 1), "{said}");
        for part in [
            "no configuration",
            "manifold demo",
            "manifold init",
            "-c FILE",
            "/etc/manifold/manifold.toml",
            "MANIFOLD_ORIGIN",
        ] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }
}

#[tokio::test]
async fn a_bad_variable_is_64_and_names_itself() {
    let variables = [("MANIFOLD_ORIGIN", "app:9000"), ("MANIFOLD_LISTEN", "8080")];
    for arguments in [&[][..], &["--test"]] {
        let (code, said) = Gateway::run_with(arguments, &variables).await;
        assert_eq!(code, 64, "{said}");
        for part in ["MANIFOLD_ORIGIN = \"app:9000\": must", "MANIFOLD_LISTEN = \"8080\": must"] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }
    let file = config_file("[[routes]]\npath = \"/\"\norigin = \"http://${HOST_OF_ORIGIN}\"\n");
    let path = file.path().to_str().unwrap();
    let (code, said) = Gateway::run(&["-c", path]).await;
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains(&format!("{path}:3:10: routes[0].origin: the environment variable HOST_OF_ORIGIN")),
        "{said}"
    );
    let (code, said) = Gateway::run_with(&["--test", "-c", path], &[("HOST_OF_ORIGIN", "o:81")]).await;
    assert_eq!(code, 0, "{said}");
    let expected = "configuration ok: 1 route\nlisten: 127.0.0.1:8080\nadmin: off\nroute /\n  origin: http://o:81/\n";
    assert!(said.starts_with(expected), "{said}");
}
