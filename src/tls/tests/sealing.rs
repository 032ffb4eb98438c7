//! What a channel sends.

use super::super::record::OVERHEAD_BYTES;
use super::*;
use proptest::prelude::*;
use rustls::crypto::cipher::{AeadKey, Iv, MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion};

/// rustls' own encrypter under the keys that the server of this pair has, and the number of its next record.
fn oracle(pair: Pair) -> (Box<dyn MessageEncrypter>, u64, Channel) {
    let suite = pair.client.negotiated_cipher_suite().unwrap().tls13().unwrap();
    let channel = Channel::of(pair.server, &pair.capture).unwrap();
    let (seq, secrets) = pair.client.dangerous_extract_secrets().unwrap().rx;
    let (key, iv): (AeadKey, Iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => unreachable!(),
    };
    (suite.aead_alg.encrypter(key, iv), seq, channel)
}

fn extracting(suite: SupportedCipherSuite) -> Pair {
    let (mut client, server) = configs(&[suite]);
    client.enable_secret_extraction = true;
    let mut pair = Pair::begun((client, server));
    while pair.exchange() {}
    pair
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 7 + n / 256).to_le_bytes()[0]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_channel_seals_the_bytes_that_rustls_seals(suite in 0..3_usize, sends in prop::collection::vec(0..40_000_usize, 1..6)) {
        let (mut encrypter, mut seq, mut channel) = oracle(extracting(SUITES[suite]));
        for bytes in sends {
            let plain = text(bytes);
            let mut expected = Vec::new();
            for content in plain.chunks(RECORD_BYTES) {
                let message = OutboundPlainMessage {
                    typ: ContentType::ApplicationData,
                    version: ProtocolVersion::TLSv1_2,
                    payload: OutboundChunks::Single(content),
                };
                expected.extend(encrypter.encrypt(message, seq).unwrap().encode());
                seq += 1;
            }
            prop_assert!(sent(&mut channel, &plain) == expected);
        }
    }

    /// The sizes of what the socket takes at each send; when they are used up, it takes everything.
    #[test]
    fn whatever_the_socket_takes_the_client_reads_the_text_once(
        suite in 0..3_usize,
        bytes in 0..30_000_usize,
        takes in prop::collection::vec(0..9_000_usize, 0..20),
    ) {
        let (mut client, mut channel) = connected(SUITES[suite]);
        let plain = text(bytes);
        let (mut at, mut read, mut takes) = (0, Vec::new(), takes.into_iter());
        while at < plain.len() || channel.has_pending() {
            let mut wire = Vec::new();
            let sealed = channel.seal(&plain[at..], &mut wire);
            let taken = takes.next().unwrap_or(usize::MAX).min(wire.len());
            at += channel.settle(sealed, &wire, taken);
            prop_assert!(channel.pending().len() < RECORD_BYTES + OVERHEAD_BYTES);
            read.extend(opened(&mut client, &wire[..taken]));
        }
        prop_assert!(read == plain);
    }
}

#[test]
fn wherever_a_send_of_several_records_is_cut_the_rest_completes_it() {
    const BYTES: usize = 2 * RECORD_BYTES + 100;
    let plain = text(BYTES);
    let (mut client, mut channel) = connected(SUITES[0]);
    let wire_bytes = BYTES + 3 * OVERHEAD_BYTES;
    for taken in 0..=wire_bytes {
        let before = channel.tx.seq;
        let mut wire = b"what is in front".to_vec();
        let at = wire.len();
        let sealed = channel.seal(&plain, &mut wire);
        let wire = &wire[at..];
        assert_eq!((sealed.plain(), wire.len()), (BYTES, wire_bytes));
        let begun = channel.settle(sealed, wire, taken);
        let records = taken.div_ceil(RECORD_BYTES + OVERHEAD_BYTES);
        assert_eq!(begun, (records * RECORD_BYTES).min(BYTES), "{taken}");
        assert_eq!(channel.tx.seq - before, records as u64, "the numbers of records that nobody saw are free again");
        let is_whole = taken.is_multiple_of(RECORD_BYTES + OVERHEAD_BYTES) || taken == wire_bytes;
        assert_eq!(channel.has_pending(), !is_whole, "{taken}");
        let mut read = opened(&mut client, &wire[..taken]);
        read.extend(opened(&mut client, &sent(&mut channel, &plain[begun..])));
        assert!(read == plain, "{taken}");
        assert_eq!(channel.kept(), 0);
    }
}

#[test]
fn what_is_pending_can_be_taken_byte_by_byte() {
    let (mut client, mut channel) = connected(SUITES[1]);
    let plain = text(300);
    let (mut at, mut read, mut sends) = (0, Vec::new(), 0);
    while at < plain.len() || channel.has_pending() {
        let mut wire = Vec::new();
        let sealed = channel.seal(&plain[at..], &mut wire);
        at += channel.settle(sealed, &wire, 1);
        read.extend(opened(&mut client, &wire[..1]));
        sends += 1;
    }
    assert_eq!((sends, read), (plain.len() + OVERHEAD_BYTES, plain));
}

#[test]
fn little_is_sealed_at_once() {
    let (mut client, mut channel) = connected(SUITES[0]);
    let plain = text(MOST_SEALED + 1);
    let mut wire = Vec::new();
    assert_eq!(channel.seal(&plain, &mut wire).plain(), MOST_SEALED);
    let (mut other_client, mut other) = connected(SUITES[0]);
    let wire = sent(&mut other, &plain);
    assert!(opened(&mut other_client, &wire) == plain);
    // A send that was not settled numbers are lost of, so the client takes nothing that follows.
    let wire = sent(&mut channel, b"later");
    client.read_tls(&mut &wire[..]).unwrap();
    assert!(client.process_new_packets().is_err());
}

#[test]
fn the_keys_are_replaced_before_their_limit_wherever_the_send_is_cut() {
    for suite in SUITES {
        let (mut client, mut channel) = connected(suite);
        let (mut read, mut expected, mut renewals) = (Vec::new(), Vec::new(), 0);
        for n in 0..40 {
            let plain = format!("event {n}\n").into_bytes();
            let mut at = 0;
            while at < plain.len() || channel.has_pending() {
                let mut wire = Vec::new();
                let before = channel.tx.seq;
                let sealed = channel.seal_until(5, &plain[at..], &mut wire);
                renewals += usize::from(channel.tx.seq < before);
                assert!(channel.tx.seq <= 6, "{}", channel.tx.seq);
                let taken = (n + 1).min(wire.len());
                at += channel.settle(sealed, &wire, taken);
                read.extend(opened(&mut client, &wire[..taken]));
            }
            expected.extend(plain);
        }
        assert_eq!(read, expected);
        assert!(renewals > 6, "{renewals}");
    }
}

#[test]
fn close_notify_comes_after_all_that_was_begun_and_nothing_after_it() {
    let (mut client, mut channel) = connected(SUITES[0]);
    let mut wire = Vec::new();
    let sealed = channel.seal(b"the end", &mut wire);
    assert_eq!(channel.settle(sealed, &wire, 3), 7);
    let mut read = opened(&mut client, &wire[..3]);
    channel.close();
    channel.close();
    let mut rest = Vec::new();
    let sealed = channel.seal(b"too late", &mut rest);
    assert_eq!((sealed.plain(), channel.settle(sealed, &rest, rest.len())), (0, 0));
    read.extend(opened(&mut client, &rest));
    assert_eq!(read, b"the end");
    assert!(client.process_new_packets().unwrap().peer_has_closed());
    assert_eq!(rest.len(), wire.len() - 3 + 2 + OVERHEAD_BYTES, "one close_notify");
    assert_eq!(sent(&mut channel, b""), b"");
}

#[test]
fn a_client_that_broke_the_protocol_is_told() {
    let (mut client, mut channel) = connected(SUITES[2]);
    channel.fail(Alert::BadRecordMac);
    channel.close();
    let wire = sent(&mut channel, b"");
    client.read_tls(&mut &wire[..]).unwrap();
    let error = client.process_new_packets().unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
}

#[test]
fn a_channel_takes_little_memory() {
    assert_eq!(size_of::<Channel>(), 176);
    let (_, channel) = connected(SUITES[0]);
    assert_eq!(channel.kept(), 0);
}
