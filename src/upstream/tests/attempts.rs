use super::*;
use crate::hub::Answer;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;

/// Milliseconds on the clock of the table.
fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Table {
    attempts: Attempts,
    begun: Instant,
}

impl Table {
    fn new(change: impl FnOnce(&mut UpstreamOptions)) -> Self {
        let mut options = UpstreamOptions { hold: Duration::from_secs(10), ..UpstreamOptions::default() };
        change(&mut options);
        Self { attempts: Attempts::new(&options, Duration::from_secs(120)), begun: Instant::now() }
    }

    fn moment(&self, at: u64) -> Moment {
        Moment { now: self.begun + ms(at), date: SystemTime::UNIX_EPOCH, retry: None, random: 1.0 }
    }

    fn live(&mut self, at: u64) {
        self.attempts.live(self.begun + ms(at));
    }

    fn over(&mut self, at: u64, why: Failure) -> Next {
        let moment = self.moment(at);
        self.attempts.response_over(why, &moment)
    }

    fn failed(&mut self, at: u64, why: Failure) -> Next {
        let moment = self.moment(at);
        self.attempts.failed(why, &moment)
    }

    fn answered(&mut self, at: u64, end: End, with_id: bool) -> Next {
        let moment = self.moment(at);
        self.attempts.answered(end, with_id, &moment)
    }

    fn ask(&self, at: u64) -> Next {
        Next::Ask(self.begun + ms(at))
    }

    fn rest(&self, at: u64) -> Next {
        Next::Rest(self.begun + ms(at))
    }

    fn ended(&self, at: u64, end: End, memory: u64) -> Next {
        Next::Over(self.begun + ms(at), Done { end, memory: ms(memory) })
    }
}

fn lost() -> Failure {
    Failure::Lost("reset".to_owned())
}

fn answer(status: u16) -> Arc<Answer> {
    Arc::new(Answer { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: Bytes::new() })
}

fn refused(status: u16) -> End {
    End::Refused(answer(status))
}

#[test]
fn failures_are_further_and_further_apart_until_the_hold_is_over() {
    let mut table = Table::new(|_| {});
    for (at, next) in [(0, 500), (500, 1500), (1500, 3500), (3500, 7500)] {
        assert_eq!(table.failed(at, Failure::HeadTimeout), table.ask(next), "{at}");
        assert!(table.attempts.is_failing());
    }
    let expired = End::HoldExpired(lost());
    assert_eq!(table.failed(7500, lost()), table.ended(10_000, expired, 0));
}

#[test]
fn a_response_ends_the_hold_and_its_standing_or_its_events_the_backoff() {
    // The response stood for less than the shortest delay and brought nothing.
    let mut table = Table::new(|_| {});
    table.failed(0, lost());
    table.failed(500, lost());
    table.live(2000);
    assert!(!table.attempts.is_failing());
    assert_eq!(table.over(2499, lost()), table.ask(2499 + 2000));
    // The response stood for the shortest delay and brought nothing.
    table.live(5000);
    assert_eq!(table.over(5500, lost()), table.ask(6000));
    // The response stood for less and brought an event.
    table.failed(6000, lost());
    table.live(8000);
    table.attempts.brought_event();
    assert_eq!(table.over(8001, lost()), table.ask(8501));
    // The hold begins when the response is lost.
    assert_eq!(table.failed(17_000, lost()), table.ask(18_000));
    let expired = End::HoldExpired(lost());
    assert_eq!(table.failed(18_000, lost()), table.ended(18_001, expired, 0));
}

#[test]
fn quiet_responses_that_end_in_order_are_followed_after_the_least_delay() {
    let mut table = Table::new(|_| {});
    for round in 0..20 {
        table.live(round * 1500);
        assert_eq!(table.over(round * 1500 + 1000, Failure::Ended), table.rest(round * 1500 + 1500), "{round}");
        assert!(!table.attempts.is_failing());
    }
}

#[test]
fn an_origin_that_ends_each_response_at_once_is_not_hammered() {
    let mut table = Table::new(|_| {});
    let mut at = 0;
    for delay in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
        table.live(at);
        assert_eq!(table.over(at, Failure::Ended), table.rest(at + delay));
        at += delay;
    }
}

#[test]
fn on_close_decides_what_an_end_means_and_a_loss_does_not_look_whole() {
    let mut table = Table::new(|options| options.on_close = OnClose::Close);
    table.live(0);
    assert_eq!(table.over(1, Failure::Ended), table.ended(1, End::OriginClosed, 0));
    assert_eq!(table.over(2, lost()), table.ended(2, End::Failed(lost()), 0));
}

#[test]
fn a_successor_follows_any_end_but_one_that_is_the_clients_too() {
    for (on_close, why, follows) in [
        (OnClose::Reconnect, Failure::Ended, true),
        (OnClose::Reconnect, lost(), true),
        (OnClose::Close, Failure::Ended, false),
        (OnClose::Close, lost(), true),
    ] {
        let table = Table::new(|options| options.on_close = on_close);
        assert_eq!(table.attempts.is_succeeded(&why), follows, "{on_close:?} {why}");
    }
}

#[test]
fn what_was_never_live_gets_the_origins_answer() {
    for status in [400, 401, 403, 404, 410, 418] {
        let mut table = Table::new(|_| {});
        assert_eq!(table.answered(3, refused(status), false), table.ended(3, refused(status), 1000), "{status}");
    }
    let mut table = Table::new(|_| {});
    let html = End::Unusable("html".to_owned());
    assert_eq!(table.answered(3, html.clone(), false), table.ended(3, html, 1000));
    assert_eq!(table.answered(3, End::NoContent, false), table.ended(3, End::NoContent, 120_000));
}

#[test]
fn what_was_live_is_held_through_a_deploy_but_for_the_origins_word() {
    for end in [refused(404), refused(410), refused(400), refused(302), End::Unusable("html".to_owned())] {
        let mut table = Table::new(|_| {});
        table.live(0);
        assert_eq!(table.answered(5, end.clone(), false), table.ask(505), "{end:?}");
        assert!(table.attempts.is_failing());
    }
    for end in [refused(401), refused(403)] {
        let mut table = Table::new(|_| {});
        table.live(0);
        assert_eq!(table.answered(5, end.clone(), true), table.ended(5, end, 1000));
    }
    let mut table = Table::new(|_| {});
    table.live(0);
    assert_eq!(table.answered(5, End::NoContent, false), table.ended(5, End::NoContent, 120_000));
    assert_eq!(table.answered(5, End::NoContent, true), table.ended(5, End::NoContent, 0));
}

#[test]
fn an_id_that_the_origin_does_not_take_is_forgotten() {
    for (status, next) in [(400, Some(Next::Forget)), (410, Some(Next::Forget)), (404, None)] {
        let mut table = Table::new(|_| {});
        table.live(0);
        let expected = next.unwrap_or_else(|| table.ask(505));
        assert_eq!(table.answered(5, refused(status), true), expected, "{status}");
    }
}

#[test]
fn under_reflect_the_first_failure_is_told() {
    let mut table = Table::new(|options| options.on_error = OnError::Reflect);
    assert_eq!(table.failed(1, lost()), table.ended(1, End::Failed(lost()), 1000));
    table.live(2);
    assert_eq!(table.answered(3, refused(404), false), table.ended(3, refused(404), 1000));
    assert_eq!(table.over(4, lost()), table.ask(504));
}

#[test]
fn what_the_origin_asks_for_is_waited() {
    let mut table = Table::new(|_| {});
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("3"))]);
    let busy = Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body: Bytes::new() };
    assert_eq!(table.failed(0, Failure::Status(Arc::new(busy))), table.ask(3000));
    table.live(3000);
    let moment = Moment { retry: Some(ms(2500)), ..table.moment(4000) };
    assert_eq!(table.attempts.response_over(Failure::Ended, &moment), table.rest(6500));
}

#[test]
fn retry_after_is_seconds_or_a_date_within_reason() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (text, secs) in [
        ("7", Some(7)),
        (" 0 ", Some(0)),
        ("999999", Some(300)),
        ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
        ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
        ("soon", None),
        ("-1", None),
    ] {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        let answer = Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body: Bytes::new() };
        let failure = Failure::Status(Arc::new(answer));
        assert_eq!(retry_after(&failure, now), secs.map(Duration::from_secs), "{text}");
    }
}
