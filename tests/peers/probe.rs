//! `manifold probe` through nginx.

use crate::gateway::Gateway;
use crate::nginx::Nginx;
use crate::origin::{Coding, Origin};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An origin that sends five events one by one, each with its time, and ends. It says nothing to nginx.
fn origin() -> Origin {
    Origin::answering(|exchange| async {
        let fields = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")];
        if exchange.request.method == "HEAD" {
            return exchange.reply(200, &fields, "").await;
        }
        let mut body = exchange.head(200, &fields, Coding::UntilClose).await;
        for n in 1..=5 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
            body.event(&format!("data: {{\"n\":{n},\"at\":{now}}}\n\n")).await;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        body.end().await;
    })
}

#[tokio::test]
async fn an_nginx_that_collects_events_is_found_out() {
    let origin = origin();
    let nginx = Nginx::in_front_of(origin.addr(), "").await;
    let (code, said) = Gateway::run(&["probe", &nginx.url(), "--json", "--secs", "60"]).await;
    let report: Value = serde_json::from_str(&said).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let of = |key: &str, name: &str| {
        let finding = findings.iter().find(|finding| finding["key"] == key).unwrap_or_else(|| panic!("{said}"));
        finding[name].as_str().unwrap().to_owned()
    };
    assert_eq!((code, of("buffering", "verdict").as_str()), (1, "wrong"), "{said}");
    assert!(of("buffering", "seen").contains("5 events came within"), "{said}");
    assert!(of("buffering", "advice").contains("That is certain"), "{said}");
    assert!(of("proxy", "advice").contains("proxy_buffering off"), "nginx is known: {said}");
}
