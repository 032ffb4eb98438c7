//! The file that `manifold init` writes: the shipped one, with the reader's own origin and path.

use manifold::route::PathPattern;
use manifold::upstream::Origin;
use std::path::Path;

/// The shipped file: every key, with its default and a comment.
const SHIPPED: &str = include_str!("../conf/manifold.toml");
/// The line of the shipped file that names the schema. It is for a checkout.
const SCHEMA_OF_CHECKOUT: &str = "#:schema ../docs/manifold.schema.json\n";
/// What the file says instead: there is no schema beside it yet.
const SCHEMA: &str = "\
# An editor completes and checks the keys of this file (taplo, or VS Code with Even Better TOML) if its first line is
#   #:schema ./manifold.schema.json
# and this command wrote that file: manifold schema > manifold.schema.json

";
/// What the shipped file says of the origin and the path of its first route.
const ORIGIN: &str = "origin = \"http://127.0.0.1:9000\"";
const PATH: &str = "path = \"/*\"";

/// The text of the file.
pub(crate) fn text(origin: Option<&Origin>, path: Option<&PathPattern>) -> String {
    let origin = origin.map(|origin| format!("origin = \"{origin}\""));
    let path = path.map(|path| format!("path = \"{path}\""));
    let text = SHIPPED.replacen(ORIGIN, origin.as_deref().unwrap_or(ORIGIN), 1);
    let text = text.replacen(PATH, path.as_deref().unwrap_or(PATH), 1);
    text.replacen(SCHEMA_OF_CHECKOUT, SCHEMA, 1)
}

/// What to do next, for a terminal.
pub(crate) fn next_steps(file: &Path, has_origin: bool) -> String {
    let file = file.display();
    let origin = if has_origin { "" } else { "  write the URL of your origin into it: origin = \"http://..\"\n" };
    format!("{file} was written. Next:\n{origin}  manifold --test -c {file}\n  manifold -c {file}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifold::config::{Config, SystemSources};

    #[test]
    fn the_file_loads_and_has_the_origin_and_the_path() {
        let (origin, path) = (Origin::parse("https://app:8443/api").unwrap(), PathPattern::parse("/events").unwrap());
        let written = text(Some(&origin), Some(&path));
        let config = Config::parse(&written, &SystemSources::beside(Path::new("m.toml"))).unwrap();
        let route = &config.routes.routes()[0];
        assert_eq!((route.origin.to_string(), route.path.to_string()), (origin.to_string(), path.to_string()));
    }

    #[test]
    fn without_an_origin_the_file_is_the_shipped_one_but_names_no_schema_that_is_not_there() {
        let written = text(None, None);
        assert!(!written.lines().any(|line| line.starts_with("#:schema")), "{written}");
        let shipped = SHIPPED.strip_prefix(SCHEMA_OF_CHECKOUT).unwrap();
        assert_eq!(written.strip_prefix(SCHEMA).unwrap(), shipped);
        // What the comment asks for is what `manifold schema --help` says.
        for part in ["#:schema ./manifold.schema.json", "manifold schema > manifold.schema.json"] {
            assert!(written.contains(part), "{part}");
        }
    }
}
