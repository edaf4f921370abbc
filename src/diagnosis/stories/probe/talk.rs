//! Owns the stories of ports that were spoken to, and of requests of this proxy's own.

use super::asked;
use super::connected;
use super::failed;
use super::mute;
use super::spoke;
use super::worked;
use crate::diagnosis::Cause;
use crate::diagnosis::Cause::Application;
use crate::diagnosis::Cause::FaultyProxy;
use crate::diagnosis::observation::Certificate;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Tongue;
use crate::diagnosis::stories::Row;
use crate::diagnosis::stories::teller::Story;
use crate::fault::Fault;
use crate::fault::failure::CertificateEvidence;
use crate::fault::failure::ResponseEvidence;
use crate::fault::gateway::Gateway;

pub(super) fn rows() -> Vec<Row> {
    [protocols(), cut_off(), slow(), certificates()].into_iter().flatten().collect()
}

fn protocols() -> Vec<Row> {
    let story = || Story::of(Fault::ClosedBeforeResponse).took(0.4).sent(200).found(spoke(Tongue::Http1, b"", None));
    let tls = |fault| Story::of(fault).at("https://10.0.0.5:3000").asked_for("app.internal");
    vec![
        story()
            .found(spoke(Tongue::Tls, b"\x16\x03\x03\x00\x7a\x02", None))
            .ends("plain HTTP to a port with TLS", FaultyProxy, 0.9, &["port_speaks_tls"])
            .says(&["https://", "TLS"]),
        story()
            .found(spoke(Tongue::Http2, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", None))
            .ends("a server for HTTP/2 only that hangs up", FaultyProxy, 0.9, &["port_speaks_http2"])
            .says(&["HTTP/2", "h2"]),
        story()
            .found(spoke(Tongue::ProxyHeader, b"HTTP/1.1 200 OK\r\n", Some(200)))
            .ends("a server that wants a PROXY header", FaultyProxy, 0.9, &["port_wants_proxy_header"])
            .says(&["PROXY protocol"]),
        story()
            .found(spoke(Tongue::Redis, b"+PONG\r\n", None))
            .ends("Redis, which hangs up on HTTP", FaultyProxy, 0.9, &["port_speaks_redis"])
            .says(&["Redis"]),
        story()
            .found(spoke(Tongue::FastCgi, b"\x01\x0b\x00\x00\x00\x08\x00\x00", None))
            .ends("PHP-FPM, which hangs up on HTTP", FaultyProxy, 0.9, &["port_speaks_fastcgi"])
            .says(&["FastCGI", "PHP-FPM"]),
        story()
            .found(spoke(Tongue::Silence, b"SSH-2.0-OpenSSH_9.2\r\n", None))
            .ends("an SSH server that hangs up at once", FaultyProxy, 0.9, &["port_speaks_another_protocol"])
            .says(&["greets in SSH"]),
        tls(Fault::TlsHandshakeClosed)
            .took(40.0)
            .found(spoke(Tongue::Tls, b"", None))
            .found(spoke(Tongue::Http1, b"HTTP/1.1 200 OK\r\n", Some(200)))
            .ends("TLS to a plain port that hangs up", FaultyProxy, 0.8, &["port_speaks_plain_http"])
            .says(&["plain HTTP with status 200", "http://"]),
        tls(Fault::TlsHandshakeTimedOut)
            .limit(5_000)
            .found(spoke(Tongue::Http1, b"HTTP/1.1 200 OK\r\n", Some(200)))
            .ends("TLS to a plain port that waits for more", FaultyProxy, 0.8, &["port_speaks_plain_http"]),
        tls(Fault::TlsHandshakeTimedOut).limit(5_000).found(mute(Tongue::Silence)).found(mute(Tongue::Http1)).ends(
            "a program that takes connections and hangs",
            Application,
            0.35,
            &["port_is_mute"],
        ),
        Story::of(Fault::H2ConnectionError)
            .took(1.0)
            .found(spoke(Tongue::Http2, b"HTTP/1.1 400 Bad Request\r\n", Some(400)))
            .found(spoke(Tongue::Http1, b"HTTP/1.1 200 OK\r\n", Some(200)))
            .ends("HTTP/2 forced on a server without it", FaultyProxy, 0.8, &["port_speaks_http1_only"])
            .says(&["http1"]),
    ]
}

fn cut_off() -> Vec<Row> {
    let story = |fault| Story::of(fault).sent(200).asking("/checkout");
    let of_nginx = ResponseEvidence { status: 502, gateway: Some(Gateway::Nginx), ..ResponseEvidence::default() };
    vec![
        story(Fault::UpstreamBadGateway)
            .took(0.4)
            .reused(3, 40)
            .knows(|failure| failure.response = Some(of_nginx))
            .found(asked("/", 200, 2))
            .ends("a path on which the program behind nginx dies", Application, 0.4, &["other_path_works"]),
        story(Fault::ClosedBeforeResponse)
            .took(20.0)
            .found(asked("/", 200, 2))
            .ends("a path on which the program breaks", Application, 0.85, &["other_path_works"])
            .says(&["answers / with 200", "/checkout"]),
        story(Fault::ResetBeforeResponse)
            .took(0.6)
            .past(worked(4))
            .found(connected("10.0.0.5:3000", None, 0))
            .found(asked("/", 200, 2))
            .ends("intrusion prevention that resets one pattern", Cause::Firewall, 0.55, &["reset_in_passing"])
            .says(&["0.6 ms after the request"]),
        story(Fault::ResetBeforeResponse).took(30.0).found(asked("/", 200, 2)).ends(
            "a program that is killed while it works",
            Application,
            0.75,
            &["other_path_works"],
        ),
        story(Fault::ClosedBeforeResponse)
            .took(0.4)
            .reused(3, 5_000)
            .found(asked("/", 200, 2))
            .ends("the race, with a fresh connection that works", FaultyProxy, 0.75, &["fresh_connection_works"])
            .says(&["on a fresh connection"]),
        story(Fault::ClosedBeforeResponse)
            .took(0.4)
            .found(failed("/", Fault::ClosedBeforeResponse, 1))
            .ends("a port that hangs up on all HTTP", FaultyProxy, 0.4, &["every_request_cut_off"])
            .says(&["has never answered"]),
        story(Fault::ClosedBeforeResponse)
            .took(9.0)
            .past(worked(8))
            .found(failed("/", Fault::ClosedBeforeResponse, 9))
            .ends("a program that breaks on everything after a deploy", Application, 0.6, &["no_request_survives"]),
        story(Fault::ClosedBeforeResponse)
            .took(25.0)
            .found(connected("10.0.0.5:3000", Some(Fault::ConnectionRefused), 0))
            .ends("a program that ended with the request", Application, 0.7, &["refused_since"])
            .says(&["refuses connections since"]),
    ]
}

fn slow() -> Vec<Row> {
    let story = || Story::of(Fault::ResponseTimedOut).sent(200).limit(1_500).asking("/report");
    let accepts = || connected("10.0.0.5:3000", None, 0);
    let hangs = || failed("/", Fault::ResponseTimedOut, 1_000);
    vec![
        story()
            .found(accepts())
            .found(asked("/", 200, 1))
            .ends("one slow path", Application, 0.85, &["other_path_is_quick"])
            .says(&["answers / with 200", "/report"]),
        story()
            .found(accepts())
            .found(hangs())
            .ends("an event loop that is blocked", Application, 0.75, &["hangs_without_load"])
            .says(&["no other request is at it"]),
        story()
            .past(|past| {
                worked(5)(past);
                past.server.in_flight = 6;
            })
            .found(accepts())
            .found(hangs())
            .ends("all workers taken by slow pages", Cause::Overload, 0.65, &["hangs_under_load"])
            .says(&["6 requests are at it"]),
        story()
            .past(|past| past.server.in_flight = 40)
            .found(accepts())
            .found(asked("/", 200, 1_200))
            .ends("more visitors than one thread can serve", Cause::Overload, 0.65, &["slow_on_every_path"])
            .says(&["needed 1.2 s for /"]),
        story().asking("/").found(accepts()).found(asked("/", 200, 3)).ends(
            "a front page that was slow for a moment",
            Cause::Overload,
            0.35,
            &["same_path_works_again"],
        ),
        Story::of(Fault::ResponseTimedOut)
            .asking("/upload")
            .sent(20_200)
            .limit(1_500)
            .packets(9, 3)
            .found(asked("/", 200, 1))
            .ends(
                "a tunnel that swallows full packets",
                Cause::Network,
                0.85,
                &["small_request_passes", "large_packets_lost"],
            )
            .says(&["MTU"]),
    ]
}

fn certificates() -> Vec<Row> {
    let presents = |server_name: Option<&str>, evidence| {
        let server_name = server_name.map(str::to_owned);
        Observation::Certificate(Box::new(Certificate { server_name, evidence }))
    };
    let alert = || Story::of(Fault::TlsAlert).at("https://10.0.0.5:443").took(3.0);
    vec![
        alert()
            .asked_for("app.internal")
            .alert(116, "certificate_required")
            .found(presents(Some("app.internal"), certificate("app.internal")))
            .ends("a server that wants a client certificate", Cause::Tls, 0.9, &["certificate_presented"])
            .says(&["CN=app.internal", "CN=Internal CA", "2027"]),
        alert()
            .asked_for("app.internal")
            .alert(80, "internal_error")
            .found(presents(
                Some("app.internal"),
                CertificateEvidence { not_after: NOW - DAY, ..certificate("app.internal") },
            ))
            .ends(
                "a server that fails over its own old certificate",
                Cause::Tls,
                0.8,
                &["presented_certificate_expired"],
            )
            .says(&["expired 24 h ago"]),
        Story::of(Fault::TlsCertificateExpired)
            .at("https://10.0.0.5:443")
            .asked_for("app.internal")
            .shows(CertificateEvidence { not_after: NOW - DAY, ..certificate("app.internal") })
            .found(presents(Some("app.internal"), certificate("app.internal")))
            .ends("a certificate renewed this minute", Cause::Tls, 0.9, &["certificate_differs_now"])
            .says(&["another certificate is presented now"]),
        Story::of(Fault::TlsCertificateWrongName)
            .at("https://10.0.0.5:443")
            .asked_for("10.0.0.5")
            .shows(certificate("default.example"))
            .found(presents(None, certificate("default.example")))
            .found(presents(Some("app.internal"), certificate("app.internal")))
            .ends("a server with several sites asked by its address", Cause::Tls, 0.6, &["certificate_depends_on_name"])
            .says(&["SNI", "app.internal"]),
        alert()
            .asked_for("10.0.0.5")
            .alert(112, "unrecognized_name")
            .found(presents(Some("app.internal"), certificate("app.internal")))
            .ends("a CDN that wants a server name", Cause::Tls, 0.6, &["handshake_needs_name"])
            .says(&["needs a server name (SNI)"]),
    ]
}

fn certificate(name: &str) -> CertificateEvidence {
    CertificateEvidence {
        subject: format!("CN={name}"),
        issuer: "CN=Internal CA".to_owned(),
        names: vec![name.to_owned()],
        not_before: NOW - 300 * DAY,
        not_after: NOW + 200 * DAY,
        self_signed: false,
        chain_length: 2,
        verified_at: NOW,
    }
}

/// 1 August 2026, noon.
const NOW: i64 = 1_785_585_600;
const DAY: i64 = 86_400;
