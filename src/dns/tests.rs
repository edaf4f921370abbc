//! The room as a whole, against name servers in this process that behave as each test says.

use std::future::pending;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use hickory_proto::op::Edns;
use hickory_proto::op::Message;
use hickory_proto::op::OpCode;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RData;
use hickory_proto::rr::Record;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::opt::EdnsOption;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Addresses;
use super::Resolver;
use super::watch::Files;
use crate::config;
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
        Transport::Udp => asked.truncated().into_iter().map(|mut octets| octets.split_off(0)[..20].to_vec()).collect(),
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
    let candidates = |name: &str| super::system::Candidates {
        names: ["a.example", "b.example"].iter().map(|domain| self::name(&format!("{name}.{domain}"))).collect(),
        as_written_first: false,
    };
    let rows = [("app", None), ("db", Some(Fault::DnsNameNotFound)), ("refused", Some(Fault::DnsRefused))];
    for (name, fault) in rows {
        let plan = super::lookup::Plan {
            name,
            candidates: candidates(name),
            servers: &[server.address],
            patience: PATIENCE,
            deadline: (Instant::now() + LIMIT).into(),
        };
        let found = match super::lookup::look_up(&plan).await {
            super::lookup::Finding::Addresses(..) => None,
            super::lookup::Finding::Failure(failure, _) => Some(failure.fault),
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

/// A port that nobody else can take meanwhile: its socket is connected to itself, so that the kernel turns away all others.
struct ClosedPort {
    address: SocketAddr,
    _held: UdpSocket,
}

impl ClosedPort {
    async fn new() -> Self {
        let held = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        held.connect(address).await.unwrap();
        Self { address, _held: held }
    }
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

/// What a name server does with a question: the datagrams or the messages that it sends back.
type Script = fn(&Asked) -> Vec<Vec<u8>>;
type Behaviour = dyn Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// A question as a name server sees it.
struct Asked {
    query: Message,
    name: String,
    family: RecordType,
    transport: Transport,
    /// How many questions came before.
    before: usize,
}

impl Asked {
    fn reply(&self, code: ResponseCode) -> Message {
        let mut reply = Message::response(self.query.metadata.id, OpCode::Query);
        reply.metadata.response_code = code;
        reply.metadata.recursion_available = true;
        reply.add_queries(self.query.queries.clone());
        if self.query.edns.is_some() {
            reply.set_edns(Edns::new());
        }
        reply
    }

    /// Records from the name that was asked for along these words: a name is an alias, an address is one of the last name's.
    /// Addresses of the other family are left out.
    fn answer(&self, words: &str) -> Vec<Vec<u8>> {
        let mut reply = self.reply(ResponseCode::NoError);
        let mut owner = self.query.queries[0].name.clone();
        for word in words.split_whitespace() {
            let data = match word.parse::<IpAddr>() {
                Ok(address) => RData::from(address),
                Err(_) if name(word) == owner => continue,
                Err(_) => RData::CNAME(CNAME(name(word))),
            };
            let family = data.record_type();
            if family == RecordType::CNAME || family == self.family {
                reply.add_answer(Record::from_rdata(owner.clone(), 60, data));
            }
            if family == RecordType::CNAME {
                owner = name(word);
            }
        }
        vec![octets(&reply)]
    }

    fn error(&self, code: ResponseCode) -> Vec<Vec<u8>> {
        let mut reply = self.reply(code);
        let soa = SOA::new(name("ns.example"), name("root.example"), 1, 60, 60, 60, 60);
        reply.add_authority(Record::from_rdata(name("example"), 60, RData::SOA(soa)));
        vec![octets(&reply)]
    }

    fn extended_error(&self) -> Vec<Vec<u8>> {
        let mut reply = self.reply(ResponseCode::ServFail);
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(15, b"\x00\x09no key".to_vec()));
        edns.options_mut().insert(EdnsOption::Unknown(15, b"\x00\x16".to_vec()));
        reply.set_edns(edns);
        vec![octets(&reply)]
    }

    fn truncated(&self) -> Vec<Vec<u8>> {
        let mut reply = self.reply(ResponseCode::NoError);
        reply.metadata.truncation = true;
        vec![octets(&reply)]
    }

    /// A head that belongs to the question, and then nothing that its counts promise.
    fn garbage(&self) -> Vec<Vec<u8>> {
        vec![octets(&self.reply(ResponseCode::NoError))[..14].to_vec()]
    }
}

/// A name server on loopback, over UDP and TCP, that ends with its owner.
struct NameServer {
    address: SocketAddr,
    /// The names that it was asked for.
    asked: Arc<watch::Sender<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    async fn saying(script: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets().await;
        Self::start(udp, Arc::new(script), |tasks, answer| {
            let listener = tcp.listen(16).unwrap();
            tasks.spawn(answer_over_tcp(listener, answer));
        })
    }

    /// Its TCP port refuses, and stays its own.
    async fn without_tcp(script: Script) -> Self {
        let (udp, tcp) = sockets().await;
        Self::start(udp, Arc::new(script), |tasks, _| {
            tasks.spawn(async move {
                pending::<()>().await;
                drop(tcp);
            });
        })
    }

    fn start(udp: UdpSocket, script: Arc<Behaviour>, serve_tcp: impl FnOnce(&mut JoinSet<()>, Answering)) -> Self {
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(watch::Sender::new(Vec::new()));
        let answer = Answering { asked: Arc::clone(&asked), script };
        let mut tasks = JoinSet::new();
        serve_tcp(&mut tasks, answer.clone());
        tasks.spawn(answer_over_udp(udp, answer));
        Self { address, asked, _tasks: tasks }
    }

    /// How many questions there have been.
    fn count(&self) -> usize {
        self.asked.borrow().len()
    }

    fn names(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    fn forget(&self) {
        self.asked.send_modify(Vec::clear);
    }

    async fn wait_for(&self, count: usize) {
        self.asked.subscribe().wait_for(|asked| asked.len() >= count).await.unwrap();
    }
}

/// A port that is free for UDP may be taken for TCP.
async fn sockets() -> (UdpSocket, TcpSocket) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        if tcp.bind(udp.local_addr().unwrap()).is_ok() {
            return (udp, tcp);
        }
    }
}

/// What both transports of a server share.
#[derive(Clone)]
struct Answering {
    asked: Arc<watch::Sender<Vec<String>>>,
    script: Arc<Behaviour>,
}

impl Answering {
    fn answer(&self, octets: &[u8], transport: Transport) -> Vec<Vec<u8>> {
        let query = Message::from_vec(octets).unwrap();
        let (name, family) = (query.queries[0].name.to_ascii(), query.queries[0].query_type);
        let asked = Asked { query, name: name.clone(), family, transport, before: self.asked.borrow().len() };
        self.asked.send_modify(|names| names.push(name));
        (self.script)(&asked)
    }
}

async fn answer_over_udp(socket: UdpSocket, answering: Answering) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        for octets in answering.answer(&buffer[..length], Transport::Udp) {
            socket.send_to(&octets, peer).await.unwrap();
        }
    }
}

async fn answer_over_tcp(listener: TcpListener, answering: Answering) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let length = stream.read_u16().await.unwrap();
        let mut buffer = vec![0; usize::from(length)];
        stream.read_exact(&mut buffer).await.unwrap();
        for octets in answering.answer(&buffer, Transport::Tcp) {
            stream.write_u16(u16::try_from(octets.len()).unwrap()).await.unwrap();
            stream.write_all(&octets).await.unwrap();
        }
    }
}

fn octets(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}
