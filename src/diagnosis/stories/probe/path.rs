//! Owns the stories of the way to a host: absent neighbours, lost packets, silence of everything.

use super::connected;
use super::echo;
use super::neighbour;
use super::open;
use super::open_after;
use super::shut;
use super::worked;
use crate::diagnosis::Cause;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::stories::Row;
use crate::diagnosis::stories::teller::Story;
use crate::fault::Fault;
use crate::fault::Spoken;

pub(super) fn rows() -> Vec<Row> {
    [near(), far(), lost()].into_iter().flatten().collect()
}

fn near() -> Vec<Row> {
    let absent = || neighbour("10.0.0.5", NeighbourState::Unanswered);
    vec![
        Story::of(Fault::ConnectionTimedOut)
            .limit(1_000)
            .found(absent())
            .found(echo("10.0.0.5", None))
            .found(shut("10.0.0.5:22", Fault::ConnectionTimedOut))
            .ends(
                "a neighbour that lost its power",
                Cause::OriginDown,
                0.85,
                &["neighbour_unanswered", "nobody_there_to_filter", "near_host_silent", "not_this_port_alone"],
            )
            .says(&["nobody on this host's own network answers for 10.0.0.5"]),
        // While the kernel still asks who has the address, the next connection fails without waiting.
        Story::of(Fault::HostUnreachable).took(1.0).found(absent()).ends(
            "the same, asked a moment later",
            Cause::OriginDown,
            0.85,
            &["neighbour_unanswered"],
        ),
        Story::of(Fault::HostUnreachable).took(1.0).found(neighbour("10.0.0.5", NeighbourState::Known)).ends(
            "a neighbour that rejects",
            Cause::Firewall,
            0.75,
            &["neighbour_known", "rejected_at_once"],
        ),
        Story::of(Fault::ConnectionTimedOut)
            .limit(1_000)
            .found(neighbour("10.0.0.5", NeighbourState::Known))
            .found(shut("10.0.0.5:22", Fault::ConnectionTimedOut))
            .ends("a neighbour that drops whatever comes", Cause::Firewall, 0.65, &["neighbour_known"]),
    ]
}

fn far() -> Vec<Row> {
    let story = |fault| Story::of(fault).at("http://10.60.0.21:3000");
    let dead = || shut("10.60.0.21:22", Fault::ConnectionTimedOut);
    vec![
        story(Fault::ConnectionTimedOut)
            .limit(3_000)
            .past(worked(20))
            .found(echo("10.60.0.21", None))
            .found(dead())
            .found(shut("10.60.0.21:80", Fault::ConnectionTimedOut))
            .ends(
                "everything behind a router falls silent at once",
                Cause::OriginDown,
                0.25,
                &["far_host_silent", "far_path_silent", "not_this_port_alone"],
            )
            .says(&["ports 22 and 80", "no router says that the host is missing"]),
        story(Fault::HostUnreachable).took(3_050.0).found(shut("10.60.0.21:22", Fault::HostUnreachable)).ends(
            "a host behind a router that is off",
            Cause::OriginDown,
            0.7,
            &["every_port_unreachable"],
        ),
        story(Fault::NetworkUnreachable)
            .took(0.1)
            .found(connected("10.60.0.21:3000", Some(Fault::NetworkUnreachable), 0))
            .ends("a route that is gone", Cause::Network, 0.85, &["no_route_still"]),
        story(Fault::NetworkUnreachable).took(0.1).found(connected("10.60.0.21:3000", None, 1)).ends(
            "a tunnel that was down for a moment",
            Cause::Network,
            0.85,
            &["reachable_again"],
        ),
    ]
}

fn lost() -> Vec<Row> {
    let story = || Story::of(Fault::ConnectionTimedOut).limit(1_000).past(worked(2));
    let silent = || connected("10.0.0.5:3000", Some(Fault::ConnectionTimedOut), 1_000);
    vec![
        story()
            .found(silent())
            .found(connected("10.0.0.5:3000", None, 1_002))
            .found(open_after("10.0.0.5:22", 1_003))
            .found(echo("10.0.0.5", None))
            .found(echo("10.0.0.5", Some(1)))
            .found(echo("10.0.0.5", None))
            .ends(
                "two thirds of all packets lost",
                Cause::Network,
                0.6,
                &["packets_lost_in_part", "accepted_now", "reachable_again"],
            )
            .says(&["1 of 2 connections", "1 of 3 echo requests came back", "a repeated packet"]),
        story()
            .past(|past| (past.server.failures_since_success, past.server.failures.minute) = (1, 4))
            .found(silent())
            .found(connected("10.0.0.5:3000", None, 1))
            .found(shut("10.0.0.5:80", Fault::ConnectionRefused))
            .found(shut("10.0.0.5:443", Fault::ConnectionTimedOut))
            .ends(
                "a line that comes and goes",
                Cause::Network,
                0.5,
                &["packets_lost_in_part", "accepted_now", "answered_in_between", "comes_and_goes"],
            )
            .says(&["20 were answered and 4 failed"]),
        // No check came through; what was seen before has to do.
        story()
            .past(|past| {
                (past.server.failures_since_success, past.server.failures.minute) = (1, 4);
                let opened = past.server.last_success.unwrap_or_default();
                past.server.addresses = vec![("10.0.0.5".parse().unwrap(), opened)];
            })
            .found(silent())
            .found(neighbour("10.0.0.5", NeighbourState::Known))
            .found(shut("10.0.0.5:22", Fault::ConnectionRefused))
            .found(shut("10.0.0.5:80", Fault::ConnectionTimedOut))
            .ends(
                "new connections that are lost now and then",
                Cause::Network,
                0.4,
                &["connected_in_between", "connections_come_and_go", "port_among_silent_ones"],
            )
            .says(&["took a new connection", "new connections among them"]),
        story()
            .found(silent())
            .found(connected("10.0.0.5:3000", None, 1))
            .found(open("10.0.0.5:22", Some(Spoken::Ssh), None))
            .found(shut("10.0.0.5:80", Fault::ConnectionRefused))
            .ends("a queue that fills and empties", Cause::Overload, 0.5, &["port_accepts_in_part"])
            .says(&["accepted 1 of 2 further connections"]),
    ]
}
