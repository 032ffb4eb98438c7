//! When an outage begins, what is told of it, and when it is over.

use super::*;

#[test]
fn an_outage_is_told_once_when_it_began_and_once_when_all_are_back() {
    let begun = Instant::now();
    let mut outage = Outage::begun(begun, "refused");
    for _ in 1..200 {
        outage.joined("refused");
    }
    let down = |why: &str| Line::Down { streams: 200, why: why.to_owned() };
    assert_eq!(outage.clone().gathered(), Some(down("refused")));
    outage.failed("timed out");
    assert_eq!((outage.gathered(), outage.gathered()), (Some(down("timed out")), None));
    let end = begun + Duration::from_secs(12);
    outage.back_at = Some(end);
    outage.down = 1;
    assert_eq!(outage.over_at(), None, "one stream is still down");
    outage.down = 0;
    assert_eq!(outage.over_at(), Some(end));
    assert_eq!(outage.clone().last_lines(), [Line::Up { down_secs: 12.0, attempts: 201, lost: 0 }]);
    outage.failed("again");
    assert_eq!(outage.over_at(), None);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_present_from_its_first_line_until_it_is_over() {
    let outages = Outages::default();
    let origin = Arc::new(Origin::parse("http://o").unwrap());
    let (first, second) = (outages.down(&origin, "refused"), outages.down(&origin, "timed out"));
    assert!(outages.present().is_empty(), "it may be over at once");
    sleep(GATHER * 2).await;
    let told = |outages: &Outages| {
        outages.present().into_iter().map(|o| (o.origin, o.streams, o.attempts, o.why)).collect::<Vec<_>>()
    };
    assert_eq!(told(&outages), [("http://o".to_owned(), 2, 2, "timed out".to_owned())]);
    first.up(false);
    assert_eq!(told(&outages)[0].1, 1);
    second.up(false);
    assert!(outages.present().is_empty());
}

#[test]
fn what_was_not_told_yet_is_told_at_the_end() {
    let mut outage = Outage::begun(Instant::now(), "refused");
    assert_eq!(outage.expiry(), None, "no stream is closed");
    outage.expired = 1;
    let told = |outage: &mut Outage| {
        outage.last_lines().iter().map(|line| format!("{line:?}").chars().next().unwrap()).collect::<String>()
    };
    assert_eq!(told(&mut outage.clone()), "DSU");
    outage.gathered();
    assert_eq!(told(&mut outage.clone()), "SU");
    outage.expired = 9;
    assert_eq!((outage.expiry(), outage.expiry()), (Some(Line::StillDown { streams: 9 }), None));
    outage.expired = 12;
    assert_eq!(told(&mut outage), "U", "clients that are closed again need no further line");
}

#[test]
fn an_outage_is_over_a_while_after_the_last_was_given_up() {
    let begun = Instant::now();
    let at = |secs: u64| begun + Duration::from_secs(secs);
    for (back, gave_up, over) in
        [(None, None, None), (None, Some(3), None), (Some(5), None, Some(5)), (Some(5), Some(3), Some(5))]
    {
        let mut outage = Outage { down: 0, ..Outage::begun(begun, "503") };
        (outage.back_at, outage.gave_up_at) = (back.map(at), gave_up.map(at));
        assert_eq!(outage.over_at(), over.map(at), "{back:?} {gave_up:?}");
    }
    let outage = Outage { down: 0, back_at: Some(at(5)), gave_up_at: Some(at(5)), ..Outage::begun(begun, "503") };
    assert_eq!(outage.over_at(), Some(at(5) + SETTLE));
}

fn known(outages: &Outages, origin: &Origin) -> Option<Outage> {
    outages.0.lock().get(origin).cloned()
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_until_a_response_comes_whoever_is_closed_meanwhile() {
    let outages = Outages::default();
    let origin = Arc::new(Origin::parse("http://o").unwrap());
    let (first, second) = (outages.down(&origin, "refused"), outages.down(&origin, "refused"));
    sleep(GATHER * 2).await;
    second.failed_again("refused");
    drop(first);
    let outage = known(&outages, &origin).unwrap();
    assert_eq!((outage.is_told, outage.down, outage.streams, outage.attempts), (true, 1, 2, 3));
    second.expired();
    sleep(GATHER * 2).await;
    let outage = known(&outages, &origin).expect("the outage goes on, because no response came");
    assert_eq!((outage.expired, outage.is_expiry_told), (1, true));
    let third = outages.down(&origin, "refused");
    assert_eq!(known(&outages, &origin).unwrap().streams, 3, "it is the same outage");
    third.up(true);
    assert_eq!(known(&outages, &origin), None);
}

#[tokio::test(start_paused = true)]
async fn a_response_to_one_stream_ends_no_outage_of_others() {
    let outages = Outages::default();
    let origin = Arc::new(Origin::parse("http://o").unwrap());
    let down = outages.down(&origin, "503");
    outages.up(&origin);
    assert!(known(&outages, &origin).is_some());
    down.up(false);
    assert_eq!(known(&outages, &origin), None);
}

#[tokio::test(start_paused = true)]
async fn requests_that_fail_beside_others_that_do_not_are_one_outage() {
    let outages = Outages::default();
    let origin = Origin::parse("http://o").unwrap();
    for _ in 0..100 {
        outages.failed(&origin, "500");
        outages.up(&origin);
        sleep(SETTLE / 10).await;
    }
    assert_eq!(known(&outages, &origin).unwrap().attempts, 100);
    sleep(SETTLE).await;
    assert_eq!(known(&outages, &origin), None);
    outages.failed(&origin, "500");
    sleep(SETTLE * 9).await;
    assert!(known(&outages, &origin).is_some(), "no response came");
    outages.up(&origin);
    assert_eq!(known(&outages, &origin), None);
}
