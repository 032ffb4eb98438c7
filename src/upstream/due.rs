//! The time between two requests to an origin.

use super::attempts::{Done, Next};
use crate::hub::Publisher;
use tokio::time::{Instant, sleep_until};

/// Waits until the next step is due. The error is the end of the stream. `None`: the origin forgot the id that it was
/// asked to resume after.
pub(super) async fn due(publisher: &Publisher, next: Next) -> Result<(), Option<Done>> {
    let is_over = matches!(&next, Next::Over(instant, _) if *instant <= Instant::now());
    if next != Next::Forget && !is_over {
        publisher.failed();
    }
    publisher.tries_again(match &next {
        Next::Ask(at) => Some(*at),
        Next::Rest(_) | Next::Forget | Next::Over(..) => None,
    });
    match next {
        Next::Ask(instant) => {
            tokio::select! {
                () = sleep_until(instant) => {}
                () = publisher.told_to_reconnect() => {}
            }
            Ok(())
        }
        Next::Rest(instant) => {
            sleep_until(instant).await;
            publisher.occupied().await;
            Ok(())
        }
        Next::Forget => Err(None),
        Next::Over(instant, done) => {
            sleep_until(instant).await;
            Err(Some(done))
        }
    }
}
