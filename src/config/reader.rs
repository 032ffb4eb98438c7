//! Reads a table by taking its known keys out one by one. The keys that are left over are unknown.

use super::error::{ConfigError, Place};
use super::report::Report;
use super::substitution::references;
use std::collections::BTreeMap;
use std::fmt::Display;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The rule that a value breaks, in words.
pub(super) type Rule = String;

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    report: &'a Report<'a>,
    /// The path as errors show it: `routes[0].client`. Empty for the whole document.
    path: String,
    /// The path without indices: `routes.client`.
    name: String,
    /// The offset of its header or value. `None`: the table is absent.
    offset: Option<usize>,
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)>,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    report: &'a Report<'a>,
    path: String,
    name: String,
    value: &'a Spanned<DeValue<'a>>,
    is_secret: bool,
}

impl<'a> Section<'a> {
    pub(super) fn root(report: &'a Report<'a>, table: &'a DeTable<'a>) -> Self {
        Self { report, path: String::new(), name: String::new(), offset: None, entries: entries(table) }
    }

    /// Takes out a key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.report.add_known(&self.name, key);
        let item = self.peek(key)?;
        self.entries.remove(key);
        Some(item)
    }

    /// Looks at a key without taking it out.
    pub(super) fn peek(&self, key: &str) -> Option<Item<'a>> {
        let (_, value) = self.entries.get(key)?;
        let (path, name) = (joined(&self.path, key), joined(&self.name, key));
        Some(Item { report: self.report, path, name, value, is_secret: false })
    }

    /// Takes out a table. An absent table counts as an empty one.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        self.take(key).and_then(|item| item.section()).unwrap_or_else(|| self.absent(key))
    }

    /// An empty table of this name.
    pub(super) fn absent(&self, key: &str) -> Self {
        let (path, name) = (joined(&self.path, key), joined(&self.name, key));
        Self { report: self.report, path, name, offset: None, entries: BTreeMap::new() }
    }

    /// Takes out a key and, if its value is good, sets `target` to it. Returns the item for rules between keys.
    pub(super) fn set<T>(
        &mut self,
        target: &mut T,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Result<T, Rule>,
    ) -> Option<Item<'a>> {
        let item = self.take(key)?;
        if let Some(value) = item.converted(convert) {
            *target = value;
        }
        Some(item)
    }

    /// Takes out all keys that are left: for a table whose keys are names that its author chooses.
    pub(super) fn take_rest(&mut self) -> Vec<(&'a str, Item<'a>)> {
        let (report, path, name) = (self.report, &self.path, &self.name);
        let item =
            |key, value| Item { report, path: joined(path, key), name: joined(name, key), value, is_secret: true };
        std::mem::take(&mut self.entries).into_iter().map(|(key, (_, value))| (key, item(key, value))).collect()
    }

    /// Reports that a required key is missing.
    pub(super) fn fail_missing(&self, key: &str, rule: &str) {
        let place = self.offset.map_or(Place::Text, |offset| self.report.place(offset));
        let key = Some(joined(&self.path, key));
        self.report.add(ConfigError { place, key, value: None, rule: format!("is missing: {rule}") });
    }

    /// Whether the table is in the text.
    pub(super) fn is_present(&self) -> bool {
        self.offset.is_some()
    }

    /// The path as errors show it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Reports the keys that were not taken out as unknown.
    pub(super) fn finish(self) {
        for (key, (offset, _)) in &self.entries {
            self.report.add_unknown(*offset, joined(&self.path, key), &self.name, key);
        }
    }
}

impl<'a> Item<'a> {
    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    pub(super) fn str(&self) -> Option<&'a str> {
        self.value().as_str()
    }

    /// What stands at a key of the table that the value may be.
    pub(super) fn inner(&self, key: &str) -> Option<Self> {
        self.value().as_table()?.get(key).map(|value| Self { value, ..self.clone() })
    }

    /// All keys and values of the table that the value may be.
    pub(super) fn all(&self) -> Vec<(&'a str, Self)> {
        let entries = self.value().as_table().map(entries).unwrap_or_default();
        entries.into_iter().map(|(key, (_, value))| (key, Self { value, ..self.clone() })).collect()
    }

    /// The path as errors show it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The line of the value.
    pub(super) fn line(&self) -> Option<usize> {
        match self.report.place(self.value.span().start) {
            Place::At { line, .. } => Some(line),
            Place::Text | Place::Environment | Place::Nowhere => None,
        }
    }

    /// The variable of the environment that the value stands in, if it does not stand in the text.
    pub(super) fn variable(&self) -> Option<&'static str> {
        self.report.variable(self.value.span().start)
    }

    /// The variables that the value refers to.
    pub(super) fn references(&self) -> Vec<String> {
        references(self.report.written(self.value.span()))
    }

    /// Keeps the value and everything in it out of messages from now on.
    pub(super) fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// Records that the value breaks `rule`.
    pub(super) fn fail(&self, rule: impl Display) {
        let span = self.value.span();
        let offset = span.start;
        if self.report.is_unsubstituted(offset) {
            return;
        }
        let key = self.report.variable(offset).map_or_else(|| self.path.clone(), str::to_owned);
        let value = if self.is_secret { None } else { self.report.shown(self.value(), span) };
        self.report.add(ConfigError {
            place: self.report.place(offset),
            key: Some(key),
            value,
            rule: format!("{rule}{}", self.origin_of_value()),
        });
    }

    /// Says which variables a value came from that is not shown as it is.
    fn origin_of_value(&self) -> String {
        if !self.report.is_substituted(self.value.span().start) {
            return String::new();
        }
        format!(" (the value comes from the environment: {})", self.references().join(", "))
    }

    /// The converted value. `None`: it is bad, which is reported.
    pub(super) fn converted<T>(&self, convert: impl Fn(&DeValue<'_>) -> Result<T, Rule>) -> Option<T> {
        let read = convert(self.value());
        let read = if read.is_err() { self.as_scalar(&convert).unwrap_or(read) } else { read };
        read.map_err(|rule| self.fail(rule)).ok()
    }

    /// Converts a number, `true` or `false` that came out of a variable. A reference to a variable must stand in a
    /// string, whatever type the key needs. `None`: the value did not come out of a variable, or is another text.
    fn as_scalar<T>(&self, convert: impl Fn(&DeValue<'_>) -> Result<T, Rule>) -> Option<Result<T, Rule>> {
        let text = self.str().filter(|_| self.report.is_substituted(self.value.span().start))?;
        let scalar = DeValue::parse(text.trim()).ok()?;
        matches!(scalar.get_ref(), DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_))
            .then(|| convert(scalar.get_ref()))
    }

    /// The table that the value must be.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        let Some(table) = self.value().as_table() else {
            let is_list = self.value().is_array();
            self.fail(if is_list { "must be one table, not a list" } else { "must be a table" });
            return None;
        };
        let (path, name, offset) = (self.path.clone(), self.name.clone(), Some(self.value.span().start));
        Some(Section { report: self.report, path, name, offset, entries: entries(table) })
    }

    /// The elements, if the value is an array.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        let element = |(at, value)| Self { path: format!("{}[{at}]", self.path), value, ..self.clone() };
        self.value().as_array().map(|array| array.iter().enumerate().map(element).collect())
    }

    /// The array of distinct strings that the value must be (`rule`). Bad elements are reported one by one and left
    /// out.
    pub(super) fn list<T: PartialEq>(&self, rule: &str, convert: impl Fn(&str) -> Result<T, Rule>) -> Option<Vec<T>> {
        let Some(elements) = self.elements() else {
            self.fail(rule);
            return None;
        };
        let mut list = Vec::with_capacity(elements.len());
        for element in elements {
            let convert = |value: &DeValue<'_>| convert(value.as_str().ok_or("must be a string")?);
            match element.converted(convert) {
                Some(value) if list.contains(&value) => element.fail("is in the list twice"),
                Some(value) => list.push(value),
                None => {}
            }
        }
        Some(list)
    }
}

fn entries<'a>(table: &'a DeTable<'a>) -> BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)> {
    table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value))).collect()
}

/// The path of a key in a table. The key is quoted if TOML requires that.
pub(super) fn joined(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let key = if is_bare { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
