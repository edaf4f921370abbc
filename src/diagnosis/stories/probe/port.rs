//! Owns the stories of ports that were tried again, and of their neighbours.

use super::connected;
use super::echo;
use super::neighbour;
use super::open;
use super::shut;
use super::worked;
use crate::diagnosis::Cause;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::stories::Row;
use crate::diagnosis::stories::teller::Story;
use crate::fault::Fault;
use crate::fault::Spoken;

pub(super) fn rows() -> Vec<Row> {
    [refused(), here(), silent()].into_iter().flatten().collect()
}

fn refused() -> Vec<Row> {
    let refused = Some(Fault::ConnectionRefused);
    let story = || {
        let story = Story::of(Fault::ConnectionRefused).errno(libc::ECONNREFUSED).took(0.4);
        story.found(connected("10.0.0.5:3000", refused, 0))
    };
    vec![
        story()
            .found(open("10.0.0.5:8080", Some(Spoken::Http1), Some(200)))
            .ends("a port that nobody ever listened on", Cause::FaultyProxy, 0.65, &["http_on_other_port"])
            .says(&["10.0.0.5:8080 answers in HTTP/1 with status 200", "port 3000"]),
        story()
            .found(open("10.0.0.5:8443", Some(Spoken::TlsAlert), None))
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .ends("the same, where the program speaks TLS", Cause::FaultyProxy, 0.55, &["http_on_other_port"])
            .says(&["10.0.0.5:8443 answers in TLS"]),
        story()
            .found(open("10.0.0.5:80", Some(Spoken::Http1), Some(200)))
            .ends("a web server on the usual port only", Cause::FaultyProxy, 0.4, &["http_on_usual_port"])
            .says(&["10.0.0.5:80"]),
        story()
            .past(worked(12))
            .found(open("10.0.0.5:8080", Some(Spoken::Http1), Some(200)))
            .ends("a program that moved after it had worked", Cause::OriginDown, 0.7, &["http_moved_to_other_port"])
            .says(&["answered 12 s ago", "10.0.0.5:8080"]),
        story()
            .found(open("10.0.0.5:80", Some(Spoken::Http1), Some(502)))
            .ends(
                "nginx before the same dead program",
                Cause::OriginDown,
                0.75,
                &["gateway_beside_fails_too", "host_alive_beside"],
            )
            .says(&["10.0.0.5:80 of the same host answers 502"]),
        story()
            .past(worked(40))
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .ends(
                "a program that was stopped beside sshd",
                Cause::OriginDown,
                0.8,
                &["host_alive_beside", "still_refused"],
            )
            .says(&["is alive", "port 22 (SSH)", "answered 40 s ago"]),
        story()
            .found(shut("10.0.0.5:22", Fault::ConnectionRefused))
            .found(shut("10.0.0.5:80", Fault::ConnectionRefused))
            .ends("a host on which nothing runs", Cause::OriginDown, 0.75, &["every_port_refuses"])
            .says(&["ports 22 and 80"]),
        Story::of(Fault::ConnectionRefused)
            .took(0.3)
            .past(worked(3))
            .found(connected("10.0.0.5:3000", refused, 0))
            .found(connected("10.0.0.5:3000", None, 1))
            .ends("a restart that has just ended", Cause::OriginDown, 0.85, &["listens_again"])
            .says(&["accepts connections again"]),
        Story::of(Fault::ConnectionRefused)
            .took(0.3)
            .past(worked(3))
            .found(connected("10.0.0.5:3000", None, 1))
            .found_earlier(5)
            .ends("a program that was there when it was looked at", Cause::OriginDown, 0.85, &["listens_again"])
            .says(&["accepted connections 5 s ago and refuses them now"]),
        Story::of(Fault::ConnectionRefused)
            .took(0.3)
            .found(connected("10.0.0.5:3000", None, 1))
            .found(open("10.0.0.5:8080", Some(Spoken::Http1), Some(200)))
            .ends("a restart beside another program", Cause::OriginDown, 0.8, &["listens_again"]),
    ]
}

fn here() -> Vec<Row> {
    let listening = |on_port: &[&str]| Observation::Listening { port: 3000, on_port: super::all(on_port) };
    let story = || Story::of(Fault::ConnectionRefused).took(0.1);
    vec![
        story()
            .at("http://10.0.0.2:3000")
            .found(listening(&["127.0.0.1"]))
            .ends("a program on this host's loopback alone", Cause::FaultyProxy, 0.85, &["listens_elsewhere"])
            .says(&["127.0.0.1:3000 (loopback) only", "10.0.0.2:3000"]),
        story()
            .at("http://localhost:3000")
            .peer("[::1]:3000")
            .found(listening(&["127.0.0.1"]))
            .ends("localhost as IPv6 before a program with IPv4", Cause::FaultyProxy, 0.8, &["listens_elsewhere"])
            .says(&["127.0.0.1:3000"]),
        story().at("http://127.0.0.1:3000").found(listening(&[])).ends(
            "nothing on this host's own port, as looked up",
            Cause::OriginDown,
            0.8,
            &["nothing_listens_here"],
        ),
        story()
            .at("http://127.0.0.1:3000")
            .past(worked(5))
            .found(listening(&["0.0.0.0"]))
            .found(connected("127.0.0.1:3000", Some(Fault::ConnectionRefused), 0))
            .ends("a rule on this host that resets", Cause::Firewall, 0.7, &["refused_though_listening"])
            .says(&["listens on port 3000 all the while"]),
        story().at("http://127.0.0.1:3000").found(listening(&["0.0.0.0"])).ends(
            "a program on every address that was restarting",
            Cause::OriginDown,
            0.7,
            &["port_closed_host_alive"],
        ),
    ]
}

fn silent() -> Vec<Row> {
    let still = || connected("10.0.0.5:3000", Some(Fault::ConnectionTimedOut), 1_000);
    let story = || Story::of(Fault::ConnectionTimedOut).limit(3_000);
    vec![
        story()
            .past(worked(30))
            .found(still())
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .ends("a rule that drops the port beside sshd", Cause::Firewall, 0.85, &["only_this_port_silent"])
            .says(&["10.0.0.5 is alive", "port 22 is open", "only port 3000 stays silent"]),
        story()
            .found(still())
            .found(shut("10.0.0.5:22", Fault::ConnectionRefused))
            .ends("a rule that drops the port on a bare host", Cause::Firewall, 0.85, &["only_this_port_silent"])
            .says(&["port 22 refuses"]),
        story()
            .found(still())
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .found(shut("10.0.0.5:80", Fault::ConnectionTimedOut))
            .found(shut("10.0.0.5:443", Fault::ConnectionTimedOut))
            .ends("a firewall that knows sshd alone", Cause::Firewall, 0.75, &["port_among_silent_ones"])
            .says(&["port 22 is open", "stays silent like ports 80 and 443"]),
        story()
            .found(still())
            .found(echo("10.0.0.5", Some(1)))
            .found(neighbour("10.0.0.5", NeighbourState::Known))
            .found(shut("10.0.0.5:22", Fault::ConnectionTimedOut))
            .ends(
                "a host that answers echoes and nothing else",
                Cause::Firewall,
                0.75,
                &["echo_but_no_port", "neighbour_known"],
            )
            .says(&["10.0.0.5 answers an echo request"]),
        story()
            .past(|past| {
                worked(5)(past);
                past.server.in_flight = 9;
                past.server.faults = vec![(Fault::ResponseTimedOut, 6), (Fault::ConnectionTimedOut, 2)];
            })
            .found(still())
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .ends("a queue that is full because requests hang", Cause::Overload, 0.6, &["silent_under_load"])
            .says(&["9 requests in flight, 6 without an answer", "port 22 is open"]),
        Story::of(Fault::HostUnreachable)
            .took(0.5)
            .errno(libc::EHOSTUNREACH)
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .ends(
                "a rule that rejects the port beside sshd",
                Cause::Firewall,
                0.85,
                &["rejected_at_once", "only_this_port_silent"],
            ),
    ]
}
