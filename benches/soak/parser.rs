//! Event streams as a browser reads them, as far as the gateway's canonical form needs it.

/// An event that is complete.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Reads the bytes of one response.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// The id of the last event. It outlives a response.
    pub(crate) id: String,
    next_id: Option<String>,
}

impl Parser {
    /// Reads bytes. Returns the events that are complete with them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.line.pop();
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                events.extend(self.take(&line));
            }
        }
        events
    }

    fn take(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            self.id = self.next_id.take().unwrap_or_else(|| self.id.clone());
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            "event" => value.clone_into(&mut self.event.kind),
            "id" => self.next_id = Some(value.to_owned()),
            _ => {}
        }
        None
    }

    /// Forgets what a response left unfinished.
    pub(crate) fn ended(&mut self) {
        *self = Self { id: std::mem::take(&mut self.id), ..Self::default() };
    }
}
