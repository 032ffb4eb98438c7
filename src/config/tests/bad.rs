//! Bad configurations, and the exact words of their errors.

use super::*;
use proptest::prelude::*;

/// A text with `written` as the last line of `table`, and otherwise good.
pub(super) fn document(table: &str, written: &str) -> String {
    let required = [("path", "path = '/a'\n"), ("origin", "origin = 'http://o'\n")];
    let key = written.split(' ').next().unwrap();
    let missing: String = required.iter().filter(|(name, _)| *name != key).map(|(_, line)| *line).collect();
    match table {
        "route" => format!("[[routes]]\n{missing}{written}"),
        "server" => format!("[[routes]]\n{missing}[server]\n{written}"),
        "tls" => {
            let required = ["listen = ['0.0.0.0:8443']\n", "cert = 'tls.crt'\n", "key = 'tls.key'\n"];
            let missing_in_tls: String =
                required.into_iter().filter(|line| !line.starts_with(&format!("{key} "))).collect();
            format!("[[routes]]\n{missing}[server.tls]\n{missing_in_tls}{written}")
        }
        table => format!("[[routes]]\n{missing}[routes.{table}]\n{written}"),
    }
}

/// The rules of `rules.txt`: a table, what is written in it, and the expected errors.
pub(super) fn rules() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let mut rules: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for line in include_str!("rules.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(error) => rules.last_mut().unwrap().2.push(error),
            None => {
                let (table, written) = line.split_once(": ").unwrap();
                rules.push((table, written, Vec::new()));
            }
        }
    }
    assert!(rules.len() > 130, "{}", rules.len());
    rules
}

#[test]
fn each_rule_is_told_in_its_exact_words() {
    for (table, written, expected) in rules() {
        let text = document(table, written);
        let at = text.lines().count();
        let expected: Vec<_> = expected.iter().map(|error| format!("line {at}: {error}")).collect();
        let errors = parse(&text).err().map(|errors| errors.to_string()).unwrap_or_default();
        let errors: Vec<_> = errors.lines().map(without_column).collect();
        let errors = errors.join("\n");
        assert_eq!(errors, expected.join("\n"), "{text}");
        assert!(!errors.contains("s3cret"), "{errors}");
    }
}

/// An error without its column.
fn without_column(error: &str) -> String {
    match error.split_once(", column ") {
        Some((line, rest)) => format!("{line}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => error.to_owned(),
    }
}

/// The documents of `documents.txt`, each with its expected errors.
pub(super) fn documents() -> Vec<(&'static str, &'static str)> {
    let cases = include_str!("documents.txt").split("\n====\n").skip(1);
    cases.map(|case| case.split_once("\n----\n").unwrap()).collect()
}

#[test]
fn all_errors_of_a_document_are_told_at_once_in_its_order() {
    let documents = documents();
    assert!(documents.len() > 15, "{}", documents.len());
    for (text, expected) in documents {
        let errors = parse(text).err().map(|errors| errors.to_string()).unwrap_or_default();
        assert_eq!(errors, expected.trim_end(), "{text}");
    }
}

#[test]
fn a_file_is_named_first_and_a_missing_one_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    let shown = path.display();
    let missing = Config::load(Some(&path)).unwrap_err().to_string();
    assert_eq!(missing, format!("{shown}: cannot be read: No such file or directory (os error 2)"));

    std::fs::write(&path, "[[routes]]\npath = '/a'\norigin = 'o'\n[routes.cors]\nmax_age_secs = 0").unwrap();
    let errors = Config::load(Some(&path)).unwrap_err();
    assert_eq!(errors.errors().len(), 2);
    let rule = "must begin with http:// or https://, as in http://127.0.0.1:9000";
    let expected = format!(
        "{shown}:3:10: routes[0].origin = 'o': {rule}\n\
         {shown}:5:16: routes[0].cors.max_age_secs = 0: must be a number of seconds above 0"
    );
    assert_eq!(errors.to_string(), expected);

    std::fs::write(&path, "listen = [").unwrap();
    let errors = Config::load(Some(&path)).unwrap_err().to_string();
    assert_eq!(errors, format!("{shown}:1:11: unclosed array, expected `]`"));
}

#[test]
fn a_long_value_is_cut_and_kept_on_one_line() {
    let errors = parse(&document("route", &format!("kind = '''\na\tb{}'''", "\u{e4}".repeat(100)))).unwrap_err();
    let expected =
        format!("line 4, column 8: routes[0].kind = ''' a b{}..: must be \"stream\" or \"proxy\"", "\u{e4}".repeat(53));
    assert_eq!(errors.to_string(), expected);
}

/// Lines of which many have a correct syntax, so that tests get beyond the syntax.
fn line() -> impl Strategy<Value = String> {
    let rules = include_str!("rules.txt").lines().filter_map(|line| line.split_once(": ")).map(|(_, written)| written);
    let tables = [
        "[server]",
        "[server.tls]",
        "[[server.tls.certificates]]",
        "[[routes]]",
        "[routes]",
        "[defaults]",
        "[routes.share]",
        "[defaults.cors]",
        "[routes.cors]",
    ];
    let written: Vec<String> = rules.chain(tables).map(str::to_owned).collect();
    prop_oneof![8 => prop::sample::select(written), 1 => any::<String>(), 1 => "[a-z_.]{1,9} = [-+\"'\\[{0-9a-z]{0,9}"]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        if let Err(errors) = parse(&text) {
            prop_assert_eq!(errors.to_string().lines().count(), errors.errors().len());
        }
    }

    #[test]
    fn no_mixture_of_lines_makes_it_panic_and_each_error_is_one_line(lines in prop::collection::vec(line(), 0..12)) {
        if let Err(errors) = parse(&lines.join("\n")) {
            prop_assert_eq!(errors.to_string().lines().count(), errors.errors().len());
        }
    }
}
