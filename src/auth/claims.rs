//! What a credential says about its bearer, and what a route demands of that.

use super::allow::{Allow, Segments};
use super::denial::Denial;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What a credential says: the claims of a token, the name of a key, the subject of a certificate, or the fields of an
/// authorisation service's answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// The claim of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The claim of this name as text: a string, a number, `true` or `false`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(is) => Some(Cow::Borrowed(if *is { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A claim as the value of a header field: text as it is, anything else as JSON without characters beyond ASCII.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        let is_plain = |text: &str| !text.is_empty() && text.trim() == text && text.bytes().all(is_visible);
        let text = match value {
            Value::String(text) if is_plain(text) => return Some(text.clone()),
            other => other.to_string(),
        };
        let mut field = String::with_capacity(text.len());
        for char in text.chars() {
            if char.is_ascii() && !char.is_ascii_control() {
                field.push(char);
            } else {
                let units =
                    char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                field.push_str(&units);
            }
        }
        Some(field)
    }

    /// These claims alone.
    #[must_use]
    pub fn only<'n>(&self, names: impl Iterator<Item = &'n str>) -> Self {
        Self(names.filter_map(|name| Some((name.to_owned(), self.get(name)?.clone()))).collect())
    }
}

fn is_visible(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

/// A claim that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Its name.
    pub claim: String,
    /// Its value. A list, and words separated by spaces (as in `scope`), must contain it. `None`: any value.
    pub value: Option<String>,
}

impl Demand {
    fn is_met(&self, claims: &Claims) -> bool {
        let (Some(claim), Some(wanted)) = (claims.get(&self.claim), &self.value) else {
            return self.value.is_none() && claims.get(&self.claim).is_some();
        };
        match claim {
            Value::String(text) => text == wanted || text.split(' ').any(|word| word == wanted),
            Value::Array(list) => list.iter().any(|one| one.as_str() == Some(wanted)),
            Value::Bool(_) | Value::Number(_) => claims.text(&self.claim).as_deref() == Some(wanted),
            Value::Null | Value::Object(_) => false,
        }
    }
}

/// What a route demands of claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demands {
    /// The claims that must be there.
    pub require: Vec<Demand>,
    /// The paths that the claims permit.
    pub allow: Allow,
}

impl Demands {
    /// The claims that are asked for.
    pub(super) fn names(&self) -> Vec<&str> {
        self.require.iter().map(|demand| demand.claim.as_str()).chain(self.allow.names()).collect()
    }

    /// Judges claims for a request of this path. `None`: the path is not known yet.
    ///
    /// # Errors
    /// When the bearer may not have the path.
    pub fn check(&self, claims: &Claims, path: Option<&Segments>) -> Result<(), Denial> {
        let has_required = self.require.iter().all(|demand| demand.is_met(claims));
        let is_met = has_required && path.is_none_or(|path| self.allow.permits(path, claims));
        if is_met { Ok(()) } else { Err(Denial::Forbidden) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(of: Value) -> Claims {
        let Value::Object(claims) = of else { panic!("no claims: {of}") };
        Claims(claims)
    }

    #[test]
    fn a_demand_is_met_by_a_value_a_list_or_words() {
        let claims = claims(json!({
            "role": "admin", "scope": "read write", "groups": ["a", "b"], "n": 7, "is": true, "none": null, "object": {},
        }));
        for (claim, value, is_met) in [
            ("role", None, true),
            ("role", Some("admin"), true),
            ("role", Some("adm"), false),
            ("scope", Some("write"), true),
            ("scope", Some("writ"), false),
            ("scope", Some("read write"), true),
            ("groups", Some("b"), true),
            ("groups", Some("c"), false),
            ("n", Some("7"), true),
            ("is", Some("true"), true),
            ("is", Some("false"), false),
            ("none", None, false),
            ("absent", None, false),
            ("absent", Some(""), false),
            ("object", None, true),
            ("object", Some("{}"), false),
        ] {
            let demand = Demand { claim: claim.to_owned(), value: value.map(str::to_owned) };
            assert_eq!(demand.is_met(&claims), is_met, "{demand:?}");
        }
    }

    #[test]
    fn a_claim_becomes_one_field_that_no_text_can_break() {
        let claims = claims(json!({
            "plain": "acme corp", "line": "a\r\nx: y", "space": " a", "accent": "é", "big": "\u{1f600}", "n": 1.5,
            "list": ["a", "b\u{7f}"], "empty": "",
        }));
        for (name, field) in [
            ("plain", Some("acme corp")),
            ("line", Some(r#""a\r\nx: y""#)),
            ("space", Some("\" a\"")),
            ("accent", Some(r#""\u00e9""#)),
            ("big", Some(r#""\ud83d\ude00""#)),
            ("n", Some("1.5")),
            ("list", Some(r#"["a","b\u007f"]"#)),
            ("empty", Some("\"\"")),
            ("absent", None),
        ] {
            assert_eq!(claims.field(name).as_deref(), field, "{name}");
        }
    }
}
