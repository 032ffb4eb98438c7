//! The errors found so far, and the places of errors in the text.

use super::environment::VARIABLES;
use super::error::{ConfigError, ConfigErrors, Place};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The most characters of a value that are shown.
const MAX_SHOWN: usize = 60;
/// The least similarity (Jaro-Winkler, 0 to 1) at which an unknown key is taken for a misspelling of a known one.
const LIKENESS: f64 = 0.84;
/// Keys of other programs, with what has their meaning here.
const FOREIGN: [(&str, &str); 13] = [
    ("workers", "server.threads or server.shards"),
    ("worker_processes", "server.threads or server.shards"),
    ("log_level", "the variable RUST_LOG, as in RUST_LOG=manifold=debug"),
    ("level", "the variable RUST_LOG, as in RUST_LOG=manifold=debug"),
    ("port", "server.listen, as in listen = [\"127.0.0.1:8080\"]"),
    ("bind", "server.listen, as in listen = [\"127.0.0.1:8080\"]"),
    ("upstream_url", "routes.origin"),
    ("backend", "routes.origin"),
    ("ssl", "server.tls"),
    ("https", "server.tls"),
    ("ssl_certificate", "server.tls.cert"),
    ("ssl_certificate_key", "server.tls.key"),
    ("sni", "server.tls.certificates"),
];

/// Collects the errors of one text. It also collects the keys that were asked for, because those are the keys that
/// exist.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    /// The offsets just after each line break.
    line_starts: Vec<usize>,
    errors: RefCell<Vec<ConfigError>>,
    unknown: RefCell<Vec<Unknown>>,
    /// The keys that exist, each with its section (`routes.client`).
    vocabulary: RefCell<BTreeSet<(String, &'static str)>>,
    /// The offsets of strings in which a reference was replaced.
    substituted: RefCell<BTreeSet<usize>>,
    /// The offsets of strings in which a reference could not be replaced. That error is reported, and no other error
    /// of these strings.
    unsubstituted: RefCell<BTreeSet<usize>>,
}

/// A key that nothing asked for.
#[derive(Debug)]
struct Unknown {
    place: Place,
    path: String,
    section: String,
    key: String,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            line_starts: text.match_indices('\n').map(|(at, _)| at.saturating_add(1)).collect(),
            errors: RefCell::default(),
            unknown: RefCell::default(),
            vocabulary: RefCell::default(),
            substituted: RefCell::default(),
            unsubstituted: RefCell::default(),
        }
    }

    /// The tables of the text, or else every syntax error. The parser's own rendering of errors is not used, because
    /// it shows lines of the text, which may hold secrets.
    pub(super) fn document(&self) -> Result<Spanned<DeTable<'t>>, ConfigErrors> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let place = error.span().map_or(Place::Text, |span| self.place(span.start));
            let rule = match error.span().filter(|_| error.message() == "duplicate key") {
                Some(span) => duplicate(self.text, span),
                None => error.message().to_owned(),
            };
            self.add(ConfigError { place, key: None, value: None, rule });
        }
        self.verdict()?;
        Ok(document)
    }

    /// Adds an error unless it is there already, because several layers may find the same one.
    pub(super) fn add(&self, error: ConfigError) {
        let mut errors = self.errors.borrow_mut();
        if !errors.contains(&error) {
            errors.push(error);
        }
    }

    pub(super) fn add_known(&self, section: &str, key: &'static str) {
        self.vocabulary.borrow_mut().insert((section.to_owned(), key));
    }

    pub(super) fn add_unknown(&self, offset: usize, path: String, section: &str, key: &str) {
        let place = self.place(offset);
        let unknown = Unknown { place, path, section: section.to_owned(), key: key.to_owned() };
        self.unknown.borrow_mut().push(unknown);
    }

    /// Returns all errors in the order of the text, if there are any. The caller calls this when everything has been
    /// read, because the known keys, which may be suggested for unknown ones, are complete only then.
    pub(super) fn verdict(&self) -> Result<(), ConfigErrors> {
        for unknown in self.unknown.take() {
            let rule = match self.probably_meant(&unknown) {
                Some(meant) => format!("unknown key; did you mean {meant}?"),
                None => format!("unknown key; {}", self.keys_of(&unknown.section)),
            };
            // An unknown key may be a misspelled header, so its value is not shown.
            self.add(ConfigError { place: unknown.place, key: Some(unknown.path), value: None, rule });
        }
        let mut errors = self.errors.take();
        errors.sort_by_key(|error| error.place);
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors::new(errors)) }
    }

    /// The keys that a section has, in words.
    fn keys_of(&self, section: &str) -> String {
        let vocabulary = self.vocabulary.borrow();
        let keys: Vec<_> = vocabulary.iter().filter(|(of, _)| of == section).map(|(_, key)| *key).collect();
        match section {
            "" => format!("the tables are {}", keys.join(", ")),
            _ => format!("the keys of {section} are {}", keys.join(", ")),
        }
    }

    /// The known key that the author probably meant. It is what other programs call so, or the same key in another
    /// section, preferably of the same part of the file, or else a similar key of this section.
    fn probably_meant(&self, unknown: &Unknown) -> Option<String> {
        let foreign = FOREIGN.iter().find(|(word, _)| unknown.key.eq_ignore_ascii_case(word));
        if let Some((_, meant)) = foreign {
            return Some((*meant).to_owned());
        }
        let vocabulary = self.vocabulary.borrow();
        let part = |section: &str| section.split('.').next().unwrap_or_default().to_owned();
        let elsewhere = vocabulary.iter().filter(|(_, known)| *known == unknown.key);
        let nearest = elsewhere.max_by_key(|(section, _)| part(section) == part(&unknown.section));
        if let Some((section, known)) = nearest {
            return Some(if section.is_empty() { (*known).to_owned() } else { format!("{section}.{known}") });
        }
        let siblings = vocabulary.iter().filter(|(section, _)| *section == unknown.section);
        let likeness = |known: &str| strsim::jaro_winkler(known, &unknown.key.to_ascii_lowercase());
        let ranked = siblings.map(|(_, known)| (likeness(known), *known)).filter(|(rank, _)| *rank >= LIKENESS);
        ranked.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known.to_owned())
    }

    pub(super) fn add_substituted(&self, offset: usize) {
        self.substituted.borrow_mut().insert(offset);
    }

    /// Reports that a reference in a string cannot be replaced.
    pub(super) fn add_unsubstituted(&self, offset: usize, path: &str, rule: String) {
        self.unsubstituted.borrow_mut().insert(offset);
        // The string may be a secret, so its value is not shown.
        self.add(ConfigError { place: self.place(offset), key: Some(path.to_owned()), value: None, rule });
    }

    pub(super) fn is_substituted(&self, offset: usize) -> bool {
        self.substituted.borrow().contains(&offset)
    }

    pub(super) fn is_unsubstituted(&self, offset: usize) -> bool {
        self.unsubstituted.borrow().contains(&offset)
    }

    /// Marks a value as that of a variable. Its offset is after the end of the text.
    pub(super) fn of_variable<T>(&self, variable: &'static str, value: T) -> Spanned<T> {
        let number = VARIABLES.iter().position(|known| *known == variable).unwrap_or(VARIABLES.len());
        let place = self.text.len().saturating_add(1).saturating_add(number);
        Spanned::new(place..place, value)
    }

    /// The variable whose value is at this offset.
    pub(super) fn variable(&self, offset: usize) -> Option<&'static str> {
        VARIABLES.get(offset.checked_sub(self.text.len().saturating_add(1))?).copied()
    }

    /// The place of an offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        if self.variable(offset).is_some() {
            Place::Environment
        } else {
            Place::At { line: self.line(offset), column: self.column(offset) }
        }
    }

    /// The line of an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_add(1)
    }

    /// The column of an offset in characters, from 1.
    fn column(&self, offset: usize) -> usize {
        let start = self.line_starts.iter().rev().find(|start| **start <= offset).copied().unwrap_or(0);
        self.text.get(start..offset).map_or(1, |before| before.chars().count().saturating_add(1))
    }

    /// The text at a place.
    pub(super) fn written(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }

    /// A value as written, on one line and shortened. Tables are not shown.
    pub(super) fn shown(&self, value: &DeValue<'_>, span: Range<usize>) -> Option<String> {
        let holds_table = |array: &toml::de::DeArray<'_>| array.iter().any(|element| element.get_ref().is_table());
        if value.is_table() || value.as_array().is_some_and(holds_table) {
            return None;
        }
        let of_variable = self.variable(span.start).and_then(|_| Some(format!("{:?}", value.as_str()?)));
        let written = of_variable.as_deref().or_else(|| self.text.get(span))?;
        let mut shown: String = written.split_whitespace().collect::<Vec<_>>().join(" ");
        shown.retain(|c| !c.is_control());
        if let Some((cut, _)) = shown.char_indices().nth(MAX_SHOWN) {
            shown.truncate(cut);
            shown.push_str("..");
        }
        Some(shown)
    }

    /// Every key that was asked for, with its section.
    #[cfg(test)]
    pub(super) fn vocabulary(&self) -> BTreeSet<(String, &'static str)> {
        self.vocabulary.borrow().clone()
    }
}

/// What is wrong with a key that is there for the second time, in words.
fn duplicate(text: &str, span: Range<usize>) -> String {
    let key = text.get(span.clone()).unwrap_or_default().trim();
    let before = text.get(..span.start).unwrap_or_default();
    let header = before.rsplit('\n').next().unwrap_or_default().trim_start();
    let lines = before.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line.trim()));
    let first = |begins: &dyn Fn(&str) -> bool| lines.clone().filter(|(_, line)| begins(line)).last();
    if header.starts_with("[[") {
        let table = first(&|line| line.strip_prefix('[').is_some_and(|rest| rest.starts_with(&format!("{key}."))));
        return match table {
            Some((line, table)) => format!(
                "[[{key}]] must come before the tables that belong to it: move {table} of line {line} below this line"
            ),
            None => format!("{key} is already a table, and [[{key}]] would make it a list"),
        };
    }
    if header.starts_with('[') {
        let name = format!("{header}{key}]");
        return match first(&|line| line.starts_with(&name)) {
            Some((line, _)) => format!("the table {name} is defined twice: line {line} defines it already"),
            None => format!("the table {name} is defined twice"),
        };
    }
    let is_set = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
    match first(&is_set) {
        Some((line, _)) => format!("the key {key} is set twice: line {line} already sets it"),
        None => format!("the key {key} is set twice"),
    }
}
