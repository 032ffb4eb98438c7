//! Findings from facts. Everything here is pure.

mod body;
mod connection;
mod cors;
mod fields;
mod proxies;
mod resume;
#[cfg(test)]
mod tests;
mod tls;

pub(super) use connection::says_that_it_lives;

use super::facts::Facts;
use super::finding::Finding;
use std::time::Duration;

/// The findings, in the order of [`Key::ALL`](super::Key::ALL).
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = connection::of(facts);
    if let Some(Ok(head)) = &facts.head {
        found.extend(fields::of(head, facts));
        found.extend(proxies::of(&head.fields));
    }
    found.extend(body::of(facts));
    found.extend(resume::of(facts));
    found.extend(cors::of(facts));
    let order = |finding: &Finding| super::Key::ALL.iter().position(|key| *key == finding.key);
    found.sort_by_key(order);
    found
}

/// A time in words: `3 ms`, `1.2 s`.
fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// A number of bytes in words.
fn size(bytes: usize) -> String {
    if bytes < 10 << 10 { format!("{bytes} bytes") } else { format!("{} KiB", bytes >> 10) }
}

/// A number and its noun.
fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
