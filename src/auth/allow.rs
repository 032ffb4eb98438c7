//! The paths that claims permit.

use super::claims::Claims;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The paths that claims permit (`allow`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Allow {
    /// Every path of the route.
    #[default]
    Everything,
    /// The paths of these rules.
    Rules(Vec<PathRule>),
    /// The paths that a claim lists: a pattern, or a list of patterns.
    Listed(String),
}

/// A rule such as `/users/{sub}/*`: each `{claim}` stands for the value of a claim, within one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRule {
    segments: Vec<Vec<Piece>>,
    /// The rule ends in `/*`: it is met by all paths below.
    is_prefix: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Claim(String),
}

/// Why a text is not a [`PathRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a path such as \"/users/{{sub}}/*\": it {0}")]
pub struct InvalidRule(&'static str);

/// The segments of a path, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments(Vec<Vec<u8>>);

impl Segments {
    /// The segments of a raw path. An encoded slash does not separate two segments.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        Self(path.split('/').map(|segment| percent_decode_str(segment).collect()).collect())
    }
}

impl PathRule {
    /// Reads a rule with claims in braces.
    ///
    /// # Errors
    /// When the text is not such a rule.
    pub fn parse(text: &str) -> Result<Self, InvalidRule> {
        Self::read(text, true)
    }

    /// Reads a pattern of a token. Braces mean nothing there.
    fn plain(text: &str) -> Option<Self> {
        Self::read(text, false).ok()
    }

    fn read(text: &str, has_claims: bool) -> Result<Self, InvalidRule> {
        let path = text.strip_prefix('/').ok_or(InvalidRule("does not begin with \"/\""))?;
        let (path, is_prefix) = match path.strip_suffix("/*") {
            Some(path) => (path, true),
            None if path == "*" => return Ok(Self { segments: Vec::new(), is_prefix: true }),
            None => (path, false),
        };
        if path.contains('*') {
            return Err(InvalidRule("contains \"*\" in another place than a final \"/*\""));
        }
        if path.contains(['?', '#', '\\']) {
            return Err(InvalidRule("contains \"?\", \"#\" or a backslash"));
        }
        let segments = path.split('/').map(|segment| pieces(segment, has_claims)).collect::<Result<_, _>>()?;
        Ok(Self { segments, is_prefix })
    }

    /// Whether a path meets the rule with these claims.
    fn is_met(&self, path: &Segments, claims: &Claims) -> bool {
        let Segments(path) = path;
        let is_long_enough = match self.is_prefix {
            true => path.len() > self.segments.len(),
            false => path.len() == self.segments.len(),
        };
        is_long_enough && self.segments.iter().zip(path).all(|(pieces, segment)| is_equal(pieces, segment, claims))
    }
}

fn pieces(segment: &str, has_claims: bool) -> Result<Vec<Piece>, InvalidRule> {
    let decoded = |text: &str| Piece::Text(percent_decode_str(text).collect());
    if !has_claims {
        return Ok(vec![decoded(segment)]);
    }
    let (mut pieces, mut rest) = (Vec::new(), segment);
    while let Some((before, after)) = rest.split_once('{') {
        let (claim, behind) = after.split_once('}').ok_or(InvalidRule("has a \"{\" without a \"}\""))?;
        if claim.is_empty() || claim.contains('{') || before.contains('}') {
            return Err(InvalidRule("has braces without the name of a claim"));
        }
        pieces.extend((!before.is_empty()).then(|| decoded(before)));
        pieces.push(Piece::Claim(claim.to_owned()));
        rest = behind;
    }
    if rest.contains('}') {
        return Err(InvalidRule("has a \"}\" without a \"{\""));
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(decoded(rest));
    }
    Ok(pieces)
}

/// Whether a segment is what the pieces say. A claim that is no text, is empty, or could be more than one segment to some
/// server, is equal to nothing.
fn is_equal(pieces: &[Piece], segment: &[u8], claims: &Claims) -> bool {
    let mut expected = Vec::with_capacity(segment.len());
    for piece in pieces {
        match piece {
            Piece::Text(text) => expected.extend_from_slice(text),
            Piece::Claim(name) => match claims.text(name) {
                Some(text) if !text.is_empty() && !text.contains(['/', '\\', ';', '%', '\0']) => {
                    expected.extend_from_slice(text.as_bytes());
                }
                _ => return false,
            },
        }
    }
    let is_dots = matches!(&*expected, b"." | b"..");
    !is_dots && expected == segment
}

impl Allow {
    /// The claims that are asked for.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Everything => Vec::new(),
            Self::Rules(rules) => {
                let pieces = rules.iter().flat_map(|rule| rule.segments.iter().flatten());
                pieces
                    .filter_map(|piece| if let Piece::Claim(name) = piece { Some(name.as_str()) } else { None })
                    .collect()
            }
            Self::Listed(claim) => vec![claim],
        }
    }

    /// Whether claims permit a path.
    #[must_use]
    pub fn permits(&self, path: &Segments, claims: &Claims) -> bool {
        let is_met =
            |rule: &Value| rule.as_str().and_then(PathRule::plain).is_some_and(|rule| rule.is_met(path, claims));
        match self {
            Self::Everything => true,
            Self::Rules(rules) => rules.iter().any(|rule| rule.is_met(path, claims)),
            Self::Listed(claim) => match claims.get(claim) {
                Some(Value::Array(rules)) => rules.iter().any(is_met),
                Some(rule) => is_met(rule),
                None => false,
            },
        }
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
    fn a_rule_ties_claims_to_segments() {
        let claims = claims(json!({
            "sub": "42", "n": 7, "slash": "42/x", "dots": "..", "star": "*", "empty": "", "list": ["42"], "sp": "a b",
            "https://a.example/t": "t1", "enc": "%34%32", "semi": "42;a",
        }));
        for (rule, path, is_met) in [
            ("/users/{sub}/*", "/users/42/feed", true),
            ("/users/{sub}/*", "/users/42/", true),
            ("/users/{sub}/*", "/users/42", false),
            ("/users/{sub}/*", "/users/43/feed", false),
            ("/users/{sub}/*", "/users/423/feed", false),
            ("/users/{sub}/*", "/users/42%2Fx/feed", false),
            ("/users/{sub}/*", "/users/42;x/feed", false),
            ("/users/{sub}/*", "/users/%34%32/feed", true),
            ("/users/{sub}/*", "/Users/42/feed", false),
            ("/users/{sub}/*", "/a/users/42/feed", false),
            ("/users/{sub}", "/users/42", true),
            ("/users/{sub}", "/users/42/feed", false),
            ("/u-{sub}-{n}/x", "/u-42-7/x", true),
            ("/u-{sub}-{n}/x", "/u-42-8/x", false),
            ("/users/{slash}/*", "/users/42/x/feed", false),
            ("/users/{slash}/*", "/users/42%2Fx/feed", false),
            ("/users/{dots}/*", "/users/../feed", false),
            ("/users/{star}/*", "/users/43/feed", false),
            ("/users/{star}/*", "/users/*/feed", true),
            ("/users/{empty}/*", "/users//feed", false),
            ("/users/{absent}/*", "/users//feed", false),
            ("/users/{list}/*", "/users/42/feed", false),
            ("/users/{sp}/x", "/users/a%20b/x", true),
            ("/users/{enc}/x", "/users/42/x", false),
            ("/users/{enc}/x", "/users/%2534%2532/x", false),
            ("/users/{semi}/x", "/users/42;a/x", false),
            ("/t/{https://a.example/t}", "/t/t1", false),
            ("/*", "/anything/at/all", true),
            ("/a%20b/*", "/a%20b/c", true),
        ] {
            let Ok(rule) = PathRule::parse(rule) else {
                assert!(!is_met, "{rule}");
                continue;
            };
            assert_eq!(rule.is_met(&Segments::of(path), &claims), is_met, "{rule:?} {path}");
        }
    }

    #[test]
    fn a_claim_lists_patterns_in_which_braces_mean_nothing() {
        let claims = claims(json!({
            "sub": "42", "paths": ["/a/*", "/b", "c", 7, "/{sub}", "/d*"], "one": "/x/*", "none": [], "object": {"/a": 1},
        }));
        for (claim, path, is_permitted) in [
            ("paths", "/a/b/c", true),
            ("paths", "/a", false),
            ("paths", "/b", true),
            ("paths", "/b/c", false),
            ("paths", "/c", false),
            ("paths", "/42", false),
            ("paths", "/%7Bsub%7D", true),
            ("paths", "/dd", false),
            ("one", "/x/y", true),
            ("one", "/y", false),
            ("none", "/a", false),
            ("object", "/a", false),
            ("absent", "/a", false),
        ] {
            let allow = Allow::Listed(claim.to_owned());
            assert_eq!(allow.permits(&Segments::of(path), &claims), is_permitted, "{claim} {path}");
        }
    }

    #[test]
    fn a_bad_rule_says_why() {
        for (rule, why) in [
            ("users/{sub}", "does not begin"),
            ("/users/*/x", "in another place"),
            ("/users/{sub", "without a \"}\""),
            ("/users/sub}", "without a \"{\""),
            ("/users/{}", "without the name"),
            ("/users/{a{b}}", "without the name"),
            ("/users?x={sub}", "contains \"?\""),
        ] {
            let error = PathRule::parse(rule).unwrap_err().to_string();
            assert!(error.contains(why), "{rule}: {error}");
        }
    }
}
