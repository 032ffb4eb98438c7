//! The parameters of a request. Each must be known, given once and good; the answer names one that is not.

use super::problem::Problem;
use crate::quoted::quoted;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// The longest query that is read.
const MOST_BYTES: usize = 4096;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let query = query.unwrap_or_default();
        if query.len() > MOST_BYTES {
            return Err(Problem::bad(format!("the query is longer than {MOST_BYTES} bytes")));
        }
        let mut found = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let rule = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
                return Err(Problem::bad(format!("unknown parameter {}; known: {rule}", quoted(name))));
            }
            if found.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::bad(format!("parameter {name} is given twice")));
            }
        }
        Ok(Self(found))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number between two bounds.
    pub(super) fn number(&self, name: &str, least: usize, most: usize, usual: usize) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else { return Ok(usual) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| {
            Problem::bad(format!(
                "parameter {name} must be a whole number from {least} to {most}, not {}",
                quoted(text)
            ))
        })
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let all = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found
            .map(Some)
            .ok_or_else(|| Problem::bad(format!("parameter {name} must be one of {}, not {}", all(), quoted(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_parameter_is_named() {
        let known = ["limit", "sort"];
        for (query, detail) in [
            ("x=1", "unknown parameter \"x\"; known: limit, sort"),
            ("limit=1&limit=2", "parameter limit is given twice"),
            ("limit=0", "parameter limit must be a whole number from 1 to 9, not \"0\""),
            (
                "limit=99999999999999999999",
                "parameter limit must be a whole number from 1 to 9, not \"99999999999999999999\"",
            ),
            ("limit=%0a", "parameter limit must be a whole number from 1 to 9, not \"\\n\""),
            ("sort=c", "parameter sort must be one of a, b, not \"c\""),
        ] {
            let judged = Query::read(Some(query), &known)
                .and_then(|query| Ok((query.number("limit", 1, 9, 5)?, query.word("sort", &[("a", 1), ("b", 2)])?)));
            assert_eq!(judged.unwrap_err().detail, detail);
        }
        assert!(Query::read(Some(&"a".repeat(5000)), &known).is_err());
        assert_eq!(Query::read(None, &known).unwrap().number("limit", 1, 9, 5), Ok(5));
    }
}
