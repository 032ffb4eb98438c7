//! `[routes.cors]`.

use crate::config::reader::{Item, Rule, Section};
use crate::config::value::{boolean, seconds};
use crate::downstream::{AllowedOrigins, CorsOptions};
use url::{Origin, Url};

const EVERYBODY: &str = "*";

/// The policy for cross-origin access as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct CorsLayer<'a> {
    options: CorsOptions,
    culprit: Option<Item<'a>>,
}

impl<'a> CorsLayer<'a> {
    pub(in crate::config) fn read(mut section: Section<'a>, base: &Self) -> Self {
        let mut options = base.options.clone();
        let listed = section.take("origins");
        if let Some(origins) = listed.as_ref().and_then(origins) {
            options.origins = origins;
        }
        let credentials = section.set(&mut options.credentials, "credentials", boolean);
        section.set(&mut options.max_age, "max_age_secs", seconds);
        section.finish();
        Self { options, culprit: credentials.or(listed).or_else(|| base.culprit.clone()) }
    }

    /// The options. It is an error if credentials are allowed for all origins. A browser refuses `*` with credentials
    /// (Fetch standard, "CORS protocol and credentials"). To echo every origin would give the user's stream to any
    /// page.
    pub(in crate::config) fn resolve(self) -> CorsOptions {
        if let (AllowedOrigins::Any, true, Some(culprit)) =
            (&self.options.origins, self.options.credentials, &self.culprit)
        {
            culprit.fail("credentials must not be true while origins is [\"*\"]: name the origins");
        }
        self.options
    }
}

fn origins(item: &Item<'_>) -> Option<AllowedOrigins> {
    let rule = "must be [\"*\"] or a list of origins such as [\"https://example.com\"]";
    let elements = item.elements().unwrap_or_default();
    let is_any = |element: &Item<'_>| element.str() == Some(EVERYBODY);
    if elements.is_empty() {
        item.fail(rule);
        return None;
    }
    if elements.len() == 1 && elements.iter().all(is_any) {
        return Some(AllowedOrigins::Any);
    }
    item.list(rule, origin).map(AllowedOrigins::Only)
}

/// Reads an origin, which must be written as browsers serialise it (HTML standard, "serialization of an origin"),
/// because origins are compared as text.
fn origin(text: &str) -> Result<String, Rule> {
    let rule = "must be scheme://host or scheme://host:port";
    if text == EVERYBODY {
        return Err("must be the only entry of the list".to_owned());
    }
    if text.contains('*') {
        return Err(format!("{rule}, without wildcards"));
    }
    let url = Url::parse(text).map_err(|_| rule.to_owned())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(rule)?;
    let serialised = match url.origin() {
        origin @ Origin::Tuple(..) => origin.ascii_serialization(),
        // Schemes that only browsers know, such as that of an extension.
        Origin::Opaque(_) => match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        },
    };
    if text == serialised { Ok(serialised) } else { Err(format!("{rule}, as browsers send it: \"{serialised}\"")) }
}
