//! What came behind the head: events, their rhythm, heartbeats, lines and the end.

use super::super::facts::{Facts, Stream};
use super::super::finding::{Finding, Key};
use super::super::flow::{Flow, Lumps, Proof};
use super::super::reading::Ending;
use super::{count, proxies, size, time};
use crate::quoted::quoted;
use std::time::Duration;

/// A silence that proxies and phones do not outlast, and one that they may not outlast.
const TOO_SILENT: Duration = Duration::from_secs(30);
const SILENT: Duration = Duration::from_secs(5);

/// The longest line that every client reads: Go's bufio.Scanner and Python's StreamReader stop at 64 KiB.
const LONG_LINE: usize = 64 << 10;

/// A reconnection time below the one or above the other is odd, in milliseconds.
const LEAST_RETRY: u64 = 100;
const MOST_RETRY: u64 = 60_000;

/// The smallest buffer of the usual collectors.
const SMALL_BUFFER: usize = 4096;

/// The way to stop the usual collectors.
const NO_COLLECTING: &str = "Ask the origin directly to see which hop does it. nginx: proxy_buffering off, or \
     \"X-Accel-Buffering: no\" from the origin. Turn compression off. In the origin, flush after each event.";

pub(super) fn of(facts: &Facts) -> Vec<Finding> {
    let Some(stream) = &facts.stream else { return Vec::new() };
    let fields = facts.head.as_ref().and_then(|head| head.as_ref().ok()).map(|head| &head.fields);
    let mut found = vec![events(stream)];
    found.extend(end(stream));
    if stream.bytes == 0 {
        return found;
    }
    found.extend(buffering(stream, fields.and_then(proxies::collects)));
    found.push(heartbeat(stream));
    found.push(retry(&stream.retries));
    found.push(blocks(stream));
    found
}

fn events(stream: &Stream) -> Finding {
    let within = time(stream.listened);
    let bytes = size(stream.bytes);
    match (stream.events, stream.bytes, stream.lines.comments) {
        (0, 0, _) => Finding::note(
            Key::Events,
            format!("Nothing came within {within}."),
            "A quiet stream is not a fault. If there should be events: ask the origin directly, and compare. \
             Something on the way may hold them back until its buffer is full. Listen longer with --secs.",
        ),
        (0, _, _) if stream.lines.may_hold_events() => Finding::wrong(
            Key::Events,
            format!("{bytes} came within {within}, and no event."),
            "A client fires no event for them. An event is a line \"data: ...\" and an empty line after it: check for \
             missing \"data:\" and for \"\\n\" that should be \"\\n\\n\".",
        ),
        (0, _, comments) => Finding::note(
            Key::Events,
            format!("{bytes} came within {within}, with {} and no event.", count(comments, "comment line")),
            "A quiet stream is not a fault. Listen longer with --secs, or make an event happen.",
        ),
        (events, ..) => {
            Finding::good(Key::Events, format!("{} came within {within}, in {bytes}.", count(events, "event")))
        }
    }
}

fn buffering(stream: &Stream, collector: Option<&'static str>) -> Option<Finding> {
    Some(match &stream.flow {
        Flow::TooFew(0) => return None,
        Flow::TooFew(events) => Finding::note(
            Key::Buffering,
            format!("{} came: too few to say whether something collects them.", count(*events, "event")),
            "Listen longer with --secs.",
        ),
        Flow::Flowing(moments) => {
            Finding::good(Key::Buffering, format!("Events came one by one, at {}.", count(*moments, "moment")))
        }
        Flow::AtTheStart(events) => Finding::note(
            Key::Buffering,
            format!("All {events} events came at once, right at the start, and then none."),
            "They are probably old ones that the origin sends to each new client. Listen longer with --secs to see new \
             ones come.",
        ),
        Flow::Lumps(lumps) => {
            // A buffer is emptied when it is full, or at the end of the answer.
            let may_be_buffers = lumps.smallest >= SMALL_BUFFER || (lumps.lumps == 1 && stream.end.is_some());
            of_lumps(lumps, collector.filter(|_| may_be_buffers))
        }
    })
}

fn of_lumps(lumps: &Lumps, collector: Option<&'static str>) -> Finding {
    let Lumps { lumps, events, largest: (most, within, silence), proof, .. } = lumps;
    let came = if *lumps == 1 {
        format!("{most} events came within {}, after {} of silence.", time(*within), time(*silence))
    } else {
        format!(
            "{events} events came in {lumps} lumps; the largest was {most} events within {}, after {} of silence.",
            time(*within),
            time(*silence)
        )
    };
    let advice = |sure: &str| format!("{sure} {NO_COLLECTING}");
    match (proof, collector) {
        (Proof::Times(apart), _) => Finding::wrong(
            Key::Buffering,
            format!("{came} The times in them are {} apart.", time(*apart)),
            advice("That is certain: something on the way, or the origin itself, collects events."),
        ),
        (Proof::Size(bytes), _) => Finding::wrong(
            Key::Buffering,
            format!("{came} Each lump is a multiple of {bytes} bytes."),
            advice("That is nearly certain: a buffer of that size collects events until it is full."),
        ),
        (Proof::None, Some(name)) => Finding::wrong(
            Key::Buffering,
            format!("{came} The answer comes through {name}, which collects by default."),
            advice("That is likely, unless the origin sends them together: something collects events."),
        ),
        (Proof::None, None) => Finding::note(
            Key::Buffering,
            came,
            advice(
                "Either the origin sends them together, or something collects them: times in the data would show \
                 which.",
            ),
        ),
    }
}

fn heartbeat(stream: &Stream) -> Finding {
    let silence = time(stream.silence);
    let advice = "Proxies and mobile networks drop a silent connection (nginx after 60 s, some after 30 s), and \
                  nobody notices that the other side is gone. Send a comment line \":\" when nothing was sent for 15 \
                  s.";
    match stream.lines.comments {
        _ if stream.silence >= TOO_SILENT => {
            Finding::wrong(Key::Heartbeat, format!("Nothing came for {silence}, not even a comment line."), advice)
        }
        0 if stream.silence >= SILENT => Finding::note(
            Key::Heartbeat,
            format!("Nothing came for {silence}, and no comment line came in the whole time."),
            format!("{advice} To see whether the origin does, listen longer: --secs 60."),
        ),
        0 => Finding::good(Key::Heartbeat, format!("There was no silence of more than {silence}.")),
        comments => {
            let comments = count(comments, "comment line");
            Finding::good(Key::Heartbeat, format!("{comments} came. The longest silence was {silence}."))
        }
    }
}

fn retry(retries: &[u64]) -> Finding {
    let Some(newest) = retries.last() else {
        return Finding::good(Key::Retry, "There is no retry: browsers wait 3 to 5 seconds before they connect again.");
    };
    let seen =
        format!("retry is {newest}: clients wait {} before they connect again.", time(Duration::from_millis(*newest)));
    match *newest {
        ..LEAST_RETRY => Finding::note(
            Key::Retry,
            seen,
            "When the server restarts, all clients come back nearly at once, again and again. Say 1000 or more.",
        ),
        MOST_RETRY.. => Finding::note(
            Key::Retry,
            seen,
            "After each lost connection a client gets nothing for that long. Say less, if events matter sooner.",
        ),
        _ => Finding::good(Key::Retry, seen),
    }
}

fn blocks(stream: &Stream) -> Finding {
    let lines = &stream.lines;
    let mut wrong = Vec::new();
    let mut odd = Vec::new();
    let mut cures = Vec::new();
    let mut tell = |to: &mut Vec<String>, seen: String, cure: &str| {
        to.push(seen);
        cures.push(cure.to_owned());
    };
    if lines.bad_utf8 > 0 {
        let seen = format!("{} not UTF-8", are(lines.bad_utf8, "line"));
        tell(&mut wrong, seen, "Clients replace such bytes: encode data as UTF-8.");
    }
    if lines.unknown.0 > 0 {
        let seen = format!(
            "{} without a name that clients know, such as {}",
            are(lines.unknown.0, "line"),
            quoted(&lines.unknown.1)
        );
        tell(&mut wrong, seen, "Clients ignore such lines: each line of the data needs its own \"data: \".");
    }
    if stream.refused > 0 {
        let seen = format!("{} larger than 4 MiB", are(stream.refused, "event"));
        tell(&mut wrong, seen, "Send a link instead of so much data.");
    }
    if stream.end == Some(Ending::Orderly) && lines.is_within_block {
        let seen = "the last event has no empty line after it".to_owned();
        tell(&mut wrong, seen, "Clients drop such an event: end it with \"\\n\\n\".");
    }
    if lines.bad_retries > 0 {
        let seen = format!("{} not numeric", are(lines.bad_retries, "retry value"));
        tell(&mut odd, seen, "Clients ignore it: say milliseconds, in digits only.");
    }
    if lines.has_bom {
        let seen = "the stream begins with a byte order mark".to_owned();
        tell(&mut odd, seen, "Browsers drop it, other clients lose the first line: send none.");
    }
    if lines.only_id > 0 {
        let seen = format!("{} an id and no data", have(lines.only_id, "block"));
        tell(&mut odd, seen, "Browsers take the id, some other clients fail: put ids into events with data.");
    }
    if lines.only_others > 0 {
        let seen = format!("{} neither id nor data", have(lines.only_others, "block"));
        tell(&mut odd, seen, "Browsers fire no event for it, some clients an empty one: give it a data line.");
    }
    if lines.longest > LONG_LINE {
        let seen = format!("the longest line has {}", size(lines.longest));
        tell(
            &mut odd,
            seen,
            "Some clients stop at 64 KiB (Go's bufio.Scanner, Python's aiohttp): split data into lines.",
        );
    }
    if wrong.is_empty() && odd.is_empty() {
        return Finding::good(Key::Blocks, "Every line and every block is one that all clients understand.");
    }
    let is_wrong = !wrong.is_empty();
    let seen = sentence(&wrong.into_iter().chain(odd).collect::<Vec<_>>().join("; "));
    let cure = cures.join(" ");
    if is_wrong { Finding::wrong(Key::Blocks, seen, cure) } else { Finding::note(Key::Blocks, seen, cure) }
}

fn are(n: usize, noun: &str) -> String {
    format!("{} {}", count(n, noun), if n == 1 { "is" } else { "are" })
}

fn have(n: usize, noun: &str) -> String {
    format!("{} {}", count(n, noun), if n == 1 { "has" } else { "have" })
}

/// A text as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn end(stream: &Stream) -> Option<Finding> {
    let after = time(stream.listened);
    Some(match stream.end {
        None => Finding::good(Key::End, format!("The stream was still open after {after}.")),
        Some(Ending::Enough) => Finding::good(Key::End, format!("The stream was left after {}.", size(stream.bytes))),
        Some(Ending::Orderly) if stream.events == 0 && !stream.retries.is_empty() => Finding::note(
            Key::End,
            format!("After {after} the answer ended in order, with a retry and without an event."),
            "That is how a server asks clients to come back later, for example manifold when a limit is reached. Look \
             into its log, and ask again.",
        ),
        Some(Ending::Orderly) => Finding::note(
            Key::End,
            format!("The answer ended in order after {after}."),
            "A browser connects again after the retry time, for ever. If that is not meant, keep the answer open; if \
             it is the end for good, answer the next request with 204.",
        ),
        Some(Ending::Closed) => Finding::note(
            Key::End,
            format!("The connection was closed after {after}, which is the only end that such an answer has."),
            "A client cannot tell whether that was meant or something broke. Send the stream chunked, by HTTP/1.1.",
        ),
        Some(Ending::Cut) => Finding::wrong(
            Key::End,
            format!("The answer broke off after {after}, without its proper end."),
            "Something on the way has closed it: a time limit of a proxy (proxy_read_timeout), a limit of the server's \
             workers (gunicorn --timeout, 30 s), or a crash. Look into their logs at this time.",
        ),
    })
}
