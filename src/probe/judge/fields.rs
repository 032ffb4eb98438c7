//! The fields of the head.

use super::super::facts::{Compressed, Facts, Head, Plain};
use super::super::finding::{Finding, Key};
use super::{count, time};
use crate::quoted::quoted;
use crate::sse::is_event_stream;
use http::header::{AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::time::Duration;

/// A head that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// If the first byte comes so soon after a slow head, the head has waited for it.
const TOGETHER: Duration = Duration::from_millis(100);

/// The fields of an answer with status 200. Those of an error page do not matter.
pub(super) fn of(head: &Head, facts: &Facts) -> Vec<Finding> {
    if head.status != StatusCode::OK {
        return Vec::new();
    }
    let mut found = vec![content_type(head.fields.get(CONTENT_TYPE))];
    found.push(cache(&head.fields));
    if let Some(length) = head.fields.get(CONTENT_LENGTH) {
        found.push(Finding::wrong(
            Key::Length,
            format!("The head says Content-Length: {}.", shown(length)),
            "A stream has no length: the answer ends there. Often something on the way has collected the whole answer \
             first. Send the stream chunked, and flush each event.",
        ));
    }
    found.push(facts.compressed.as_ref().map_or_else(
        || {
            Finding::good(
                Key::Compression,
                "The stream is not compressed, though a browser's Accept-Encoding was sent.",
            )
        },
        |compressed| compression(compressed, facts.stream.as_ref().map_or(0, |stream| stream.moments)),
    ));
    found.push(accel(&head.fields));
    found.push(head_time(head, facts.stream.as_ref().and_then(|stream| stream.first)));
    found
}

fn shown(value: &HeaderValue) -> String {
    quoted(String::from_utf8_lossy(value.as_bytes())).to_string()
}

fn all(fields: &HeaderMap, name: &HeaderName) -> String {
    let lines = fields.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
    lines.collect::<Vec<_>>().join(", ")
}

fn content_type(value: Option<&HeaderValue>) -> Finding {
    let advice = "An EventSource accepts text/event-stream and nothing else, and proxies stream only answers of that \
                  type. Set \"Content-Type: text/event-stream\".";
    let Some(value) = value else {
        return Finding::wrong(Key::Type, "The head has no Content-Type.", advice);
    };
    let seen = format!("The Content-Type is {}.", shown(value));
    if !is_event_stream(value) {
        return Finding::wrong(Key::Type, seen, advice);
    }
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let charset = text.split(';').filter_map(|part| part.trim().strip_prefix("charset=")).next();
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8") => Finding::good(Key::Type, seen),
        Some(_) => Finding::note(
            Key::Type,
            seen,
            "Clients always read event streams as UTF-8. Send UTF-8, and let the charset be utf-8 or leave it out.",
        ),
    }
}

fn cache(fields: &HeaderMap) -> Finding {
    let said = all(fields, &CACHE_CONTROL);
    if let Some(age) = fields.get(AGE).filter(|age| age.as_bytes() != b"0") {
        return Finding::wrong(
            Key::Cache,
            format!("The answer comes from a cache: its Age is {}.", shown(age)),
            "Clients get old events, and all of them at once. Set \"Cache-Control: no-cache\" at the origin, and \
             exclude the path from the cache.",
        );
    }
    let directives: Vec<String> = said.split(',').map(|part| part.trim().to_ascii_lowercase()).collect();
    let says = |name: &str| directives.iter().any(|directive| directive.split('=').next() == Some(name));
    let lives = |name: &str| {
        directives.iter().any(|part| {
            part.strip_prefix(name)
                .and_then(|age| age.strip_prefix('='))
                .is_some_and(|age| age.trim_matches('"') != "0")
        })
    };
    if says("no-store") || says("no-cache") {
        return Finding::good(
            Key::Cache,
            format!("Cache-Control is {}: no cache answers for the server.", quoted(&said)),
        );
    }
    if says("public") || lives("max-age") || lives("s-maxage") {
        return Finding::wrong(
            Key::Cache,
            format!("Cache-Control is {}: caches may keep the answer.", quoted(&said)),
            "A cache that keeps a stream collects it whole before it sends anything, or sends old events. Set \
             \"Cache-Control: no-cache\".",
        );
    }
    Finding::note(
        Key::Cache,
        if said.is_empty() {
            "There is no Cache-Control.".to_owned()
        } else {
            format!("Cache-Control is {}.", quoted(&said))
        },
        "A cache on the way may then decide by itself. Set \"Cache-Control: no-cache, no-transform\", which also keeps \
         proxies from compressing.",
    )
}

/// `plain`: the number of moments at which bytes of the answer came that is not compressed.
fn compression(compressed: &Compressed, plain: usize) -> Finding {
    let Compressed { coding, moments, .. } = compressed;
    let came = format!("The stream is compressed (Content-Encoding: {}).", quoted(coding));
    let cure = "Turn compression off for text/event-stream: in nginx gzip off; in Apache SetEnv no-gzip 1; in a \
                framework exclude the path from the compression middleware; everywhere \"Cache-Control: \
                no-transform\".";
    // Two answers are never cut into the same pieces.
    let lags = (*moments == 0 && plain > 0) || (*moments == 1 && plain > 2);
    match compressed.plain {
        Plain::Came if lags => Finding::wrong(
            Key::Compression,
            format!(
                "{came} Bytes of it came {}, those of the same stream without compression {}.",
                times(*moments),
                times(plain)
            ),
            format!("The compressor collects events until it has enough for a block. {cure}"),
        ),
        Plain::Came if *moments < 2 => Finding::note(
            Key::Compression,
            format!(
                "{came} Bytes of it came {}: too few to say whether the compressor flushes each event.",
                times(*moments)
            ),
            format!(
                "Most compressors collect events until they have enough for a block. {cure} Or listen longer with \
                 --secs."
            ),
        ),
        Plain::Came => Finding::note(
            Key::Compression,
            format!("{came} Bytes of it came {}, so the compressor flushes.", times(*moments)),
            format!("It works. But a proxy that compresses again may collect events. To be sure: {}", lowered(cure)),
        ),
        Plain::Compressed => Finding::wrong(
            Key::Compression,
            format!(
                "{came} It is compressed even for \"Accept-Encoding: identity\", so its events cannot be read here."
            ),
            format!("Clients that ask for no compression cannot read it. {cure}"),
        ),
        Plain::Failed => Finding::wrong(
            Key::Compression,
            format!("{came} The probe also asked for the stream without compression, and got no such answer."),
            format!("Clients that ask for no compression do not get the stream. {cure}"),
        ),
    }
}

fn lowered(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_ascii_lowercase().to_string() + characters.as_str()).unwrap_or_default()
}

fn times(n: usize) -> String {
    match n {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        n => format!("at {}", count(n, "moment")),
    }
}

fn accel(fields: &HeaderMap) -> Finding {
    let said = all(fields, &HeaderName::from_static("x-accel-buffering")).to_ascii_lowercase();
    match said.as_str() {
        "no" => Finding::good(Key::Accel, "X-Accel-Buffering is \"no\": an nginx on the way does not collect events."),
        "" => Finding::note(
            Key::Accel,
            "There is no X-Accel-Buffering. An nginx on the way removes it, so the origin may have sent it.",
            "An nginx on the way collects events until its buffer of 4 or 8 KiB is full, unless the origin says \
             \"X-Accel-Buffering: no\" or nginx says proxy_buffering off.",
        ),
        other => Finding::wrong(
            Key::Accel,
            format!("X-Accel-Buffering is {}.", quoted(other)),
            "That tells an nginx on the way to collect events until its buffer is full. Say \"X-Accel-Buffering: no\".",
        ),
    }
}

fn head_time(head: &Head, first: Option<Duration>) -> Finding {
    let took = time(head.took);
    if head.took < SLOW {
        return Finding::good(Key::HeadTime, format!("The head came after {took}."));
    }
    if first.is_some_and(|first| first.saturating_sub(head.took) < TOGETHER) {
        return Finding::note(
            Key::HeadTime,
            format!("The head came after {took}, together with the first bytes: it was held back until then."),
            "A browser fires open only when the head arrives, and a proxy gives up on a head that does not come (nginx \
             after 60 s). Flush the head at once: most frameworks do that with the first bytes, so send a comment line \
             \":\" first.",
        );
    }
    Finding::note(
        Key::HeadTime,
        format!("The head came after {took}."),
        "A browser fires open only then. Answer first, and prepare the events after it.",
    )
}
