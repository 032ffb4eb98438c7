//! The methods that a route serves.

use http::Method;
use std::fmt;

/// The methods that a route serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Methods {
    /// Any method.
    Any,
    /// These methods. A route with GET also serves HEAD, which is the same without a body (RFC 9110, section 9.3.2).
    Only(Vec<Method>),
}

/// Why a text is not a method for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMethod {
    /// The text is not a token (RFC 9110, section 9.1).
    #[error("must be a method such as \"GET\"")]
    Token,
    /// A standard method in lower case. Methods are case-sensitive.
    #[error("must be in upper case: methods are case-sensitive")]
    LowerCase,
    /// CONNECT, which no route can serve.
    #[error("must not be CONNECT: no route serves it")]
    Connect,
}

impl Methods {
    /// Reads one method of a list.
    ///
    /// # Errors
    /// When the text is not a method, or is a method that no route serves.
    pub fn method(text: &str) -> Result<Method, InvalidMethod> {
        let method = Method::from_bytes(text.as_bytes()).map_err(|_| InvalidMethod::Token)?;
        if method == Method::CONNECT {
            return Err(InvalidMethod::Connect);
        }
        // Other methods in lower case may be an application's own.
        let upper = text.to_ascii_uppercase();
        let is_known = KNOWN.iter().any(|known| known.as_str() == upper);
        if is_known && upper != text { Err(InvalidMethod::LowerCase) } else { Ok(method) }
    }

    /// Whether the route serves requests with this method.
    #[must_use]
    pub fn serve(&self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::Only(methods) => {
                methods.contains(method) || (method == Method::HEAD && methods.contains(&Method::GET))
            }
        }
    }

    /// Whether this serves every method that `others` serves.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::Any, _) => true,
            (Self::Only(_), Self::Any) => false,
            (Self::Only(_), Self::Only(others)) => others.iter().all(|method| self.serve(method)),
        }
    }
}

const KNOWN: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Only(methods) => {
                let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
                f.write_str(&methods.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_token_in_its_own_case() {
        for (text, expected) in [
            ("GET", Ok("GET")),
            ("QUERY", Ok("QUERY")),
            ("purge", Ok("purge")),
            ("get", Err(InvalidMethod::LowerCase)),
            ("Post", Err(InvalidMethod::LowerCase)),
            ("CONNECT", Err(InvalidMethod::Connect)),
            ("", Err(InvalidMethod::Token)),
            ("GET,POST", Err(InvalidMethod::Token)),
            ("GET ", Err(InvalidMethod::Token)),
        ] {
            let method = Methods::method(text);
            assert_eq!(method.as_ref().map(Method::as_str), expected.as_ref().map(|text| *text), "{text}");
        }
    }

    #[test]
    fn get_serves_head_and_no_other_method_serves_another() {
        let get = Methods::Only(vec![Method::GET]);
        let post = Methods::Only(vec![Method::POST, Method::DELETE]);
        let head = Methods::Only(vec![Method::HEAD]);
        for (method, by) in [
            (Method::GET, [true, true, false, false]),
            (Method::HEAD, [true, true, false, true]),
            (Method::POST, [true, false, true, false]),
            (Method::OPTIONS, [true, false, false, false]),
            (Method::DELETE, [true, false, true, false]),
        ] {
            assert_eq!([&Methods::Any, &get, &post, &head].map(|methods| methods.serve(&method)), by, "{method}");
        }
        for (one, others, covers) in [
            (&Methods::Any, &Methods::Any, true),
            (&Methods::Any, &get, true),
            (&get, &Methods::Any, false),
            (&get, &head, true),
            (&head, &get, false),
            (&post, &Methods::Only(vec![Method::DELETE, Method::POST]), true),
            (&post, &get, false),
        ] {
            assert_eq!(one.cover(others), covers, "{one} {others}");
        }
    }
}
