//! What the log is told of one stream.

use crate::hub::End;

/// A stream is over. `names`: its route and its key.
pub(super) fn closed(names: &str, end: &End) {
    match end {
        End::Unusable(why) => log::warn!("stream refused {names} why=\"{why}\""),
        // The outage is told for all streams of the origin.
        End::Failed(why) | End::HoldExpired(why) => log::debug!("stream closed {names} end={end} why=\"{why}\""),
        End::OriginClosed | End::NoContent | End::Refused(_) | End::Unshareable | End::Idle | End::PublisherGone => {
            log::info!("stream closed {names} end={end}")
        }
    }
}
