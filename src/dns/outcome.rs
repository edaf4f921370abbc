//! Owns what is made of several answers: which one counts among servers, families and searched names, and the evidence of all.
//!
//! It decides on values; the asking is `lookup`'s.

use std::mem::take;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::time::Instant;

use crate::dns::answer::Answer;
use crate::dns::answer::Says;
use crate::dns::query::Trouble;
use crate::dns::srv::Service;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::classify::dns::mnemonic;
use crate::fault::failure::DnsAnswer;
use crate::fault::failure::DnsEvidence;

/// The addresses of one family or of both.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) list: Vec<IpAddr>,
    /// The targets, where a service was asked for.
    pub(super) services: Vec<Service>,
    pub(super) aliases: Vec<String>,
    pub(super) ttl: Duration,
}

impl Found {
    /// Both families together, believed for as long as both may be.
    pub(super) fn joined_with(self, other: Self) -> Self {
        let aliases = if self.aliases.is_empty() { other.aliases } else { self.aliases };
        Self { list: [self.list, other.list].concat(), services: Vec::new(), aliases, ttl: self.ttl.min(other.ttl) }
    }

    /// The same, believed for no longer than that.
    pub(super) fn for_at_most(self, ttl: Duration) -> Self {
        Self { ttl: self.ttl.min(ttl), ..self }
    }
}

/// No addresses, and why.
#[derive(Debug)]
pub(super) struct Miss {
    fault: Fault,
    /// What each server said, in the order in which they were asked.
    said: Vec<DnsAnswer>,
    aliases: Vec<String>,
    /// How long it may be remembered, where a server said for sure that there is nothing (RFC 2308).
    ttl: Option<Duration>,
    trouble: Option<Trouble>,
}

impl Miss {
    /// A miss of which nothing else is known.
    pub(super) fn of(fault: Fault) -> Self {
        Self { fault, said: Vec::new(), aliases: Vec::new(), ttl: None, trouble: None }
    }

    /// Whether a server said for sure that there is nothing.
    pub(super) fn is_definite(&self) -> bool {
        DEFINITE.contains(&self.fault)
    }

    /// Whether the next name of a search list is worth a question.
    pub(super) fn lets_the_search_go_on(&self) -> bool {
        SEARCH_GOES_ON.contains(&self.fault)
    }

    /// Neither family has addresses.
    ///
    /// A name that does not exist does so for all families (RFC 8020), unless the other answer shows that it does exist:
    /// some servers say `NXDOMAIN` for want of one record (RFC 4074, section 4.2). That one family has no records says
    /// nothing about the other, whose failure then counts.
    pub(super) fn beside(mut self, mut other: Self) -> Self {
        let said = merged(take(&mut self.said), take(&mut other.said));
        let both_definite = self.is_definite() && other.is_definite();
        let shorter = shorter(self.ttl, other.ttl);
        let other_counts = if both_definite {
            other.fault == Fault::DnsNoRecords
        } else {
            weight(&FAMILY_TELLS, other.fault) > weight(&FAMILY_TELLS, self.fault)
        };
        let counts = if other_counts { other } else { self };
        let ttl = if both_definite { shorter } else { counts.ttl };
        Self { said, ttl, ..counts }
    }

    /// The next name of the search list was missed, too.
    ///
    /// As in glibc, the name as written decides where it came first. Otherwise a server that could not be asked tells most,
    /// then a name with records of another type, then a failing server, then a name that does not exist.
    pub(super) fn searched_on(mut self, mut next: Self, as_written_first: bool) -> Self {
        let said = merged(take(&mut self.said), take(&mut next.said));
        let ttl = if next.is_definite() { shorter(self.ttl, next.ttl) } else { self.ttl };
        let next_counts =
            !as_written_first && weight(&SEARCH_GOES_ON, next.fault) > weight(&SEARCH_GOES_ON, self.fault);
        let counts = if next_counts { next } else { self };
        Self { said, ttl, ..counts }
    }

    /// The failure, and how long it may be remembered as a definite answer.
    pub(super) fn into_failure(self, name: &str) -> (Failure, Option<Duration>) {
        let mut failure = Failure::new(self.fault);
        failure.os_error = self.trouble.as_ref().and_then(Trouble::os_error);
        failure.dns = Some(DnsEvidence {
            name: name.strip_suffix('.').unwrap_or(name).to_owned(),
            answers: self.said,
            aliases: self.aliases,
            srv: None,
            remembered: None,
        });
        let failure = match self.trouble {
            Some(trouble) => failure.because(trouble),
            None => failure,
        };
        (failure, self.ttl)
    }
}

/// The servers that have been asked one question, and what they said.
#[derive(Debug, Default)]
pub(super) struct Asked {
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    since: Instant,
    said: Option<Said>,
}

#[derive(Debug)]
struct Said {
    answer: DnsAnswer,
    fault: Fault,
    trouble: Option<Trouble>,
}

/// What an answer means for the question.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It has these addresses.
    Found(Found),
    /// It has none, and that is final.
    Nothing(Miss),
    /// Somebody else may know.
    AskTheNext,
}

impl Asked {
    /// A question goes out, maybe not for the first time.
    pub(super) fn begin(&mut self, address: SocketAddr, now: Instant) {
        if !self.servers.iter().any(|server| server.address == address) {
            self.servers.push(Server { address, since: now, said: None });
        }
    }

    /// An answer came in, or the news that none will.
    pub(super) fn note(&mut self, address: SocketAddr, outcome: Result<Answer, Trouble>, now: Instant) -> Verdict {
        let Some(server) = self.servers.iter_mut().find(|server| server.address == address) else {
            return Verdict::AskTheNext;
        };
        let (code, extended, says, trouble) = match outcome {
            Ok(answer) => (Some(answer.code), answer.extended, answer.says, None),
            Err(trouble) => (trouble.code(), Vec::new(), Says::Unusable, Some(trouble)),
        };
        let (aliases, ttl) = match says {
            Says::Addresses { list, aliases, ttl } => {
                return Verdict::Found(Found { list, services: Vec::new(), aliases, ttl });
            }
            Says::Services { list, aliases, ttl } => {
                return Verdict::Found(Found { list: Vec::new(), services: list, aliases, ttl });
            }
            Says::Nothing { aliases, ttl } => (aliases, ttl),
            Says::Unusable => {
                let fault = fault_of(code, trouble.as_ref());
                let answer = answer_of(server, code, extended, trouble.as_ref(), now);
                server.said = Some(Said { answer, fault, trouble });
                return Verdict::AskTheNext;
            }
        };
        let fault = code.and_then(Fault::of_response_code).unwrap_or(Fault::DnsNoRecords);
        let answer = answer_of(server, code, extended, None, now);
        server.said = Some(Said { answer, fault, trouble: None });
        Verdict::Nothing(Miss { aliases, ttl, said: self.answers(now), ..Miss::of(fault) })
    }

    /// No server has given a definite answer: the one that tells most counts, and one that is silent counts as late.
    pub(super) fn into_miss(mut self, now: Instant) -> Miss {
        let said = self.answers(now);
        let silent = self.servers.is_empty() || self.servers.iter().any(|server| server.said.is_none());
        let spoken = self.servers.iter_mut().filter_map(|server| server.said.take());
        let telling = spoken.max_by_key(|said| weight(&SERVER_TELLS, said.fault));
        match telling {
            Some(Said { fault, trouble, .. })
                if !silent || weight(&SERVER_TELLS, fault) > weight(&SERVER_TELLS, Fault::DnsTimeout) =>
            {
                Miss { said, trouble, ..Miss::of(fault) }
            }
            Some(_) | None => Miss { said, ..Miss::of(Fault::DnsTimeout) },
        }
    }

    fn answers(&self, now: Instant) -> Vec<DnsAnswer> {
        let answer = |server: &Server| match &server.said {
            Some(said) => said.answer.clone(),
            None => answer_of(server, None, Vec::new(), None, now),
        };
        self.servers.iter().map(answer).collect()
    }
}

fn answer_of(
    server: &Server,
    code: Option<ResponseCode>,
    extended: Vec<(u16, String)>,
    trouble: Option<&Trouble>,
    now: Instant,
) -> DnsAnswer {
    DnsAnswer {
        server: server.address,
        rcode: code.map(mnemonic),
        extended,
        elapsed: now.saturating_duration_since(server.since),
        os_error: trouble.and_then(Trouble::os_error),
    }
}

/// An answer without an error code that is of no use all the same, because of a loop or a referral, is the server's failure.
fn fault_of(code: Option<ResponseCode>, trouble: Option<&Trouble>) -> Fault {
    trouble
        .map(Trouble::fault)
        .or_else(|| code.and_then(Fault::of_response_code).filter(|fault| !DEFINITE.contains(fault)))
        .unwrap_or(Fault::DnsServerFailure)
}

/// Both lists in order, without what a server has said in the same words already: it is asked for both families.
fn merged(mut earlier: Vec<DnsAnswer>, later: Vec<DnsAnswer>) -> Vec<DnsAnswer> {
    for answer in later {
        let same = |known: &&mut DnsAnswer| {
            let words = |said: &DnsAnswer| (said.server, said.rcode, said.os_error);
            words(known) == words(&answer) && known.extended == answer.extended
        };
        match earlier.iter_mut().find(same) {
            Some(known) => known.elapsed = known.elapsed.max(answer.elapsed),
            None => earlier.push(answer),
        }
    }
    earlier
}

/// What has no time to be remembered makes the whole unfit to be.
fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.zip(other).map(|(one, other)| one.min(other))
}

/// The fault's place among those that tell ever more; those that are not listed, this host's own, tell most.
fn weight(order: &[Fault], fault: Fault) -> usize {
    order.iter().position(|known| *known == fault).unwrap_or(order.len())
}

/// Answers that no other server is asked about.
const DEFINITE: [Fault; 2] = [Fault::DnsNameNotFound, Fault::DnsNoRecords];

/// What a failing server said tells more than silence, and silence more than a closed port: nobody was reachable only if
/// that holds for all.
const SERVER_TELLS: [Fault; 4] =
    [Fault::DnsResolverUnreachable, Fault::DnsTimeout, Fault::DnsRefused, Fault::DnsServerFailure];

const FAMILY_TELLS: [Fault; 6] = [
    Fault::DnsNoRecords,
    Fault::DnsResolverUnreachable,
    Fault::DnsTimeout,
    Fault::DnsRefused,
    Fault::DnsServerFailure,
    Fault::DnsNameNotFound,
];

const SEARCH_GOES_ON: [Fault; 3] = [Fault::DnsNameNotFound, Fault::DnsServerFailure, Fault::DnsNoRecords];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_proto::op::ResponseCode;
    use tokio::time::Instant;

    use super::Asked;
    use super::Miss;
    use super::Verdict;
    use crate::dns::answer::Answer;
    use crate::dns::answer::Says;
    use crate::dns::query::Trouble;
    use crate::fault::Fault;
    use crate::fault::Fault::DnsNameNotFound as NotFound;
    use crate::fault::Fault::DnsNoRecords as NoRecords;
    use crate::fault::Fault::DnsRefused as Refused;
    use crate::fault::Fault::DnsResolverUnreachable as Unreachable;
    use crate::fault::Fault::DnsServerFailure as ServerFailure;
    use crate::fault::Fault::DnsTimeout as Timeout;

    #[test]
    fn of_two_families_without_addresses_the_one_that_tells_more_counts() {
        let rows = [
            (NotFound, NotFound, NotFound),
            (NoRecords, NoRecords, NoRecords),
            (NotFound, NoRecords, NoRecords),
            (NotFound, ServerFailure, NotFound),
            (NotFound, Timeout, NotFound),
            (NoRecords, ServerFailure, ServerFailure),
            (NoRecords, Timeout, Timeout),
            (NoRecords, Unreachable, Unreachable),
            (ServerFailure, Timeout, ServerFailure),
            (Refused, Timeout, Refused),
            (Unreachable, Timeout, Timeout),
            (NotFound, Fault::FileDescriptorsExhausted, Fault::FileDescriptorsExhausted),
        ];
        for (one, other, counts) in rows {
            assert_eq!(Miss::of(one).beside(Miss::of(other)).fault, counts, "{one} beside {other}");
            assert_eq!(Miss::of(other).beside(Miss::of(one)).fault, counts, "{other} beside {one}");
        }
    }

    #[test]
    fn of_a_search_list_the_name_as_written_counts_where_it_came_first() {
        let rows = [
            (NotFound, NotFound, NotFound),
            (NotFound, NoRecords, NoRecords),
            (NotFound, ServerFailure, ServerFailure),
            (NoRecords, NotFound, NoRecords),
            (NoRecords, ServerFailure, NoRecords),
            (ServerFailure, NotFound, ServerFailure),
            (ServerFailure, NoRecords, NoRecords),
            (NotFound, Timeout, Timeout),
            (NoRecords, Refused, Refused),
        ];
        for (earlier, next, counts) in rows {
            assert_eq!(Miss::of(earlier).searched_on(Miss::of(next), false).fault, counts, "{earlier}, then {next}");
            assert_eq!(Miss::of(earlier).searched_on(Miss::of(next), true).fault, earlier, "{earlier}, then {next}");
        }
    }

    #[test]
    fn a_definite_answer_of_two_is_remembered_for_the_shorter_time() {
        let rows = [
            (Some(60), Some(30), Some(30)),
            (Some(30), Some(60), Some(30)),
            (Some(30), None, None),
            (None, Some(30), None),
        ];
        let miss = |ttl: Option<u64>| Miss { ttl: ttl.map(Duration::from_secs), ..Miss::of(NotFound) };
        for (one, other, ttl) in rows {
            let ttl = ttl.map(Duration::from_secs);
            assert_eq!(miss(one).beside(miss(other)).ttl, ttl, "{one:?} beside {other:?}");
            assert_eq!(miss(one).searched_on(miss(other), true).ttl, ttl, "{one:?}, then {other:?}");
        }
    }

    #[test]
    fn of_several_servers_the_one_that_tells_most_counts() {
        let rows: [(&[Option<Fault>], Fault); 8] = [
            (&[Some(ServerFailure), Some(Refused)], ServerFailure),
            (&[Some(Refused), Some(Unreachable)], Refused),
            (&[Some(Unreachable), Some(Unreachable)], Unreachable),
            (&[Some(Unreachable), None], Timeout),
            (&[Some(Refused), None], Refused),
            (&[None, Some(ServerFailure)], ServerFailure),
            (&[None], Timeout),
            (&[], Timeout),
        ];
        for (servers, counts) in rows {
            let (began, mut asked) = (Instant::now(), Asked::default());
            for (port, said) in (1..).zip(servers) {
                let address = ([10, 0, 0, 53], port).into();
                asked.begin(address, began);
                if let Some(fault) = said {
                    let verdict = asked.note(address, saying(*fault), began);
                    assert!(matches!(verdict, Verdict::AskTheNext));
                }
            }
            let miss = asked.into_miss(began + Duration::from_secs(2));
            assert_eq!((miss.fault, miss.said.len()), (counts, servers.len()), "{servers:?}");
        }
    }

    #[test]
    fn the_evidence_has_what_each_server_said_once() {
        let began = Instant::now();
        let family = |elapsed: u64| {
            let mut asked = Asked::default();
            let [first, second] = [1, 2].map(|host| ([10, 0, 0, host], 53).into());
            asked.begin(first, began);
            asked.begin(second, began + Duration::from_millis(1));
            let now = began + Duration::from_millis(elapsed);
            assert!(matches!(asked.note(first, saying(ServerFailure), now), Verdict::AskTheNext));
            asked.into_miss(now)
        };
        let (failure, ttl) = family(5).beside(family(9)).into_failure("app.example.");
        let evidence = failure.dns.unwrap();
        let said: Vec<_> = evidence
            .answers
            .iter()
            .map(|said| (said.server.to_string(), said.rcode, said.elapsed.as_millis()))
            .collect();
        let expected = [("10.0.0.1:53".to_owned(), Some("SERVFAIL"), 9), ("10.0.0.2:53".to_owned(), None, 8)];
        assert_eq!((evidence.name.as_str(), said.as_slice(), ttl), ("app.example", expected.as_slice(), None));
    }

    fn saying(fault: Fault) -> Result<Answer, Trouble> {
        let code = if fault == Refused { ResponseCode::Refused } else { ResponseCode::ServFail };
        if fault == Unreachable {
            return Err(std::io::Error::from_raw_os_error(libc::ECONNREFUSED).into());
        }
        Ok(Answer { code, extended: Vec::new(), says: Says::Unusable })
    }
}
