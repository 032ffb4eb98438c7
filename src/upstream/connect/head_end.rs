//! Where a head of HTTP/1 ends in the bytes of a connection.

/// Finds the ends of heads. A head ends with an empty line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum HeadEnd {
    /// In a line.
    #[default]
    Line,
    /// After a line.
    Between,
    /// After a line and a CR.
    BetweenAfterCr,
}

impl HeadEnd {
    /// Scans the next bytes. Returns how many of them belong to the present head: all, unless it ends before.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            let is_empty = *self != Self::Line;
            *self = match byte {
                b'\n' if is_empty => {
                    *self = Self::Line;
                    return at + 1;
                }
                b'\n' => Self::Between,
                b'\r' if *self == Self::Between => Self::BetweenAfterCr,
                _ => Self::Line,
            };
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line_at_any_split() {
        for (bytes, heads) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", &["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "body"][..]),
            ("HTTP/1.1 200 OK\nA: b\n\nbody\n\n", &["HTTP/1.1 200 OK\nA: b\n\n", "body\n\n"]),
            (
                "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                &["HTTP/1.1 100 Go on\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
            ),
            ("A: b\r\n\rC: d\r\n\n", &["A: b\r\n\rC: d\r\n\n"]),
            ("A: b\r\r\nC", &["A: b\r\r\nC"]),
            ("A: b\r\n\r", &["A: b\r\n\r"]),
        ] {
            for split in 1..=bytes.len() {
                let (mut end, mut found) = (HeadEnd::default(), vec![String::new()]);
                for mut part in bytes.as_bytes().chunks(split) {
                    while !part.is_empty() {
                        let (of_head, rest) = part.split_at(end.scan(part));
                        found.last_mut().unwrap().push_str(std::str::from_utf8(of_head).unwrap());
                        if found.last().unwrap().ends_with("\n\n") || found.last().unwrap().ends_with("\n\r\n") {
                            found.push(String::new());
                        }
                        part = rest;
                    }
                }
                found.retain(|head| !head.is_empty());
                assert_eq!(found, heads, "{split}");
            }
        }
    }
}
