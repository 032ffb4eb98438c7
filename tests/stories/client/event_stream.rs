//! A parser of the HTML standard's event-stream format, line by line and as simple as possible.

use std::collections::VecDeque;

/// An event as a browser would dispatch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type.
    pub kind: String,
    /// Its data.
    pub data: String,
    /// The last event id at its dispatch.
    pub id: String,
}

/// An expected event.
pub fn event(kind: &str, data: &str, id: &str) -> Event {
    Event { kind: kind.to_owned(), data: data.to_owned(), id: id.to_owned() }
}

/// The reader and what it has read.
#[derive(Debug, Default)]
pub struct EventStream {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    kind: String,
    data: String,
    id_buffer: String,
    /// The last event id, which a reconnect sends.
    id: String,
    /// The events that the story has not taken.
    pub events: VecDeque<Event>,
    /// The comments that the story has not taken, without their colon.
    pub comments: VecDeque<String>,
    /// All reconnection times that were set.
    pub retries: Vec<u64>,
}

impl EventStream {
    /// A parser that begins after an event with this id.
    pub fn after(id: &str) -> Self {
        Self { id: id.to_owned(), id_buffer: id.to_owned(), ..Self::default() }
    }

    /// The last event id.
    pub fn last_id(&self) -> &str {
        &self.id
    }

    /// Parses further bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let completes_crlf = byte == b'\n' && std::mem::take(&mut self.after_cr);
            if completes_crlf {
                continue;
            }
            self.after_cr = byte == b'\r';
            if byte == b'\r' || byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line(&String::from_utf8_lossy(&line));
            } else {
                self.line.push(byte);
            }
        }
    }

    fn line(&mut self, line: &str) {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = line.strip_prefix('\u{feff}').filter(|_| first).unwrap_or(line);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value_from_space = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => self.dispatch(),
            "" => self.comments.push_back(value.to_owned()),
            "event" => value_from_space.clone_into(&mut self.kind),
            "data" => self.data += &format!("{value_from_space}\n"),
            "id" if !value.contains('\0') => value_from_space.clone_into(&mut self.id_buffer),
            "retry" if !value_from_space.is_empty() && value_from_space.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retries.extend(value_from_space.parse::<u64>());
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.id_buffer.clone_into(&mut self.id);
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if data.pop().is_some() {
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            self.events.push_back(Event { kind, data, id: self.id.clone() });
        }
    }
}
