//! The standard's algorithm in its most obvious form, on the whole stream at once.

use bytes::Bytes;

use crate::sse::{Event, Item, MAX_ID_BYTES};

pub(super) fn interpret(stream: &[u8], max_event_bytes: usize) -> Vec<Item> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop(); // not ended

    let mut items = Vec::new();
    let (mut last_event_id, mut pending_retry) = (String::new(), None);
    let (mut data, mut event_type, mut id, mut extra) = (String::new(), String::new(), None::<String>, String::new());
    let mut size = 0;
    for line in lines {
        if line.is_empty() {
            let (data, event_type) = (std::mem::take(&mut data), std::mem::take(&mut event_type));
            let (id, extra) = (id.take(), std::mem::take(&mut extra));
            let size = std::mem::take(&mut size);
            last_event_id = id.clone().unwrap_or(last_event_id);
            if size > max_event_bytes {
                items.push(Item::Refused { bytes: size as u64, id: id.map(Bytes::from) });
                continue;
            }
            if let Some(data) = data.strip_suffix('\n') {
                items.push(Item::Event(Event {
                    id: id.map(Bytes::from),
                    last_event_id: last_event_id.clone().into(),
                    event_type: event_type.into(),
                    data: data.to_owned().into(),
                    extra: extra.into(),
                    retry: pending_retry.take(),
                    is_checkpoint: false,
                }));
            } else if let Some(id) = id {
                items.push(Item::Event(Event::checkpoint(id.into())));
            }
            continue;
        }
        if line.starts_with(':') {
            continue;
        }
        size += line.len() + 1;
        let is_refused = size > max_event_bytes;
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data = data + value + "\n",
            "event" => value.clone_into(&mut event_type),
            "id" if value.len() > MAX_ID_BYTES => {}
            "id" if value.contains(|c: char| c.is_ascii_control() && c != '\t') => {}
            "id" => id = Some(value.to_owned()),
            _ if is_refused => {}
            "retry" if value.contains(|digit: char| !digit.is_ascii_digit()) => {}
            "retry" => {
                if let Ok(ms) = value.parse() {
                    pending_retry = Some(ms);
                    items.push(Item::Retry(ms));
                }
            }
            name if name.starts_with('\u{FEFF}') => {}
            name => extra = extra + name + ": " + value + "\n",
        }
    }
    items
}
