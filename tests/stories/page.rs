//! The files of the live page, and what a browser may do with them.

use crate::admin_api::ADMIN;
use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn they_are_whole_say_what_they_are_and_name_no_other_place() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page/model.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml; charset=utf-8"),
    ] {
        let mut answer = Client::get(path).connect(admin).await;
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in [
            ("content-type", kind),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
        let tag = answer.header("etag").unwrap().to_owned();
        let text = answer.text().await;
        let places = text.replace("http://www.w3.org/2000/svg", "").replace("http://ADDRESS/", "");
        assert!(!places.contains("://") && !places.contains("eval(") && !places.contains("innerHTML"), "{path}");
        if kind.starts_with("text/html") {
            assert!(!text.contains("style=") && !text.contains("onclick="), "nothing is inline");
            assert_eq!(text.matches("<script").count(), 1, "one script, and it has a file");
        }
        let mut again = Client::get(path).header("If-None-Match", &tag).connect(admin).await;
        assert_eq!((again.status, again.header("etag")), (304, Some(tag.as_str())), "{path}");
        assert_eq!(again.text().await, "");
        let head = Client::method("HEAD", path).connect(admin).await;
        assert_eq!((head.status, head.header("etag")), (200, Some(tag.as_str())), "{path}");
        let post = Client::method("POST", path).header("Content-Length", 0).connect(admin).await;
        assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    for path in ["/page", "/page/", "/page/nothing.js", "/index.html", "/page/../page.css"] {
        assert_eq!(Client::get(path).connect(admin).await.status, 404, "{path}");
    }
}
