//! The connection, redirects, the status, and requests with HEAD.

use super::super::facts::{Again, Facts, Head, HeadMethod, NoHead};
use super::super::finding::{Finding, Key};
use super::{time, tls};
use crate::quoted::quoted;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{StatusCode, Version};

pub(super) fn of(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    match &facts.connection {
        Some(Ok(connection)) => {
            let seen = format!("Connected to {} in {}.", connection.address, time(connection.took));
            found.push(Finding::good(Key::Connection, seen));
            found.extend(connection.tls.iter().flat_map(|tls| tls::of(tls, connection.at)));
        }
        Some(Err(why)) => found.push(tls::no_connection(why, &facts.host)),
        None => {}
    }
    found.extend(facts.hops.iter().map(redirect));
    let is_tls = facts.connection.iter().flatten().any(|connection| connection.tls.is_some());
    match &facts.head {
        Some(Ok(head)) => {
            found.push(protocol(head.version));
            found.push(status(head.status, is_tls));
        }
        Some(Err(NoHead::Late)) => found.push(Finding::wrong(
            Key::HeadTime,
            format!("The connection was accepted, but no response head came within {}.", time(facts.patience)),
            "Until the head arrives, a browser shows the stream as connecting, and proxies give up (nginx after 60 s, \
             with 504). Either the origin hangs, or the head waits for the first event. Flush the head at once, for \
             example with a comment line \":\" after it, or listen longer with --secs.",
        )),
        Some(Err(NoHead::Failed(why))) => {
            let seen = format!("The connection brought no answer: {why}.");
            found.push(Finding::wrong(
                Key::Status,
                seen,
                "Look into the log of the origin, and of each proxy before it.",
            ));
        }
        None => {}
    }
    let got = facts.head.as_ref().and_then(|head| head.as_ref().ok());
    found.extend(facts.head_method.iter().zip(got).flat_map(|(answer, got)| head_method(answer, got)));
    found
}

fn redirect(hop: &super::super::facts::Hop) -> Finding {
    let seen = format!("The answer is {} and leads to {}.", hop.status.as_u16(), quoted(&hop.to));
    match hop.refused {
        None => Finding::note(
            Key::Redirect,
            format!("{seen} The probe followed it."),
            "Each reconnection of each client takes this detour again. Let clients use the last URL.",
        ),
        Some(why) => Finding::wrong(
            Key::Redirect,
            format!("{seen} The probe did not follow it: {why}."),
            "Probe the URL that it leads to, if that is the stream.",
        ),
    }
}

fn protocol(version: Version) -> Finding {
    match version {
        Version::HTTP_2 => Finding::good(Key::Protocol, "HTTP/2: many streams share one connection."),
        Version::HTTP_11 => Finding::good(
            Key::Protocol,
            "HTTP/1.1. A browser opens at most six connections to a host, over all its tabs; each stream takes one.",
        ),
        _ => Finding::note(
            Key::Protocol,
            "HTTP/1.0: the answer ends by closing the connection, so a client cannot tell a clean end from a broken \
             one.",
            "Let the server answer with HTTP/1.1. An nginx in between needs proxy_http_version 1.1.",
        ),
    }
}

fn status(status: StatusCode, is_tls: bool) -> Finding {
    let seen = format!("The status is {}.", status.as_u16());
    let for_ever = "Any status but 200 ends an EventSource for ever: it does not try again by itself.";
    let wrong = |advice: &str| Finding::wrong(Key::Status, seen.clone(), format!("{for_ever} {advice}"));
    match status.as_u16() {
        200 => Finding::good(Key::Status, seen),
        204 => wrong("204 does so on purpose. Answer 200 as long as there may be events."),
        400 if !is_tls => wrong("If the server speaks TLS at this port, the URL must begin with https://."),
        401 | 403 | 407 => {
            wrong("Give what the origin demands with --header, for example --header 'authorization: ...'.")
        }
        404 | 410 => wrong("Check the path, and whether proxies on the way change it."),
        300..=399 => wrong("Let clients use the URL of the stream itself."),
        405 | 406 => wrong("A stream is read with GET and with \"Accept: text/event-stream\": allow both."),
        429 => wrong("The server limits its clients. Let it limit event streams by another rule."),
        502..=504 => wrong(
            "A proxy answers in place of the origin, which is down, too slow, or not where the proxy asks. Look into \
             the log of the proxy.",
        ),
        500..=599 => wrong("The server failed. Look into its log."),
        _ => wrong("Answer with 200."),
    }
}

/// `got`: the answer to GET.
fn head_method(answer: &HeadMethod, got: &Head) -> Vec<Finding> {
    let HeadMethod::Answered { status, version, fields, again } = answer else {
        return vec![Finding::note(
            Key::HeadMethod,
            "HEAD brought no answer.",
            "Browsers do not send it, but monitors and link checkers do. Answer it with the head of GET, and end \
             there.",
        )];
    };
    if *again == Some(Again::Garbled) {
        return vec![
            Finding::note(
                Key::HeadMethod,
                "HEAD is answered with a body, as if it were GET.",
                "A client then cannot read what follows on the connection. Browsers do not send HEAD, but monitors \
                 and link checkers do. Answer it with the head of GET, and end there.",
            ),
            Finding::note(
                Key::KeepAlive,
                "Whether the connection serves another request cannot be judged, because HEAD is answered with a body.",
                "Answer HEAD without a body.",
            ),
        ];
    }
    let is_same = *status == got.status && fields.get(CONTENT_TYPE) == got.fields.get(CONTENT_TYPE);
    let method = if is_same {
        Finding::good(Key::HeadMethod, "HEAD is answered like GET, without a body.")
    } else {
        Finding::note(
            Key::HeadMethod,
            match status {
                _ if *status == got.status => "HEAD is answered with another Content-Type than GET.".to_owned(),
                status => format!("HEAD is answered with {}, and not with {}.", status.as_u16(), got.status.as_u16()),
            },
            "Browsers do not send it, but monitors and link checkers do. Answer it with the head of GET.",
        )
    };
    vec![method, keep_alive(*version, fields.get(CONNECTION).is_some(), *again)]
}

fn keep_alive(version: Version, names_connection: bool, again: Option<Again>) -> Finding {
    match (version, again) {
        (Version::HTTP_2, _) => Finding::good(Key::KeepAlive, "One connection of HTTP/2 serves many requests."),
        (_, Some(Again::Answered)) => {
            Finding::good(Key::KeepAlive, "The connection serves another request, as its head says.")
        }
        (_, Some(Again::Lost | Again::Garbled)) => Finding::wrong(
            Key::KeepAlive,
            "The head says that the connection stays open, but the next request on it got no answer.",
            "Clients and proxies use such a connection again, and the request is lost. Say \"Connection: close\" \
             where the connection is closed.",
        ),
        (_, None) => Finding::note(
            Key::KeepAlive,
            if names_connection {
                "The head says that the connection is closed after the answer."
            } else {
                "The connection is closed after the answer."
            },
            "Each reconnection then costs a new connection, with TLS a new handshake. Keep connections alive if you \
             can.",
        ),
    }
}

/// Whether the head says that another request may follow on the connection.
pub(in crate::probe) fn says_that_it_lives(head: &Head) -> bool {
    let says = |word: &str| {
        let all = head.fields.get_all(CONNECTION);
        all.iter().any(|line| {
            line.to_str().is_ok_and(|line| line.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
        })
    };
    match head.version {
        Version::HTTP_11 => !says("close"),
        Version::HTTP_10 => says("keep-alive"),
        _ => true,
    }
}
