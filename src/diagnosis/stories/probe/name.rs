//! Owns the stories of names that were looked up again.

use std::time::Duration;

use super::all;
use super::connected;
use super::connection;
use super::echo;
use super::neighbour;
use super::open;
use super::says;
use super::worked;
use crate::diagnosis::Cause;
use crate::diagnosis::Cause::Dns;
use crate::diagnosis::history::History;
use crate::diagnosis::observation::NameServer;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Observation::AbsoluteName;
use crate::diagnosis::observation::Observation::FormerAddress;
use crate::diagnosis::observation::Observation::HostsFile;
use crate::diagnosis::stories::Row;
use crate::diagnosis::stories::teller::Story;
use crate::fault::Fault;
use crate::fault::Spoken;

pub(super) fn rows() -> Vec<Row> {
    [unresolved(), silent(), moved()].into_iter().flatten().collect()
}

/// The server was connected to at each of these, at the first last.
fn led_to(addresses: &[&str]) -> impl FnOnce(&mut History) {
    let known = all(addresses).into_iter().zip((2..).map(Duration::from_secs)).collect();
    move |past| past.server.addresses = known
}

fn server(said: NameServer) -> Observation {
    Observation::NameServer(said)
}

fn unresolved() -> Vec<Row> {
    let story = |fault, rcode| Story::of(fault).name("app.internal").server("10.0.0.53:53", Some(rcode), 1);
    vec![
        story(Fault::DnsServerFailure, "SERVFAIL")
            .found(server(says(53, "NOERROR", &["10.0.0.5"])))
            .ends("a name server that failed for a moment", Dns, 0.9, &["name_resolves_now"])
            .says(&["leads to 10.0.0.5 again"]),
        story(Fault::DnsServerFailure, "SERVFAIL")
            .found(server(says(53, "SERVFAIL", &[])))
            .found(server(says(54, "NOERROR", &["10.0.0.5"])))
            .ends("one of two name servers is broken", Dns, 0.9, &["only_some_name_servers_know"])
            .says(&["10.0.0.53:53 says SERVFAIL", "10.0.0.54:53 says NOERROR (10.0.0.5)"]),
        story(Fault::DnsNameNotFound, "NXDOMAIN")
            .found(server(says(53, "NXDOMAIN", &[])))
            .found(server(says(54, "NXDOMAIN", &[])))
            .ends("a name that nobody knows", Dns, 0.9, &["every_name_server_says_so"])
            .says(&["10.0.0.54:53 says NXDOMAIN"]),
        story(Fault::DnsNameNotFound, "NXDOMAIN")
            .found(AbsoluteName(Ok(all(&["10.0.0.5"]))))
            .ends("a search domain that answers for everything", Dns, 0.9, &["absolute_name_works"])
            .says(&["'app.internal.'", "10.0.0.5", "ndots"]),
        story(Fault::DnsNameNotFound, "NXDOMAIN")
            .found(server(NameServer { aliases: vec!["old.host.example".to_owned()], ..says(53, "NXDOMAIN", &[]) }))
            .ends("an alias whose end was deleted", Dns, 0.9, &["alias_ends_nowhere"])
            .says(&["old.host.example"]),
    ]
}

fn silent() -> Vec<Row> {
    let story = || Story::of(Fault::DnsTimeout).name("app.internal").limit(2_000).server("10.0.0.53:53", None, 1_000);
    vec![
        story()
            .found(open("10.0.0.53:22", Some(Spoken::Ssh), None))
            .ends("a filter before a resolver that is alive", Dns, 0.45, &["name_server_host_alive"])
            .says(&["port 22 (SSH) is open", "its port 53 is silent"]),
        story().found(echo("10.0.0.53", Some(2))).ends(
            "the same, known by an echo",
            Dns,
            0.45,
            &["name_server_host_alive"],
        ),
        story()
            .found(neighbour("10.0.0.53", NeighbourState::Unanswered))
            .ends("a resolver whose host is off", Dns, 0.6, &["name_server_host_silent"])
            .says(&["the host of the name server 10.0.0.53:53 is off"]),
    ]
}

fn moved() -> Vec<Row> {
    let story = |fault| Story::of(fault).at("http://app.internal:3000").peer("10.0.0.99:3000");
    let former = |fault| FormerAddress(connection("10.0.0.5:3000", fault, 1));
    vec![
        story(Fault::HostUnreachable)
            .took(3_050.0)
            .past(worked(15))
            .found(server(says(53, "NOERROR", &["10.0.0.99"])))
            .found(neighbour("10.0.0.99", NeighbourState::Unanswered))
            .found(former(None))
            .ends(
                "a record changed to an address where nothing lives",
                Dns,
                0.7,
                &["former_address_answers", "server_alive_elsewhere"],
            )
            .says(&["10.0.0.5:3000", "10.0.0.99:3000", "15 s ago"]),
        story(Fault::ConnectionTimedOut).limit(1_000).past(worked(15)).found(former(None)).ends(
            "the same, with a short limit",
            Dns,
            0.8,
            &["former_address_answers"],
        ),
        story(Fault::HostUnreachable)
            .took(3_050.0)
            .past(|past| {
                worked(15)(past);
                past.server.addresses = vec![("10.0.0.5".parse().unwrap(), Duration::from_secs(15))];
            })
            .found(former(None))
            .ends("the same, as history has it", Dns, 0.85, &["address_never_worked", "former_address_answers"])
            .says(&["worked at 10.0.0.5, 15 s ago"]),
        story(Fault::ConnectionRefused).took(0.3).past(worked(15)).found(former(None)).ends(
            "a record changed to a host without the program",
            Dns,
            0.8,
            &["former_address_answers"],
        ),
        story(Fault::ConnectionRefused).took(0.3).found(former(Some(Fault::ConnectionRefused))).ends(
            "a move while the server is down",
            Cause::OriginDown,
            0.7,
            &["former_address_dead_too"],
        ),
        story(Fault::ConnectionRefused)
            .took(0.3)
            .found(server(says(53, "NOERROR", &["10.0.0.6"])))
            .found(connected("10.0.0.6:3000", None, 1))
            .ends(
                "a container made anew with another address",
                Dns,
                0.55,
                &["address_out_of_date", "current_address_answers"],
            )
            .says(&["app.internal leads to 10.0.0.6 now, no longer to 10.0.0.99"]),
        story(Fault::ConnectionRefused)
            .past(worked(2))
            .past(led_to(&["10.0.0.5", "10.0.0.6", "10.0.0.99"]))
            .found(server(says(53, "NOERROR", &["10.0.0.6"])))
            .found(server(says(54, "NOERROR", &["10.0.0.5"])))
            .found(connected("10.0.0.6:3000", None, 1))
            .found(FormerAddress(connection("10.0.0.5:3000", None, 1)))
            .ends("a name that leads to each server by turns, one of which is down", Cause::OriginDown, 0.6, &[]),
        story(Fault::ConnectionTimedOut)
            .limit(3_000)
            .found(HostsFile(all(&["10.0.0.99"])))
            .found(server(says(53, "NOERROR", &["10.0.0.5"])))
            .ends("an old line in the hosts file", Dns, 0.7, &["hosts_file_differs"])
            .says(&["hosts file", "10.0.0.99", "10.0.0.5"]),
        story(Fault::ConnectionTimedOut)
            .limit(3_000)
            .found(server(NameServer { elapsed: Duration::from_millis(3), ..says(53, "NOERROR", &["10.0.0.99"]) }))
            .found(server(says(54, "NOERROR", &["10.0.0.5"])))
            .ends("two copies of a zone that differ", Dns, 0.5, &["name_servers_give_other_addresses"])
            .says(&["10.0.0.53:53 says NOERROR (10.0.0.99)"]),
    ]
}
