use super::*;

/// Header fields, from lines of a name and a value.
fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).fold(
        HeaderMap::new(),
        |mut head, (name, value)| {
            head.append(name, value);
            head
        },
    )
}

/// A response of an origin of HTTP/1.1.
fn response(status: u16, lines: &[(&'static str, &'static str)]) -> ResponseHeader {
    let mut response = ResponseHeader::build(status, None).unwrap();
    response.set_version(Version::HTTP_11);
    for (name, value) in lines {
        response.append_header(*name, *value).unwrap();
    }
    response
}

#[test]
fn a_response_is_in_chunks_once_or_not_at_all() {
    const NAME: &str = "transfer-encoding";
    for (lines, expected) in [
        (&[][..], None),
        (&[(NAME, "chunked")][..], None),
        (&[(NAME, "Chunked")], None),
        (&[(NAME, ", chunked,")], None),
        (&[(NAME, "chunked, chunked")], Some(Fault::Coding)),
        (&[(NAME, "chunked"), (NAME, "chunked")], Some(Fault::Coding)),
        (&[(NAME, "gzip, chunked")], Some(Fault::Coding)),
        (&[(NAME, "chunked, gzip")], Some(Fault::Coding)),
        (&[(NAME, "identity")], Some(Fault::Coding)),
        (&[(NAME, "")], Some(Fault::Coding)),
    ] {
        assert_eq!(fault_of_response(&response(200, lines), false), expected, "{lines:?}");
    }
}

#[test]
fn a_response_without_a_body_has_no_framing() {
    for (status, name, expected) in [
        (200, "content-length", true),
        (200, "transfer-encoding", true),
        (304, "content-length", true),
        (304, "transfer-encoding", false),
        (204, "content-length", false),
        (204, "transfer-encoding", false),
        (103, "content-length", false),
        (103, "transfer-encoding", false),
        (101, "content-length", false),
        (101, "transfer-encoding", false),
    ] {
        let value = if name == "content-length" { "2" } else { "chunked" };
        let mut response = ResponseHeader::build(status, None).unwrap();
        response.insert_header(name, value).unwrap();
        for_client(&mut response, Version::HTTP_11).unwrap();
        assert_eq!(response.headers.contains_key(name), expected, "{status} {name}");
    }
}

#[test]
fn a_response_names_only_protocols_that_may_pass() {
    for (status, version, protocols, expected) in [
        (426, Version::HTTP_11, "foo, h2c", Some("foo")),
        (426, Version::HTTP_11, "HTTP/2.0, TLS/1.0", None),
        (426, Version::HTTP_10, "foo", None),
        (426, Version::HTTP_2, "foo", None),
        (101, Version::HTTP_11, "h2c, foo", Some("foo")),
        (200, Version::HTTP_11, "foo", None),
    ] {
        let mut response = ResponseHeader::build(status, None).unwrap();
        response.insert_header(UPGRADE, protocols).unwrap();
        for_client(&mut response, version).unwrap();
        let named = response.headers.get(UPGRADE).map(|value| value.to_str().unwrap());
        assert_eq!(named, expected, "{status} {version:?} {protocols}");
    }
}

#[test]
fn a_change_of_protocol_is_to_one_that_may_pass() {
    for (lines, may_upgrade, expected) in [
        (&[("upgrade", "foo")][..], true, None),
        (&[][..], true, None),
        (&[("upgrade", "h2c")], true, Some(Fault::Upgrade)),
        (&[("upgrade", "foo")], false, Some(Fault::Upgrade)),
    ] {
        assert_eq!(fault_of_response(&response(101, lines), may_upgrade), expected, "{lines:?} {may_upgrade}");
    }
}

#[test]
fn a_client_asks_for_a_protocol_in_two_fields() {
    const UPGRADE: (&str, &str) = ("upgrade", "foo, h2c");
    for (lines, version, expected) in [
        (&[UPGRADE, ("connection", "Upgrade")][..], Version::HTTP_11, Some("foo")),
        (&[UPGRADE, ("connection", "keep-alive"), ("connection", "te, uPGRADE")], Version::HTTP_11, Some("foo")),
        (&[UPGRADE, ("connection", "Upgrade")], Version::HTTP_10, None),
        (&[UPGRADE, ("connection", "keep-alive, upgrades")], Version::HTTP_11, None),
        (&[UPGRADE], Version::HTTP_11, None),
        (&[("connection", "Upgrade")], Version::HTTP_11, None),
    ] {
        let headers = head(lines);
        let asked = Client { version, headers: &headers }.upgrade();
        assert_eq!(asked.as_ref().map(|value| value.to_str().unwrap()), expected, "{lines:?} {version:?}");
    }
}

#[test]
fn an_origin_of_http10_has_no_chunks_and_changes_no_protocol() {
    for (status, lines, expected) in [
        (200, &[][..], None),
        (200, &[("content-length", "2")][..], None),
        (200, &[("transfer-encoding", "chunked")], Some(Fault::Coding)),
        (101, &[("upgrade", "foo")], Some(Fault::Upgrade)),
    ] {
        let mut response = response(status, lines);
        response.set_version(Version::HTTP_10);
        assert_eq!(fault_of_response(&response, true), expected, "{status} {lines:?}");
    }
}
