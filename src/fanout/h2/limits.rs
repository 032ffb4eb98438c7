//! Every limit of HTTP/2 toward clients: its value, its unit, and why.

use std::time::Duration;

// What we announce in our SETTINGS (RFC 9113, section 6.5.2).

/// Streams that a client may have at a time. Browsers open some dozens, proxies a hundred.
pub const MOST_STREAMS: usize = 256;

/// Bytes of a frame's payload. It is the smallest value that the standard allows, and the value until it is changed.
/// A frame that was not read whole is kept, so larger frames would cost memory. What we send is bound by it, too.
pub const MOST_FRAME_BYTES: usize = 16_384;

/// Bytes of a request's fields, as RFC 9113, section 6.5.2 counts them: 32 more for each field. A request with more
/// is answered with 431.
pub const MOST_LIST_BYTES: usize = 64 << 10;

/// Bytes of a request's body that a client may send before somebody reads the body. Most bodies of requests fit into
/// it, and 64 of these fill the window of the connection.
pub const UNREAD_BODY_BYTES: i32 = 16 << 10;

/// Bytes of the compression table that a client may use once it knows our SETTINGS. None: the table would outlast the
/// request by the life of the connection.
pub const TABLE_BYTES: usize = 0;

// What holds before the client knows our SETTINGS.

/// Bytes of a window at first (RFC 9113, section 6.9.2).
pub const FIRST_WINDOW_BYTES: i32 = 65_535;

/// Bytes of the compression table at first (RFC 9113, section 6.5.2).
pub const FIRST_TABLE_BYTES: usize = 4096;

// What a client may send.

/// Bytes of all bodies on a connection that are under way or were not consumed. One upload to a slow origin must not
/// stop the others.
pub const CONNECTION_BYTES: i32 = 1 << 20;

/// Bytes of a request's body that may be under way while the body is read.
pub const BODY_BYTES: i32 = 64 << 10;

/// Bytes of a block of fields as it is sent, which is before it is decoded.
pub const MOST_BLOCK_BYTES: usize = 64 << 10;

/// CONTINUATION frames of a block. Their number is bound because they may be empty. Blocks of 64 KiB need four.
pub const MOST_CONTINUATIONS: u8 = 8;

/// Requests on a connection that wait for a decision. While there are so many, no further request is read.
pub const MOST_DECIDING: usize = 32;

/// Streams that we ended early and of which the client may still send the rest. If there are more, the oldest is
/// forgotten, and what is sent on it costs the client a reset.
pub const MOST_DEAD: usize = 32;

/// Values in a SETTINGS frame. There are about ten kinds.
pub const MOST_SETTINGS: usize = 64;

// How much of a connection a stream may have.

/// Bytes that a stream may always have without acknowledgement, if its window allows.
pub const LEAST_SHARE_BYTES: i32 = 16 << 10;

/// Bytes that a connection is sent in a turn. Then it is the turn of others.
pub const TURN_OF_CONNECTION_BYTES: usize = 64 << 10;

/// Bytes that a stream is sent in a turn.
pub const TURN_OF_STREAM_BYTES: usize = 16 << 10;

// What frames cost that carry nothing of a request. See `Budget`.

/// Tokens that a connection has at first, and that time fills up. A browser needs some at the beginning.
pub const FIRST_TOKENS: u32 = 400;

/// The time that gives a token. A client that measures the path sends some ten PINGs a second.
pub const TOKEN_EVERY: Duration = Duration::from_millis(50);

/// Tokens that a DATA frame of ours gives. A client may answer it with a WINDOW_UPDATE for the stream and one for the
/// connection. Clients of gRPC add a PING, with which they measure the path.
pub const TOKENS_FOR_DATA: u32 = 2 * COST_OF_OTHERS + COST_OF_PING;

/// The most tokens. Updates for a large response may come late, so what was given for it is kept.
pub const MOST_TOKENS: u32 = 100_000;

/// A reset of a stream, by the client or by us: there was a request for it, and somebody worked on it
/// (CVE-2023-44487, CVE-2025-8671). Fields on a stream that is over cost the same, because they must be decoded.
pub const COST_OF_RESET: u32 = 4;

/// A SETTINGS frame, which changes every window, and must be acknowledged.
pub const COST_OF_SETTINGS: u32 = 4;

/// A PING, which must be answered.
pub const COST_OF_PING: u32 = 2;

/// An empty DATA frame that is not the last, for which there is no use.
pub const COST_OF_EMPTY_DATA: u32 = 10;

/// DATA of less than [`SMALL_DATA_BYTES`]. Larger DATA costs nothing: an upload is no attack.
pub const COST_OF_SMALL_DATA: u32 = 1;

/// DATA with fewer bytes is small. The head of a frame is then a part of it that counts.
pub const SMALL_DATA_BYTES: usize = 256;

/// Every other frame that carries nothing: PRIORITY, WINDOW_UPDATE, GOAWAY, unknown ones, acknowledgements that were
/// not asked for, and requests that are ignored because they come after our last GOAWAY.
pub const COST_OF_OTHERS: u32 = 1;

// How long the client may take.

/// Until it acknowledges our SETTINGS.
pub const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// Unless the caller [allows](super::Connection::allow) another time: for a frame, the blocks of a request's fields or the preface, from its first byte on. It is not for DATA, of which
/// nothing is kept.
pub const HALF_TIMEOUT: Duration = Duration::from_secs(20);

/// Without a stream, unless the caller [allows](super::Connection::allow) another time.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// To end its use of the compression table, from its acknowledgement of our SETTINGS on.
pub const TABLE_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// A number as the documentation writes it.
    fn number(number: impl TryInto<u64>) -> String {
        let digits = number.try_into().ok().unwrap().to_string();
        let (first, rest) = digits.split_at(digits.len().saturating_sub(1) % 3 + 1);
        let rest: Vec<_> = rest.as_bytes().chunks(3).map(|part| str::from_utf8(part).unwrap()).collect();
        [&[first], &*rest].concat().join(",")
    }

    #[test]
    fn they_are_in_the_documentation() {
        let page = include_str!("../../../docs/limits.md");
        let (_, page) = page.split_once("## What a connection of HTTP/2 may take").unwrap();
        let (page, _) = page.split_once("\n## ").unwrap();
        let tokens_in_a_second = 1000 / TOKEN_EVERY.as_millis();
        for row in [
            format!("| streams at a time | {} |", number(MOST_STREAMS)),
            format!("| requests at a time that wait for a decision | {} |", number(MOST_DECIDING)),
            format!("| {} bytes, or `server.head_bytes` if that is less |", number(MOST_LIST_BYTES)),
            format!("| {} bytes and {MOST_CONTINUATIONS} CONTINUATION frames |", number(MOST_BLOCK_BYTES)),
            format!("| a frame | {} bytes |", number(MOST_FRAME_BYTES)),
            format!("| a body before something reads it | {} bytes |", number(UNREAD_BODY_BYTES)),
            format!("the bytes that were not read yet | {} bytes |", number(BODY_BYTES)),
            format!("| the same for all bodies together | {} bytes |", number(CONNECTION_BYTES)),
            format!("acknowledged | {} s |", SETTINGS_TIMEOUT.as_secs()),
            format!("begins with {FIRST_TOKENS} tokens. It gets {tokens_in_a_second} in a second as long as it has"),
            format!("less than {FIRST_TOKENS}, and {TOKENS_FOR_DATA} for each DATA frame"),
            format!("| DATA without bytes that does not end a request | {COST_OF_EMPTY_DATA} |"),
            format!(
                "| DATA with less than {SMALL_DATA_BYTES} bytes that does not end a request | {COST_OF_SMALL_DATA} |"
            ),
            format!("| SETTINGS | {COST_OF_SETTINGS} |"),
            format!("for an error of the client | {COST_OF_RESET} |"),
            format!("| PING | {COST_OF_PING} |"),
            format!("frames of unknown types | {COST_OF_OTHERS} |"),
        ] {
            assert!(page.contains(&row), "{row}");
        }
    }
}
