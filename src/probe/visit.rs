//! The course of a probe: what is asked, one after the other, and what is learned.

use super::ask::{Answer, Asker, Link, NoAnswer, browser_fields};
use super::facts::{Again, Compressed, Facts, HeadMethod, Hop, NoHead, Page, Plain, Resume, Resumption, Stream};
use super::flow::flow;
use super::judge::says_that_it_lives;
use super::listen::Listening;
use super::question::{Question, Target};
use super::reading::Reading;
use super::resumed::{Resumed, resumed, to_ask};
use crate::sse::is_event_stream;
use crate::upstream::{NamedBy, UpstreamOptions};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// What browsers accept.
const CODINGS: &str = "gzip, deflate, br, zstd";

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The longest time for the answers to HEAD and to a preflight.
const ASIDE: Duration = Duration::from_secs(10);

/// How much later than its plain form a compressed answer may end.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes that come within this time are of one moment.
const MOMENT: Duration = Duration::from_millis(100);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Asks everything.
pub(super) async fn visit(question: Question) -> Facts {
    let mut facts = Facts { patience: question.listen, page: question.page.clone(), ..Facts::default() };
    let options = UpstreamOptions { trusted: question.trusted.clone(), ..UpstreamOptions::default() };
    let mut visit = Visit { asker: Asker::new(NamedBy::Url), options, question };
    let Some(answer) = visit.first(&mut facts).await else { return facts };
    if answer.head.status == StatusCode::OK {
        visit.listen(answer, &mut facts).await;
    } else {
        facts.page = visit.preflight(facts.page.take()).await;
    }
    facts
}

struct Visit {
    asker: Asker,
    options: UpstreamOptions,
    question: Question,
}

impl Visit {
    /// The fields of a request for the stream.
    fn fields(&self, codings: &'static str) -> HeaderMap {
        let mut fields = browser_fields(&self.question.headers, codings);
        if let Some(origin) = self.question.page.as_ref().and_then(|page| HeaderValue::from_str(&page.origin).ok()) {
            fields.insert(ORIGIN, origin);
        }
        fields
    }

    /// The first answer that is no redirect.
    async fn first(&mut self, facts: &mut Facts) -> Option<Answer> {
        loop {
            self.question.target.origin.bare_host().clone_into(&mut facts.host);
            let connected = self.asker.connect(&self.question.target, &self.options).await;
            let (mut link, connection) = match connected {
                Ok(connected) => connected,
                Err(why) => {
                    facts.connection = Some(Err(why));
                    return None;
                }
            };
            facts.connection = Some(Ok(connection));
            let mut fields = self.fields(CODINGS);
            if let Some(id) = &self.question.last_event_id {
                fields.insert(LAST_EVENT_ID, id.clone());
            }
            let path = &self.question.target.path_and_query;
            match link.ask(&Method::GET, path, &fields, self.question.listen).await {
                Err(NoAnswer::Late) => facts.head = Some(Err(NoHead::Late)),
                Err(NoAnswer::Failed(why) | NoAnswer::Garbled(why)) => facts.head = Some(Err(NoHead::Failed(why))),
                Ok(answer) => {
                    if self.is_followed(&answer, &mut facts.hops) {
                        continue;
                    }
                    facts.head = Some(Ok(answer.head.clone()));
                    return Some(answer);
                }
            }
            return None;
        }
    }

    /// Whether the answer is a redirect that is followed. The next request then goes there.
    fn is_followed(&mut self, answer: &Answer, hops: &mut Vec<Hop>) -> bool {
        let status = answer.head.status;
        let location = answer.head.fields.get(LOCATION).filter(|_| matches!(status.as_u16(), 301..=303 | 307 | 308));
        let Some(location) = location else { return false };
        let before = &self.question.target;
        let base = Url::parse(&format!("{}{}", before.origin.root_url(), before.path_and_query)).ok();
        let reference = String::from_utf8_lossy(location.as_bytes());
        let target = base.and_then(|base| base.join(&reference).ok()).map(|url| Target::of(&url));
        let (to, refused) = match target {
            None => ("nowhere".to_owned(), Some("it names no URL")),
            Some(Err(_)) => ("a URL that is not shown".to_owned(), Some("it is not a plain http or https URL")),
            Some(Ok(target)) => {
                let to = target.shown();
                if hops.len() >= MAX_REDIRECTS {
                    (to, Some("it is the sixth redirect"))
                } else {
                    if target.origin.root_url() != before.origin.root_url() {
                        // What is meant for one server is not shown to another.
                        self.question.headers.clear();
                    }
                    self.question.target = target;
                    (to, None)
                }
            }
        };
        hops.push(Hop { status, to, refused });
        refused.is_none()
    }

    /// Listens to the stream, and asks further questions meanwhile.
    async fn listen(&mut self, answer: Answer, facts: &mut Facts) {
        let deadline = Instant::now() + self.question.listen;
        let coding = coding(&answer.head.fields);
        let is_stream = answer.head.fields.get(CONTENT_TYPE).is_some_and(is_event_stream);
        let mut first = Listening::to(answer);
        let mut second = None;
        if let Some(coding) = coding {
            let (plain, listening) = self.plain().await;
            second = listening;
            facts.compressed = Some(Compressed { coding, moments: 0, plain });
        }
        let ((), page, head_method) = tokio::join!(
            async {
                second.as_mut().unwrap_or(&mut first).until(deadline, |_| false).await;
            },
            Self::preflight_of(&self.question, &self.options, facts.page.take()),
            Self::head_method(&self.question, &self.options),
        );
        (facts.page, facts.head_method) = (page, Some(head_method));
        if let Some(compressed) = &mut facts.compressed {
            // A stream that has ended in its plain form may end a little later in the other.
            first.until(deadline.min(Instant::now() + GRACE), |_| false).await;
            compressed.moments = moments(&first.reading());
        }
        let is_readable = facts.compressed.as_ref().is_none_or(|compressed| compressed.plain == Plain::Came);
        let stream = second.unwrap_or(first);
        let heard = heard(&stream);
        // A page of HTML has no events, and its lines say nothing.
        if !is_readable || (!is_stream && heard.events == 0) {
            return;
        }
        facts.stream = Some(heard);
        if is_stream {
            facts.resume = self.resume(stream).await;
        }
    }

    /// The same stream without compression.
    async fn plain(&mut self) -> (Plain, Option<Listening>) {
        match self.again(None).await {
            Ok(answer) if answer.head.status == StatusCode::OK => match coding(&answer.head.fields) {
                Some(_) => (Plain::Compressed, None),
                None => (Plain::Came, Some(Listening::to(answer))),
            },
            _ => (Plain::Failed, None),
        }
    }

    /// Asks for the stream again, on another connection and without compression.
    async fn again(&mut self, id: Option<&Bytes>) -> Result<Answer, NoAnswer> {
        let connected = self.asker.connect(&self.question.target, &self.options).await;
        let (mut link, _) = connected.map_err(|why| NoAnswer::Failed(why.to_string()))?;
        let mut fields = self.fields("identity");
        if let Some(id) = id.and_then(|id| HeaderValue::from_bytes(id).ok()) {
            fields.insert(LAST_EVENT_ID, id);
        }
        link.ask(&Method::GET, &self.question.target.path_and_query, &fields, self.question.listen).await
    }

    /// Asks with an older id, while the stream goes on.
    async fn resume(&mut self, mut stream: Listening) -> Option<Resume> {
        let reference = stream.reading().ids.clone();
        let asked = to_ask(&reference)?;
        let (id, newer) = (reference.get(asked)?.clone(), reference.len() - asked - 1);
        let mut answer = self.again(Some(&id)).await;
        let is_alone = answer.is_err();
        if is_alone {
            // Some small servers answer one client at a time.
            stream.leave();
            answer = self.again(Some(&id)).await;
        }
        let Ok(answer) = answer else { return Some(Resume { id, answer: Resumption::NoAnswer }) };
        let is_stream = answer.head.fields.get(CONTENT_TYPE).is_some_and(is_event_stream);
        if answer.head.status != StatusCode::OK || !is_stream {
            return Some(Resume { id, answer: Resumption::Status(answer.head.status) });
        }
        let deadline = Instant::now() + self.question.listen;
        let mut came = Listening::to(answer);
        if newer == 0 && !is_alone {
            // The next event tells.
            let _both = tokio::join!(
                stream.until(deadline, |reading| reading.ids.len() > asked + 1),
                came.until(deadline, |reading| !reading.ids.is_empty()),
            );
        } else {
            let is_settled = |reading: &Reading| {
                let so_far = resumed(&reference, asked, &reading.ids);
                reading.ids.len() >= newer
                    || matches!(so_far, Resumed::Skipped(_) | Resumed::Lost(_) | Resumed::Repeated)
            };
            came.until(deadline, is_settled).await;
        }
        let answer = resumed(&stream.reading().ids, asked, &came.reading().ids);
        Some(Resume { id, answer: Resumption::Stream(answer) })
    }

    async fn preflight(&self, page: Option<Page>) -> Option<Page> {
        Self::preflight_of(&self.question, &self.options, page).await
    }

    /// Asks what a browser asks before a request with special fields.
    async fn preflight_of(question: &Question, options: &UpstreamOptions, page: Option<Page>) -> Option<Page> {
        let mut page = page?;
        if page.asks.is_empty() {
            return Some(page);
        }
        let names = page.asks.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(",");
        let mut fields = browser_fields(&[], CODINGS);
        fields.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
        fields.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("GET"));
        if let (Ok(origin), Ok(names)) = (HeaderValue::from_str(&page.origin), HeaderValue::from_str(&names)) {
            fields.insert(ORIGIN, origin);
            fields.insert(ACCESS_CONTROL_REQUEST_HEADERS, names);
        }
        if let Some(mut link) = aside(question, options).await {
            let answer = link.ask(&Method::OPTIONS, &question.target.path_and_query, &fields, ASIDE).await;
            page.preflight = answer.ok().map(|answer| (answer.head.status, answer.head.fields));
        }
        Some(page)
    }

    /// Asks with HEAD, and again on the same connection if it goes on.
    async fn head_method(question: &Question, options: &UpstreamOptions) -> HeadMethod {
        let Some(mut link) = aside(question, options).await else { return HeadMethod::NoAnswer };
        let fields = browser_fields(&question.headers, CODINGS);
        let path = &question.target.path_and_query;
        let Ok(answer) = link.ask(&Method::HEAD, path, &fields, ASIDE).await else { return HeadMethod::NoAnswer };
        let head = answer.head;
        let again = if says_that_it_lives(&head) {
            Some(match link.ask(&Method::HEAD, path, &fields, ASIDE).await {
                Ok(_) => Again::Answered,
                Err(why) if link.ends_garbled(&why).await => Again::Garbled,
                Err(_) => Again::Lost,
            })
        } else {
            None
        };
        HeadMethod::Answered { status: head.status, version: head.version, fields: head.fields, again }
    }
}

/// A connection for a question aside.
async fn aside(question: &Question, options: &UpstreamOptions) -> Option<Link> {
    Asker::new(NamedBy::Url).connect(&question.target, options).await.ok().map(|(link, _)| link)
}

/// The coding of a body that is encoded. Some servers say `none` to keep proxies from compressing.
fn coding(fields: &HeaderMap) -> Option<String> {
    let lines: Vec<_> =
        fields.get_all(CONTENT_ENCODING).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let said = lines.join(", ");
    let is_none = said
        .split(',')
        .all(|one| matches!(one.trim().to_ascii_lowercase().as_str(), "" | "identity" | "none" | "utf-8"));
    (!is_none).then_some(said)
}

/// What was heard so far.
fn heard(stream: &Listening) -> Stream {
    let listened = stream.listened();
    let reading = stream.reading();
    let last = reading.arrivals.last().map_or(Duration::ZERO, |last| last.at);
    // A stream that has ended is not silent.
    let listened = if reading.end.is_some() { last } else { listened };
    Stream {
        listened,
        bytes: reading.bytes,
        events: reading.events,
        without_id: reading.without_id,
        ids: reading.ids.len(),
        different: reading.ids.iter().collect::<HashSet<_>>().len(),
        retries: reading.retries.clone(),
        refused: reading.refused,
        flow: flow(&reading.arrivals),
        moments: moments(&reading),
        first: reading.arrivals.first().map(|first| first.at),
        silence: reading.longest_silence(listened),
        lines: reading.lines.clone(),
        end: reading.end,
    }
}

/// The number of moments at which bytes came.
fn moments(reading: &Reading) -> usize {
    let mut last: Option<Duration> = None;
    let mut moments = 0;
    for arrival in &reading.arrivals {
        if last.is_none_or(|last| arrival.at.saturating_sub(last) >= MOMENT) {
            moments += 1;
        }
        last = Some(arrival.at);
    }
    moments
}
