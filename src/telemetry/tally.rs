//! Owns the counts of what happens rarely: servers that were taken out, rounds of checks, reloads. Taken with a lock, for it is
//! no request's.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::event::By;
use super::event::Event;

/// One core's counts.
#[derive(Debug, Default)]
pub(super) struct Rare(Mutex<Tally>);

/// How often each has happened, all cores together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Servers that were taken out: the upstream, the server, what took it out, and how often.
    pub ejections: Vec<(Box<str>, Box<str>, By, u64)>,
    /// Rounds of checks of failing servers, by upstream.
    pub rounds: Vec<(Box<str>, u64)>,
    /// Configurations that were read again and are gone by.
    pub reloads: u64,
    /// Those that were refused.
    pub refused: u64,
}

impl Rare {
    /// Counts the event, where it is one of these.
    pub(super) fn count(&self, event: &Event<'_>) {
        match event {
            Event::ServerEjected(ejected) => {
                let mut tally = self.lock();
                let known = |(upstream, server, by, _): &(Box<str>, Box<str>, By, u64)| {
                    **upstream == *ejected.upstream && **server == *ejected.server && *by == ejected.by
                };
                match tally.ejections.iter().position(known) {
                    Some(at) => tally.ejections.get_mut(at).into_iter().for_each(|(.., count)| *count += 1),
                    None if tally.ejections.len() < MOST => {
                        tally.ejections.push((ejected.upstream.into(), ejected.server.into(), ejected.by, 1));
                    }
                    None => {}
                }
            }
            Event::Probe(probe) => {
                let mut tally = self.lock();
                match tally.rounds.iter().position(|(upstream, _)| **upstream == *probe.upstream) {
                    Some(at) => tally.rounds.get_mut(at).into_iter().for_each(|(_, count)| *count += 1),
                    None if tally.rounds.len() < MOST => tally.rounds.push((probe.upstream.into(), 1)),
                    None => {}
                }
            }
            Event::Reloaded(_) => self.lock().reloads += 1,
            Event::ReloadRefused(_) => self.lock().refused += 1,
            Event::Started(_)
            | Event::Stopped(_)
            | Event::Request(_)
            | Event::UpstreamFailure(_)
            | Event::ServerReturned(_)
            | Event::IncidentOpened(_)
            | Event::IncidentClosed(_)
            | Event::Notice(_) => {}
        }
    }

    /// Adds them to these sums.
    pub(super) fn add_to(&self, sums: &mut Tally) {
        let own = self.lock();
        for (upstream, server, by, more) in &own.ejections {
            let known =
                sums.ejections.iter_mut().find(|known| (&known.0, &known.1, known.2) == (upstream, server, *by));
            match known {
                Some((.., count)) => *count += more,
                None => sums.ejections.push((upstream.clone(), server.clone(), *by, *more)),
            }
        }
        for (upstream, more) in &own.rounds {
            match sums.rounds.iter_mut().find(|(known, _)| known == upstream) {
                Some((_, count)) => *count += more,
                None => sums.rounds.push((upstream.clone(), *more)),
            }
        }
        sums.reloads += own.reloads;
        sums.refused += own.refused;
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many kinds of each are told apart; reloads may bring new names without end, and those beyond are not counted.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::Rare;
    use super::Tally;
    use crate::telemetry::By;
    use crate::telemetry::samples;

    #[test]
    fn what_happens_rarely_is_counted_over_all_cores() {
        let (one, two) = (Rare::default(), Rare::default());
        for event in [samples::ejected(), samples::ejected(), samples::down(), samples::probe(), samples::reloaded()] {
            one.count(&event);
        }
        for event in [samples::ejected(), samples::probe(), samples::reload_refused(), samples::notice()] {
            two.count(&event);
        }
        let mut sums = Tally::default();
        one.add_to(&mut sums);
        two.add_to(&mut sums);
        let server = || "http://app-1.internal:3000".into();
        let expected = Tally {
            ejections: vec![("app".into(), server(), By::Failures, 3), ("app".into(), server(), By::Health, 1)],
            rounds: vec![("app".into(), 2)],
            reloads: 1,
            refused: 1,
        };
        assert_eq!(sums, expected);
    }
}
