//! The gate of TLS sessions, by its steps.

use super::*;

/// Plays steps against a gate, and tells the turn of each connection: `f` begins a full handshake, `r` one that resumes
/// a session, and a number is the milliseconds since the beginning until which it waits.
///
/// `?` is a connection without a session, `!` one with a session, and `~` one without a session that came at the
/// beginning. `F` and `R` are the end of a full handshake and of one that resumed a session, `x` a full one that
/// failed, `t` a session that came, `+` eight more that wait, and a number the milliseconds that pass.
fn played(steps: &str) -> String {
    let begun = Instant::now();
    let (mut gate, mut now, mut turns) = (Gate::default(), begun, Vec::new());
    for step in steps.split_whitespace() {
        match step {
            "?" | "!" | "~" => turns.push(match gate.turn(step == "!", if step == "~" { begun } else { now }, now) {
                Turn::Begin { is_full: true } => "f".to_owned(),
                Turn::Begin { is_full: false } => "r".to_owned(),
                Turn::Wait(until) => (until - begun).as_millis().to_string(),
            }),
            "F" | "R" | "x" => gate.ended(step != "R", step != "x", now),
            "t" => gate.came(now),
            "+" => gate.waiting += 8,
            millis => now += Duration::from_millis(millis.parse().unwrap()),
        }
    }
    turns.join(" ")
}

#[test]
fn one_handshake_leads_and_those_without_a_session_wait_for_it() {
    for (steps, turns) in [
        ("? ? ?", "f 400 400"),
        // Tickets came for two, and the third waits for theirs.
        ("? ? F ? t t ! ! ?", "f 400 250 r r 400"),
        ("? F t t ! ! R 10 R ?", "f r r 260"),
        // All sessions are used up. After a while another full handshake is made.
        ("? F t ! 100 R t 249 ? 1 ? ?", "f r 350 f 750"),
        // The first handshake failed, so the next one leads.
        ("? ? x ? ?", "f 400 f 400"),
    ] {
        assert_eq!(played(steps), turns, "{steps}");
    }
}

#[test]
fn an_origin_that_gives_no_sessions_is_not_waited_for_until_it_gives_one() {
    for (steps, turns) in [
        ("? F 250 ? ? ?", "f f f f"),
        ("? F 250 ? ? F t t F ?", "f f f 500"),
        // It was only slow.
        ("? F 250 ? t ?", "f f 650"),
        // It has given sessions lately.
        ("? F t 9000 ? F 250 ? ?", "f f f 9650"),
        ("? F t 9900 ? F 250 ? ?", "f f f f"),
    ] {
        assert_eq!(played(steps), turns, "{steps}");
    }
}

#[test]
fn where_only_full_handshakes_bring_sessions_one_of_three_leads() {
    // It is learnt once, after a while in which nothing came.
    let learnt = "? F t t ! ! R R ? 250";
    for (steps, turns) in [
        ("", ""),
        ("?", "f"),
        // Eight wait. Three of them and what these bring are enough.
        ("+ ? ? ? ? ?", "f f f f 650"),
        ("? F t t ! ! + ?", "f r r f"),
        // One that resumed a session brings one after all.
        ("? F t t ! ! R t R ?", "f r r 500"),
    ] {
        let all = format!("f r r 250 {turns}");
        assert_eq!(played(&format!("{learnt} {steps}")), all.trim_end(), "{steps}");
    }
}

#[test]
fn of_a_crowd_that_has_waited_for_long_some_lead() {
    for (steps, turns) in [
        ("? + + 399 ~ 1 ~ ~", "f 400 f 1000"),
        ("? + + + 400 ~ ~ ~ x ~", "f f f 1000 f"),
        // A few wait on.
        ("? 400 ~ 599 ~ 1 ~", "f 1000 1000 f"),
        // They wait on while sessions come.
        ("? 600 t ~ 999 ~ 1 ~", "f 1600 1600 f"),
        ("? 900 t 900 t 900 t ~ 300 ~", "f 3000 f"),
    ] {
        assert_eq!(played(steps), turns, "{steps}");
    }
}
