//! Owns the choice of a server.

use crate::config::Balance;

/// What is known of a server when one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it may be chosen: not ejected, not tried before for this request.
    pub eligible: bool,
    /// Requests in flight to it.
    pub in_flight: u32,
}

/// The place of the chosen server; none where none is eligible. `turn` goes up by one with every choice.
#[must_use]
pub fn pick(balance: Balance, candidates: &[Candidate], turn: usize) -> Option<usize> {
    let start = turn.checked_rem(candidates.len())?;
    // The turn decides among equals, so that they share evenly.
    let in_turn = || (start..candidates.len()).chain(0..start);
    let eligible = || {
        in_turn().filter_map(|index| candidates.get(index).filter(|found| found.eligible).map(|found| (index, found)))
    };
    match balance {
        Balance::RoundRobin => eligible().next().map(|(index, _)| index),
        Balance::LeastRequests => eligible().min_by_key(|(_, found)| found.in_flight).map(|(index, _)| index),
    }
}

#[cfg(test)]
mod tests {
    use super::Candidate;
    use super::pick;
    use crate::config::Balance;

    fn candidates(rows: &[(bool, u32)]) -> Vec<Candidate> {
        rows.iter().map(|(eligible, in_flight)| Candidate { eligible: *eligible, in_flight: *in_flight }).collect()
    }

    #[test]
    fn servers_take_turns_and_those_that_are_out_are_passed_over() {
        let servers = candidates(&[(true, 9), (false, 0), (true, 0)]);
        let picked: Vec<_> = (0..6).map(|turn| pick(Balance::RoundRobin, &servers, turn)).collect();
        assert_eq!(picked, [Some(0), Some(2), Some(2), Some(0), Some(2), Some(2)]);
    }

    #[test]
    fn the_server_with_the_fewest_requests_is_taken_and_equals_share() {
        let servers = candidates(&[(true, 3), (true, 1), (true, 1), (false, 0)]);
        let picked: Vec<_> = (0..4).map(|turn| pick(Balance::LeastRequests, &servers, turn)).collect();
        assert_eq!(picked, [Some(1), Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn nothing_is_picked_where_nothing_is_eligible() {
        assert_eq!(pick(Balance::RoundRobin, &candidates(&[(false, 0)]), 0), None);
        assert_eq!(pick(Balance::LeastRequests, &[], 3), None);
    }
}
