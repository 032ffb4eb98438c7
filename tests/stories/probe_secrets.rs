//! `manifold probe`: what it sends to whom, what it shows, and what it does not take.

use crate::gateway::Gateway;
use crate::origin::{Coding, Origin};
use crate::probe::{WELL, origin, with_head};

#[tokio::test]
async fn redirects_are_followed_and_secrets_go_to_no_other_server() {
    let stream = with_head(&WELL);
    let url: &'static str = Box::leak(stream.url().into_boxed_str());
    let first = origin(move |exchange| async move {
        match exchange.request.target.as_str() {
            "/away" => exchange.reply(302, &[("Location", url)], "").await,
            "/here" => exchange.reply(307, &[("Location", "there?token=s3cret")], "").await,
            "/round" => exchange.reply(301, &[("Location", "/round")], "").await,
            "/odd" => exchange.reply(301, &[("Location", "ftp://h/")], "").await,
            _ => {
                let mut body = exchange.head(200, &WELL, Coding::Chunked).await;
                body.raw("data: 1\n\n").await;
                body.end().await;
            }
        }
    });
    let probe = async |path: &str| {
        let (code, text) = Gateway::run(&[
            "probe",
            &format!("{}{path}", first.url()),
            "--json",
            "--secs",
            "60",
            "--header",
            "authorization: Bearer s3cret",
        ])
        .await;
        assert!(!text.contains("s3cret"), "{text}");
        (code, text)
    };
    let (code, text) = probe("/away").await;
    assert!(code == 0 && text.contains("The probe followed it"), "{text}");
    assert!(stream.requests().iter().all(|request| request.headers.one("authorization").is_none()));
    let (code, text) = probe("/here").await;
    assert!(code == 0 && text.contains("/there?"), "{text}");
    let asked = first.requests().iter().find(|request| request.target == "/there?token=s3cret").unwrap().clone();
    assert_eq!(asked.headers.one("authorization"), Some("Bearer s3cret"));
    for (path, words) in [("/round", "it is the sixth redirect"), ("/odd", "it is not a plain http or https URL")] {
        let (code, text) = probe(path).await;
        assert!(code == 1 && text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn what_a_server_wrote_is_escaped_and_bounded_and_secrets_are_hidden() {
    let origin = Origin::answering(|exchange| async {
        let token = exchange.request.headers.one("authorization").unwrap_or_default().to_owned();
        let (long, fields) = ("x".repeat(3000), [("Content-Type", "text/event-stream"), ("Server", "\u{9b}31m")]);
        let fields = [&fields[..], &[("Via", &*long), ("Cache-Control", &*token)]].concat();
        let mut body = exchange.head(200, &fields, Coding::Chunked).await;
        body.raw(format!("id: \u{1b}[31m\u{202e}\ndata: 1\n\nid: 2\n\u{1b}{long}\ndata: 2\n\n")).await;
        body.end().await;
    });
    let url = format!("{}/a?token=s3cret-query", origin.url());
    let arguments = ["probe", &url, "--secs", "60", "--header", "Authorization: Bearer s3cret-token"];
    for more in [&[][..], &["--json"]] {
        let (_, said) = Gateway::run(&[&arguments[..], more].concat()).await;
        assert!(!said.contains("s3cret") && said.contains("(hidden)"), "{said}");
        assert!(said.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{said:?}");
        assert!(said.len() < 20_000, "{said}");
        if more.is_empty() {
            assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
        }
    }
}

#[tokio::test]
async fn a_bad_command_line_is_64_and_shows_no_secret() {
    for (arguments, words) in [
        (&["probe"][..], "<URL>"),
        (
            &["probe", "127.0.0.1:9000/events"],
            "the URL must begin with http:// or https://, as in http://127.0.0.1:9000",
        ),
        (&["probe", "http://u:s3cret@h/"], "must not contain a user name or a password"),
        (&["probe", "http://h/", "--header", "s3cret"], "--header 1 must be 'name: value'"),
        (&["probe", "http://h/", "--secs", "0"], "--secs"),
        (&["probe", "http://h/", "--credentials"], "--credentials needs --origin"),
        (&["probe", "http://h/", "--origin", "https://a.example/x"], "without a path"),
        (&["--probe", "-c", "x.toml"], "--test"),
    ] {
        let (code, said) = Gateway::run(arguments).await;
        assert!(code == 64 && said.contains(words) && !said.contains("s3cret"), "{arguments:?}: {code} {said}");
    }
}
