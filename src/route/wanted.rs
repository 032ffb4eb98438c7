//! The parts of a request that decide its route.

use super::table::Misfit;
use super::{MediaType, Methods, Route};
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, Method};

/// The parts of a request that decide its route.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The `Host` or the authority, as the client wrote it.
    pub host: Option<&'a str>,
    /// The raw path. It has passed [`check_target`](super::check_target).
    pub path: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The header fields. `Accept` counts, and for a preflight also the method that it asks about.
    pub headers: &'a HeaderMap,
}

impl Wanted<'_> {
    /// Whether the request's method and `Accept` are among those that the route serves.
    pub(super) fn fits(&self, route: &Route) -> bool {
        // Most routes serve any request, and then nothing needs to be looked at.
        (route.methods == Methods::Any || self.fits_methods(route))
            && route.accept.as_ref().is_none_or(|accept| self.fits_accept(route, accept))
    }

    fn fits_methods(&self, route: &Route) -> bool {
        match self.asked_method() {
            Some(asked) => route.methods.serve(&asked),
            None => route.methods.serve(self.method) || (self.method == Method::OPTIONS && answers_preflights(route)),
        }
    }

    /// Whether the request's `Accept` fits the route. A preflight does not say which `Accept` the request after it will
    /// have. So it fits every route on which manifold answers preflights.
    fn fits_accept(&self, route: &Route, accept: &MediaType) -> bool {
        accept.is_named_by(self.headers) || (self.method == Method::OPTIONS && answers_preflights(route))
    }

    /// The method that a preflight asks about (Fetch standard, section 3.3.2). The route that serves this method
    /// serves the preflight.
    fn asked_method(&self) -> Option<Method> {
        let is_preflight = self.method == Method::OPTIONS && self.headers.contains_key(ORIGIN);
        let asked = self.headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| is_preflight)?;
        Method::from_bytes(asked.as_bytes()).ok()
    }

    /// Why none of the routes of the request's path fits.
    pub(super) fn misfit<'r>(&self, routes: impl Iterator<Item = &'r Route>) -> Misfit {
        let (mut methods, mut types) = (Vec::new(), Vec::new());
        let mut is_path_served = false;
        for route in routes {
            is_path_served = true;
            if self.fits_methods(route) {
                types.extend(route.accept.clone().filter(|accept| !types.contains(accept)));
            } else if let Methods::Only(only) = &route.methods {
                for method in allowed(only, route) {
                    if !methods.contains(&method) {
                        methods.push(method);
                    }
                }
            }
        }
        match (is_path_served, types.is_empty()) {
            (false, _) => Misfit::Path,
            (true, false) => Misfit::Accept(types),
            (true, true) => Misfit::Method(methods),
        }
    }
}

/// The methods for the `Allow` field.
fn allowed(listed: &[Method], route: &Route) -> Vec<Method> {
    let mut allowed = Vec::with_capacity(listed.len());
    for method in listed {
        allowed.push(method.clone());
        if *method == Method::GET && !listed.contains(&Method::HEAD) {
            allowed.push(Method::HEAD);
        }
    }
    if answers_preflights(route) && !listed.contains(&Method::OPTIONS) {
        allowed.push(Method::OPTIONS);
    }
    allowed
}

/// Whether manifold itself answers OPTIONS on this route.
fn answers_preflights(route: &Route) -> bool {
    route.stream().is_some_and(|policy| policy.cors.is_some())
}
