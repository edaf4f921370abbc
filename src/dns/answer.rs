//! Owns the meaning of one message from a name server: code, addresses, aliases, how long each may be believed.
//!
//! It is a function of the message alone. How the message came is `query`'s, which server's answer counts is `lookup`'s.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::rdata::opt::EdnsOption;

use crate::dns::srv::MOST_TARGETS;
use crate::dns::srv::Service;

/// What one name server answered to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its response code, extended by EDNS (RFC 6891, section 6.1.3).
    pub(super) code: ResponseCode,
    /// Extended DNS Errors (RFC 8914): info code and text, in order.
    pub(super) extended: Vec<(u16, String)>,
    /// What it says about the name.
    pub(super) says: Says,
}

/// What an answer says about the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    /// It has these addresses.
    Addresses {
        /// In the server's order; at least one.
        list: Vec<IpAddr>,
        /// The names that the question's name leads to by CNAME records, in order.
        aliases: Vec<String>,
        /// The shortest TTL on the way.
        ttl: Duration,
    },
    /// It is a service, and runs there.
    Services {
        /// In the server's order; at least one.
        list: Vec<Service>,
        /// The names that the question's name leads to by CNAME records, in order.
        aliases: Vec<String>,
        /// The shortest TTL on the way.
        ttl: Duration,
    },
    /// It does not exist, or it has no addresses of this family: which one the code tells.
    Nothing {
        /// The names passed on the way to nothing.
        aliases: Vec<String>,
        /// How long that may be remembered (RFC 2308, section 5); none without an SOA record.
        ttl: Option<Duration>,
    },
    /// Nothing that can be used: an error code, a loop, a referral to other servers.
    Unusable,
}

impl Answer {
    /// Reads the message that answers this question.
    pub(super) fn read(message: &Message, question: &Query) -> Self {
        let code = message.metadata.response_code;
        Self { code, extended: extended_errors(message), says: Says::read(message, question, code) }
    }
}

impl Says {
    fn read(message: &Message, question: &Query, code: ResponseCode) -> Self {
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Self::Unusable;
        }
        let Some(chain) = Chain::follow(&message.answers, &question.name) else {
            return Self::Unusable;
        };
        let found: Vec<(IpAddr, u32)> = records_of(&message.answers, &chain.end)
            .filter_map(|record| address(record, question.query_type))
            .collect();
        if code == ResponseCode::NoError && !found.is_empty() {
            let ttl = found.iter().map(|(_, ttl)| *ttl).chain(chain.ttl).min().unwrap_or_default();
            let list = found.into_iter().map(|(address, _)| address).collect();
            return Self::Addresses { list, aliases: chain.aliases, ttl: seconds(ttl) };
        }
        if code == ResponseCode::NoError && question.query_type == RecordType::SRV {
            let records = || records_of(&message.answers, &chain.end).take(MOST_TARGETS);
            let list: Vec<Service> = records().filter_map(Service::of).collect();
            if !list.is_empty() {
                let ttl = records().map(|record| record.ttl).chain(chain.ttl).min().unwrap_or_default();
                return Self::Services { list, aliases: chain.aliases, ttl: seconds(ttl) };
            }
        }
        if is_referral(message, code) {
            return Self::Unusable;
        }
        Self::Nothing { aliases: chain.aliases, ttl: negative_ttl(&message.authorities) }
    }
}

/// The way from the question's name along CNAME records.
struct Chain {
    end: Name,
    aliases: Vec<String>,
    ttl: Option<u32>,
}

impl Chain {
    /// None where the way has no end.
    fn follow(records: &[Record], from: &Name) -> Option<Self> {
        let mut chain = Self { end: from.clone(), aliases: Vec::new(), ttl: None };
        loop {
            let next = records_of(records, &chain.end).find_map(alias);
            let Some((target, ttl)) = next else { return Some(chain) };
            if chain.aliases.len() == LONGEST_CHAIN {
                return None;
            }
            chain.aliases.push(without_final_dot(target));
            chain.ttl = Some(chain.ttl.map_or(ttl, |shortest| shortest.min(ttl)));
            chain.end = target.clone();
        }
    }
}

fn records_of<'a>(records: &'a [Record], name: &'a Name) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| record.name == *name && record.dns_class == DNSClass::IN)
}

fn alias(record: &Record) -> Option<(&Name, u32)> {
    if let RData::CNAME(target) = &record.data { Some((&target.0, record.ttl)) } else { None }
}

fn address(record: &Record, family: RecordType) -> Option<(IpAddr, u32)> {
    let address = record.data.ip_addr().filter(|_| record.record_type() == family)?;
    Some((address, record.ttl))
}

/// A server that neither recurses nor is responsible points elsewhere instead of answering; glibc, too, goes on to the next one.
fn is_referral(message: &Message, code: ResponseCode) -> bool {
    let has = |kind: RecordType| message.authorities.iter().any(|record| record.record_type() == kind);
    code == ResponseCode::NoError
        && !message.metadata.authoritative
        && !message.metadata.recursion_available
        && has(RecordType::NS)
        && !has(RecordType::SOA)
}

/// RFC 2308, section 5: the smaller one of the SOA record's own TTL and its MINIMUM field.
fn negative_ttl(authorities: &[Record]) -> Option<Duration> {
    authorities.iter().find_map(|record| {
        let RData::SOA(soa) = &record.data else { return None };
        Some(seconds(soa.minimum.min(record.ttl)))
    })
}

/// RFC 2181, section 8: a TTL with its highest bit set counts as zero.
fn seconds(ttl: u32) -> Duration {
    if ttl > i32::MAX.unsigned_abs() { Duration::ZERO } else { Duration::from_secs(u64::from(ttl)) }
}

/// RFC 8914, section 2: two octets of info code, then text for people, in UTF-8 but maybe ended by a null.
fn extended_errors(message: &Message) -> Vec<(u16, String)> {
    let Some(edns) = &message.edns else { return Vec::new() };
    let options = edns.options().get_all(EdnsCode::from(EXTENDED_ERROR));
    options.into_iter().take(MOST_EXTENDED_ERRORS).filter_map(extended_error).collect()
}

fn extended_error(option: &EdnsOption) -> Option<(u16, String)> {
    let EdnsOption::Unknown(_, octets) = option else { return None };
    let (code, text) = octets.split_first_chunk::<2>()?;
    // The text is a stranger's: what could move a terminal's cursor or flood a log line stays out of it.
    let text = String::from_utf8_lossy(text);
    let text = text.chars().filter(|character| !character.is_control()).take(LONGEST_TEXT).collect();
    Some((u16::from_be_bytes(*code), text))
}

/// The name as text, in lower case, without its final dot.
pub(super) fn without_final_dot(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// More aliases than this are a loop, or might as well be one.
const LONGEST_CHAIN: usize = 16;

/// The EDNS option of RFC 8914.
const EXTENDED_ERROR: u16 = 15;
const MOST_EXTENDED_ERRORS: usize = 8;
const LONGEST_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use hickory_proto::op::Edns;
    use hickory_proto::op::Message;
    use hickory_proto::op::OpCode;
    use hickory_proto::op::Query;
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::Name;
    use hickory_proto::rr::RData;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::RecordType;
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::rdata::AAAA;
    use hickory_proto::rr::rdata::CNAME;
    use hickory_proto::rr::rdata::NS;
    use hickory_proto::rr::rdata::SOA;
    use hickory_proto::rr::rdata::opt::EdnsOption;

    use super::Answer;
    use super::Says;

    #[test]
    fn addresses_come_with_the_shortest_ttl_on_the_way() {
        let answers = [
            alias("app.example", 30, "WWW.example"),
            alias("www.example", 20, "edge.example"),
            v4("edge.example", 40, [10, 0, 0, 2]),
            v4("edge.example", 25, [10, 0, 0, 1]),
            v6("edge.example", 5),
            v4("other.example", 1, [10, 9, 9, 9]),
        ];
        check(
            &answers,
            &[],
            ResponseCode::NoError,
            &Says::Addresses {
                list: vec![IpAddr::from([10, 0, 0, 2]), IpAddr::from([10, 0, 0, 1])],
                aliases: vec!["www.example".to_owned(), "edge.example".to_owned()],
                ttl: Duration::from_secs(20),
            },
        );
    }

    #[test]
    fn nothing_is_remembered_as_the_soa_record_says() {
        let nothing = |ttl| Says::Nothing { aliases: Vec::new(), ttl };
        let rows = [
            (vec![soa(60, 300)], nothing(Some(Duration::from_secs(60)))),
            (vec![soa(300, 60)], nothing(Some(Duration::from_secs(60)))),
            (vec![soa(u32::MAX, u32::MAX)], nothing(Some(Duration::ZERO))),
            (vec![], nothing(None)),
        ];
        for (authorities, says) in rows {
            check(&[], &authorities, ResponseCode::NoError, &says);
            check(&[], &authorities, ResponseCode::NXDomain, &says);
        }
    }

    #[test]
    fn an_alias_to_nothing_is_told() {
        let says = Says::Nothing { aliases: vec!["gone.example".to_owned()], ttl: None };
        check(&[alias("app.example", 30, "gone.example")], &[], ResponseCode::NXDomain, &says);
    }

    #[test]
    fn loops_referrals_and_error_codes_are_of_no_use() {
        let circle = [alias("app.example", 30, "www.example"), alias("www.example", 30, "app.example")];
        check(&circle, &[], ResponseCode::NoError, &Says::Unusable);
        let elsewhere = [record("example", 30, RData::NS(NS(name("ns.example"))))];
        check(&[], &elsewhere, ResponseCode::NoError, &Says::Unusable);
        check(&[v4("app.example", 30, [10, 0, 0, 1])], &[], ResponseCode::ServFail, &Says::Unusable);
    }

    #[test]
    fn seventeen_aliases_are_too_many() {
        let chain = |length: usize| -> Vec<Record> {
            let hop = |i: usize| if i == 0 { "app.example".to_owned() } else { format!("hop{i}.example") };
            (0..length).map(|i| alias(&hop(i), 30, &hop(i + 1))).collect()
        };
        let aliases = (1..=16).map(|i| format!("hop{i}.example")).collect();
        check(&chain(16), &[], ResponseCode::NoError, &Says::Nothing { aliases, ttl: None });
        check(&chain(17), &[], ResponseCode::NoError, &Says::Unusable);
    }

    #[test]
    fn extended_errors_are_read_in_order_and_cleaned() {
        let mut message = message(&[], &[], ResponseCode::ServFail);
        let mut edns = Edns::new();
        for octets in [&b"\x00\x06bad\x1b[31m signature\0"[..], b"\x00\x16", b"\x00"] {
            edns.options_mut().insert(EdnsOption::Unknown(15, octets.to_vec()));
        }
        message.set_edns(edns);
        let expected = Answer {
            code: ResponseCode::ServFail,
            extended: vec![(6, "bad[31m signature".to_owned()), (22, String::new())],
            says: Says::Unusable,
        };
        assert_eq!(Answer::read(&message, &question()), expected);
    }

    fn check(answers: &[Record], authorities: &[Record], code: ResponseCode, says: &Says) {
        let answer = Answer::read(&message(answers, authorities, code), &question());
        assert_eq!(answer, Answer { code, extended: Vec::new(), says: says.clone() });
    }

    fn question() -> Query {
        Query::query(name("app.example"), RecordType::A)
    }

    fn message(answers: &[Record], authorities: &[Record], code: ResponseCode) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.response_code = code;
        message.add_answers(answers.to_vec());
        message.add_authorities(authorities.to_vec());
        message
    }

    fn name(text: &str) -> Name {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    }

    fn record(owner: &str, ttl: u32, data: RData) -> Record {
        Record::from_rdata(name(owner), ttl, data)
    }

    fn alias(owner: &str, ttl: u32, target: &str) -> Record {
        record(owner, ttl, RData::CNAME(CNAME(name(target))))
    }

    fn v4(owner: &str, ttl: u32, octets: [u8; 4]) -> Record {
        record(owner, ttl, RData::A(A(octets.into())))
    }

    fn v6(owner: &str, ttl: u32) -> Record {
        record(owner, ttl, RData::AAAA(AAAA("fd00::1".parse().unwrap())))
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        record("example", ttl, RData::SOA(SOA::new(name("ns.example"), name("root.example"), 1, 60, 60, 60, minimum)))
    }
}
