//! Log lines as JSON: one object in each line.

use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use manifold::utc::rfc3339;
use std::fmt::Write;
use std::time::SystemTime;

/// The most characters of a message.
const SHOWN_OF_MESSAGE: usize = 8000;

/// A record as a line, with its line end. A field `message` of the record stands for its text.
pub(super) fn line(record: &Record<'_>) -> String {
    let mut fields = Fields::default();
    // The fields are written to a string, which cannot fail.
    let _whole = record.key_values().visit(&mut fields);
    let message = fields.message.unwrap_or_else(|| record.args().to_string());
    object(record.level(), record.target(), &message, &fields.text)
}

/// A line about the program itself.
pub(super) fn of_text(text: &str) -> String {
    object(Level::Error, "manifold", text, "")
}

/// `fields`: further fields, each after a comma.
fn object(level: Level, target: &str, message: &str, fields: &str) -> String {
    let level = level.as_str().to_ascii_lowercase();
    let message = match message.char_indices().nth(SHOWN_OF_MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    };
    let (time, target, message) = (rfc3339(SystemTime::now()), string(target), string(&message));
    format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"target\":{target},\"message\":{message}{fields}}}\n")
}

/// A text as a JSON string of printable characters.
fn string(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut printable = String::with_capacity(json.len());
    for character in json.chars() {
        let is_printable = matches!(character, '"' | '\\' | '\'') || character.escape_debug().len() == 1;
        if is_printable {
            printable.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _written = write!(printable, "\\u{unit:04x}");
        }
    }
    printable
}

/// The fields of a record.
#[derive(Default)]
struct Fields {
    text: String,
    message: Option<String>,
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        if key.as_str() == "message" {
            self.message = Some(value.to_string());
            return Ok(());
        }
        let mut typed = Typed(String::new());
        value.visit(&mut typed)?;
        write!(self.text, ",{}:{}", string(key.as_str()), typed.0).map_err(Error::from)
    }
}

/// A value in JSON.
struct Typed(String);

impl Typed {
    fn is(&mut self, json: String) -> Result<(), Error> {
        self.0 = json;
        Ok(())
    }
}

impl VisitValue<'_> for Typed {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.is(string(&value.to_string()))
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.is("null".to_owned())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.is(value.to_string())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.is(value.to_string())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.is(value.to_string())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.is(string(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_strangers_wrote_a_line_is_one_object_that_says_it() {
        let hostile = "x\" , \\ \u{1b}[31m\n\r\t\0\u{7f}\u{85}\u{202e}\u{2028}\u{10ffff}é'馬";
        let fields = [("n", Value::from(7)), ("text", Value::from(hostile)), ("none", Value::null())];
        let mut record = Record::builder();
        record.level(Level::Warn).target("manifold::x").key_values(&fields);
        let line = line(&record.args(format_args!("{hostile}")).build());
        assert!(!line.trim_end_matches('\n').chars().any(char::is_control), "{line:?}");
        assert!(!line.contains(['\u{202e}', '\u{2028}']), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["n"], &read["none"]), (&7.into(), &serde_json::Value::Null));
        for key in ["message", "text"] {
            assert_eq!(read[key], hostile);
        }
        assert_eq!((&read["level"], &read["target"]), (&"warn".into(), &"manifold::x".into()));
        let time = read["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn a_message_has_a_bound() {
        let read: serde_json::Value = serde_json::from_str(&of_text(&"é".repeat(99_999))).unwrap();
        assert_eq!(read["message"].as_str().unwrap().chars().count(), SHOWN_OF_MESSAGE + 1);
    }
}
