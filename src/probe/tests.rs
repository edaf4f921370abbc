//! Holds the room as a whole to what it promises, against servers in this process that behave as each test says.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::Board;
use super::Ended;
use super::Ourselves;
use super::Prober;
use crate::config;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::diagnosis::observation::Asked;
use crate::diagnosis::observation::Certificate;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::dns::Resolver;
use crate::dns::tests::name_server::NameServer;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::Peer;
use crate::upstream;

#[tokio::test]
async fn a_closed_port_is_refused_again_and_other_ports_are_looked_at() {
    let closed = Closed::port();
    let found = here(async || look(&closed.url(), closed.address, Fault::ConnectionRefused).await.observations).await;
    let again = found.iter().find_map(|one| {
        if let Observation::Connected(connected) = one {
            Some((connected.address, connected.fault, connected.os_error))
        } else {
            None
        }
    });
    assert_eq!(again, Some((closed.address, Some(Fault::ConnectionRefused), Some(libc::ECONNREFUSED))));
    let others = found.iter().filter(|one| matches!(one, Observation::OtherPort(_))).count();
    assert_eq!(others, super::port::USUAL_PORTS.len(), "{found:#?}");
}

#[tokio::test]
async fn what_speaks_on_the_port_is_found_out() {
    let http = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let fast_cgi =
        answering(b"\x01\x09\0\0\0\x11\x07\0\x0f\0FCGI_MPXS_CONNS\0\0\0\0\0\0\0", b"\x01\x0a\0\0\0\x12\x06\0");
    let greets = Script { greeting: b"SSH-2.0-OpenSSH_9.2p1\r\n", ..SILENT };
    let said = |heard, status, end| (heard, status, end);
    let rows = [
        (greets, Tongue::Silence, said(Some(Spoken::Ssh), None, SpokeEnd::Open)),
        (SILENT, Tongue::Silence, said(None, None, SpokeEnd::Open)),
        (
            answering(b"PRI * ", b"\0\0\0\x04\0\0\0\0\0"),
            Tongue::Http2,
            said(Some(Spoken::Http2), None, SpokeEnd::Closed),
        ),
        (answering(b"PING", b"+PONG\r\n"), Tongue::Redis, said(Some(Spoken::Redis), None, SpokeEnd::Closed)),
        (
            answering(b"PROXY TCP4 127.0.0.1 127.0.0.1 ", http),
            Tongue::ProxyHeader,
            said(Some(Spoken::Http1), Some(200), SpokeEnd::Open),
        ),
        (fast_cgi, Tongue::FastCgi, said(Some(Spoken::FastCgi), None, SpokeEnd::Closed)),
        (
            answering(b"\x16\x03", b"\x15\x03\x03\0\x02\x02\x28"),
            Tongue::Tls,
            said(Some(Spoken::TlsAlert), None, SpokeEnd::Open),
        ),
        (answering(b"nobody says this", b""), Tongue::Redis, said(None, None, SpokeEnd::Closed)),
    ];
    for (script, tongue, said) in rows {
        let found = here(async || {
            let origin = Origin::playing(script).await;
            look(&origin.url(), origin.address, Fault::ClosedBeforeResponse).await.observations
        });
        let found = found.await;
        let spoke = found.iter().find_map(|one| {
            let Observation::Spoke(spoke) = one else { return None };
            (spoke.tongue == tongue).then_some((spoke.heard, spoke.status, spoke.end))
        });
        assert_eq!(spoke, Some(said), "{tongue:?}: {found:#?}");
    }
}

#[tokio::test]
async fn where_a_small_request_is_answered_nothing_else_is_spoken() {
    let (found, asked) = here(async || {
        let origin = Origin::playing(answering(b"GET / HTTP/1.1\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n")).await;
        let found = look(&origin.url(), origin.address, Fault::ClosedBeforeResponse).await.observations;
        (found, origin.heard())
    })
    .await;
    let answered = found.iter().find_map(|one| {
        if let Observation::Asked(Asked { path, status, fault, .. }) = one {
            Some((path.as_str(), *status, *fault))
        } else {
            None
        }
    });
    assert_eq!(answered, Some(("/", Some(404), None)));
    assert_eq!(asked.len(), 2, "one request, and one connection that says nothing: {asked:?}");
    let request = String::from_utf8(asked.iter().find(|said| !said.is_empty()).unwrap().clone()).unwrap();
    assert!(
        request.contains("User-Agent: why502-probe\r\n") && request.contains("Via: 1.1 why502-test\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_certificate_is_shown_although_it_would_not_be_believed() {
    let found = here(async || {
        let origin = Origin::with_tls().await;
        let url = format!("https://{}", origin.address);
        look(&url, origin.address, Fault::TlsCertificateUntrusted).await.observations
    })
    .await;
    let seen = found.iter().find_map(|one| {
        if let Observation::Certificate(certificate) = one { Some((**certificate).clone()) } else { None }
    });
    let Some(Certificate { server_name: None, evidence }) = seen else { panic!("{found:#?}") };
    assert_eq!((evidence.names, evidence.self_signed), (vec!["app.why502.test".to_owned()], true));
}

#[tokio::test]
async fn a_small_request_is_sent_as_visitors_requests_are() {
    let answered = |found: &[Observation]| {
        found
            .iter()
            .find_map(|one| if let Observation::Asked(asked) = one { Some((asked.status, asked.fault)) } else { None })
    };
    let over_tls = here(async || {
        let origin = Origin::with_tls().await;
        look(&format!("https://{}", origin.address), origin.address, Fault::ResponseTruncated).await.observations
    });
    assert_eq!(answered(&over_tls.await), Some((Some(204), None)));
    let not_tls = here(async || {
        let origin = Origin::playing(answering(b"\x16", b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
        look(&format!("https://{}", origin.address), origin.address, Fault::ResponseTruncated).await.observations
    });
    assert_eq!(answered(&not_tls.await), Some((None, Some(Fault::TlsNotSpoken))));
    let over_unix = here(async || {
        let path = std::env::temp_dir().join(format!("why502-probe-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let upstream = upstream(&format!("unix:{}", path.display()), Vec::new());
        let failure = failure(&upstream, Fault::ResponseTruncated, ([127, 0, 0, 1], 1).into());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(b"HTTP/1.1 302 Found\r\n\r\n").await.unwrap();
        };
        let (ended, ()) = tokio::join!(round(&upstream, &failure, ourselves()), serve);
        std::fs::remove_file(&path).unwrap();
        ended.observations
    });
    assert_eq!(answered(&over_unix.await), Some((Some(302), None)));
}

#[tokio::test]
async fn each_name_server_is_asked_and_new_addresses_are_tried() {
    let (found, count) = here(async || {
        let origin = Origin::playing(SILENT).await;
        let good = NameServer::saying(|asked| {
            if asked.family == RecordType::A { asked.answer("127.0.0.1") } else { asked.error(ResponseCode::NoError) }
        })
        .await;
        let bad = NameServer::saying(|asked| asked.error(ResponseCode::NXDomain)).await;
        let url = format!("http://app.why502.test:{}", origin.address.port());
        let upstream = upstream(&url, vec![good.address, bad.address]);
        let old = SocketAddr::from(([127, 0, 0, 9], origin.address.port()));
        let ended = round(&upstream, &failure(&upstream, Fault::ConnectionRefused, old), ourselves()).await;
        (ended.observations, good.count() + bad.count())
    })
    .await;
    let mut said: Vec<_> = found
        .iter()
        .filter_map(|one| {
            if let Observation::NameServer(said) = one { Some((said.rcode, said.addresses.clone())) } else { None }
        })
        .collect();
    said.sort();
    assert_eq!(said, [(Some("NOERROR"), vec![IpAddr::from([127, 0, 0, 1])]), (Some("NXDOMAIN"), Vec::new())]);
    assert_eq!(count, 4);
    let opened = |one: &&Observation| matches!(one, Observation::Connected(connected) if connected.fault.is_none());
    assert_eq!(found.iter().filter(opened).count(), 1, "the address that the name has now: {found:#?}");
}

#[tokio::test]
async fn a_former_address_is_tried_where_the_name_does_not_lead_any_more() {
    let found = here(async || {
        let origin = Origin::playing(SILENT).await;
        let upstream = upstream(&origin.url(), Vec::new());
        let failure = failure(&upstream, Fault::ConnectionRefused, Closed::port().address);
        let prober = Prober::new(&Board::new(&settings(), ourselves()));
        assert!(prober.look(&upstream, &failure, || vec![origin.address.ip(), [127, 0, 0, 8].into()]).under_way);
        prober.wait(&upstream, &failure).await;
        prober.take_ended().pop().unwrap().observations
    })
    .await;
    let former = |one: &Observation| {
        if let Observation::FormerAddress(connected) = one {
            Some((connected.address.ip(), connected.fault))
        } else {
            None
        }
    };
    let former: Vec<_> = found.iter().filter_map(former).collect();
    assert_eq!(
        former,
        [([127, 0, 0, 8].into(), Some(Fault::ConnectionRefused))],
        "the other one is the one that failed"
    );
}

#[tokio::test]
async fn the_host_of_a_name_server_that_is_silent_is_looked_for() {
    let found = here(async || {
        let silent = NameServer::saying(|_| Vec::new()).await;
        let upstream = upstream("http://app.why502.test:3000", vec![silent.address]);
        let mut failure = failure(&upstream, Fault::DnsTimeout, silent.address);
        failure.peer = None;
        round(&upstream, &failure, ourselves()).await.observations
    })
    .await;
    let said = |one: &Observation| matches!(one, Observation::NameServer(said) if said.rcode.is_none());
    assert_eq!(found.iter().filter(|one| said(one)).count(), 1, "{found:#?}");
    let beside = found.iter().filter(|one| matches!(one, Observation::OtherPort(_))).count();
    assert_eq!(beside, super::port::HOST_PORTS.len(), "{found:#?}");
}

/// What was found without what this host can see by itself.
fn abroad(found: &[Observation]) -> Vec<&Observation> {
    let at_home = |one: &Observation| {
        matches!(
            one,
            Observation::Listening { .. }
                | Observation::AcceptQueue { .. }
                | Observation::SocketFile(_)
                | Observation::Process { .. }
                | Observation::KilledForMemory { .. }
                | Observation::Own(_)
        )
    };
    found.iter().filter(|one| !at_home(one)).collect()
}

#[tokio::test]
async fn a_probe_never_comes_back_to_this_process() {
    let (ended, connections) = here(async || {
        let own = Origin::playing(SILENT).await;
        let upstream = upstream(&own.url(), Vec::new());
        let listeners = vec![ListenAddress::Tcp(own.address)];
        let ourselves = Ourselves { listeners, ..ourselves() };
        let ended = round(&upstream, &failure(&upstream, Fault::ClosedBeforeResponse, own.address), ourselves).await;
        (ended, own.heard())
    })
    .await;
    assert_eq!((abroad(&ended.observations), connections), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_second_failure_shares_the_round_of_the_first_and_the_next_one_begins_after_the_interval() {
    here(async || {
        let origin = Origin::playing(SILENT).await;
        let upstream = upstream(&origin.url(), Vec::new());
        let failure = failure(&upstream, Fault::ResponseTruncated, origin.address);
        let prober = Prober::new(&Board::new(&settings(), ourselves()));
        let other_core = Prober::new(&prober.board);
        let first = prober.look(&upstream, &failure, Vec::new);
        let second = other_core.look(&upstream, &failure, Vec::new);
        assert_eq!((first.round, second.round, second.under_way), (1, 1, true));
        prober.wait(&upstream, &failure).await;
        let later = other_core.look(&upstream, &failure, Vec::new);
        assert_eq!((later.round, later.under_way), (1, false), "{later:#?}");
        assert_eq!(abroad(&later.observations).len(), 3, "{later:#?}");
        assert_eq!(prober.take_ended().len(), 1);
        assert_eq!(other_core.take_ended().len(), 0, "each is told of once");
        let subject = prober.subject(&upstream, &failure).unwrap();
        let begins = |after| prober.board.begin(&subject, &failure, Instant::now() + after).is_some();
        assert!(!begins(settings().probe_interval / 2) && begins(settings().probe_interval));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_two_upstreams_have_is_looked_at_once() {
    here(async || {
        let closed = Closed::port();
        let board = Board::new(&settings(), ourselves());
        let rounds = ["shop", "blog"].map(|name| {
            let upstream = named(name, &closed.url(), Vec::new());
            let failure = failure(&upstream, Fault::ConnectionRefused, closed.address);
            Prober::new(&board).look(&upstream, &failure, Vec::new).round
        });
        assert_eq!(rounds, [1, 1]);
    })
    .await;
}

#[tokio::test]
async fn switched_off_means_no_packet_at_all() {
    here(async || {
        let origin = Origin::playing(SILENT).await;
        let upstream = upstream(&origin.url(), Vec::new());
        let prober = Prober::new(&Board::new(&config::Diagnosis { probes: false, ..settings() }, ourselves()));
        for fault in Fault::ALL {
            let failure = failure(&upstream, fault, origin.address);
            let findings = prober.look(&upstream, &failure, Vec::new);
            assert_eq!((findings.round, findings.under_way, findings.observations.len()), (0, false, 0), "{fault}");
        }
        // A connection of this test's own comes after any that came before it.
        TcpStream::connect(origin.address).await.unwrap();
        origin.arrived(1).await;
        assert_eq!(origin.heard().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_says_all_begins_no_round() {
    here(async || {
        let origin = Origin::playing(SILENT).await;
        let upstream = upstream(&origin.url(), Vec::new());
        let prober = Prober::new(&Board::new(&settings(), ourselves()));
        for fault in [Fault::ProxyLoop, Fault::ServerAtCapacity] {
            assert_eq!(
                prober.look(&upstream, &failure(&upstream, fault, origin.address), Vec::new).round,
                0,
                "{fault}"
            );
        }
    })
    .await;
}

/// What a round finds of a server that has failed in this way at this address.
async fn look(url: &str, address: SocketAddr, fault: Fault) -> Ended {
    let upstream = upstream(url, Vec::new());
    round(&upstream, &failure(&upstream, fault, address), ourselves()).await
}

async fn round(upstream: &Arc<upstream::Shared>, failure: &Failure, ourselves: Ourselves) -> Ended {
    let prober = Prober::new(&Board::new(&settings(), ourselves));
    assert!(prober.look(upstream, failure, Vec::new).under_way);
    prober.wait(upstream, failure).await;
    prober.take_ended().pop().expect("a round ends in time")
}

fn settings() -> config::Diagnosis {
    let wait = Duration::from_secs(10);
    config::Diagnosis { wait, ..Config::for_origin("http://app", "127.0.0.1:1").unwrap().diagnosis }
}

fn ourselves() -> Ourselves {
    Ourselves { name: "why502-test".to_owned(), ..Ourselves::default() }
}

fn upstream(url: &str, name_servers: Vec<SocketAddr>) -> Arc<upstream::Shared> {
    named("app", url, name_servers)
}

fn named(name: &str, url: &str, name_servers: Vec<SocketAddr>) -> Arc<upstream::Shared> {
    let mut config = Config::for_origin(url, "127.0.0.1:1").unwrap();
    config.dns.servers = name_servers;
    let mut settings = (*config.upstreams[0]).clone();
    settings.name = name.into();
    // Nobody's roots are needed to look at a certificate.
    settings.tls.verify = false;
    let resolver = Arc::new(Resolver::new(&config.dns));
    let (changes, _) = tokio::sync::mpsc::unbounded_channel();
    Arc::new(upstream::Shared::new(&Arc::new(settings), &resolver, Duration::from_secs(1), changes).unwrap())
}

fn failure(upstream: &upstream::Shared, fault: Fault, address: SocketAddr) -> Failure {
    let mut failure = Failure::new(fault);
    failure.target = Some((*upstream.servers[0].target).clone());
    failure.peer = Some(Peer::Tcp(address));
    failure
}

async fn here<T>(test: impl AsyncFnOnce() -> T) -> T {
    LocalSet::new().run_until(test()).await
}

/// A port that is ours, and that nobody listens on.
struct Closed {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Closed {
    fn port() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { address: held.local_addr().unwrap(), _held: held }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// What a server does with each connection.
#[derive(Clone, Copy)]
struct Script {
    /// Said at once.
    greeting: &'static [u8],
    /// Said to whoever begins in that way; all others are hung up on.
    answer: Option<(&'static [u8], &'static [u8])>,
}

/// Says nothing, and listens for ever.
const SILENT: Script = Script { greeting: b"", answer: None };

fn answering(begins: &'static [u8], answer: &'static [u8]) -> Script {
    Script { answer: Some((begins, answer)), ..SILENT }
}

/// A server that keeps what each connection says first.
struct Origin {
    address: SocketAddr,
    heard: watch::Receiver<Vec<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Origin {
    async fn playing(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrivals, heard) = watch::channel(Vec::new());
        let arrivals = Rc::new(arrivals);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let arrivals = Rc::clone(&arrivals);
                arrivals.send_modify(|heard| heard.push(Vec::new()));
                let index = arrivals.borrow().len() - 1;
                talks.spawn_local(async move { play(script, stream, &arrivals, index).await });
            }
        });
        Self { address, heard, _tasks: tasks }
    }

    /// One with a certificate of its own making.
    async fn with_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(["app.why502.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.into()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    stream.read_u8().await.ok();
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok();
                }
            }
        });
        Self { address, heard: watch::channel(Vec::new()).1, _tasks: tasks }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What each connection so far has said first.
    fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.borrow().clone()
    }

    async fn arrived(&self, count: usize) {
        self.heard.clone().wait_for(|heard| heard.len() >= count).await.unwrap();
    }
}

async fn play(script: Script, mut stream: TcpStream, arrivals: &watch::Sender<Vec<Vec<u8>>>, index: usize) {
    stream.write_all(script.greeting).await.ok();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let said = &buffer[..length];
        arrivals.send_modify(|heard| heard[index].extend_from_slice(said));
        if let Some((begins, answer)) = script.answer {
            if said.starts_with(begins) {
                stream.write_all(answer).await.ok();
            }
            return;
        }
    }
}
