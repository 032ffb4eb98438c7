//! Replaces `${NAME}` and `${NAME:-default}` in the strings of a configuration by environment variables.
//!
//! ```text
//! ${NAME}            the variable's value; an error if it is not set
//! ${NAME:-default}   the same, or the default if the variable is not set or empty; the default ends at the first }
//! $$                 a dollar
//! ```
//!
//! A dollar before any other character stands for itself.

use super::reader::{Rule, joined};
use super::report::Report;
use super::sources::Sources;
use std::env::VarError;
use toml::Spanned;
use toml::de::DeValue;

const FORMS: &str = "write ${NAME} or ${NAME:-default}, or $$ for a dollar";

/// Replaces the references in `value` and in everything within it. `path` is its key, for errors.
pub(super) fn substitute(value: &mut Spanned<DeValue<'_>>, path: &str, report: &Report<'_>, sources: &dyn Sources) {
    let offset = value.span().start;
    match value.get_mut() {
        DeValue::String(text) => match substituted(text, |name| sources.variable(name)) {
            Ok(None) => {}
            Ok(Some(new)) => {
                report.add_substituted(offset);
                *text = new.into();
            }
            Err(rule) => report.add_unsubstituted(offset, path, rule),
        },
        DeValue::Array(elements) => {
            for (at, element) in elements.iter_mut().enumerate() {
                substitute(element, &format!("{path}[{at}]"), report, sources);
            }
        }
        DeValue::Table(table) => {
            for (key, value) in table.iter_mut() {
                substitute(value, &joined(path, key.get_ref()), report, sources);
            }
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// The text with its references replaced. `None`: it holds none.
fn substituted(text: &str, variable: impl Fn(&str) -> Result<String, VarError>) -> Result<Option<String>, Rule> {
    if !text.contains("$$") && !text.contains("${") {
        return Ok(None);
    }
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            whole.push('$');
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (reference, after) = after.split_once('}').ok_or_else(|| format!("\"${{\" has no \"}}\": {FORMS}"))?;
            whole.push_str(&referred(reference, &variable)?);
            after
        } else {
            whole.push('$');
            after
        };
    }
    whole.push_str(rest);
    Ok(Some(whole))
}

/// The names of the variables that a text refers to.
pub(super) fn references(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for after in text.replace("$$", "").split("${").skip(1) {
        let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The value of a reference, which is the text between the braces. A text that is not a name may be a secret, so it
/// is not shown.
fn referred(reference: &str, variable: impl Fn(&str) -> Result<String, VarError>) -> Result<String, Rule> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_name = name.bytes().next().is_some_and(is_first) && name.bytes().all(|b| is_first(b) || b.is_ascii_digit());
    if !is_name {
        return Err(format!(
            "the name of a variable has letters, digits and _, and does not begin with a digit: {FORMS}"
        ));
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(format!("the default of ${{{name}}} contains another reference: a default is not expanded"));
    }
    match (variable(name), default) {
        (Ok(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Ok(value), _) => Ok(value),
        (Err(VarError::NotPresent), Some(default)) => Ok(default.to_owned()),
        (Err(VarError::NotPresent), None) => {
            Err(format!("the environment variable {name} is not set: set it, or write ${{{name}:-default}}"))
        }
        (Err(VarError::NotUnicode(_)), _) => Err(format!("the environment variable {name} is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsString;

    fn variable(name: &str) -> Result<String, VarError> {
        match name {
            "HOST" => Ok("o.example".to_owned()),
            "EMPTY" => Ok(String::new()),
            "DOLLAR" => Ok("${HOST}".to_owned()),
            "BYTES" => Err(VarError::NotUnicode(OsString::from("s3cret"))),
            _ => Err(VarError::NotPresent),
        }
    }

    #[test]
    fn references_are_replaced_once() {
        for (text, expected) in [
            ("", None),
            ("a $ b $c d$", None),
            ("http://${HOST}:80", Some("http://o.example:80")),
            ("${HOST}${HOST}", Some("o.exampleo.example")),
            ("${NONE:-x:-y}", Some("x:-y")),
            ("${NONE:-}", Some("")),
            ("${EMPTY}", Some("")),
            ("${EMPTY:-x}", Some("x")),
            ("${HOST:-x}", Some("o.example")),
            ("${DOLLAR}", Some("${HOST}")),
            ("$${HOST}", Some("${HOST}")),
            ("$$$${HOST}$$${HOST}", Some("$${HOST}$o.example")),
            ("${NONE:-a$$b}", Some("a$$b")),
            ("$a${HOST}$", Some("$ao.example$")),
        ] {
            assert_eq!(substituted(text, variable), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_says_why_and_shows_no_value() {
        for (text, expected) in [
            ("${NONE}", "the environment variable NONE is not set: set it, or write ${NONE:-default}"),
            ("${BYTES}", "the environment variable BYTES is not UTF-8"),
            ("${BYTES:-x}", "the environment variable BYTES is not UTF-8"),
            ("${s3cret", "\"${\" has no \"}\": write ${NAME} or ${NAME:-default}, or $$ for a dollar"),
            (
                "${}",
                "the name of a variable has letters, digits and _, and does not begin with a digit: \
                     write ${NAME} or ${NAME:-default}, or $$ for a dollar",
            ),
            (
                "${3s3cret}",
                "the name of a variable has letters, digits and _, and does not begin with a digit: \
                     write ${NAME} or ${NAME:-default}, or $$ for a dollar",
            ),
            ("${NONE:-${HOST}}", "the default of ${NONE} contains another reference: a default is not expanded"),
        ] {
            let rule = substituted(text, variable).unwrap_err();
            assert_eq!(rule, expected, "{text}");
            assert!(!rule.contains("s3cret"), "{rule}");
        }
    }

    proptest! {
        #[test]
        fn a_text_with_doubled_dollars_is_itself(text in "[a${}:-]{0,12}") {
            let whole = substituted(&text.replace('$', "$$"), variable).unwrap();
            prop_assert_eq!(whole.unwrap_or_else(|| text.clone()), text);
        }
    }
}
