//! A report: findings as text for people, or as JSON for programs.

use super::finding::{Finding, Verdict};
use std::fmt::Write as _;

/// The width of the text.
const WIDTH: usize = 80;

/// Where the sentences begin: behind the verdict and the key.
const INDENT: usize = 20;

/// Stands for a secret.
const HIDDEN: &str = "(hidden)";

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The URL, without its query.
    pub url: String,
    /// The findings, in order.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A report. `secrets`: texts that must not be shown. A server may have sent back what it got.
    pub(super) fn new(url: String, findings: Vec<Finding>, secrets: &[String]) -> Self {
        let hidden = |text: String| secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), HIDDEN));
        let findings = findings.into_iter().map(|finding| {
            let Finding { key, verdict, seen, advice } = finding;
            Finding { key, verdict, seen: hidden(seen), advice: hidden(advice) }
        });
        Self { url: hidden(url), findings: findings.collect() }
    }

    /// The worst verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
    }

    /// The report in lines of at most 80 columns.
    #[must_use]
    pub fn text(&self, is_coloured: bool) -> String {
        let mut text = String::new();
        for line in wrapped(&format!("manifold probe {}", self.url), WIDTH) {
            text += &line;
            text.push('\n');
        }
        text.push('\n');
        for Finding { key, verdict, seen, advice } in &self.findings {
            let mut lines = wrapped(seen, WIDTH - INDENT);
            if !advice.is_empty() {
                lines.extend(wrapped(advice, WIDTH - INDENT - 3).into_iter().enumerate().map(|(n, line)| {
                    let arrow = if n == 0 { "-> " } else { "   " };
                    format!("{arrow}{line}")
                }));
            }
            let shown = coloured(*verdict, is_coloured);
            for (n, line) in lines.iter().enumerate() {
                // Writing to a string does not fail.
                let _written = match n {
                    0 => writeln!(text, "{shown}  {:<11}  {line}", key.name()),
                    _ => writeln!(text, "{:INDENT$}{line}", ""),
                };
            }
        }
        let of = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (good, noted, wrong) = (of(Verdict::Good), of(Verdict::Note), of(Verdict::Wrong));
        let _written = write!(text, "\n{wrong} wrong, {noted} to note, {good} good");
        text
    }

    /// The report as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|Finding { key, verdict, seen, advice }| {
                serde_json::json!({
                    "key": key.name(), "verdict": verdict.to_string(), "seen": seen, "advice": advice,
                })
            })
            .collect();
        serde_json::json!({ "url": self.url, "verdict": self.verdict().to_string(), "findings": findings }).to_string()
    }
}

fn coloured(verdict: Verdict, is_coloured: bool) -> String {
    let colour = match verdict {
        Verdict::Good => 32,
        Verdict::Note => 33,
        Verdict::Wrong => 31,
    };
    if is_coloured { format!("\u{1b}[{colour}m{verdict:<5}\u{1b}[0m") } else { format!("{verdict:<5}") }
}

/// A text in lines of at most `width` characters. Longer words are cut.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut length) = (String::new(), 0);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + rest.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        while length + rest.len() > width {
            let end = rest.split_off((width - length).min(rest.len()));
            line.extend(rest);
            lines.push(std::mem::take(&mut line));
            (rest, length) = (end, 0);
        }
        length += rest.len();
        line.extend(rest);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::super::finding::Key;
    use super::*;

    #[test]
    fn lines_are_at_most_as_wide_and_lose_nothing() {
        for (text, expected) in [
            ("", &[""][..]),
            ("one two three", &["one two", "three"]),
            ("one  two", &["one two"]),
            ("a234567890", &["a2345678", "90"]),
            ("a a234567890 b", &["a", "a2345678", "90 b"]),
            ("a2345678 b", &["a2345678", "b"]),
            ("žluťoučký kůň", &["žluťoučk", "ý kůň"]),
        ] {
            assert_eq!(wrapped(text, 8), expected, "{text}");
        }
    }

    #[test]
    fn a_report_fits_80_columns_and_hides_secrets() {
        let long = "A server said s3cret-token in a long line. ".repeat(4) + &"x".repeat(200);
        let findings = vec![
            Finding::good(Key::Status, "The status is 200."),
            Finding::wrong(Key::HeadMethod, &long, &long),
            Finding::note(Key::Cache, "There is s3cret-token.", "Do it."),
        ];
        let report = Report::new("http://h/".to_owned(), findings, &["s3cret-token".to_owned()]);
        let (text, json) = (report.text(false), report.json());
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(
            !text.contains("s3cret") && !json.contains("s3cret") && text.contains("said (hidden) in a long"),
            "{text}"
        );
        assert!(
            text.starts_with(
                "manifold probe http://h/\n\ngood   status       The status is 200.\nwrong  head-method  A "
            )
        );
        assert!(text.ends_with("Do it.\n\n1 wrong, 1 to note, 1 good"), "{text}");
        assert!(!text.contains('\u{1b}') && report.text(true).contains("\u{1b}[31mwrong\u{1b}[0m  head-method"));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["verdict"], &json["findings"][2]["key"]), (&"wrong".into(), &"cache".into()));
        assert_eq!(report.verdict(), Verdict::Wrong);
    }
}
