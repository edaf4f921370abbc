//! Owns the stories between this proxy and a listening socket: ports, hosts, routes, firewalls, own limits.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::failure::Icmp;
use crate::fault::failure::LocalEvidence;

pub(super) fn rows() -> Vec<Row> {
    [refused(), silent(), unreachable(), here(), sockets()].into_iter().flatten().collect()
}

fn refused() -> Vec<Row> {
    let story = || Story::of(Fault::ConnectionRefused).errno(libc::ECONNREFUSED).took(0.4);
    vec![
        story()
            .ends("the process was stopped, its host is alive", Cause::OriginDown, 0.7, &["port_closed_host_alive"])
            .says(&["the host is up", "10.0.0.5:3000", "ECONNREFUSED 111", "0.4 ms"]),
        story()
            .icmp("10.0.0.5", Icmp::PortUnreachable)
            .ends("iptables rejects the port with its usual message", Cause::Firewall, 0.8, &["refused_by_filter"])
            .says(&["a rule of its own firewall", "port unreachable"]),
        story()
            .icmp("10.0.0.2", Icmp::PortUnreachable)
            .ends("this host's own firewall rejects the port", Cause::Firewall, 0.8, &["refused_by_filter"])
            .says(&["a rule of this host's own firewall"]),
        story()
            .icmp("10.0.9.1", Icmp::PortUnreachable)
            .ends("a firewall on the way rejects the port", Cause::Firewall, 0.8, &["refused_by_filter"])
            .says(&["a firewall at 10.0.9.1, on the way"]),
        story()
            .at("http://app.internal:3000")
            .peer("0.0.0.0:3000")
            .ends("a filter of names answers 0.0.0.0", Cause::Dns, 0.6, &["name_leads_here"])
            .says(&["app.internal leads to 0.0.0.0"]),
        story().at("http://app.internal:3000").peer("127.0.1.1:3000").ends(
            "this host's own name, as its hosts file has it",
            Cause::OriginDown,
            0.6,
            &["port_closed_host_alive"],
        ),
        story().at("http://127.0.0.1:3000").ends(
            "nothing runs on this host's own port",
            Cause::OriginDown,
            0.7,
            &["port_closed_host_alive"],
        ),
        story()
            .at("http://127.0.0.1:3000")
            .in_container()
            .ends("localhost in a container is the container", Cause::FaultyProxy, 0.45, &["localhost_in_container"])
            .says(&["this container itself"]),
        story().at("http://0.0.0.0:3000").in_container().ends(
            "the address to listen on, used to connect",
            Cause::FaultyProxy,
            0.45,
            &["localhost_in_container"],
        ),
        story()
            .at("http://localhost:3000")
            .peer("[::1]:3000")
            .tried("[::1]:3000", Fault::ConnectionRefused, 0)
            .ends("localhost as IPv6 only", Cause::OriginDown, 0.45, &["one_loopback_family"])
            .says(&["127.0.0.1"]),
        story()
            .at("http://10.0.0.2:3000")
            .ends(
                "an app on this host that listens on loopback only",
                Cause::FaultyProxy,
                0.4,
                &["own_address_refused"],
            )
            .says(&["127.0.0.1", "loopback"]),
        story()
            .at("http://app.internal:3000")
            .peer("10.0.0.6:3000")
            .tried("10.0.0.5:3000", Fault::ConnectionRefused, 0)
            .tried("10.0.0.6:3000", Fault::ConnectionRefused, 0)
            .ends("every replica was stopped", Cause::OriginDown, 0.75, &["all_addresses_refused"])
            .says(&["10.0.0.5:3000 and 10.0.0.6:3000"]),
        story().at("http://10.0.0.6:3000").after(story()).ends(
            "both servers are down for maintenance",
            Cause::OriginDown,
            0.75,
            &["every_server_refused"],
        ),
        story()
            .at("http://app.internal:3000")
            .peer("10.0.0.5:3000")
            .tried("10.0.0.99:3000", Fault::HostUnreachable, 3_050)
            .tried("10.0.0.5:3000", Fault::ConnectionRefused, 0)
            .ends("an old address beside a server that restarts", Cause::OriginDown, 0.6, &["addresses_differ"]),
        story().after(Story::of(Fault::ClosedBeforeResponse).took(20.0).sent(300)).ends(
            "a request ends the only process",
            Cause::Application,
            0.4,
            &["crashed_on_request"],
        ),
        story().after(Story::of(Fault::ClosedBeforeResponse).took(0.3).sent(300).reused(4, 900)).ends(
            "the process ends between two requests",
            Cause::OriginDown,
            0.75,
            &["ended_between_attempts"],
        ),
    ]
}

fn silent() -> Vec<Row> {
    let story = || Story::of(Fault::ConnectionTimedOut).limit(3_000);
    vec![
        story().ends("a firewall drops the port", Cause::Firewall, 0.35, &[]).says(&["within the limit of 3 s"]),
        story().at("http://app.internal:3000").peer("93.184.216.34:3000").ends(
            "a security group that lacks this proxy",
            Cause::Firewall,
            0.35,
            &[],
        ),
        story().limit(5_000).ends(
            "a neighbour that is there and silent",
            Cause::Firewall,
            0.6,
            &["host_present_port_silent"],
        ),
        story()
            .tried("10.1.0.5:3000", Fault::ConnectionTimedOut, 1_500)
            .tried("10.2.0.5:3000", Fault::ConnectionTimedOut, 1_500)
            .ends("every address is silent", Cause::Firewall, 0.45, &["all_addresses_silent"]),
        story()
            .at("http://172.19.0.4:3000")
            .in_container()
            .own_networks(&["127.0.0.0/8", "172.18.0.0/16"])
            .ends("a container on another network", Cause::FaultyProxy, 0.3, &["container_network_foreign"])
            .says(&["which has 172.18.0.0/16:"]),
        story().at("http://10.60.0.21:3000").ends(
            "a private network behind a router",
            Cause::Firewall,
            0.3,
            &["private_network_foreign"],
        ),
        story()
            .limit(200)
            .ends("a limit too short for one lost packet", Cause::Firewall, 0.3, &["connect_limit_below_repeat"])
            .says(&["200 ms"]),
        story()
            .at("http://app.internal:3000")
            .peer("10.0.0.99:3000")
            .tried("10.0.0.99:3000", Fault::ConnectionTimedOut, 3_000)
            .tried("10.0.0.5:3000", Fault::ConnectionRefused, 0)
            .ends("a record that still names a host that is gone", Cause::Firewall, 0.3, &["addresses_differ"]),
    ]
}

fn unreachable() -> Vec<Row> {
    let story = || Story::of(Fault::HostUnreachable).errno(libc::EHOSTUNREACH);
    let no_route = || Story::of(Fault::NetworkUnreachable).errno(libc::ENETUNREACH);
    vec![
        story()
            .took(0.6)
            .ends("a firewall rejects: administratively prohibited", Cause::Firewall, 0.6, &["rejected_at_once"])
            .says(&["prohibited", "rejected", "filter", "EHOSTUNREACH 113"]),
        story()
            .took(3_060.0)
            .ends("a host without power", Cause::OriginDown, 0.7, &["host_silent_on_its_network"])
            .says(&["3.1 s"]),
        story().at("http://[fd00::5]:3000").took(900.0).ends(
            "a neighbour without power, by IPv6",
            Cause::OriginDown,
            0.7,
            &["host_silent_on_its_network"],
        ),
        no_route()
            .at("http://10.60.0.21:3000")
            .took(0.1)
            .ends("the route has vanished", Cause::Network, 0.8, &["no_route_here"])
            .says(&["route"]),
        no_route()
            .at("http://10.60.0.21:3000")
            .took(2.5)
            .ends("a router has lost its route", Cause::Network, 0.8, &["no_route_here"])
            .says(&["a router on the way"]),
        no_route().at("http://[2001:db8::5]:3000").took(0.1).ends(
            "an IPv6 address and no IPv6 here",
            Cause::Network,
            0.75,
            &["no_ipv6_here"],
        ),
    ]
}

fn here() -> Vec<Row> {
    let prohibited = || Story::of(Fault::ConnectionProhibited).took(0.1);
    let ports = LocalEvidence { port_range: Some((41_000, 41_003)), ..LocalEvidence::default() };
    let descriptors =
        LocalEvidence { descriptors: Some(1024), descriptor_limit: Some(1024), ..LocalEvidence::default() };
    vec![
        prohibited()
            .errno(libc::EACCES)
            .ends("SELinux or a prohibit route", Cause::Firewall, 0.85, &["own_policy_forbids"])
            .says(&["SELinux", "never comes from the network"]),
        prohibited()
            .errno(libc::EPERM)
            .ends("this host's outgoing rules", Cause::Firewall, 0.9, &["own_firewall_forbids"])
            .says(&["EPERM 1"]),
        Story::of(Fault::LocalPortsExhausted)
            .errno(libc::EADDRNOTAVAIL)
            .knows(|failure| failure.local = Some(ports))
            .ends("slow requests hold every local port", Cause::FaultyProxy, 0.85, &["local_ports_used_up"])
            .says(&["41000 to 41003", "EADDRNOTAVAIL 99"]),
        Story::of(Fault::FileDescriptorsExhausted)
            .errno(libc::EMFILE)
            .knows(|failure| failure.local = Some(descriptors))
            .ends("the descriptor limit is reached", Cause::FaultyProxy, 0.85, &["descriptors_used_up"])
            .says(&["1024 file descriptors", "the limit is 1024"]),
    ]
}

fn sockets() -> Vec<Row> {
    let story = |fault| Story::of(fault).at_socket("/run/app.sock").took(0.1);
    vec![
        story(Fault::SocketMissing)
            .errno(libc::ENOENT)
            .ends("the program that makes the socket is not running", Cause::OriginDown, 0.7, &["socket_not_created"])
            .says(&["/run/app.sock"]),
        story(Fault::SocketMissing).in_container().ends(
            "the socket's folder is not mounted",
            Cause::OriginDown,
            0.5,
            &["socket_not_mounted"],
        ),
        story(Fault::ConnectionRefused).errno(libc::ECONNREFUSED).ends(
            "a socket that its program left behind",
            Cause::OriginDown,
            0.8,
            &["socket_left_behind"],
        ),
        story(Fault::SocketPermissionDenied)
            .errno(libc::EACCES)
            .ends("a socket of another user", Cause::FaultyProxy, 0.8, &["socket_not_permitted"])
            .says(&["permission", "owner or mode"]),
        story(Fault::SocketBacklogFull)
            .errno(libc::EAGAIN)
            .ends("PHP-FPM has too few children", Cause::Overload, 0.85, &["backlog_full"])
            .says(&["EAGAIN 11"]),
    ]
}
