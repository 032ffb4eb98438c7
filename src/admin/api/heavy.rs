//! Answers that take a while to make.
//!
//! They are made on threads that may block, one at a time, and after each the next one waits: for a multiple of the time
//! that it took. So whoever asks in a loop takes a part of one core, and events are delivered meanwhile.

use super::problem::Problem;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How many times as long as an answer took, the next one waits.
const REST: u32 = 3;

/// The longest wait.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Makes an answer. `turn` ends after the rest, even if the asker goes away before.
pub(super) async fn made<T: Send + 'static>(
    turn: T,
    make: impl FnOnce() -> Result<Value, Problem> + Send + 'static,
) -> Result<Bytes, Problem> {
    let failed = |why: &str| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why));
    let (reply, answer) = oneshot::channel();
    tokio::spawn(async move {
        let made = spawn_blocking(move || {
            let began = Instant::now();
            let text = make().map(|value| Bytes::from(value.to_string()));
            (text, began.elapsed())
        });
        let (text, took) = made.await.unwrap_or_else(|error| (failed(&error.to_string()), Duration::ZERO));
        let _gone = reply.send(text).is_err();
        sleep(took.saturating_mul(REST).min(LONGEST_REST)).await;
        drop(turn);
    });
    answer.await.unwrap_or_else(|_| failed("the answer could not be made"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use tokio::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn the_next_answer_waits_for_a_multiple_of_the_time_that_the_last_one_took() {
        let turn = Arc::new(Mutex::new(()));
        let busy = move || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(20) {
                std::hint::spin_loop();
            }
            Ok(json!(1))
        };
        let text = made(Arc::clone(&turn).lock_owned().await, busy).await;
        assert_eq!(text.unwrap(), "1");
        let answered = tokio::time::Instant::now();
        let _next = turn.lock().await;
        assert!(answered.elapsed() >= Duration::from_millis(50), "{:?}", answered.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_asker_that_goes_away_does_not_let_the_next_one_in() {
        let turn = Arc::new(Mutex::new(()));
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let asking = made(Arc::clone(&turn).lock_owned().await, move || Ok(json!(wait.recv().is_ok())));
        tokio::select! {
            biased;
            _ = asking => panic!("nothing was made"),
            () = tokio::task::yield_now() => {}
        }
        assert!(turn.try_lock().is_err(), "the answer is still being made");
        go_on.send(()).unwrap();
        let _next = turn.lock().await;
    }
}
