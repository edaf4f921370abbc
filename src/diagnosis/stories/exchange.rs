//! Owns the stories of programs behind an open port: what they do to a connection and to the time.

use super::Row;
use super::teller::Story;
use crate::config::Platform;
use crate::diagnosis::Cause;
use crate::fault::Fault;

pub(super) fn rows() -> Vec<Row> {
    [reused(), fresh(), ports(), slow(), lost()].into_iter().flatten().collect()
}

fn reused() -> Vec<Row> {
    let story = |fault| Story::of(fault).sent(312);
    vec![
        story(Fault::ClosedBeforeResponse)
            .took(0.4)
            .reused(2, 5_000)
            .ends(
                "uvicorn closes after 5 s, just then",
                Cause::FaultyProxy,
                0.75,
                &["keepalive_race", "idle_at_usual_limit"],
            )
            .says(&["keep-alive", "reused after 5 s idle", "3rd request"]),
        story(Fault::ResetBeforeResponse)
            .took(0.4)
            .reused(7, 4_998)
            .announced(5)
            .ends("Node closes as it had announced", Cause::FaultyProxy, 0.8, &["idle_at_announced_limit"])
            .says(&["Keep-Alive"]),
        story(Fault::ClosedBeforeResponse)
            .took(0.3)
            .reused(1, 12)
            .ends("a POST meets a closing connection", Cause::FaultyProxy, 0.55, &["keepalive_race"])
            .says(&["idle", "reused"]),
        Story::of(Fault::ResetWhileSending).sent_of(1_400, 90_000).took(0.5).reused(1, 30_000).ends(
            "an upload meets a closing connection",
            Cause::FaultyProxy,
            0.5,
            &["keepalive_race"],
        ),
        story(Fault::ClosedBeforeResponse).took(31.0).round_trip(18).reused(1, 61_000).ends(
            "the race on a long path",
            Cause::FaultyProxy,
            0.7,
            &["keepalive_race", "idle_at_usual_limit"],
        ),
        story(Fault::ClosedBeforeResponse).took(20.0).reused(3, 40).announced(5).ends(
            "Node crashes on a path that is asked in a busy hour",
            Cause::Application,
            0.7,
            &["idle_far_below_announced_limit", "keepalive_race_late"],
        ),
        story(Fault::ClosedBeforeResponse)
            .took(0.8)
            .after(story(Fault::ClosedBeforeResponse).took(0.5).reused(1, 2_500))
            .ends(
                "a crash at once, on a fresh connection too",
                Cause::Application,
                0.7,
                &["failed_on_fresh_connection_too"],
            ),
        story(Fault::ResponseTimedOut).limit(60_000).reused(1, 250_000).ends(
            "a load balancer forgot the connection after 4 minutes",
            Cause::Firewall,
            0.3,
            &["idle_connection_forgotten"],
        ),
        story(Fault::ResponseTimedOut).limit(60_000).reused(1, 45_000).packets(1, 6).ends(
            "a firewall forgot the connection after 30 s",
            Cause::Firewall,
            0.3,
            &["idle_connection_forgotten"],
        ),
    ]
}

fn fresh() -> Vec<Row> {
    let story = |fault| Story::of(fault).sent(312);
    vec![
        story(Fault::ClosedBeforeResponse).took(20.0).ends("Node crashes on one path", Cause::Application, 0.55, &[]),
        story(Fault::ClosedBeforeResponse).took(3.0).ends(
            "a worker crashes at once",
            Cause::Application,
            0.45,
            &["closed_at_once"],
        ),
        story(Fault::ClosedBeforeResponse)
            .took(1_600.0)
            .ends("Node runs out of heap", Cause::Application, 0.7, &["closed_while_working"])
            .says(&["1.6 s"]),
        story(Fault::ClosedBeforeResponse)
            .took(30_400.0)
            .ends(
                "gunicorn kills a worker after 30 s",
                Cause::Application,
                0.8,
                &["worker_timeout", "closed_while_working"],
            )
            .says(&["30.4 s"]),
        story(Fault::ClosedBeforeResponse).took(120_010.0).ends(
            "Go's write limit of 2 minutes",
            Cause::Application,
            0.8,
            &["worker_timeout"],
        ),
        story(Fault::ResetBeforeResponse).took(0.8).ends(
            "an intrusion prevention box, or a program that does not read",
            Cause::Application,
            0.3,
            &["reset_at_once"],
        ),
        story(Fault::ClosedBeforeResponse).took(9.0).received(57).ends(
            "a crash in the middle of the head",
            Cause::Application,
            0.75,
            &["head_cut_short"],
        ),
        story(Fault::ClosedBeforeResponse).took(9.0).upgrade("websocket").ends(
            "a WebSocket that a server in between hangs up on",
            Cause::Application,
            0.4,
            &["upgrade_hung_up"],
        ),
        Story::of(Fault::ResetWhileSending)
            .sent_of(65_536, 20_000_000)
            .took(12.0)
            .ends("an upload over the application's limit", Cause::Application, 0.7, &["upload_cut_short"])
            .says(&["20000000 bytes"]),
    ]
}

fn ports() -> Vec<Row> {
    let story = |fault, port: u16| Story::of(fault).at(&format!("http://10.0.0.5:{port}")).sent(120).took(0.6);
    vec![
        story(Fault::ClosedBeforeResponse, 6379)
            .ends("Redis hangs up on HTTP", Cause::FaultyProxy, 0.65, &["port_of_other_protocol", "closed_at_once"])
            .says(&["Redis"]),
        story(Fault::ClosedBeforeResponse, 9000)
            .platform(Platform::Php)
            .ends("PHP-FPM's port spoken to in HTTP", Cause::FaultyProxy, 0.65, &["port_of_other_protocol"])
            .says(&["FastCGI", "runs PHP"]),
        story(Fault::ResetBeforeResponse, 9000).ends(
            "the same, by a reset",
            Cause::FaultyProxy,
            0.5,
            &["port_of_other_protocol"],
        ),
        story(Fault::ClosedBeforeResponse, 8443)
            .ends("a TLS port spoken to in plain HTTP", Cause::FaultyProxy, 0.65, &["port_of_other_protocol"])
            .says(&["TLS"]),
        story(Fault::ClosedBeforeResponse, 11211).ends(
            "memcached hangs up on HTTP",
            Cause::FaultyProxy,
            0.65,
            &["port_of_other_protocol"],
        ),
        story(Fault::ClosedBeforeResponse, 443).took(40_000.0).ends(
            "the same port after it has worked for 40 s",
            Cause::Application,
            0.6,
            &["closed_while_working"],
        ),
    ]
}

fn slow() -> Vec<Row> {
    let story = || Story::of(Fault::ResponseTimedOut).limit(60_000).sent(312);
    vec![
        story()
            .packets(0, 0)
            .ends("a page waits for a database lock", Cause::Application, 0.6, &["request_arrived"])
            .says(&["60 s", "acknowledged"]),
        story().ends("the same, and nothing else is known", Cause::Application, 0.5, &[]),
        story()
            .before(1_030.0)
            .ends("a full accept queue and slow answers", Cause::Overload, 0.5, &["connecting_was_slow"])
            .says(&["1 s"]),
        story().at("http://10.0.0.6:3000").after(story()).ends(
            "both servers are slow",
            Cause::Overload,
            0.45,
            &["every_server_slow"],
        ),
        Story::of(Fault::RequestSendTimedOut).limit(30_000).sent_of(300_000, 9_000_000).packets(0, 0).ends(
            "a program that does not read an upload",
            Cause::Application,
            0.55,
            &["program_not_reading"],
        ),
    ]
}

fn lost() -> Vec<Row> {
    vec![
        Story::of(Fault::ResponseTimedOut)
            .limit(1_500)
            .sent(20_300)
            .reused(2, 80)
            .packets(14, 4)
            .ends(
                "a tunnel swallows the large packets of an upload",
                Cause::Network,
                0.65,
                &["large_packets_lost", "request_never_arrived"],
            )
            .says(&["MTU", "14 packets stayed unacknowledged after 4 retransmissions", "1448"]),
        Story::of(Fault::RequestSendTimedOut).limit(30_000).sent_of(65_000, 900_000).packets(40, 9).ends(
            "the same, seen while sending",
            Cause::Network,
            0.85,
            &["large_packets_lost"],
        ),
        Story::of(Fault::ResponseTimedOut)
            .limit(60_000)
            .sent(312)
            .packets(0, 0)
            .out_of_order(1)
            .ends("a tunnel swallows the large packets of an answer", Cause::Network, 0.75, &["answer_lost_in_part"])
            .says(&["1 packet came while one before was missing", "MTU"]),
        Story::of(Fault::ResponseTimedOut).limit(60_000).sent(312).reused(9, 400).packets(0, 0).out_of_order(3).ends(
            "the same on a connection that has served before, on a short way",
            Cause::Network,
            0.75,
            &["answer_lost_in_part"],
        ),
        Story::of(Fault::ResponseTimedOut).limit(60_000).sent(312).reused(9, 400).round_trip(20).out_of_order(3).ends(
            "a slow page, on a long way on which packets change places",
            Cause::Application,
            0.6,
            &["request_arrived"],
        ),
        Story::of(Fault::ResponseTimedOut).limit(60_000).sent(312).packets(1, 7).ends(
            "the path breaks after connecting",
            Cause::Network,
            0.5,
            &["request_unacknowledged"],
        ),
    ]
}
