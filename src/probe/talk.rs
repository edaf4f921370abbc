//! Owns the question what speaks on the port: each way of speaking on a connection of its own, a few bytes each.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::board::Report;
use super::hear;
use super::hear::Heard;
use super::subject::Subject;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Spoke;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::fault::failure::Peer;
use crate::net::stream::Stream;

/// Says nothing on a connection that was opened just now, for servers that speak first.
pub(super) async fn listen(mut stream: Stream, report: &Report) {
    let begin = Instant::now();
    let heard = hear::hear(&mut stream, SILENCE).await;
    report.add(Observation::Spoke(spoke(Tongue::Silence, &heard, begin)));
}

/// Speaks to the server in each of these ways at once.
pub(super) async fn speak(subject: &Subject, peer: &Peer, tongues: &[Tongue], report: &Report) {
    let mut talks = JoinSet::new();
    for tongue in tongues.iter().copied() {
        let (subject, peer) = (subject.clone(), peer.clone());
        talks.spawn_local(async move { speak_in(&subject, &peer, tongue).await });
    }
    while let Some(talk) = talks.join_next().await {
        let Ok(Some(spoke)) = talk else { continue };
        report.add(Observation::Spoke(spoke));
    }
}

async fn speak_in(subject: &Subject, peer: &Peer, tongue: Tongue) -> Option<Spoke> {
    let begin = Instant::now();
    let Ok(mut stream) = subject.reach(peer).await? else {
        return Some(not_opened(tongue, begin));
    };
    let heard = match words(subject, &stream, tongue) {
        Some(words) => hear::ask(&mut stream, &words, ANSWER).await,
        None => hear::hear(&mut stream, SILENCE).await,
    };
    Some(spoke(tongue, &heard, begin))
}

pub(super) fn spoke(tongue: Tongue, heard: &Heard, begin: Instant) -> Spoke {
    Spoke { tongue, heard: heard.spoken(), status: heard.status(), end: heard.end, elapsed: begin.elapsed() }
}

pub(super) fn not_opened(tongue: Tongue, begin: Instant) -> Spoke {
    Spoke { tongue, heard: None, status: None, end: SpokeEnd::NotOpened, elapsed: begin.elapsed() }
}

/// What is said in that way; none where nothing is. A TLS hello is `certificate`'s to send.
fn words(subject: &Subject, stream: &Stream, tongue: Tongue) -> Option<Vec<u8>> {
    match tongue {
        Tongue::Silence | Tongue::Tls => None,
        Tongue::Http1 => Some(subject.request("GET", &subject.path)),
        Tongue::Http2 => Some([HTTP_2_PREFACE, &HTTP_2_SETTINGS].concat()),
        Tongue::ProxyHeader => {
            Some([proxy_header(stream).into_bytes(), subject.request("GET", &subject.path)].concat())
        }
        Tongue::Redis => Some(b"PING\r\n".to_vec()),
        Tongue::FastCgi => Some([&FAST_CGI_GET_VALUES[..], FAST_CGI_NAME].concat()),
    }
}

/// Version 1 of the PROXY protocol, with the addresses of this very connection: the client is this proxy.
fn proxy_header(stream: &Stream) -> String {
    match (stream.local(), stream.peer()) {
        (Some(from), Some(to)) => {
            let family = if to.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
        }
        _ => "PROXY UNKNOWN\r\n".to_owned(),
    }
}

/// RFC 9113, section 3.4.
const HTTP_2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame: length 0, type 4, no flags, stream 0.
const HTTP_2_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A record of version 1, type `GET_VALUES`, request 0, 17 bytes of content and 7 of padding; the content is one name of 15
/// bytes without a value. Every FastCGI program answers it without running anything (FastCGI specification, section 4.1).
const FAST_CGI_GET_VALUES: [u8; 10] = [1, 9, 0, 0, 0, 17, 7, 0, 15, 0];
const FAST_CGI_NAME: &[u8] = b"FCGI_MPXS_CONNS\0\0\0\0\0\0\0";

/// How long a server has to speak first: those that do, do so at once. Short enough that a round near by ends within the time
/// for which an answer waits.
const SILENCE: Duration = Duration::from_millis(200);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(1);
