//! Access lines: what became of each client, in the log.
//!
//! ```text
//!   client came ──▶ client stays, every access_every_secs ──▶ client left        streams
//!   request answered                                                             everything else
//! ```
//!
//! A line has a sentence and fields. As text it is the sentence followed by `key=value` pairs; a program that logs JSON
//! finds the same fields with their types as the key-values of the record. Like the levels of the log, what is wanted is
//! a setting of the process.

use crate::caller::Caller;
use crate::quoted::{Word, quoted};
use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{Level, Record};
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// The target of access lines.
pub const TARGET: &str = "manifold::access";

/// Which access lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// None.
    Off,
    /// One for each client and each other request, at its end.
    End,
    /// Also one for each client when it comes, and one from time to time while it stays.
    All,
}

static WANTED: AtomicU8 = AtomicU8::new(Access::End as u8);
static EVERY_MILLIS: AtomicU64 = AtomicU64::new(300_000);
static KEEPS_CALLERS: AtomicBool = AtomicBool::new(false);

/// Sets which lines are written from now on, and how often one is written while a client stays.
pub fn want(access: Access, every: Duration) {
    WANTED.store(access as u8, Ordering::Relaxed);
    EVERY_MILLIS.store(u64::try_from(every.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Who a client is is kept for as long as it is served, whatever lines are wanted, because others ask for it.
pub fn keep_callers() {
    KEEPS_CALLERS.store(true, Ordering::Relaxed);
}

/// Whether it is kept who a client is.
#[must_use]
pub fn keeps_callers() -> bool {
    KEEPS_CALLERS.load(Ordering::Relaxed) || wants(Access::End)
}

/// Whether these lines are wanted, and written at all.
#[must_use]
pub fn wants(access: Access) -> bool {
    access as u8 <= WANTED.load(Ordering::Relaxed) && log::log_enabled!(target: TARGET, Level::Info)
}

/// How often a line is written while a client stays. `None`: never.
#[must_use]
pub fn every() -> Option<Duration> {
    wants(Access::All).then(|| Duration::from_millis(EVERY_MILLIS.load(Ordering::Relaxed)))
}

/// The value of a field.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    /// A number.
    Number(u64),
    /// A word of the program, or what is displayed as one.
    Word(&'a dyn Display),
    /// A path, which becomes one word.
    Path(&'a str),
    /// A text of a stranger.
    Text(&'a str),
    /// There is none.
    Nothing,
}

/// A line: a sentence and fields.
#[derive(Clone, Copy)]
struct Line<'a> {
    sentence: &'static str,
    fields: &'a [(&'static str, Field<'a>)],
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence)?;
        for (key, field) in self.fields {
            match field {
                Field::Number(number) => write!(f, " {key}={number}"),
                Field::Word(word) => write!(f, " {key}={word}"),
                Field::Path(path) => write!(f, " {key}={}", Word(path)),
                Field::Text(text) => write!(f, " {key}={}", quoted(text)),
                Field::Nothing => write!(f, " {key}=-"),
            }?;
        }
        Ok(())
    }
}

impl Source for Line<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        visitor.visit_pair(Key::from("message"), Value::from(self.sentence))?;
        for (key, field) in self.fields {
            let value = match field {
                Field::Number(number) => Value::from(*number),
                Field::Word(word) => Value::from_dyn_display(word),
                Field::Path(text) | Field::Text(text) => Value::from(*text),
                Field::Nothing => Value::null(),
            };
            visitor.visit_pair(Key::from(*key), value)?;
        }
        Ok(())
    }
}

impl Line<'_> {
    fn write(&self) {
        let mut record = Record::builder();
        record.target(TARGET).level(Level::Info).module_path_static(Some(module_path!())).key_values(self);
        log::logger().log(&record.args(format_args!("{self}")).build());
    }
}

/// A client on a stream.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// The name of the route.
    pub route: &'a str,
    /// The stream, without secrets.
    pub stream: &'a dyn Display,
    /// Who the client is.
    pub caller: &'a Caller,
}

/// What a client on a stream got so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Account {
    /// How long ago its request came.
    pub stayed: Duration,
    /// The events that it was sent.
    pub events: u64,
    /// The bytes of SSE text that it was sent.
    pub bytes: u64,
    /// The events of the past that the log held for it when it came.
    pub replayed: u32,
    /// The gaps in what it got.
    pub gaps: u32,
    /// The events that it was not given yet.
    pub lag: u64,
    /// The most events that it was not given at a time when its connection took nothing.
    pub lag_worst: u32,
}

impl Visit<'_> {
    /// The client's response begins.
    pub fn opens(&self) {
        if wants(Access::All) {
            self.write("client came", None, None);
        }
    }

    /// The client is still there.
    pub fn stays(&self, account: &Account) {
        if wants(Access::All) {
            self.write("client stays", Some(account), None);
        }
    }

    /// The client's response ended. `why`: the reason by which that is counted, and more of it.
    pub fn ends(&self, account: &Account, why: &str, detail: &dyn Display) {
        if wants(Access::End) {
            self.write("client left", Some(account), Some((why, detail)));
        }
    }

    fn write(&self, sentence: &'static str, account: Option<&Account>, end: Option<(&str, &dyn Display)>) {
        let mut fields = Vec::with_capacity(18);
        fields.extend([("route", Field::Path(self.route)), ("stream", Field::Word(self.stream))]);
        fields.push(("status", Field::Number(200)));
        let facts = Facts::of(self.caller);
        fields.push(facts.client());
        if let Some(subject) = self.caller.grant().and_then(|grant| grant.subject.as_deref()) {
            fields.push(("subject", Field::Text(subject)));
        }
        if let Some((why, detail)) = &end {
            fields.extend([("why", Field::Word(why)), ("detail", Field::Word(*detail))]);
        }
        if let Some(account) = account {
            fields.push(("ms", millis(account.stayed)));
            fields.extend([("events", Field::Number(account.events)), ("bytes", Field::Number(account.bytes))]);
            fields.push(("replayed", Field::Number(account.replayed.into())));
        }
        fields.push(("resumed_from", text(self.caller.last_event_id())));
        if let Some(account) = account {
            fields.extend([("gaps", Field::Number(account.gaps.into())), ("lag", Field::Number(account.lag))]);
            fields.push(("lag_worst", Field::Number(account.lag.max(account.lag_worst.into()))));
        }
        fields.extend(facts.looks());
        Line { sentence, fields: &fields }.write();
    }
}

/// A request that was answered with something else than an event stream.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The name of the route. `None`: none serves it.
    pub route: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The status of the answer. `None`: the client left before it.
    pub status: Option<u16>,
    /// Who the client is.
    pub caller: &'a Caller,
    /// Why it was answered so.
    pub why: &'a str,
    /// How long that took.
    pub took: Duration,
    /// The bytes of the answer's body.
    pub bytes: u64,
}

impl Answered<'_> {
    /// Writes the line.
    pub fn ends(&self) {
        if !wants(Access::End) {
            return;
        }
        let facts = Facts::of(self.caller);
        let status = self.status.map_or(Field::Nothing, |status| Field::Number(status.into()));
        let first = [
            ("route", self.route.map_or(Field::Nothing, Field::Path)),
            ("method", Field::Path(self.method)),
            ("path", Field::Path(self.path)),
            ("status", status),
            facts.client(),
            ("why", Field::Word(&self.why)),
            ("ms", millis(self.took)),
            ("bytes", Field::Number(self.bytes)),
        ];
        let fields: Vec<_> = first.into_iter().chain(facts.looks()).collect();
        Line { sentence: "request answered", fields: &fields }.write();
    }
}

/// The facts about a client as fields can show them.
struct Facts<'a> {
    caller: &'a Caller,
    address: String,
    request_id: Option<String>,
}

impl<'a> Facts<'a> {
    fn of(caller: &'a Caller) -> Self {
        let address = caller.address().map_or_else(|| "unix".to_owned(), |address| address.to_string());
        Self { caller, address, request_id: caller.request_id().map(|id| id.to_string()) }
    }

    fn client(&self) -> (&'static str, Field<'_>) {
        ("client", Field::Word(&self.address))
    }

    fn looks(&self) -> [(&'static str, Field<'_>); 3] {
        [
            ("user_agent", text(self.caller.user_agent())),
            ("page_origin", text(self.caller.page_origin())),
            ("request_id", text(self.request_id.as_deref())),
        ]
    }
}

fn text(text: Option<&str>) -> Field<'_> {
    text.map_or(Field::Nothing, Field::Text)
}

fn millis(time: Duration) -> Field<'static> {
    Field::Number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Debug for Visit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("route", &self.route).field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_strangers_wrote() {
        let fields = [
            ("n", Field::Number(7)),
            ("word", Field::Word(&"end")),
            ("path", Field::Path("/a b\n\u{1b}")),
            ("text", Field::Text("x\" forged=1 \u{1b}[31m\n\u{202e}")),
            ("none", Field::Nothing),
        ];
        let line = Line { sentence: "client left", fields: &fields };
        let shown = r#"client left n=7 word=end path=/a%20b%0A%1B text="x\" forged=1 \u{1b}[31m\n\u{202e}" none=-"#;
        assert_eq!(line.to_string(), shown);
        assert_eq!(line.get(Key::from("n")).and_then(|n| n.to_u64()), Some(7));
        assert_eq!(line.get(Key::from("message")).map(|said| said.to_string()).as_deref(), Some("client left"));
    }
}
