//! Ids, and what follows `Last-Event-ID`.

use super::super::facts::{Facts, Resumption, Stream};
use super::super::finding::{Finding, Key};
use super::super::resumed::Resumed;
use super::count;
use crate::quoted::quoted;

pub(super) fn of(facts: &Facts) -> Vec<Finding> {
    let Some(stream) = &facts.stream else { return Vec::new() };
    let mut found = Vec::new();
    found.extend(ids(stream));
    if let Some(resume) = &facts.resume {
        let id = quoted(String::from_utf8_lossy(&resume.id)).to_string();
        found.push(resumption(&id, resume.answer));
    }
    found
}

fn ids(stream: &Stream) -> Option<Finding> {
    let Stream { events, without_id, ids, different, .. } = stream;
    if *events == 0 && *ids == 0 {
        return None;
    }
    let all = count(*events, "event");
    Some(if *ids == 0 {
        Finding::note(
            Key::Ids,
            format!("None of the {all} has an id."),
            "A client that was cut off cannot say where it was, and loses what came in between. Give each event an \
             id, and answer Last-Event-ID. Behind manifold every event gets an id, and clients resume there.",
        )
    } else if *different == 1 && *events > 2 {
        Finding::wrong(
            Key::Ids,
            format!("All {all} have the same id."),
            "A client that was cut off cannot say where it was. Give each event an id of its own.",
        )
    } else if different < ids {
        Finding::wrong(
            Key::Ids,
            format!("Some ids came again later: {} for {all}.", count(*different, "different id")),
            "An id must name one place in the stream. Count up, and do not begin again within a stream.",
        )
    } else if *without_id > 0 {
        Finding::note(
            Key::Ids,
            format!("{without_id} of {all} have no id."),
            "A client that was cut off after such an event gets it again, or what came before it. Give each event an \
             id.",
        )
    } else {
        Finding::good(Key::Ids, format!("{all} came with {}.", count(*different, "id")))
    })
}

fn resumption(id: &str, answer: Resumption) -> Finding {
    let asked = format!("Asked again with Last-Event-ID {id}:");
    let cure = "Read the header Last-Event-ID, and begin after that event. A proxy on the way must pass the header. \
                Behind manifold clients resume even if the origin cannot.";
    let wrong =
        |seen: String, why: &str| Finding::wrong(Key::Resume, format!("{asked} {seen}"), format!("{why} {cure}"));
    match answer {
        Resumption::NoAnswer => {
            wrong("there was no answer.".to_owned(), "A client that was cut off does not come back.")
        }
        Resumption::Status(status) => wrong(
            format!("the answer is {}, which is not a stream.", status.as_u16()),
            "An EventSource that was cut off ends for ever.",
        ),
        Resumption::Stream(resumed) => match resumed {
            Resumed::Continued(events) => {
                let came = count(events, "id");
                Finding::good(
                    Key::Resume,
                    format!("{asked} {came} that followed it came again, in order and without a gap."),
                )
            }
            Resumed::Skipped(events) => wrong(
                format!(
                    "of the ids that had followed it, at least {} missing.",
                    if events == 1 { "1 is".to_owned() } else { format!("{events} are") }
                ),
                "A client that was cut off has a gap, and does not know it.",
            ),
            Resumed::Lost(events) => wrong(
                format!("the {} that had followed it did not come, only newer ones.", count(events, "id")),
                "A client that was cut off loses what came in between, and does not know it.",
            ),
            Resumed::Silent(events) => wrong(
                format!("the {} that had followed it did not come.", count(events, "id")),
                "A client that was cut off loses what came in between, and does not know it.",
            ),
            Resumed::Repeated => wrong(
                "events came that the client already has.".to_owned(),
                "The origin ignores the id: a client that was cut off gets events twice.",
            ),
            Resumed::Unknown => Finding::note(
                Key::Resume,
                format!("{asked} no newer event is known, so none had to come."),
                "Listen longer with --secs, so that more events with ids come.",
            ),
        },
    }
}
