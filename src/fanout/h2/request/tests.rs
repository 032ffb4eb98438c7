//! Requests that are well formed, and what the standard calls malformed.

use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A request with these fields in place of those of the same names, and after them.
fn request(fields: Pairs<'_>) -> Result<Request, Malformed> {
    let usual = [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/")];
    let usual = usual.into_iter().filter(|(name, _)| fields.iter().all(|(other, _)| name != other));
    made_of(&usual.chain(fields.iter().copied()).collect::<Vec<_>>())
}

fn made_of(fields: Pairs<'_>) -> Result<Request, Malformed> {
    Request::new(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect())
}

#[test]
fn a_request_is_its_pseudo_fields_and_the_others() {
    let request = made_of(&[
        (":path", "/feed?a=b"),
        (":method", "POST"),
        (":authority", "a.example:8443"),
        (":scheme", "https"),
        ("te", "Trailers"),
        ("content-length", "007"),
        ("x-empty", ""),
        ("x-own", "caf\u{e9} \t au lait"),
    ])
    .unwrap();
    assert_eq!((request.method(), request.scheme()), (&b"POST"[..], &b"https"[..]));
    assert_eq!((request.authority(), request.path()), (&b"a.example:8443"[..], &b"/feed?a=b"[..]));
    assert_eq!(request.content_length(), Some(7));
    assert_eq!(request.fields().count(), 4);
    assert_eq!(request.fields().next(), Some((&b"te"[..], &b"Trailers"[..])));
}

#[test]
fn these_are_well_formed() {
    for fields in [
        &[][..],
        &[(":method", "OPTIONS"), (":path", "*")],
        &[("host", "A.Example")],
        &[(":authority", "[::1]:80"), ("host", "[::1]:80")],
        &[("cookie", "a=b"), ("cookie", "c=d")],
        &[("content-length", "18446744073709551615")],
    ] {
        assert!(request(fields).is_ok(), "{fields:?}");
    }
    let by_host = made_of(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a.example")]).unwrap();
    assert_eq!(by_host.authority(), b"a.example");
    let connect = made_of(&[(":method", "CONNECT"), (":authority", "a.example:443")]).unwrap();
    assert_eq!((connect.scheme(), connect.path()), (&b""[..], &b""[..]));
}

#[test]
fn these_are_malformed() {
    for (fields, expected) in [
        // Pseudo fields.
        (&[(":method", "GET"), (":method", "GET")][..], Malformed::Pseudo),
        (&[(":path", "/"), (":path", "/admin")], Malformed::Pseudo),
        (&[(":status", "200")], Malformed::Pseudo),
        (&[(":protocol", "websocket")], Malformed::Pseudo),
        (&[(":Path", "/")], Malformed::Pseudo),
        (&[("accept", "*/*"), (":path", "/")], Malformed::Pseudo),
        (&[("accept", "*/*"), (":unknown", "")], Malformed::Pseudo),
        // What they say.
        (&[(":method", "")], Malformed::Method),
        (&[(":method", "GET /admin HTTP/1.1\r\nx: ")], Malformed::Value),
        (&[(":method", "GET /admin")], Malformed::Method),
        (&[(":scheme", "")], Malformed::Scheme),
        (&[(":scheme", "http://a")], Malformed::Scheme),
        (&[(":scheme", "1http")], Malformed::Scheme),
        (&[(":path", "")], Malformed::Path),
        (&[(":path", "feed")], Malformed::Path),
        (&[(":path", "*")], Malformed::Path),
        (&[(":path", "/a b")], Malformed::Path),
        (&[(":path", "/a#b")], Malformed::Path),
        (&[(":path", "/\u{e9}")], Malformed::Path),
        (&[(":path", "/ HTTP/1.1\r\nhost: b.example")], Malformed::Value),
        (&[(":authority", "")], Malformed::Authority),
        (&[(":authority", "a.example/b")], Malformed::Authority),
        (&[(":authority", "user@a.example")], Malformed::Authority),
        (&[(":authority", "a.example b")], Malformed::Authority),
        (&[("host", "b.example")], Malformed::Authority),
        (&[("host", "")], Malformed::Authority),
        (&[("host", "a.example"), ("host", "a.example")], Malformed::Authority),
        (&[(":method", "CONNECT")], Malformed::Missing),
        // Names and values.
        (&[("", "a")], Malformed::Name),
        (&[("Accept", "a")], Malformed::Name),
        (&[("accept ", "a")], Malformed::Name),
        (&[("a:b", "a")], Malformed::Name),
        (&[("a\0", "a")], Malformed::Name),
        (&[("a\r\nb", "a")], Malformed::Name),
        (&[("\u{e9}", "a")], Malformed::Name),
        (&[("a", "b\r")], Malformed::Value),
        (&[("a", "b\nc")], Malformed::Value),
        (&[("a", "b\0")], Malformed::Value),
        (&[("a", "\x7f")], Malformed::Value),
        (&[("a", " b")], Malformed::Value),
        (&[("a", "b\t")], Malformed::Value),
        // Fields of the connection.
        (&[("connection", "close")], Malformed::ConnectionField),
        (&[("keep-alive", "5")], Malformed::ConnectionField),
        (&[("proxy-connection", "keep-alive")], Malformed::ConnectionField),
        (&[("transfer-encoding", "chunked")], Malformed::ConnectionField),
        (&[("upgrade", "h2c")], Malformed::ConnectionField),
        (&[("te", "trailers, gzip")], Malformed::ConnectionField),
        (&[("te", "")], Malformed::ConnectionField),
        // The length of the body.
        (&[("content-length", "")], Malformed::ContentLength),
        (&[("content-length", "+1")], Malformed::ContentLength),
        (&[("content-length", "1, 1")], Malformed::ContentLength),
        (&[("content-length", "18446744073709551616")], Malformed::ContentLength),
        (&[("content-length", "1"), ("content-length", "1")], Malformed::ContentLength),
    ] {
        assert_eq!(request(fields), Err(expected), "{fields:?}");
    }
}

#[test]
fn a_pseudo_field_that_is_missing_is_missed() {
    let all = [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/")];
    let expected = [Malformed::Method, Malformed::Missing, Malformed::Authority, Malformed::Missing];
    for (index, expected) in expected.into_iter().enumerate() {
        let mut fields = all.to_vec();
        fields.remove(index);
        assert_eq!(made_of(&fields), Err(expected));
    }
    for extra in [(":scheme", "https"), (":path", "/")] {
        assert_eq!(made_of(&[(":method", "CONNECT"), (":authority", "a"), extra]), Err(Malformed::Missing));
    }
    assert_eq!(made_of(&[(":method", "CONNECT"), ("host", "a.example")]), Err(Malformed::Missing));
}

#[test]
fn trailers_have_no_pseudo_fields_and_obey_the_same_rules() {
    for (name, value, expected) in [
        ("x-checksum", "1", Ok(())),
        (":path", "/", Err(Malformed::Pseudo)),
        ("X", "1", Err(Malformed::Name)),
        ("x", "1\n", Err(Malformed::Value)),
        ("connection", "close", Err(Malformed::ConnectionField)),
    ] {
        let fields: Fields = [(name.as_bytes(), value.as_bytes())].into_iter().collect();
        assert_eq!(check_trailers(&fields), expected, "{name}");
    }
}
