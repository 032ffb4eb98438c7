//! `manifold --test --probe`: the verdict on each route's origin.

use crate::gateway::{Gateway, config_file, configuration, route};
use crate::origin::{Origin, Port, Speech};

/// Checks a configuration, and asks its origins.
async fn probed(config: &str) -> (i32, String) {
    let file = config_file(config);
    Gateway::run(&["--test", "--probe", "-c", file.path().to_str().unwrap()]).await
}

/// The verdict on a route: the lines that follow its name, as one.
fn verdict_on(said: &str, name: &str) -> String {
    let lines = said.lines().skip_while(|line| !line.ends_with(&format!(": route {name}")));
    let mut lines = lines.map(str::trim_end);
    let first = lines.next().unwrap_or_else(|| panic!("nothing about {name} in\n{said}")).to_owned();
    lines.take_while(|line| line.starts_with("  ")).fold(first, |all, line| all + " " + line.trim())
}

#[tokio::test]
async fn each_route_is_judged_by_the_answer_of_its_origin() {
    let origin = Origin::answering(|exchange| async {
        let stream = [("Content-Type", "text/event-stream")];
        match exchange.request.target.as_str() {
            "/base/good" if exchange.request.headers.one("x-key") == Some("s3cret") => {
                drop(exchange.head(200, &stream, crate::origin::Coding::Chunked).await);
            }
            "/html" => exchange.reply(200, &[("Content-Type", "text/html")], "").await,
            "/login" => exchange.reply(401, &[], "").await,
            "/site" => exchange.reply(404, &[], "").await,
            "/broken" => exchange.reply(500, &[], "").await,
            _ => exchange.reply(404, &[], "").await,
        }
    });
    let base = format!("{}/base", origin.url());
    let closed = Port::reserve();
    let well = [
        route("/p/good", base.as_str()).with("strip_prefix = \"/p\"\nupstream.headers = { x-key = \"s3cret\" }"),
        route("/all/*", &origin),
        route("/login", &origin),
        route("/site", &origin).with("kind = \"proxy\""),
    ];
    let (code, said) = probed(&configuration("", well)).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("configuration ok: 4 routes") && !said.contains("s3cret"), "{said}");
    for (name, words) in [
        ("/p/good", "good: route /p/good http://127.0.0.1:"),
        ("/p/good", "/base/good answers with an event stream."),
        ("/all/*", "note: route /all/* http://127.0.0.1:"),
        ("/all/*", "there is none to ask for. Ask for one by its URL: manifold probe http://127.0.0.1:"),
        ("/login", "note: route /login"),
        ("/site", "good: route /site"),
    ] {
        let verdict = verdict_on(&said, name);
        assert!(verdict.contains(words), "{words:?} is not in {verdict}");
    }
    for (bad, words) in [
        (route("/html", &origin), "text/html, not text/event-stream"),
        (route("/missing", &origin), "answers 404. Correct the route's origin or strip_prefix"),
        (route("/broken", &origin).with("kind = \"proxy\""), "answers 500"),
        (route("/closed/*", &closed), "connection refused: start the origin"),
    ] {
        let (code, said) = probed(&configuration("", [bad, route("/login", &origin)])).await;
        let name = said.lines().find_map(|line| line.strip_prefix("wrong: route ")).unwrap_or_default().to_owned();
        let verdict = verdict_on(&said, &name);
        assert!(code == 1 && verdict.contains(words), "{code} {said}");
        assert!(said.contains("note: route /login"), "the others are asked all the same: {said}");
    }
}

#[tokio::test]
async fn the_certificates_of_the_route_are_those_that_count() {
    let origin = Origin::speaking(Speech::Tls(&["http/1.1"]));
    let wrong = config_file(&rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap().cert.pem());
    let trusting = |path: &std::path::Path| {
        configuration("", [route("/*", &origin).with(&format!("upstream.ca_file = {path:?}"))])
    };
    let (code, said) = probed(&trusting(origin.authority().path())).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = probed(&trusting(wrong.path())).await;
    let verdict = verdict_on(&said, "/*");
    assert!(code == 1 && verdict.contains("another authority of the same name signed its certificate"), "{said}");
}

#[tokio::test]
async fn a_configuration_with_errors_asks_nobody() {
    let origin = Origin::start();
    let (code, said) = probed(&configuration("", [route("/*", &origin).with("nonsense = 1")])).await;
    assert!(code == 64 && said.contains("nonsense"), "{said}");
    assert_eq!(origin.connections(), 0);
}
