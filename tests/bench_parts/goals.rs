//! Each goal is about runs that the suite makes, and is judged by them.

use crate::figures::Runs;
use crate::goals::{Goal, goals};
use crate::scenarios::{READERS, Scenario};
use crate::specs::{Latency, Received, Sent};
use crate::target::Target;
use crate::trial::Trial;
use clap::ValueEnum;
use std::collections::BTreeMap;

/// A run of 1,000 clients that took 10 s. Each client got 100 events.
pub(crate) fn trial(case: &str, target: Target, repeat: usize, cpu_secs: f64) -> Trial {
    let latency = Latency { count: 100_000, p50: 1.0, p90: 2.0, p99: cpu_secs, p999: 4.0, max: 5.0 };
    let received = Received { in_window: 100_000, events: 100_000, handshakes: 1_000, latency, ..Received::default() };
    Trial {
        case: case.to_owned(),
        target,
        repeat,
        clients: 1_000,
        left: 0,
        streams: 1,
        secs: 10.0,
        received: BTreeMap::from([(READERS.to_owned(), received)]),
        sent: Sent::default(),
        connect_secs: 0.5,
        cpu_secs,
        coming_cpu_secs: cpu_secs / 2.0,
        load_cpu_secs: 1.0,
        foreign_secs: 0.1,
        idle_kb: 1_000,
        busy_kb: 1_500,
    }
}

fn goal(work: &str) -> Goal {
    goals().into_iter().find(|goal| goal.work.starts_with(work)).expect("there is such a goal")
}

#[test]
fn every_goal_is_about_cases_that_are_run_also_quickly() {
    for goal in goals() {
        for quick in [false, true] {
            let cases = goal.scenario.cases(quick, None);
            for (case, target) in goal.places() {
                let found = cases.iter().find(|it| it.name == case);
                let found = found.unwrap_or_else(|| panic!("{}: there is no case {case}", goal.work));
                assert!(found.targets.contains(&target), "{}: {case} is not run on {target:?}", goal.work);
            }
        }
    }
}

#[test]
fn every_case_of_a_scenario_has_a_name_of_its_own_and_a_window() {
    for scenario in Scenario::value_variants() {
        let cases = scenario.cases(false, None);
        let names = cases.iter().map(|case| &case.name).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names.len(), cases.len(), "{scenario:?}");
        for (whole, quick) in cases.iter().zip(scenario.cases(true, None)) {
            assert!(
                whole.secs >= whole.least_secs && quick.secs >= quick.least_secs && quick.secs > 0,
                "{}",
                whole.name
            );
            // What happens within the window happens also within a short one.
            assert!(quick.acts.iter().all(|act| act.at_secs < quick.secs), "{}", whole.name);
        }
    }
}

#[test]
fn a_process_has_at_most_20_000_descriptors() {
    for scenario in Scenario::value_variants() {
        for case in scenario.cases(false, None) {
            let clients = case.crowds.iter().map(|crowd| crowd.clients).sum::<usize>();
            let streams = usize::try_from(case.work.streams + case.work.quiet).unwrap();
            assert!(clients + streams < 18_500, "{scenario:?}, {}", case.name);
        }
    }
}

#[test]
fn a_ratio_is_within_one_turn_and_its_spread_is_told() {
    let case = "100 clients";
    let turn = |repeat, floor, manifold| {
        [trial(case, Target::Floor, repeat, floor), trial(case, Target::Manifold, repeat, manifold)]
    };
    // The second turn was on a slow machine. That changes no ratio.
    let runs = [turn(0, 1.0, 1.1), turn(1, 10.0, 12.5), turn(2, 1.0, 1.15)].concat();
    let verdict = goal("CPU per delivery: 100 clients").judge(Runs(&runs));
    assert_eq!(verdict.measured.as_deref(), Some("1.15 x floor (1.10 to 1.25)"));
    assert_eq!(verdict.bound.as_deref(), Some("at most 1.20 x floor"));
    assert!(verdict.reached);
    let slower = turn(0, 1.0, 1.3);
    let verdict = goal("CPU per delivery: 100 clients").judge(Runs(&slower));
    assert_eq!((verdict.measured.as_deref(), verdict.reached), (Some("1.30 x floor"), false));
}

#[test]
fn a_run_with_faults_reaches_no_goal_unless_the_faults_are_anothers() {
    let case = "1,000 clients";
    let faulty = |target| {
        let mut trial = trial(case, target, 0, 1.0);
        trial.received.get_mut(READERS).unwrap().lost = 3;
        trial
    };
    let (mine, others) = (trial(case, Target::Manifold, 0, 1.0), trial(case, Target::Floor, 0, 1.0));
    let judge = |runs: &[Trial]| goal("p99 latency").judge(Runs(runs));
    assert!(judge(&[mine.clone(), others.clone()]).reached);
    assert!(judge(&[mine, faulty(Target::Floor)]).reached);
    let verdict = judge(&[faulty(Target::Manifold), others]);
    assert_eq!((verdict.measured.as_deref(), verdict.reached), (Some("1.00 x floor, 3 faults"), false));
}

#[test]
fn what_was_not_run_is_not_judged() {
    assert!(goals().iter().all(|goal| goal.judge(Runs(&[])).measured.is_none()));
    let alone = [trial("10 alone", Target::Manifold, 0, 1.0)];
    let verdict = goal("p99 of 10 clients beside").judge(Runs(&alone));
    assert!(verdict.measured.is_none() && !verdict.reached);
}

#[test]
fn what_has_no_bound_is_only_told() {
    let runs = ["1 shard", "4 shards"].map(|case| trial(case, Target::Manifold, 0, 1.0));
    let verdict = goal("CPU per delivery: 5,000 clients, 4 shards").judge(Runs(&runs));
    assert_eq!((verdict.measured.as_deref(), verdict.bound), (Some("1.00 x one shard"), None));
}

#[test]
fn a_difference_and_a_plain_figure_have_their_units() {
    let runs = [trial("10 alone", Target::Manifold, 0, 1.0), trial("10 beside", Target::Manifold, 0, 2.5)];
    let verdict = goal("p99 of 10 clients beside").judge(Runs(&runs));
    assert_eq!(verdict.measured.as_deref(), Some("1.5 ms above alone"));
    let runs = [trial("all at once", Target::Manifold, 0, 1.0)];
    let verdict = goal("memory per connection: 18,000 at once").judge(Runs(&runs));
    assert_eq!((verdict.measured.as_deref(), verdict.reached), (Some("0.50 KB"), false));
}

#[test]
fn memory_of_a_further_client_is_what_more_clients_take_more() {
    let of = |case, clients, busy_kb| Trial { clients, busy_kb, ..trial(case, Target::Manifold, 0, 1.0) };
    let runs = [of("50 x 1, no events", 50, 1_100), of("50 x 100, no events", 150, 1_110)];
    let verdict = goal("memory of a further stream").judge(Runs(&runs));
    assert_eq!((verdict.measured.as_deref(), verdict.reached), (Some("0.10 KB"), true));
}
