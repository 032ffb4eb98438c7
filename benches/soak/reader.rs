//! What a client of one stream expects: every event once and whole, except for what it was told to have missed.
//!
//! ```text
//!            first event            event n+1
//!   Fresh ───────────────► After(n) ─────────► After(n+1)
//!                           │   ▲
//!                       gap │   │ event m > n, and m-n-1 as many as were told
//!                           ▼   │
//!                          Told(n, missed)
//! ```
//!
//! Every other event is a fault.

use super::events::number;
use serde_json::Value;

/// Which gaps a client of a stream may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// None: the origin resumes, and the log is long enough.
    Never,
    /// Those of an origin that cannot resume.
    OfTheOrigin,
    /// Also those of a client that is too slow.
    Any,
}

/// What a client has seen of its stream.
#[derive(Debug)]
pub(crate) struct Reader {
    path: String,
    gaps: Gaps,
    last: Option<u64>,
    told: Option<Option<u64>>,
}

/// What an event was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The next one.
    Next,
    /// The client was told that it missed some, and why.
    Gap(String),
    /// The permission is over.
    Expired,
}

impl Reader {
    pub(crate) fn new(path: &str, gaps: Gaps) -> Self {
        Self { path: path.to_owned(), gaps, last: None, told: None }
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    /// Takes an event. An error is a fault of the gateway.
    pub(crate) fn take(&mut self, kind: &str, data: &str) -> Result<Seen, String> {
        match kind {
            "" => self.event(data).map(|()| Seen::Next),
            "gap" => self.gap(data).map(Seen::Gap),
            "expired" => Ok(Seen::Expired),
            other => Err(format!("{}: an event of the type {other:?}", self.path)),
        }
    }

    fn event(&mut self, data: &str) -> Result<(), String> {
        let Some(number) = number(&self.path, data) else {
            let beginning = data.chars().take(60).collect::<String>();
            return Err(format!("{}: wrong bytes: {beginning:?}", self.path));
        };
        let told = self.told.take();
        let Some(last) = self.last.replace(number) else { return Ok(()) };
        let path = &self.path;
        match number.checked_sub(last + 1) {
            None => Err(format!("{path}: event {number} came after {last}: doubled")),
            Some(0) if matches!(told, Some(Some(1..))) => Err(format!("{path}: told {told:?} missed, and none was")),
            Some(0) => Ok(()),
            Some(missed) => match told {
                None => Err(format!("{path}: event {number} came after {last}: lost")),
                Some(Some(told)) if told != missed => Err(format!("{path}: {missed} missed, and told {told}")),
                Some(_) => Ok(()),
            },
        }
    }

    fn gap(&mut self, data: &str) -> Result<String, String> {
        let told: Value =
            serde_json::from_str(data).map_err(|error| format!("{}: gap {data:?}: {error}", self.path))?;
        let reason = told["reason"].as_str().unwrap_or("no reason").to_owned();
        let allowed = match self.gaps {
            Gaps::Never => false,
            Gaps::OfTheOrigin => reason == "upstream",
            Gaps::Any => true,
        };
        if !allowed {
            return Err(format!("{} after {:?}: told of a gap: {data}", self.path, self.last));
        }
        // Two gaps in a row are one of unknown length.
        self.told = Some(if self.told.is_some() { None } else { told["missed"].as_u64() });
        Ok(reason)
    }
}
