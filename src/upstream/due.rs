//! The time between two requests to an origin.

use super::attempts::{Done, Next};
use super::settings::DriverSettings;
use crate::hub::Publisher;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Waits until the next step is due. The error is the end of the stream. `None`: the origin forgot the id that it was
/// asked to resume after. When the policy changes before the end, the end may be at another time, so the origin is asked
/// once more.
pub(super) async fn due(
    publisher: &Publisher,
    next: Next,
    renewed: &mut watch::Receiver<DriverSettings>,
) -> Result<(), Option<Done>> {
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
            tokio::select! {
                biased;
                () = sleep_until(instant) => Err(Some(done)),
                Ok(()) = renewed.changed() => Ok(()),
            }
        }
    }
}
