//! Owns the tests of the memory as a whole: what two cores note is one past.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::advance;

use super::Path;
use crate::config;
use crate::diagnosis::history::Windows;
use crate::dns::Resolver;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::Peer;
use crate::upstream::Change;
use crate::upstream::Shared;
use crate::upstream::Upstream;

const SERVERS: [&str; 2] = ["http://10.0.0.5:3000", "http://10.0.0.6:3000"];

/// An upstream with two servers as two cores use it, and what it tells.
fn cores() -> ([Upstream; 2], mpsc::UnboundedReceiver<(Arc<config::Upstream>, Change)>) {
    let text = format!("[[route]]\nupstream = \"app\"\n[[upstream]]\nname = \"app\"\nservers = {SERVERS:?}");
    let config = config::from_text(&text, FilePath::new("test.toml")).unwrap();
    let (changes, told) = mpsc::unbounded_channel();
    let resolver = Arc::new(Resolver::new(&config.dns));
    let shared = Shared::new(&config.upstreams[0], &resolver, Duration::from_secs(60), changes).unwrap();
    let shared = Arc::new(shared);
    ([Upstream::new(&shared), Upstream::new(&shared)], told)
}

/// A failure of a server.
fn failed(core: &Upstream, server: usize, fault: Fault) -> Failure {
    Failure { target: Some((*core.lanes[server].server.target).clone()), ..Failure::new(fault) }
}

async fn seconds(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn what_two_cores_note_is_one_past() {
    let ([one, other], _told) = cores();
    seconds(5).await;
    for core in [&one, &other, &other] {
        core.lanes[0].succeeded(Path::of("/a"), Some(Duration::from_secs(3)), Instant::now(), Instant::now());
    }
    one.lanes[1].succeeded(Path::of("/b"), None, Instant::now(), Instant::now());
    seconds(20).await;
    let failure = failed(&one, 0, Fault::ConnectionRefused);
    one.lanes[0].failed(&failure, Path::of("/c"));
    seconds(2).await;
    other.lanes[0].failed(&failure, Path::of("/c"));

    let history = one.history(&failure, "/c");
    let past = &history.server;
    assert_eq!((history.watched, past.last_success), (Duration::from_secs(27), Some(Duration::from_secs(22))));
    assert_eq!(past.successes, Windows { seconds: 0, minute: 3, hour: 3, ever: 3 });
    assert_eq!(past.failures, Windows { seconds: 2, minute: 2, hour: 2, ever: 2 });
    assert_eq!((past.failures_since_success, past.failing_for), (2, Some(Duration::from_secs(2))));
    assert_eq!(past.faults, [(Fault::ConnectionRefused, 2)]);
    assert_eq!((past.longest_idle, past.in_flight), (Some(Duration::from_secs(3)), 1));
    assert_eq!((history.path.failures, history.path.others_working, history.path.others_failing), (2, 2, 0));
    let [(url, beside)] = &history.others[..] else { panic!("one other server: {history:?}") };
    assert_eq!((&**url, beside.successes.minute, beside.failures.ever), (SERVERS[1], 1, 0));
    assert_eq!(one.shared().successes(), 4);

    other.lanes[0].succeeded(Path::of("/c"), None, Instant::now(), Instant::now());
    assert_eq!(one.history(&failure, "/c").server.failures_since_success, 0);
}

#[tokio::test(start_paused = true)]
async fn addresses_and_paces_are_those_of_connections_and_heads() {
    let ([one, other], _told) = cores();
    let peer = |address: &str| Peer::Tcp(address.parse().unwrap());
    for (core, address) in [(&one, "10.0.0.5:3000"), (&other, "10.0.0.7:3000"), (&one, "10.0.0.5:3000")] {
        let begin = Instant::now();
        seconds(2).await;
        core.lanes[0].note_connection(&peer(address), begin, Instant::now());
        core.lanes[0].note_head(begin);
    }
    let past = one.history(&failed(&one, 0, Fault::ResponseTimedOut), "/").server;
    let addresses: Vec<_> = past.addresses.iter().map(|(address, ago)| (address.to_string(), ago.as_secs())).collect();
    assert_eq!(addresses, [("10.0.0.5".to_owned(), 0), ("10.0.0.7".to_owned(), 2)]);
    let (connecting, answering) = (past.connecting.unwrap(), past.answering.unwrap());
    assert_eq!(
        (connecting.now, connecting.usual, connecting.samples),
        (Duration::from_secs(2), Duration::from_secs(2), 3)
    );
    assert_eq!(answering.samples, 3);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_that_die_are_no_failures_and_teach_an_age() {
    let ([one, other], mut told) = cores();
    let idle = Some(Duration::from_secs(5));
    let connection = ConnectionEvidence { reused: true, idle, ..ConnectionEvidence::default() };
    let failure = Failure { connection, ..failed(&one, 0, Fault::ClosedBeforeResponse) };
    for core in [&one, &other, &one] {
        seconds(10).await;
        core.lanes[0].failed(&failure, Path::of("/"));
    }
    one.sweep();
    other.sweep();
    let past = one.history(&failure, "/").server;
    assert_eq!((past.failures.ever, past.idle_closes, past.keep_alive), (0, idle.map(|idle| (3, idle)), idle));
    let Ok((_, Change::ClosesIdle { server: 0, after, kept, configured })) = told.try_recv() else { panic!("told") };
    assert_eq!([after, kept, configured].map(|time| time.as_millis()), [5_000, 4_500, 55_000]);
    assert!(told.try_recv().is_err(), "one core tells it");
    assert_eq!(one.history(&failed(&one, 1, Fault::ClosedBeforeResponse), "/").server.keep_alive, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_a_server_has_no_servers_past() {
    let ([one, _other], _told) = cores();
    let history = one.history(&Failure::new(Fault::ProxyLoop), "/");
    assert_eq!((history.server.last_success, history.others.len()), (None, 2));
}
