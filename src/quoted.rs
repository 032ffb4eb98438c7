//! Makes text that strangers chose safe for a log line.
//!
//! A log line is a sentence followed by `key=value` pairs. A stranger chooses paths, headers and some error texts.
//! With these, no stranger must be able to forge a pair, begin another line, control a terminal or fill a disk. So
//! such text is escaped and shortened here.

use std::fmt::{self, Display, Write};

/// The most characters that are shown of a stranger's text.
const SHOWN: usize = 200;

/// The most characters that are shown of a reason. A reason may name several addresses, each with its advice, and
/// quote what came.
const SHOWN_OF_REASON: usize = 1000;

/// The most characters of a whole line.
const SHOWN_OF_LINE: usize = 8000;

/// Stands for the part that was left out.
const LEFT_OUT: char = '…';

/// A text in double quotes, escaped as in Rust and shortened.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<T> {
    text: T,
    most: usize,
}

/// Quotes a text of a stranger.
pub fn quoted<T: Display>(text: T) -> Quoted<T> {
    Quoted { text, most: SHOWN }
}

/// Quotes a reason, which may be longer.
pub fn reason<T: Display>(text: T) -> Quoted<T> {
    Quoted { text, most: SHOWN_OF_REASON }
}

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        bounded(f, self.most, in_quotes, &self.text)?;
        f.write_char('"')
    }
}

/// A path or a name as one word. Characters that could end the word, or look as if they did, are percent-encoded.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a>(pub &'a str);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bounded(f, SHOWN, in_word, self.0)
    }
}

/// A whole line, without control characters and shortened.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<T>(pub T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bounded(f, SHOWN_OF_LINE, in_line, &self.0)
    }
}

/// Writes one character in its escaped form.
type Escape = fn(&mut fmt::Formatter<'_>, char) -> fmt::Result;

/// Writes at most `most` characters of a text.
fn bounded(f: &mut fmt::Formatter<'_>, most: usize, escape: Escape, text: impl Display) -> fmt::Result {
    let mut shown = Shown { f, left: most, is_cut: false, escape };
    write!(shown, "{text}")?;
    if shown.is_cut { f.write_char(LEFT_OUT) } else { Ok(()) }
}

struct Shown<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    left: usize,
    is_cut: bool,
    escape: Escape,
}

impl Write for Shown<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.left == 0 {
                self.is_cut = true;
                return Ok(());
            }
            self.left -= 1;
            (self.escape)(self.f, character)?;
        }
        Ok(())
    }
}

fn in_quotes(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '\'' => f.write_char('\''),
        other => write!(f, "{}", other.escape_debug()),
    }
}

fn in_word(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    if character.is_ascii_graphic() && !matches!(character, '"' | '\\') {
        return f.write_char(character);
    }
    character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "%{byte:02X}"))
}

/// The quotes and backslashes of a whole line are left as they are.
fn in_line(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' | '\'' | '\\' => f.write_char(character),
        other => write!(f, "{}", other.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_ends_where_its_quotes_do() {
        for (text, shown) in [
            ("", r#""""#),
            ("/a b", r#""/a b""#),
            (r#"/" stream=/x why=""#, r#""/\" stream=/x why=\"""#),
            (r"back\slash", r#""back\\slash""#),
            ("a\r\n[2026] WARN x", r#""a\r\n[2026] WARN x""#),
            ("\u{1b}[31mred\u{7}\u{9b}", r#""\u{1b}[31mred\u{7}\u{9b}""#),
            // This character would reverse the direction of the rest of the line.
            ("\u{202e}txet", r#""\u{202e}txet""#),
            ("\u{2028}", r#""\u{2028}""#),
            ("it's žluťoučký 馬", "\"it's žluťoučký 馬\""),
            ("\0", r#""\0""#),
        ] {
            assert_eq!(quoted(text).to_string(), shown, "{text:?}");
        }
    }

    #[test]
    fn no_more_than_a_bound_is_shown() {
        let (fits, longer) = ("é".repeat(SHOWN), "é".repeat(SHOWN + 1));
        assert_eq!(quoted(&fits).to_string(), format!("\"{fits}\""));
        assert_eq!(quoted(&longer).to_string(), format!("\"{fits}…\""));
        assert_eq!(Word(&"/".repeat(SHOWN + 1)).to_string(), format!("{}…", "/".repeat(SHOWN)));
        let reasons = "x".repeat(SHOWN_OF_REASON * 2);
        assert_eq!(reason(&reasons).to_string().chars().count(), SHOWN_OF_REASON + 3);
        assert_eq!(OneLine("x".repeat(99_999)).to_string().chars().count(), SHOWN_OF_LINE + 1);
    }

    #[test]
    fn a_path_is_one_word() {
        for (path, shown) in [
            ("/a/b?c=d&e", "/a/b?c=d&e"),
            ("/a\" why=\"x", "/a%22%20why=%22x"),
            ("/a\\b\t\n\u{1b}", "/a%5Cb%09%0A%1B"),
            ("/é", "/%C3%A9"),
            ("/%22", "/%22"),
        ] {
            assert_eq!(Word(path).to_string(), shown);
        }
    }

    #[test]
    fn a_line_keeps_its_quotes_and_stays_one() {
        let line = "client left why=\"it's \\\"so\\\"\" x=\u{1b}[0m\nWARN forged\u{85}\u{202e}";
        let shown = r#"client left why="it's \"so\"" x=\u{1b}[0m\nWARN forged\u{85}\u{202e}"#;
        assert_eq!(OneLine(line).to_string(), shown);
    }
}
