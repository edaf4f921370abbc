//! Owns the tests of the room as a whole, against name servers in this process that behave as each test says.

pub(crate) mod name_server;

use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use hickory_proto::op::Message;
use hickory_proto::op::OpCode;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use self::name_server::Asked;
use self::name_server::ClosedPort;
use self::name_server::NameServer;
use self::name_server::Script;
use self::name_server::Transport;
use self::name_server::name;
use self::name_server::octets;
use crate::config;
use crate::dns::Addresses;
use crate::dns::Resolver;
use crate::dns::lookup::Finding;
use crate::dns::lookup::Kind;
use crate::dns::lookup::Plan;
use crate::dns::lookup::look_up;
use crate::dns::system::Candidates;
use crate::dns::watch::Files;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::DnsAnswer;

#[tokio::test]
async fn both_families_are_found_with_their_aliases() {
    let server = NameServer::saying(|asked| {
        if asked.family == RecordType::A {
            asked.answer("edge.example 10.0.0.2 10.0.0.1")
        } else {
            asked.answer("edge.example fd00::9")
        }
    })
    .await;
    let resolver = asking(&[&server]);
    let expected = Addresses {
        list: addresses("fd00::9 10.0.0.2 10.0.0.1"),
        stale: false,
        aliases: vec!["edge.example".to_owned()],
        services: Vec::new(),
    };
    assert_eq!(resolver.known("app.example"), None);
    assert_eq!(*resolver.resolve("App.Example", LIMIT).await.unwrap(), expected);
    assert_eq!(resolver.known("app.example").as_deref(), Some(&expected));
    assert_eq!(server.count(), 2, "one question a family");
    assert_eq!(resolver.name_servers(), [server.address]);
}

#[tokio::test]
async fn each_failing_server_has_its_fault_and_its_words() {
    let rows: [(Script, Fault, Option<&str>); 8] = [
        (|asked| asked.error(ResponseCode::NXDomain), Fault::DnsNameNotFound, Some("NXDOMAIN")),
        (|asked| asked.error(ResponseCode::NoError), Fault::DnsNoRecords, Some("NOERROR")),
        (|asked| asked.error(ResponseCode::ServFail), Fault::DnsServerFailure, Some("SERVFAIL")),
        (|asked| asked.error(ResponseCode::FormErr), Fault::DnsServerFailure, Some("FORMERR")),
        (|asked| asked.error(ResponseCode::Refused), Fault::DnsRefused, Some("REFUSED")),
        (|asked| asked.answer("www.example app.example"), Fault::DnsServerFailure, Some("NOERROR")),
        (Asked::garbage, Fault::DnsServerFailure, Some("NOERROR")),
        (|_| Vec::new(), Fault::DnsTimeout, None),
    ];
    for (script, fault, rcode) in rows {
        let server = NameServer::saying(script).await;
        let failure = asking(&[&server]).resolve("app.example", SHORT).await.unwrap_err();
        let said = DnsAnswer { rcode, ..silence(server.address) };
        assert_eq!((failure.fault, answers(&failure)), (fault, vec![said]), "{fault}");
        assert_eq!(failure.limit, (fault == Fault::DnsTimeout).then_some(SHORT), "{fault}");
        assert_eq!(failure.dns.unwrap().remembered, None, "{fault}");
    }
}

#[tokio::test]
async fn extended_errors_are_passed_on() {
    let server = NameServer::saying(Asked::extended_error).await;
    let failure = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap_err();
    let extended = vec![(9, "no key".to_owned()), (22, String::new())];
    assert_eq!(answers(&failure), [DnsAnswer { rcode: Some("SERVFAIL"), extended, ..silence(server.address) }]);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_with_its_error_number() {
    let closed = ClosedPort::new().await;
    let failure = resolver(vec![closed.address]).resolve("app.example", LIMIT).await.unwrap_err();
    let os_error = Some(libc::ECONNREFUSED);
    let said = DnsAnswer { os_error, ..silence(closed.address) };
    assert_eq!((failure.fault, failure.os_error), (Fault::DnsResolverUnreachable, os_error));
    assert_eq!((answers(&failure), failure.limit), (vec![said], None));
    assert!(failure.source.is_some());
}

#[tokio::test]
async fn a_server_that_fails_is_followed_by_the_next_one() {
    let good = NameServer::saying(|asked| asked.answer("app.example 10.0.0.1")).await;
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp] {
        let bad = NameServer::saying(move |asked| asked.error(code)).await;
        let found = asking(&[&bad, &good]).resolve("app.example", LIMIT).await.unwrap();
        assert_eq!(found.list, addresses("10.0.0.1"), "{code}");
    }
    let closed = ClosedPort::new().await;
    let found = resolver(vec![closed.address, good.address]).resolve("app.example", LIMIT).await.unwrap();
    assert_eq!(found.list, addresses("10.0.0.1"));
}

#[tokio::test]
async fn a_definite_answer_is_final() {
    for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let first = NameServer::saying(move |asked| asked.error(code)).await;
        let second = NameServer::saying(|asked| asked.answer("app.example 10.0.0.1")).await;
        assert!(asking(&[&first, &second]).resolve("app.example", LIMIT).await.is_err());
        assert_eq!(second.count(), 0, "{code}");
    }
}

#[tokio::test]
async fn lost_packets_are_sent_again_and_a_late_answer_still_counts() {
    let lossy =
        NameServer::saying(|asked| if asked.before < 2 { Vec::new() } else { asked.answer("app.example 10.0.0.1") });
    let found = asking(&[&lossy.await]).resolve("app.example", LIMIT).await.unwrap();
    assert_eq!(found.list, addresses("10.0.0.1"));
    let silent = NameServer::saying(|_| Vec::new()).await;
    let good = NameServer::saying(|asked| asked.answer("app.example 10.0.0.1")).await;
    let found = asking(&[&silent, &good]).resolve("app.example", LIMIT).await.unwrap();
    assert_eq!(found.list, addresses("10.0.0.1"), "the next server is asked meanwhile");
}

#[tokio::test]
async fn answers_to_other_questions_are_not_believed() {
    let server = NameServer::saying(|asked| {
        let mut other_id = asked.reply(ResponseCode::NoError);
        other_id.metadata.id = asked.query.metadata.id.wrapping_add(1);
        let mut other_name = asked.reply(ResponseCode::NoError);
        other_name.queries[0].set_name(name("forged.example"));
        let query = asked.query.clone();
        [other_id, other_name, query].iter().map(octets).chain(asked.answer("app.example 10.0.0.1")).collect()
    })
    .await;
    let found = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap();
    assert_eq!(found.list, addresses("10.0.0.1"));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let whole: Script = |asked| match asked.transport {
        Transport::Udp => asked.truncated(),
        Transport::Tcp => asked.answer("app.example 10.0.0.1"),
    };
    let cut_in_a_record: Script = |asked| match asked.transport {
        Transport::Udp => asked.truncated().into_iter().map(|octets| octets[..20].to_vec()).collect(),
        Transport::Tcp => asked.answer("app.example 10.0.0.1"),
    };
    for script in [whole, cut_in_a_record] {
        let server = NameServer::saying(script).await;
        let found = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap();
        assert_eq!(found.list, addresses("10.0.0.1"));
    }
}

#[tokio::test]
async fn a_truncated_answer_without_tcp_is_the_servers_failure() {
    let server = NameServer::without_tcp(Asked::truncated).await;
    let failure = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap_err();
    assert_eq!((failure.fault, failure.os_error), (Fault::DnsServerFailure, Some(libc::ECONNREFUSED)));
    assert_eq!(answers(&failure)[0].rcode, Some("NOERROR"));
    let server = NameServer::saying(|asked| match asked.transport {
        Transport::Udp => asked.truncated(),
        Transport::Tcp => Vec::new(),
    })
    .await;
    let failure = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap_err();
    assert_eq!((failure.fault, failure.os_error), (Fault::DnsServerFailure, None), "closed without an answer");
}

#[tokio::test]
async fn a_server_that_does_not_know_edns_is_asked_without_it() {
    let server = NameServer::saying(|asked| match &asked.query.edns {
        Some(edns) if edns.max_payload() == 1232 => {
            vec![octets(&Message::error_msg(asked.query.metadata.id, OpCode::Query, ResponseCode::FormErr))]
        }
        Some(_) => Vec::new(),
        None => asked.answer("app.example 10.0.0.1"),
    })
    .await;
    let found = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap();
    assert_eq!(found.list, addresses("10.0.0.1"));
}

#[tokio::test]
async fn one_family_suffices() {
    let others: [Script; 3] =
        [|asked| asked.error(ResponseCode::ServFail), |asked| asked.error(ResponseCode::NXDomain), |_| Vec::new()];
    for other in others {
        let server = NameServer::saying(move |asked| {
            if asked.family == RecordType::A { asked.answer("app.example 10.0.0.1") } else { other(asked) }
        })
        .await;
        let found = asking(&[&server]).resolve("app.example", LIMIT).await.unwrap();
        assert_eq!(found.list, addresses("10.0.0.1"));
    }
}

#[tokio::test]
async fn the_search_list_of_the_host_is_walked() {
    let server = NameServer::saying(|asked| match asked.name.as_str() {
        "app.b.example." => asked.answer("app.b.example 10.0.0.1"),
        "refused.a.example." => asked.error(ResponseCode::Refused),
        _ => asked.error(ResponseCode::NXDomain),
    })
    .await;
    let candidates = |name: &str| Candidates {
        names: ["a.example", "b.example"].iter().map(|domain| name_server::name(&format!("{name}.{domain}"))).collect(),
        as_written_first: false,
    };
    let rows = [("app", None), ("db", Some(Fault::DnsNameNotFound)), ("refused", Some(Fault::DnsRefused))];
    for (name, fault) in rows {
        let plan = Plan {
            name,
            kind: Kind::Addresses,
            candidates: candidates(name),
            servers: &[server.address],
            patience: PATIENCE,
            deadline: (Instant::now() + LIMIT).into(),
        };
        let found = match look_up(&plan).await {
            Finding::Addresses(..) => None,
            Finding::Failure(failure, _) => Some(failure.fault),
        };
        assert_eq!(found, fault, "{name}");
    }
    assert!(!server.names().contains(&"refused.b.example.".to_owned()), "who refuses once is not asked on");
}

#[tokio::test]
async fn who_wants_the_same_name_shares_one_look_up() {
    for script in [(|asked| asked.answer("app.example 10.0.0.1")) as Script, |asked| asked.error(ResponseCode::NoError)]
    {
        let server = NameServer::saying(script).await;
        let resolver = asking(&[&server]);
        let mut waiting = JoinSet::new();
        for _ in 0..20 {
            let resolver = Arc::clone(&resolver);
            waiting.spawn(async move { resolver.resolve("app.example", LIMIT).await.map_err(remembered) });
        }
        let all: Vec<_> = waiting.join_all().await;
        assert!(all.iter().all(|one| one == &all[0]), "{all:?}");
        assert_eq!((all.len(), server.count()), (20, 2));
    }
}

#[tokio::test]
async fn a_look_up_is_shared_by_threads_with_runtimes_of_their_own() {
    let server = NameServer::saying(|asked| asked.answer("app.example 10.0.0.1")).await;
    let resolver = asking(&[&server]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let resolver = Arc::clone(&resolver);
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(resolver.resolve("app.example", LIMIT)).unwrap().list.clone()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.await.unwrap(), addresses("10.0.0.1"));
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn when_the_one_who_asks_goes_away_another_takes_over() {
    let server =
        NameServer::saying(|asked| if asked.before < 2 { Vec::new() } else { asked.answer("app.example 10.0.0.1") });
    let server = server.await;
    let resolver = Arc::new(Resolver::with(&settings(vec![server.address]), nowhere(), LIMIT));
    let mut tasks = JoinSet::new();
    let ask = |resolver: Arc<Resolver>| async move {
        resolver.resolve("app.example", LIMIT).await.map(|found| found.list.clone())
    };
    let first = tasks.spawn(ask(Arc::clone(&resolver)));
    server.wait_for(2).await;
    tasks.spawn(ask(Arc::clone(&resolver)));
    tokio::task::yield_now().await;
    first.abort();
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
    assert_eq!(tasks.join_next().await.unwrap().unwrap().unwrap(), addresses("10.0.0.1"));
}

#[tokio::test]
async fn who_is_less_patient_leaves_and_spoils_nothing() {
    let server =
        NameServer::saying(|asked| if asked.before < 2 { Vec::new() } else { asked.answer("app.example 10.0.0.1") });
    let server = server.await;
    let resolver = Arc::new(Resolver::with(&settings(vec![server.address]), nowhere(), SHORT * 2));
    let mut tasks = JoinSet::new();
    let patient = Arc::clone(&resolver);
    tasks.spawn(async move { patient.resolve("app.example", LIMIT).await.map(|found| found.list.clone()) });
    server.wait_for(2).await;
    let failure = resolver.resolve("app.example", SHORT).await.unwrap_err();
    assert_eq!((failure.fault, failure.limit), (Fault::DnsTimeout, Some(SHORT)));
    assert!(failure.stage_elapsed >= SHORT);
    assert_eq!(tasks.join_next().await.unwrap().unwrap().unwrap(), addresses("10.0.0.1"));
}

#[tokio::test]
async fn a_failure_is_remembered_and_says_so() {
    let server = NameServer::saying(|asked| asked.error(ResponseCode::ServFail)).await;
    let resolver = asking(&[&server]);
    let first = resolver.resolve("app.example", LIMIT).await.unwrap_err();
    let asked = server.count();
    let second = resolver.resolve("app.example", LIMIT).await.unwrap_err();
    assert_eq!((second.fault, answers(&second), server.count()), (first.fault, answers(&first), asked));
    let left = second.dns.unwrap().remembered.unwrap();
    assert!(left > Duration::ZERO && left <= Duration::from_secs(1), "{left:?}");
}

#[tokio::test]
async fn old_addresses_are_used_while_the_name_servers_fail() {
    let server = NameServer::saying(|asked| {
        if asked.before < 2 { asked.answer("app.example 10.0.0.1") } else { asked.error(ResponseCode::ServFail) }
    });
    let server = server.await;
    for (serve_stale, expected) in [(Duration::from_secs(3600), Some(true)), (Duration::ZERO, None)] {
        server.forget();
        let settings = config::Dns { servers: vec![server.address], max_ttl: Duration::ZERO, serve_stale };
        let resolver = Resolver::with(&settings, nowhere(), PATIENCE);
        assert!(!resolver.resolve("app.example", LIMIT).await.unwrap().stale);
        assert_eq!(resolver.resolve("app.example", LIMIT).await.ok().map(|found| found.stale), expected);
        assert_eq!(
            resolver.known("app.example").map(|found| found.stale),
            expected,
            "no need to wait for the next failure"
        );
    }
}

#[tokio::test]
async fn localhost_and_literals_need_no_server() {
    let closed = ClosedPort::new().await;
    let resolver = resolver(vec![closed.address]);
    assert_eq!(resolver.resolve("db.localhost", LIMIT).await.unwrap().list, addresses("::1 127.0.0.1"));
    assert_eq!(resolver.known("10.0.0.1").unwrap().list, addresses("10.0.0.1"));
}

#[tokio::test]
async fn a_name_that_fits_into_no_message_does_not_exist() {
    let closed = ClosedPort::new().await;
    let failure = resolver(vec![closed.address]).resolve("app..example", LIMIT).await.unwrap_err();
    assert_eq!((failure.fault, answers(&failure)), (Fault::DnsNameNotFound, Vec::new()));
}

#[test]
fn a_resolver_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&resolver(Vec::new()));
}

/// Longer than any answer here takes.
const LIMIT: Duration = Duration::from_secs(10);

/// For those who wait for nothing.
const SHORT: Duration = Duration::from_millis(100);

const PATIENCE: Duration = Duration::from_millis(20);

fn asking(servers: &[&NameServer]) -> Arc<Resolver> {
    Arc::new(resolver(servers.iter().map(|server| server.address).collect()))
}

fn resolver(servers: Vec<SocketAddr>) -> Resolver {
    Resolver::with(&settings(servers), nowhere(), PATIENCE)
}

fn settings(servers: Vec<SocketAddr>) -> config::Dns {
    config::Dns { servers, max_ttl: Duration::from_secs(300), serve_stale: Duration::from_secs(3600) }
}

/// No files, so that the machine's own do not matter.
fn nowhere() -> Files {
    Files { resolv_conf: PathBuf::from("/nowhere/resolv.conf"), hosts: PathBuf::from("/nowhere/hosts") }
}

fn addresses(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn silence(server: SocketAddr) -> DnsAnswer {
    DnsAnswer { server, rcode: None, extended: Vec::new(), elapsed: Duration::ZERO, os_error: None }
}

/// What the servers said, without how long it took.
fn answers(failure: &Failure) -> Vec<DnsAnswer> {
    let answers = failure.dns.clone().unwrap().answers;
    answers.into_iter().map(|answer| DnsAnswer { elapsed: Duration::ZERO, ..answer }).collect()
}

fn remembered(failure: Failure) -> (Fault, Option<Duration>) {
    (failure.fault, failure.dns.unwrap().remembered)
}
