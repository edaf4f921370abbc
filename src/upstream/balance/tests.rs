//! Holds each way to balance to its shares, over thousands of choices with seeded chance.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use tokio::time::Instant;

use super::Balancer;
use super::Candidates;
use super::Key;
use super::Outcome;
use super::Rotation;
use super::key;
use crate::config;

/// An upstream's servers, with these lines in its table.
fn balancer(servers: &str, lines: &str) -> Balancer {
    let text = format!("[[route]]\nupstream = \"app\"\n[[upstream]]\nname = \"app\"\nservers = [{servers}]\n{lines}\n");
    let config = config::from_text(&text, std::path::Path::new("why502.toml")).unwrap();
    fastrand::seed(502);
    Balancer::new(&config.upstreams[0])
}

const THREE: &str = r#""http://a", "http://b", "http://c""#;
const WEIGHED: &str = r#"{ url = "http://a", weight = 5 }, { url = "http://b" }, { url = "http://c", weight = 2 }"#;

/// What is known of each server: whether it may be chosen, and its requests in flight.
struct Servers<'a> {
    balancer: &'a Balancer,
    now: Instant,
    rows: Vec<(bool, Cell<u32>)>,
}

impl<'a> Servers<'a> {
    fn of(balancer: &'a Balancer, rows: &[(bool, u32)]) -> Self {
        let rows = rows.iter().map(|(eligible, in_flight)| (*eligible, Cell::new(*in_flight))).collect();
        Self { balancer, now: Instant::now(), rows }
    }

    fn pick(&self, key: Option<Key>) -> Option<usize> {
        self.balancer.pick(self, key, self.now)
    }

    /// How many of so many choices each server has; every request is over before the next.
    fn counts(&self, choices: usize) -> Vec<usize> {
        let mut counts = vec![0; self.rows.len()];
        (0..choices).filter_map(|_| self.pick(None)).for_each(|server| counts[server] += 1);
        counts
    }
}

impl Candidates for Servers<'_> {
    fn share(&self, server: usize) -> u32 {
        let now = self.balancer.is_rising().then_some(self.now);
        if self.rows[server].0 { self.balancer.share(server, now) } else { 0 }
    }

    fn in_flight(&self, server: usize) -> u32 {
        self.rows[server].1.get()
    }
}

const IDLE: [(bool, u32); 3] = [(true, 0); 3];

#[test]
fn turns_are_taken_by_weight_and_spread_evenly() {
    for (servers, rows, turns) in [
        (THREE, IDLE, "abcabcabc"),
        (WEIGHED, IDLE, "acaabacaa"),
        (THREE, [(true, 9), (false, 0), (true, 0)], "acacacaca"),
        (WEIGHED, [(true, 0), (true, 0), (false, 0)], "aaabaaaaa"),
    ] {
        let balancer = balancer(servers, "balance = \"round_robin\"");
        let servers = Servers::of(&balancer, &rows);
        let picked: String = (0..9).filter_map(|_| servers.pick(None)).map(|server| ['a', 'b', 'c'][server]).collect();
        assert_eq!(picked, turns, "{rows:?}");
    }
}

/// Whatever the weights are and whoever can be chosen: in as many turns as those weigh, each has exactly its own.
#[test]
fn any_weights_are_taken_turn_by_turn() {
    let mut chance = fastrand::Rng::with_seed(502);
    for _ in 0..300 {
        let weights: Vec<u32> = (0..chance.usize(1..9)).map(|_| chance.u32(1..12) * 1000).collect();
        let rotation = Rotation::new(&weights);
        let mut shares = weights.clone();
        for _ in 0..20 {
            let out = chance.usize(..shares.len());
            shares[out] = if chance.bool() { 0 } else { weights[out] };
            if shares.iter().all(|share| *share == 0) {
                assert_eq!(rotation.next(|server| shares[server]), None);
                continue;
            }
            let total = shares.iter().sum::<u32>() / 1000;
            let mut turns = vec![0; shares.len()];
            // Whoever comes back is due half a turn later, so that it takes a round until all are in step.
            for turn in 0..3 * total {
                let next = rotation.next(|server| shares[server]).unwrap();
                turns[next] += u32::from(turn >= total);
            }
            let wrong = |(turns, share): (&u32, &u32)| turns.abs_diff(2 * share / 1000) > u32::from(*share > 0);
            assert!(!turns.iter().zip(&shares).any(wrong), "{turns:?} for {shares:?}");
        }
    }
}

#[test]
fn every_way_gives_the_shares_of_the_weights_where_nothing_else_tells() {
    for way in ["round_robin", "random", "least_requests", "hash\"\nhash_on = \"client"] {
        let balancer = balancer(WEIGHED, &format!("balance = \"{way}\""));
        let servers = Servers::of(&balancer, &IDLE);
        let mut counts = vec![0; 3];
        for client in 0..8000_u32 {
            let client = IpAddr::from(client.to_be_bytes());
            counts[servers.pick(balancer.key(&HeaderMap::new(), Some(client))).unwrap()] += 1;
        }
        for (count, share) in counts.iter().zip([5000_i32, 1000, 2000]) {
            assert!((count - share).abs() < 200, "{way}: {counts:?}");
        }
    }
}

#[test]
fn whatever_is_out_is_never_chosen_and_what_is_left_always() {
    for way in ["round_robin", "random", "least_requests", "hash\"\nhash_on = \"client"] {
        let balancer = balancer(WEIGHED, &format!("balance = \"{way}\""));
        let client = |number: u32| balancer.key(&HeaderMap::new(), Some(IpAddr::from(number.to_be_bytes())));
        for number in 0..2000 {
            let rows = [(); 3].map(|()| (fastrand::bool(), fastrand::u32(0..4)));
            let picked = Servers::of(&balancer, &rows).pick(client(number));
            assert_eq!(picked.is_some(), rows.iter().any(|(eligible, _)| *eligible), "{way}: {rows:?}");
            assert!(picked.is_none_or(|server| rows[server].0), "{way}: {rows:?} {picked:?}");
        }
    }
}

#[test]
fn of_two_the_one_with_fewer_requests_for_its_weight_is_taken() {
    let balancer = balancer(r#""http://a", { url = "http://b", weight = 3 }"#, "");
    for (in_flight, taken) in
        [([1, 2], Some(1)), ([1, 4], Some(0)), ([0, 1], Some(0)), ([7, 20], Some(1)), ([1, 3], None)]
    {
        let counts = Servers::of(&balancer, &in_flight.map(|count| (true, count))).counts(1000);
        match taken {
            Some(taken) => assert_eq!(counts[taken], 1000, "{in_flight:?}"),
            // As much to do for their weights: then those decide.
            None => assert!((650..850).contains(&counts[1]), "{counts:?}"),
        }
    }
}

#[test]
fn a_key_keeps_its_server_while_that_is_there_and_nobody_else_moves() {
    let many: Vec<String> = (0..20).map(|number| format!("\"http://s{number}\"")).collect();
    let balancer = balancer(&many.join(", "), "balance = \"hash\"\nhash_on = \"header:X-User\"");
    let key = |user: u32| {
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from(user));
        balancer.key(&headers, None)
    };
    let all = Servers::of(&balancer, &[(true, 0); 20]);
    let before: Vec<_> = (0..4000).map(|user| all.pick(key(user)).unwrap()).collect();
    for gone in [0, 7, 19] {
        let mut rows = [(true, 0); 20];
        rows[gone].0 = false;
        let left = Servers::of(&balancer, &rows);
        let mut heirs = vec![0; 20];
        for (user, server) in (0..4000).zip(&before) {
            let now = left.pick(key(user)).unwrap();
            assert!(now == *server || *server == gone, "{user} moved from {server} to {now} though {gone} went");
            heirs[now] += usize::from(now != *server);
        }
        assert!(heirs.iter().max().is_some_and(|most| *most < 40), "one inherits it all: {heirs:?}");
    }
}

#[test]
fn a_key_is_the_field_or_the_cookie_and_otherwise_the_client() {
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    let by_client = balancer(THREE, "balance = \"hash\"\nhash_on = \"client\"");
    let same = by_client.key(&HeaderMap::new(), Some(client));
    let of_network = |address: &str| by_client.key(&HeaderMap::new(), address.parse().ok());
    assert_eq!(of_network("2001:db8::1"), of_network("2001:db8::ffff:2"), "one network of IPv6 is one client");
    assert_ne!(of_network("2001:db8::1"), of_network("2001:db8:0:1::1"));
    assert_eq!(of_network("::ffff:192.0.2.7"), same);
    assert_ne!(of_network("192.0.2.8"), same);
    let by_cookie = balancer(THREE, "balance = \"hash\"\nhash_on = \"cookie:sid\"");
    let cookie = |line: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static(line));
        by_cookie.key(&headers, Some(client))
    };
    for line in ["sid=7", "a=b; sid=7", "xsid=8;sid=\"7\" ; sid=9"] {
        assert_eq!(cookie(line), cookie("sid=7"), "{line}");
    }
    assert_ne!(cookie("sid=7"), cookie("sid=8"));
    for line in ["", "sid", "sid=", "SID=7", "side=7", "x=sid=7"] {
        assert_eq!(cookie(line), same, "{line}: it goes by its client");
    }
    assert_eq!(by_cookie.key(&HeaderMap::new(), None), None);
    let servers = Servers::of(&by_cookie, &[(true, 1), (true, 0), (false, 0)]);
    assert_eq!(servers.pick(None), Some(1), "without a key it goes to who has least to do");
}

#[test]
fn one_url_twice_is_two_servers_for_a_key_and_their_order_is_nothing() {
    assert_ne!(key::seeds(&["http://a", "http://a"])[0], key::seeds(&["http://a", "http://a"])[1]);
    let (one, other) = (key::seeds(&["http://a", "http://b"]), key::seeds(&["http://b", "http://a"]));
    assert_eq!((one[0], one[1]), (other[1], other[0]));
}

/// Plays an upstream of three servers under steady load: each answers after so many milliseconds, or fails at once. Answers how
/// many of the requests each was given.
fn play(balancer: &Balancer, takes: [Option<u64>; 3], a_millisecond: usize, lasts: u64) -> [usize; 3] {
    let begin = Instant::now();
    let mut servers = Servers::of(balancer, &IDLE);
    let (mut under_way, mut counts) = (Vec::new(), [0; 3]);
    for millisecond in 0..lasts {
        servers.now = begin + Duration::from_millis(millisecond);
        let now = servers.now;
        under_way.retain(|(server, since, until): &(usize, Instant, Instant)| {
            if *until <= now {
                balancer.note(*server, Outcome::Answered(now - *since), now);
                servers.rows[*server].1.set(servers.rows[*server].1.get() - 1);
            }
            *until > now
        });
        for _ in 0..a_millisecond {
            let server = servers.pick(None).unwrap();
            counts[server] += 1;
            match takes[server] {
                None => balancer.note(server, Outcome::Failed, now),
                Some(takes) => {
                    under_way.push((server, now, now + Duration::from_millis(takes)));
                    servers.rows[server].1.set(servers.rows[server].1.get() + 1);
                }
            }
        }
    }
    counts
}

#[test]
fn a_server_that_fails_at_once_does_not_attract_requests() {
    for (takes, a_millisecond) in [(20, 1), (20, 5), (200, 2)] {
        let balancer = balancer(THREE, "");
        let counts = play(&balancer, [Some(takes), None, Some(takes)], a_millisecond, 5_000);
        let share = counts[1] * 1000 / counts.iter().sum::<usize>();
        assert!(share < 30, "{takes} ms, {a_millisecond} a millisecond: {share} of 1000 failed; {counts:?}");
    }
}

#[test]
fn a_slow_server_gets_less_and_equals_get_the_same() {
    let unequal = play(&balancer(THREE, ""), [Some(10), Some(10), Some(100)], 2, 10_000);
    assert!(unequal[2] * 4 < unequal[0] && unequal[0].abs_diff(unequal[1]) < unequal[0] / 5, "{unequal:?}");
    assert!(unequal[2] > 20, "it is tried again now and then: {unequal:?}");
    let equal = play(&balancer(THREE, ""), [Some(10); 3], 2, 10_000);
    assert!(equal.iter().all(|count| count.abs_diff(6666) < 300), "{equal:?}");
}

#[test]
fn one_request_after_the_other_goes_by_the_weights_however_fast_servers_are() {
    for (heavy, light) in [(1, 1), (1, 40), (40, 1)] {
        let balancer = balancer(r#"{ url = "http://a", weight = 3 }, "http://b""#, "");
        let servers = Servers::of(&balancer, &[(true, 0), (true, 0)]);
        let mut counts = [0_usize; 2];
        for _ in 0..4000 {
            let server = servers.pick(None).unwrap();
            counts[server] += 1;
            let takes = Duration::from_millis([heavy, light][server]);
            balancer.note(server, Outcome::Answered(takes), servers.now);
        }
        assert!(counts[1].abs_diff(1000) < 120, "{heavy} ms and {light} ms: {counts:?}");
    }
}

#[test]
fn a_heavy_server_that_fails_gets_nothing_while_the_other_is_idle() {
    let balancer = balancer(r#"{ url = "http://a", weight = 3 }, "http://b""#, "");
    let servers = Servers::of(&balancer, &[(true, 0), (true, 0)]);
    for _ in 0..8 {
        balancer.note(0, Outcome::Failed, servers.now);
    }
    assert_eq!(servers.counts(1000), [0, 1000]);
}

#[test]
fn a_server_that_has_recovered_gets_its_share_again() {
    let balancer = balancer(THREE, "");
    play(&balancer, [Some(10), None, Some(10)], 2, 5_000);
    let now = Instant::now() + Duration::from_secs(5 + 90);
    let mut servers = Servers::of(&balancer, &IDLE);
    servers.now = now;
    let counts = servers.counts(3000);
    assert!(counts.iter().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
}

#[test]
fn a_server_that_comes_back_gets_its_share_little_by_little() {
    for way in ["round_robin", "random", "least_requests"] {
        let balancer = balancer(THREE, &format!("balance = \"{way}\"\nslow_start = \"10s\""));
        let begin = Instant::now();
        assert!(!balancer.is_rising());
        balancer.returns(1, begin);
        let mut servers = Servers::of(&balancer, &IDLE);
        let mut share_at = |seconds: u64| {
            servers.now = begin + Duration::from_secs(seconds);
            servers.counts(3000)[1] * 100 / 3000
        };
        let shares = [0, 5, 9, 10].map(&mut share_at);
        let expected = [4, 21, 31, 33];
        assert!(
            shares.iter().zip(expected).all(|(share, expected)| share.abs_diff(expected) <= 3),
            "{way}: {shares:?}"
        );
        assert!(!balancer.is_rising(), "{way}: it is over");
    }
    let off = balancer(THREE, "slow_start = \"0s\"");
    off.returns(1, Instant::now());
    assert!(!off.is_rising());
}

#[test]
fn a_server_that_was_out_takes_its_turns_again_and_does_not_make_up_for_those_before() {
    for (servers, shares) in [(THREE, [10, 10, 10]), (WEIGHED, [20, 4, 8])] {
        let balancer = balancer(servers, "balance = \"round_robin\"\nslow_start = \"0s\"");
        Servers::of(&balancer, &[(true, 0), (false, 0), (true, 0)]).counts(1000);
        let counts = Servers::of(&balancer, &IDLE).counts(shares.iter().sum());
        assert!(counts.iter().zip(shares).all(|(count, share)| count.abs_diff(share) <= 1), "{counts:?}");
    }
}

#[test]
fn cores_share_one_rotation() {
    let balancer = balancer(WEIGHED, "balance = \"round_robin\"");
    let counts = std::thread::scope(|scope| {
        let core = || Servers::of(&balancer, &IDLE).counts(4000);
        let cores: Vec<_> = (0..4).map(|_| scope.spawn(core)).collect();
        cores
            .into_iter()
            .map(|core| core.join().unwrap())
            .reduce(|sum, one| sum.iter().zip(one).map(|(sum, one)| sum + one).collect())
    });
    let counts = counts.unwrap();
    assert!(
        counts.iter().zip([10_000_usize, 2000, 4000]).all(|(count, share)| count.abs_diff(share) < 20),
        "{counts:?}"
    );
}
