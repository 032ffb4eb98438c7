//! What the streams consist of. An event is a function of its stream and its number, so that the origin keeps nothing,
//! and a client can tell whether an event is whole.

/// The kinds of streams, by the first part of their path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events have ids, and the origin resumes after an id.
    Ids,
    /// Events have no ids, and the origin sends only what is new.
    Plain,
    /// As `Ids`, but events are large.
    Fat,
}

impl Kind {
    /// The kind of a stream.
    pub(crate) fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("plain") => Self::Plain,
            Some("fat" | "cut") => Self::Fat,
            _ => Self::Ids,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Ids | Self::Plain => 128,
            Self::Fat => 8_192,
        }
    }
}

/// The data of an event.
pub(crate) fn data(path: &str, number: u64) -> String {
    let mut data = format!("{path} {number} ");
    let letters = (u64::from(b'a')..=u64::from(b'z')).cycle().skip(usize::try_from(number % 26).unwrap_or(0));
    let wanted = Kind::of(path).bytes().saturating_sub(data.len());
    data.extend(letters.take(wanted).filter_map(|letter| u8::try_from(letter).ok()).map(char::from));
    data
}

/// The number of the event that has these data. `None`: it is no event of this stream, or is not whole.
pub(crate) fn number(path: &str, text: &str) -> Option<u64> {
    let number = text.split(' ').nth(1)?.parse().ok()?;
    (data(path, number) == text).then_some(number)
}

/// An event as the origin writes it.
pub(crate) fn block(path: &str, number: u64) -> String {
    let data = data(path, number);
    match Kind::of(path) {
        Kind::Plain => format!("data: {data}\n\n"),
        Kind::Ids | Kind::Fat => format!("id: {number}\ndata: {data}\n\n"),
    }
}
