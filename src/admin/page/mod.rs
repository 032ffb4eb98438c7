//! The live page: one HTML file, a style sheet and small JavaScript modules. They are part of the binary, hold no data
//! and ask the API for what they show, as any other program does.
//!
//! So a browser gets the files without the token. The page asks for the token and sends it with each question.

use crate::digest::sha256;
use crate::web::{Reply, reply};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, REFERRER_POLICY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The page may load nothing but what this address sends, and no other page may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

static CROSS_ORIGIN_OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
static CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A module of the page's script.
macro_rules! module {
    ($name:literal) => {
        ($name, "text/javascript", include_str!(concat!("assets", $name)))
    };
}

/// The paths, the content types and the contents of the files.
const SOURCES: [(&str, &str, &str); 15] = [
    ("/", "text/html", include_str!("assets/page.html")),
    ("/page.css", "text/css", include_str!("assets/page.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("assets/page/icon.svg")),
    module!("/page.js"),
    module!("/page/actions.js"),
    module!("/page/api.js"),
    module!("/page/dom.js"),
    module!("/page/happenings.js"),
    module!("/page/link.js"),
    module!("/page/model.js"),
    module!("/page/overview.js"),
    module!("/page/stream.js"),
    module!("/page/streams.js"),
    module!("/page/troubles.js"),
    module!("/page/words.js"),
];

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| SOURCES.iter().map(File::new).collect());

/// A file of the page.
#[derive(Debug)]
pub(super) struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    /// Changes with the content.
    tag: String,
}

/// The file at a path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

impl File {
    fn new(&(path, content_type, content): &(&'static str, &'static str, &'static str)) -> Self {
        let mut tag = String::from("\"");
        for byte in sha256(content.as_bytes()).iter().take(8) {
            // Writing to a string cannot fail.
            let _infallible = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        Self { path, content_type, content, tag }
    }

    /// The file, or 304 if the browser has it. A browser asks each time, so it never mixes files of two versions.
    pub(super) fn reply(&self, headers: &HeaderMap) -> Reply {
        let is_held = |field: &HeaderValue| {
            field.to_str().is_ok_and(|tags| {
                tags.split(',').map(str::trim).any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == self.tag)
            })
        };
        let is_held = headers.get_all(IF_NONE_MATCH).iter().any(is_held);
        let (status, body) = if is_held { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, self.content) };
        let mut reply = reply(status, self.content_type, Bytes::from_static(body.as_bytes()));
        let headers = reply.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CROSS_ORIGIN_OPENER.clone(), HeaderValue::from_static("same-origin"));
        headers.insert(CROSS_ORIGIN_RESOURCE.clone(), HeaderValue::from_static("same-origin"));
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_that_is_imported_is_served() {
        for file in FILES.iter().filter(|file| file.content_type == "text/javascript") {
            let below = if file.path == "/page.js" { "/" } else { "/page/" };
            for line in file.content.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from ")) {
                if let Some((_, name)) = line.split_once(" from './") {
                    let path = format!("{below}{}", name.trim_end_matches("';"));
                    assert!(super::file(&path).is_some(), "{} imports {path}", file.path);
                }
            }
        }
    }

    #[test]
    fn a_browser_that_has_a_file_is_not_sent_it_again() {
        let css = file("/page.css").unwrap();
        let other = file("/").unwrap();
        for (tags, status) in [
            (css.tag.clone(), 304),
            (format!("W/{}", css.tag), 304),
            (format!("\"x\", {}", css.tag), 304),
            (other.tag.clone(), 200),
            ("\"x\"".to_owned(), 200),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, tags.parse().unwrap());
            assert_eq!(css.reply(&headers).status().as_u16(), status, "{tags}");
        }
    }
}
