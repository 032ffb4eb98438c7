use super::*;
use http::{HeaderName, HeaderValue};

/// The client of a request with these fields: `name: value` pairs. An empty address is none.
fn caller(address: &str, fields: &[(&str, &[u8])]) -> Caller {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    Caller::of(&headers, (!address.is_empty()).then(|| address.parse().unwrap()), true)
}

#[test]
fn a_client_takes_little_memory() {
    assert!(size_of::<Caller>() <= 32, "{} bytes", size_of::<Caller>());
    assert!(caller("192.0.2.1", &[("user-agent", b"curl/8.5")]).more.is_none());
}

#[test]
fn where_a_client_is_comes_back() {
    for address in ["192.0.2.1", "0.0.0.0", "2001:db8::1", "::"] {
        assert_eq!(caller(address, &[]).address(), Some(address.parse().unwrap()));
    }
    assert_eq!(caller("", &[]).address(), None);
}

#[test]
fn a_page_is_named_by_its_origin_alone() {
    for (fields, expected) in [
        (&[][..], None),
        (&[("origin", &b"https://a.example"[..])][..], Some("https://a.example")),
        (&[("origin", b"https://a.example:8443"), ("referer", b"https://b.example/")], Some("https://a.example:8443")),
        (&[("referer", b"https://b.example/page?token=secret#part")], Some("https://b.example")),
        (&[("referer", b"https://b.example?token=secret")], Some("https://b.example")),
        (&[("referer", b"https://b.example\\secret")], Some("https://b.example")),
        (&[("origin", b"https://user:secret@a.example/secret")], Some("https://a.example")),
        (&[("origin", b"null")], Some("null")),
        (&[("origin", b"secret"), ("referer", b"about:blank")], None),
        (&[("origin", b""), ("referer", b"http://[::1]:80/x")], Some("http://[::1]:80")),
    ] {
        assert_eq!(caller("", fields).page_origin(), expected, "{fields:?}");
    }
}

#[test]
fn of_what_a_stranger_says_a_beginning_is_kept() {
    let (long, wide) = (vec![b'x'; 9000], "é".repeat(9000));
    let shortened = caller("", &[("user-agent", &long)]);
    assert_eq!(shortened.user_agent().unwrap().len(), 256);
    let shortened = caller("", &[("user-agent", &[b"x", wide.as_bytes()].concat())]);
    assert_eq!(shortened.user_agent().unwrap(), format!("x{}", "é".repeat(127)));
    let odd = caller("", &[("user-agent", b"a\xff\tb")]);
    assert_eq!(odd.user_agent(), Some("a\u{fffd}\tb"));
    let resuming = odd.resuming(Some(&Bytes::from(long)));
    assert_eq!(resuming.last_event_id().unwrap().len(), 256);
    assert_eq!(resuming.resuming(Some(&Bytes::new())).last_event_id(), Some(""));
}

#[test]
fn a_sane_request_id_is_taken_and_any_other_is_replaced() {
    let longest = "i".repeat(128);
    for (ids, taken) in [
        (&[][..], None),
        (&["7b0e-x"][..], Some("7b0e-x")),
        (&[r#"a"b\c"#], Some(r#"a"b\c"#)),
        (&[&longest], Some(longest.as_str())),
        (&[&format!("{longest}i")], None),
        (&[""], None),
        (&["two words"], None),
        (&["a\tb"], None),
        (&["é"], None),
        (&["one", "two"], None),
    ] {
        let fields: Vec<_> = ids.iter().map(|id| ("x-request-id", id.as_bytes())).collect();
        let id = caller("", &fields).request_id().unwrap();
        match taken {
            Some(taken) => assert_eq!(id.to_string(), taken),
            None => {
                let made = id.to_string();
                assert!(made.len() == 32 && made.bytes().all(|digit| digit.is_ascii_hexdigit()), "{ids:?} {made}");
            }
        }
    }
}

#[test]
fn no_two_requests_get_the_same_id() {
    let ids: std::collections::HashSet<_> =
        (0..1000).map(|_| caller("", &[]).request_id().unwrap().to_string()).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn of_a_client_of_which_nothing_is_kept_nothing_is_said() {
    let nobody = Caller::default();
    assert!(nobody.address().is_none() && nobody.user_agent().is_none() && nobody.page_origin().is_none());
    assert!(nobody.request_id().is_none() && nobody.last_event_id().is_none());
}
