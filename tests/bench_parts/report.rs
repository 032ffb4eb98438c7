//! The report shows every scenario, every server and every goal.

use crate::goal_tests::trial;
use crate::goals::goals;
use crate::machine::Machine;
use crate::pictures::pictures;
use crate::report::page;
use crate::results::Results;
use crate::scenarios::Scenario;
use crate::target::Target;
use crate::trial::Trial;
use clap::ValueEnum;
use std::collections::BTreeMap;

/// Results in which every case was run twice on every server that it applies to.
fn results() -> Results {
    let machine = Machine {
        cpu: "a processor".to_owned(),
        cores: 2,
        kernel: "6.1".to_owned(),
        rustc: "rustc 1".to_owned(),
        manifold: "manifold 0".to_owned(),
        others: BTreeMap::from([(Target::Nchan, "nginx 1, Nchan 1".to_owned())]),
    };
    let runs = |scenario: &Scenario| {
        let cases = scenario.cases(false, None).into_iter();
        let trials = cases.flat_map(|case| {
            let streams = case.work.streams;
            let clients = case.crowds.iter().map(|crowd| crowd.clients).sum::<usize>();
            let run = move |(repeat, target): (usize, Target)| Trial {
                streams,
                clients,
                ..trial(&case.name, target, repeat, 1.0)
            };
            [0, 1]
                .into_iter()
                .flat_map(|repeat| case.targets.iter().map(move |&target| (repeat, target)))
                .map(run)
                .collect::<Vec<_>>()
        });
        (*scenario, trials.collect())
    };
    Results { machine, date: "today".to_owned(), trials: Scenario::value_variants().iter().map(runs).collect() }
}

#[test]
fn every_scenario_and_every_goal_is_on_the_page() {
    let page = page(&results()).unwrap();
    assert!(page.contains("a processor (2 cores), Linux 6.1; manifold 0; nginx 1, Nchan 1;"), "{page}");
    for scenario in Scenario::value_variants() {
        assert!(page.contains(&format!("\n## {}\n\n{}; ", scenario.name(), scenario.about())), "{scenario:?}");
        for case in scenario.cases(false, None) {
            for target in case.targets {
                let row = format!("| {} | {} | ", case.name, target.name());
                assert!(page.contains(&row), "{scenario:?}: {row}");
            }
        }
    }
    for goal in goals() {
        assert!(page.contains(&format!("| {} | ", goal.work)), "{}", goal.work);
    }
    assert!(!page.contains("not run") && !page.contains("NaN") && !page.contains("-0 "), "{page}");
}

#[test]
fn every_picture_is_on_the_page_and_shows_every_server_that_was_run() {
    let results = results();
    let page = page(&results).unwrap();
    let pictures = pictures(&results);
    assert_eq!(pictures.len(), 6);
    for picture in pictures {
        assert!(page.contains(&format!("![{}]({})", picture.title, picture.file)), "{}", picture.file);
        assert!(picture.svg.contains("manifold.fill") || picture.svg.contains("'manifold fill"), "{}", picture.file);
        assert!(picture.svg.contains("nginx + Nchan"), "{}", picture.file);
    }
}

#[test]
fn without_figures_there_are_no_pictures_and_no_goal_is_judged() {
    let empty = Results { trials: BTreeMap::new(), ..results() };
    assert!(pictures(&empty).is_empty());
    let page = page(&empty).unwrap();
    assert_eq!(page.matches("| not run |").count(), goals().len());
    assert!(!page.contains("!["));
}
