//! Medians, scales, and what is drawn from them.

use crate::scale::{Scale, number, spread, ticks};
use crate::statistics::Spread;
use crate::svg::{Bars, Caption, Series, bars, lines};

#[test]
fn a_median_is_of_numbers_only() {
    let spread = |median, least, most| Some(Spread { median, least, most });
    assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
    assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), spread(2.5, 1.0, 4.0));
    assert_eq!(Spread::of(vec![5.0]), spread(5.0, 5.0, 5.0));
    assert_eq!(Spread::of(vec![]), None);
    assert_eq!(Spread::of(vec![1.0, f64::NAN]), None);
}

#[test]
fn values_have_their_places() {
    let linear = Scale { values: (0.0, 10.0), places: (100.0, 0.0), logarithmic: false };
    assert_eq!([0.0, 5.0, 10.0].map(|value| linear.place(value)), [100.0, 50.0, 0.0]);
    let logarithmic = Scale { values: (100.0, 10_000.0), places: (0.0, 200.0), logarithmic: true };
    assert!((logarithmic.place(1_000.0) - 100.0).abs() < 1e-9);
}

#[test]
fn ticks_are_round_and_cover_the_values() {
    assert_eq!(ticks(14.0), [0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0]);
    assert_eq!(ticks(26.7), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
    for most in [0.3, 1.0, 9.9, 17.4, 50.7, 999.0, 18_000.0] {
        let ticks = ticks(most);
        assert!((4..=8).contains(&ticks.len()) && ticks[ticks.len() - 1] >= most, "{most}: {ticks:?}");
    }
}

#[test]
fn names_do_not_lie_on_each_other() {
    let mut places = [100.0, 98.0, 300.0, 101.0];
    spread(&mut places, 20.0);
    assert!(places[1] < places[0] && places[0] < places[3] && places[3] < places[2]);
    assert!(places[0] - places[1] > 19.9 && places[3] - places[0] > 19.9, "{places:?}");
    assert!((places[2] - 300.0).abs() < 1e-9);
}

#[test]
fn numbers_are_grouped() {
    let numbers = [0.0, 2.5, 999.0, 1_000.0, 18_000.4, 2_000_000.0].map(number);
    assert_eq!(numbers, ["0", "2.5", "999", "1,000", "18,000", "2,000,000"]);
}

#[test]
fn every_value_is_in_the_picture() {
    let series =
        || vec![Series { class: "floor", name: "a < b".to_owned(), points: vec![(100.0, 4.0), (1_000.0, 8.0)] }];
    let caption = Caption { title: "title", subtitle: "subtitle".to_owned() };
    let picture = lines(&caption, "clients", &series());
    assert_eq!(picture.matches("<circle").count(), 2);
    assert!(picture.contains("a &lt; b 8.0") && picture.contains("prefers-color-scheme: dark"));
    let kb = Bars { unit: "KB", decimals: 2 };
    assert!(bars(&caption, &kb, &series()).contains("4.00 KB"));
    for picture in [picture, bars(&caption, &kb, &[])] {
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n") && !picture.contains("NaN"), "{picture}");
    }
}
