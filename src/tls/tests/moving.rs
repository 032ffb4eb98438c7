//! Channels that go on elsewhere in the middle of everything.

use super::*;

/// The channel after its way through bytes.
fn moved(channel: Channel) -> Channel {
    let state = channel.state();
    drop(channel);
    assert_eq!(format!("{state:?}"), "ChannelState { .. }", "no secret is shown");
    let bytes = rmp_serde::to_vec(&state).unwrap();
    Channel::of_state(rmp_serde::from_slice(&bytes).unwrap()).unwrap()
}

#[test]
fn a_channel_that_moves_after_every_byte_says_and_hears_what_one_that_stays_does() {
    for suite in SUITES {
        let (mut client, mut channel) = connected(suite);
        let (mut expected, mut read, mut heard_of) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..6 {
            if n % 2 == 0 {
                client.refresh_traffic_keys().unwrap();
            }
            let word = format!("word {n}");
            for byte in said(&mut client, word.as_bytes()) {
                let heard = testing::heard(&mut channel, [&[byte][..]]);
                heard_of.extend(heard.data);
                channel = moved(channel);
            }
            let plain = format!("event {n}\n").into_bytes();
            let mut at = 0;
            while at < plain.len() || channel.has_pending() {
                let mut wire = Vec::new();
                let sealed = channel.seal_until(3, &plain[at..], &mut wire);
                at += channel.settle(sealed, &wire, 1);
                read.extend(opened(&mut client, &wire[..1]));
                channel = moved(channel);
            }
            expected.extend(plain);
        }
        assert_eq!(read, expected);
        assert_eq!(heard_of, b"word 0word 1word 2word 3word 4word 5");
        channel.close();
        let mut channel = moved(channel);
        assert!(channel.is_closed() && channel.has_pending());
        let mut wire = Vec::new();
        let sealed = channel.seal(b"never", &mut wire);
        assert_eq!(sealed.plain(), 0);
        let all = wire.len();
        assert_eq!(channel.settle(sealed, &wire, all), 0);
        client.read_tls(&mut &wire[..]).unwrap();
        assert!(client.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn a_state_that_no_channel_has_is_refused() {
    let (_client, channel) = connected(SUITES[0]);
    let bytes = rmp_serde::to_vec(&channel.state()).unwrap();
    type Fields = (u8, Vec<u8>, u64, Vec<u8>, u64, Vec<u8>, Vec<u8>, u16, u8, bool, bool);
    let value: Fields = rmp_serde::from_slice(&bytes).unwrap();
    let with = |algorithm: u8, secret: &[u8]| {
        let mut other = value.clone();
        (other.0, other.1) = (algorithm, secret.to_vec());
        Channel::of_state(rmp_serde::from_slice(&rmp_serde::to_vec(&other).unwrap()).unwrap()).is_some()
    };
    assert!(with(value.0, &value.1));
    assert!(!with(9, &value.1));
    assert!(!with(value.0, &value.1[1..]));
    assert!(!with(value.0, &[]));
}
