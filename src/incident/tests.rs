//! Owns the tests of incidents: what opens, joins, renames and closes one, told second by second.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Effect;
use super::Incident;
use super::Incidents;
use super::MOST_KEPT;
use super::MOST_OPEN;
use crate::diagnosis::Cause;
use crate::diagnosis::Diagnosis;
use crate::fault::Fault;

/// Incidents with a clock in seconds and ids that count up.
#[derive(Default)]
struct Watch {
    incidents: Incidents,
    next: u32,
}

impl Watch {
    /// Those that are open, and the last of those that were.
    fn all(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.open.iter().chain(&self.incidents.over)
    }

    fn find(&self, id: &str) -> Option<&Incident> {
        self.all().find(|incident| *incident.id == *id)
    }

    /// A failure at that second; answers the incident's id and whether it was opened.
    fn failed(&mut self, second: u64, fault: Fault, cause: Cause, confidence: f64) -> (String, Effect) {
        self.failed_at("app", second, fault, cause, confidence).unwrap()
    }

    fn failed_at(
        &mut self,
        upstream: &str,
        second: u64,
        fault: Fault,
        cause: Cause,
        confidence: f64,
    ) -> Option<(String, Effect)> {
        let diagnosis = Diagnosis {
            fault,
            cause,
            confidence,
            causes: vec![(cause, confidence)],
            evidence: Vec::new(),
            summary: "",
            detail: format!("{fault} {cause}"),
            steps: Vec::new(),
        };
        let next = &mut self.next;
        let id = || {
            *next += 1;
            Arc::from(next.to_string())
        };
        let now = Duration::from_secs(second);
        let (effect, incident) = self.incidents.failed(&Arc::from(upstream), &diagnosis, now, id)?;
        Some((incident.id.to_string(), effect))
    }

    /// Looks every second of these, in each of which so many requests were answered; answers what was closed and when.
    fn review(&mut self, seconds: std::ops::Range<u64>, answers: u64) -> Vec<(String, u64)> {
        let mut closed = Vec::new();
        for second in seconds {
            let over = self.incidents.review(Duration::from_secs(second), |_| Some(second * answers));
            closed.extend(over.iter().map(|incident| (incident.id.to_string(), second)));
        }
        closed
    }
}

const REFUSED: Fault = Fault::ConnectionRefused;

#[test]
fn failures_with_one_cause_are_one_incident_counted_by_fault() {
    let mut watch = Watch::default();
    assert_eq!(watch.failed(0, REFUSED, Cause::OriginDown, 0.8), ("1".to_owned(), Effect::Opened));
    assert_eq!(watch.failed(40, REFUSED, Cause::OriginDown, 0.9), ("1".to_owned(), Effect::Joined));
    assert_eq!(watch.failed(41, Fault::HostUnreachable, Cause::OriginDown, 0.9), ("1".to_owned(), Effect::Joined));
    let incident = watch.find("1").unwrap();
    assert_eq!((incident.count, incident.fault, &*incident.upstream), (3, REFUSED, "app"));
    assert_eq!(incident.faults, [(REFUSED, 2), (Fault::HostUnreachable, 1)]);
    assert_eq!((incident.confidence, &*incident.detail), (0.8, "connection_refused origin_down"), "the first evidence");
}

#[test]
fn a_surer_diagnosis_renames_a_young_incident_and_another_cause_later_opens_its_own() {
    let mut watch = Watch::default();
    watch.failed(0, REFUSED, Cause::OriginDown, 0.6);
    assert_eq!(watch.failed(1, REFUSED, Cause::Firewall, 0.85).1, Effect::Clarified);
    assert_eq!(watch.failed(2, REFUSED, Cause::Overload, 0.5).1, Effect::Joined);
    let incident = watch.find("1").unwrap();
    assert_eq!((incident.cause, incident.confidence, incident.count), (Cause::Firewall, 0.85, 3));
    // The same cause is told anew where it is a good deal surer.
    assert_eq!(watch.failed(3, REFUSED, Cause::Firewall, 0.87).1, Effect::Joined);
    assert_eq!(watch.failed(4, REFUSED, Cause::Firewall, 0.95).1, Effect::Clarified);
    assert_eq!(watch.failed(60, REFUSED, Cause::OriginDown, 0.9).0, "1", "it was held to be that");
    assert_eq!(watch.failed(61, Fault::DnsTimeout, Cause::Dns, 0.9), ("2".to_owned(), Effect::Opened));
    assert_eq!(watch.find("1").unwrap().cause, Cause::Firewall);
}

#[test]
fn what_is_learned_late_renames_a_run_that_goes_on_and_opens_no_second_one() {
    let mut watch = Watch::default();
    for second in 0..120 {
        let (cause, sure) = if second < 61 { (Cause::OriginDown, 0.7) } else { (Cause::FaultyProxy, 0.8) };
        assert_eq!(watch.failed(second, REFUSED, cause, sure).0, "1");
    }
    assert_eq!(watch.find("1").map(|incident| (incident.cause, incident.count)), Some((Cause::FaultyProxy, 120)));
    // After a pause it is another story.
    assert_eq!(watch.failed(160, REFUSED, Cause::Firewall, 0.9), ("2".to_owned(), Effect::Opened));
}

#[test]
fn upstreams_have_incidents_of_their_own() {
    let mut watch = Watch::default();
    watch.failed(0, REFUSED, Cause::OriginDown, 0.8);
    assert_eq!(watch.failed_at("api", 0, REFUSED, Cause::OriginDown, 0.8), Some(("2".to_owned(), Effect::Opened)));
}

#[test]
fn it_closes_when_the_upstream_has_answered_for_a_while() {
    // Answers a second; when it closes, having last failed in second 10.
    for (answers, expected) in [(1, 40), (100, 40), (0, 910)] {
        let mut watch = Watch::default();
        watch.failed(0, REFUSED, Cause::OriginDown, 0.8);
        watch.review(0..10, answers);
        watch.failed(10, REFUSED, Cause::OriginDown, 0.8);
        assert_eq!(watch.review(10..2_000, answers), [("1".to_owned(), expected)], "{answers} a second");
        assert!(watch.incidents.is_calm());
        let incident = watch.find("1").unwrap();
        assert_eq!((incident.closed, incident.count), (Some(Duration::from_secs(expected)), 2));
    }
}

#[test]
fn answers_beside_failures_do_not_close_it() {
    let mut watch = Watch::default();
    for second in 0..300 {
        watch.failed(second, REFUSED, Cause::OriginDown, 0.8);
        assert_eq!(watch.review(second..second + 1, 50), []);
    }
    assert_eq!(watch.find("1").unwrap().count, 300);
}

#[test]
fn a_server_that_flaps_opens_one_incident_that_takes_longer_and_longer_to_close() {
    let mut watch = Watch::default();
    let (mut second, mut lasted) = (0, Vec::new());
    for _ in 0..7 {
        assert_eq!(watch.failed(second, REFUSED, Cause::OriginDown, 0.8), ("1".to_owned(), Effect::Opened));
        let closed = watch.review(second..second + 10_000, 1)[0].1;
        lasted.push(closed - second);
        second = closed + 60;
    }
    assert_eq!(lasted, [30, 60, 120, 240, 480, 600, 600]);
    let incident = watch.find("1").unwrap();
    assert_eq!((incident.returns, incident.count, incident.opened), (6, 7, Duration::ZERO));
    assert_eq!(watch.failed(second + 5_000, REFUSED, Cause::OriginDown, 0.8).0, "2", "much later it is another");
}

#[test]
fn incidents_without_end_take_no_more_room() {
    let mut watch = Watch::default();
    for round in 0..3_u64 {
        let begin = round * 10_000;
        for number in 0..MOST_OPEN + 10 {
            let known = watch.failed_at(&format!("{round}-{number}"), begin, REFUSED, Cause::OriginDown, 0.8);
            assert_eq!(known.is_some(), number < MOST_OPEN);
        }
        watch.review(begin..begin + 40, 10);
    }
    assert_eq!(watch.all().count(), MOST_KEPT);
}

#[test]
fn hours_of_flapping_lose_no_failure_and_open_few() {
    let mut watch = Watch::default();
    let causes = [Cause::OriginDown, Cause::Overload, Cause::Application];
    let (mut failures, mut opened, mut closed, mut answers) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut dice = 1_u64;
    for second in 0..6 * 3600 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = dice >> 40;
        // Twenty seconds down in every minute of the first four hours, by two upstreams in turn, the cause as it comes.
        if second % 60 < 20 && second < 4 * 3600 {
            let upstream = ["app", "blog"][usize::from(roll.is_multiple_of(2))];
            let cause = causes[usize::try_from(roll / 2 % 3).unwrap()];
            let confidence = f64::from(u32::try_from(roll % 90).unwrap()) / 100.0;
            let told = watch.failed_at(upstream, second, Fault::ConnectionRefused, cause, confidence);
            failures += 1;
            opened += u64::from(told.unwrap().1 == Effect::Opened);
        } else {
            answers += 5;
        }
        closed += watch.incidents.review(Duration::from_secs(second), |_| Some(answers)).len() as u64;
        assert!(watch.all().count() <= 6, "one of each upstream and cause at most");
    }
    assert!(watch.incidents.is_calm());
    let told: u64 = watch.all().map(|incident| incident.count).sum();
    assert_eq!((told, closed), (failures, opened));
    assert!(opened < 40, "{opened} in four hours");
}

/// Whatever fails, answers and starts anew in whatever order: no failure is lost or counted twice, no upstream has two open
/// incidents of one cause, and one closes exactly when its upstream has answered three requests since it last failed and has been
/// calm for as long as it takes, or when nothing was heard for long.
#[test]
fn whatever_happens_every_failure_has_its_incident_and_each_closes_in_time() {
    let mut chance = fastrand::Rng::with_seed(502);
    for _ in 0..100 {
        let mut watch = Watch::default();
        let (mut second, mut told) = (0, 0);
        // What each upstream has answered in all, and had when it was first looked at after a failure of each incident.
        let mut answered = [0_u64; 2];
        let mut before: HashMap<String, u64> = HashMap::new();
        for _ in 0..300 {
            second += [0, 1, 1, 7, 40, 400][chance.usize(0..6)];
            let at = chance.usize(0..2);
            let upstream = ["app", "api"][at];
            match chance.u8(0..8) {
                0..=2 => {
                    let fault = [REFUSED, Fault::DnsTimeout, Fault::ResponseTimedOut][chance.usize(0..3)];
                    let cause = Cause::ALL[chance.usize(0..4)];
                    let was_open = watch.incidents.open.len();
                    let (id, effect) = watch.failed_at(upstream, second, fault, cause, chance.f64()).unwrap();
                    told += 1;
                    before.remove(&id);
                    let incident = watch.incidents.open.iter().find(|incident| *incident.id == *id).unwrap();
                    assert_eq!(
                        (&*incident.upstream, incident.last.as_secs(), incident.closed),
                        (upstream, second, None)
                    );
                    assert!(incident.causes.contains(&cause) && incident.causes.contains(&incident.cause));
                    let opened = watch.incidents.open.len() - was_open;
                    assert_eq!(opened, usize::from(effect == Effect::Opened));
                }
                3..=5 => answered[at] += chance.u64(0..4),
                6 if chance.u8(0..10) == 0 => answered[at] = 0,
                _ => review(&mut watch, second, answered, &mut before),
            }
            let open = &watch.incidents.open;
            let kinds: HashSet<_> = open.iter().map(|incident| (&incident.upstream, incident.cause)).collect();
            let ids: HashSet<_> = watch.all().map(|incident| &incident.id).collect();
            assert_eq!((kinds.len(), ids.len()), (open.len(), watch.all().count()));
            assert_eq!(watch.all().map(|incident| incident.count).sum::<u64>(), told);
            for incident in watch.all() {
                assert_eq!(incident.faults.iter().map(|(_, count)| count).sum::<u64>(), incident.count);
                assert!(
                    incident.opened <= incident.last && incident.closed.is_none_or(|closed| incident.last < closed)
                );
            }
        }
    }
}

/// Looks at them, and holds what is closed and what is not to the definition.
fn review(watch: &mut Watch, second: u64, answered: [u64; 2], before: &mut HashMap<String, u64>) {
    let of = |upstream: &str| answered[usize::from(upstream == "api")];
    let was_open = watch.incidents.open.clone();
    let now = Duration::from_secs(second);
    let closed = watch.incidents.review(now, |upstream| Some(of(upstream)));
    for incident in was_open {
        let sum = of(&incident.upstream);
        let before = before.entry(incident.id.to_string()).or_insert(sum);
        *before = if sum < *before { 0 } else { *before };
        let (quiet, well) = (now.saturating_sub(incident.last), sum - *before >= 3);
        let over = well && quiet >= incident.calm || quiet >= Duration::from_secs(15 * 60);
        assert_eq!(closed.iter().any(|closed| closed.id == incident.id), over, "{quiet:?} {well} {incident:?}");
    }
}
