//! The names of streams in the API.

use std::fmt;

/// Names a stream of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamName {
    /// A stream that the hub holds, by its number.
    Held(usize),
    /// A client's own stream on a private route, by the number of the client.
    Own(u64),
}

impl StreamName {
    /// Reads what [`Display`](fmt::Display) writes.
    pub(super) fn read(text: &str) -> Option<Self> {
        let name = match text.strip_prefix('s') {
            Some(number) => Self::Own(number.parse().ok()?),
            None => Self::Held(text.parse().ok()?),
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(number) => write!(f, "{number}"),
            Self::Own(number) => write!(f, "s{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form() {
        for name in [StreamName::Held(0), StreamName::Held(17), StreamName::Own(0), StreamName::Own(17)] {
            assert_eq!(StreamName::read(&name.to_string()), Some(name));
        }
        for forged in ["", "s", "+1", "01", "s01", "s-1", "-1", "ss1", "S1", "1s", "99999999999999999999"] {
            assert_eq!(StreamName::read(forged), None, "{forged}");
        }
    }
}
