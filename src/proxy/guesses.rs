//! Owns how often the operator's token may be guessed: a few times a minute from one place, however many cores there are, and
//! whether at a listener for clients or at the admin listener.
//!
//! A token has at least 16 characters, so that nobody guesses one; a token that a person has made up is another matter.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// Where wrong tokens have come from of late.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<Option<IpAddr>, Tries>>);

/// Wrong tokens from one place.
#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u32,
    /// When they are forgotten.
    until: Instant,
}

/// What is made of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It is the operator's.
    Right,
    /// It is not.
    Wrong,
    /// It is not, and was the last one from there that was looked at for a while.
    Last,
    /// There were too many wrong ones from there: it counts for nothing, whatever it is.
    Ignored,
}

impl Guesses {
    /// What is made of a token that was found right or wrong, and came from there at that moment. Only who brings one waits here.
    pub fn judge(&self, address: Option<IpAddr>, is_right: bool, now: Instant) -> Judged {
        let place = address.map(network);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = places.get(&place).filter(|tries| now < tries.until).map_or(0, |tries| tries.wrong);
        if before >= MOST_WRONG {
            return Judged::Ignored;
        }
        if is_right {
            places.remove(&place);
            return Judged::Right;
        }
        if places.len() >= MOST_PLACES {
            places.retain(|_, tries| now < tries.until);
            // Somebody has thousands of places to guess from. Whose tries are forgotten then makes no difference.
            if let Some(any) = places.keys().next().copied().filter(|_| places.len() >= MOST_PLACES) {
                places.remove(&any);
            }
        }
        places.insert(place, Tries { wrong: before + 1, until: now + MEMORY });
        if before + 1 == MOST_WRONG { Judged::Last } else { Judged::Wrong }
    }
}

/// That it was the last one, for the log.
#[must_use]
pub fn notice(address: Option<IpAddr>) -> String {
    let place = address.map_or_else(|| "somebody".to_owned(), |address| address.to_string());
    format!(
        "{place} has sent {MOST_WRONG} tokens that are not the operator's; for a minute none from there is looked at"
    )
}

/// Who has one address of IPv6 has the whole network (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// How many wrong tokens from one place are looked at before none is.
const MOST_WRONG: u32 = 10;
/// How long wrong tokens are remembered after the last one that was looked at.
pub const MEMORY: Duration = Duration::from_secs(60);
/// How many places are remembered.
const MOST_PLACES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;
    use std::time::Instant;

    use super::Guesses;
    use super::Judged;
    use super::MEMORY;
    use super::MOST_PLACES;
    use super::MOST_WRONG;

    fn place(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn after_ten_wrong_tokens_none_from_there_counts_for_a_minute() {
        let (guesses, begin) = (Guesses::default(), Instant::now());
        let (there, elsewhere) = (Some(place("192.0.2.9")), Some(place("192.0.2.10")));
        for number in 1..MOST_WRONG {
            assert_eq!(guesses.judge(there, false, begin), Judged::Wrong, "{number}");
        }
        assert_eq!(guesses.judge(there, false, begin), Judged::Last);
        let almost = begin + Duration::from_millis(59_999);
        for is_right in [false, true] {
            assert_eq!(guesses.judge(there, is_right, almost), Judged::Ignored);
        }
        assert_eq!(guesses.judge(elsewhere, true, almost), Judged::Right, "nobody else waits");
        assert_eq!(guesses.judge(None, true, almost), Judged::Right);
        assert_eq!(guesses.judge(there, true, begin + MEMORY), Judged::Right);
    }

    #[test]
    fn a_right_token_lets_the_wrong_ones_before_it_be_forgotten() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..3 * MOST_WRONG {
            assert_eq!(guesses.judge(None, false, now), Judged::Wrong);
            assert_eq!(guesses.judge(None, true, now), Judged::Right);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_place() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 1..=MOST_WRONG {
            guesses.judge(Some(place(&format!("2001:db8::{number:x}"))), false, now);
        }
        assert_eq!(guesses.judge(Some(place("2001:db8::ffff:1")), true, now), Judged::Ignored);
        assert_eq!(guesses.judge(Some(place("2001:db8:0:1::1")), true, now), Judged::Right);
    }

    #[test]
    fn no_crowd_makes_the_memory_grow() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..3 * u32::try_from(MOST_PLACES).unwrap() {
            guesses.judge(Some(IpAddr::from(number.to_be_bytes())), false, now);
        }
        assert_eq!(guesses.0.lock().unwrap().len(), MOST_PLACES);
    }

    /// Random tries against the rule itself: in any minute at most ten wrong tokens from one place are looked at, and a right one
    /// counts unless as many wrong ones came within the minute before.
    #[test]
    fn no_order_of_tries_gets_more_of_them() {
        let mut random = fastrand::Rng::with_seed(502);
        for _ in 0..200 {
            let (guesses, mut now) = (Guesses::default(), Instant::now());
            let mut looked_at: Vec<Instant> = Vec::new();
            for _ in 0..300 {
                now += Duration::from_millis(random.u64(..9_000));
                match guesses.judge(None, random.u8(..50) == 0, now) {
                    Judged::Right => looked_at.clear(),
                    Judged::Wrong | Judged::Last => looked_at.push(now),
                    Judged::Ignored => {
                        let last = *looked_at.last().unwrap();
                        assert!(looked_at.len() >= MOST_WRONG as usize && now - last < MEMORY);
                    }
                }
                let of_this_minute = looked_at.iter().filter(|at| now - **at < MEMORY).count();
                assert!(of_this_minute <= MOST_WRONG as usize, "{of_this_minute}");
            }
        }
    }
}
