//! Owns the stories: one row a real outage, with the cause that an experienced engineer would name from its evidence.
//!
//! The rows stand in one file a part of an exchange, as the rules do; `teller` builds their cases. Where the wire shows
//! the same for two causes, the row asks for the likelier one and no more certainty than there is.

mod connect;
mod exchange;
mod gateway;
mod h2;
mod history;
mod probe;
mod resolve;
mod response;
mod secrets;
mod settings;
mod teller;
mod tls;

use std::collections::BTreeSet;

use self::teller::Story;
use super::Cause;
use super::Diagnosis;
use super::diagnose;
use super::rules::RULES;
use crate::fault::Fault;

/// What a story is to end in.
struct Row {
    name: &'static str,
    story: Story,
    expect: Expect,
}

/// What is expected of a diagnosis.
struct Expect {
    cause: Cause,
    /// The confidence is above this.
    above: f64,
    /// These rules speak, among others.
    evidence: &'static [&'static str],
    /// The operator reads these texts, in the detail or the evidence.
    says: &'static [&'static str],
}

fn rows() -> Vec<Row> {
    let passive = [
        resolve::rows(),
        connect::rows(),
        tls::rows(),
        exchange::rows(),
        response::rows(),
        h2::rows(),
        gateway::rows(),
    ];
    passive.into_iter().chain([history::rows(), probe::rows()]).flatten().collect()
}

/// What is wrong with a diagnosis, if anything.
fn wrong(diagnosis: &Diagnosis, expect: &Expect) -> Option<String> {
    let ids: Vec<&str> = diagnosis.evidence.iter().map(|evidence| evidence.id).collect();
    let told = told_to_operators(diagnosis);
    let right = diagnosis.cause == expect.cause
        && diagnosis.confidence > expect.above
        && expect.evidence.iter().all(|id| ids.contains(id))
        && expect.says.iter().all(|text| told.contains(text));
    (!right).then(|| format!("{:?} by {ids:?}\n{told}", diagnosis.causes))
}

fn told_to_operators(diagnosis: &Diagnosis) -> String {
    let evidence = diagnosis.evidence.iter().map(|evidence| format!("\n- {}: {}", evidence.id, evidence.says));
    format!("{}{}", diagnosis.detail, evidence.collect::<String>())
}

#[test]
fn every_story_ends_in_its_cause() {
    let told = rows().into_iter().filter_map(|row| {
        let diagnosis = diagnose(&row.story.case(), |_| Vec::new());
        let (cause, above) = (row.expect.cause, row.expect.above);
        wrong(&diagnosis, &row.expect).map(|wrong| format!("{} (wanted {cause} above {above}): {wrong}", row.name))
    });
    let told: Vec<String> = told.collect();
    assert!(told.is_empty(), "{} stories end wrongly:\n\n{}", told.len(), told.join("\n\n"));
}

/// Sidecars and build machines do have the server in the same container, so that it may as well be down.
#[test]
fn in_a_container_a_closed_port_of_loopback_is_a_toss_up() {
    let case = Story::of(Fault::ConnectionRefused).at("http://127.0.0.1:3000").in_container().case();
    let causes = diagnose(&case, |_| Vec::new()).causes;
    let [(Cause::FaultyProxy, wrong_place), (Cause::OriginDown, down), ..] = causes[..] else { panic!("{causes:?}") };
    assert!((0.45..=0.55).contains(&wrong_place) && wrong_place - down < 0.1, "{causes:?}");
}

#[test]
fn every_rule_speaks_in_a_story_that_asks_for_it() {
    let asked: BTreeSet<&str> = rows().iter().flat_map(|row| row.expect.evidence).copied().collect();
    let silent: Vec<&str> = RULES.iter().map(|rule| rule.id).filter(|id| !asked.contains(id)).collect();
    assert_eq!(silent, Vec::<&str>::new());
}

#[test]
fn a_case_says_the_same_twice_and_its_evidence_weightiest_first() {
    for row in rows() {
        let case = row.story.case();
        let (once, again) = (diagnose(&case, |_| Vec::new()), diagnose(&case, |_| Vec::new()));
        assert_eq!((&once.causes, &once.evidence, &once.detail), (&again.causes, &again.evidence, &again.detail));
        assert!(once.evidence.is_sorted_by(|one, other| one.weight.abs() >= other.weight.abs()), "{}", row.name);
    }
}

#[test]
fn sentences_for_operators_are_whole() {
    for row in rows() {
        let diagnosis = diagnose(&row.story.case(), |_| Vec::new());
        let told = told_to_operators(&diagnosis);
        assert!(diagnosis.detail.ends_with('.') && !diagnosis.detail.ends_with(".."), "{}: {told}", row.name);
        assert!(diagnosis.evidence.iter().all(|evidence| !evidence.says.ends_with('.')), "{}: {told}", row.name);
        assert!(
            !["  ", " ,", " ;", "()", "{", "\u{2014}", "!"].iter().any(|slip| told.contains(slip)),
            "{}: {told}",
            row.name
        );
    }
}

/// Every private field holds a word that stands nowhere else, for every fault there is.
#[test]
fn nothing_private_reaches_a_visitor() {
    for fault in Fault::ALL {
        let diagnosis = diagnose(&Story::full_of_secrets(fault).case(), |_| Vec::new());
        let seen =
            [diagnosis.summary, diagnosis.fault.title(), diagnosis.cause.title(), diagnosis.cause.meaning()].join(" ");
        let leaked: Vec<_> = secrets::SECRETS.iter().filter(|secret| seen.contains(**secret)).collect();
        assert!(leaked.is_empty(), "{fault}: {leaked:?} in {seen}");
    }
}
