//! Owns the stories of names that do not lead to the origin.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::failure::SrvEvidence;

const DNS: Cause = Cause::Dns;

pub(super) fn rows() -> Vec<Row> {
    let story = |fault| Story::of(fault).name("app.internal").took(2.0);
    vec![
        story(Fault::DnsNameNotFound)
            .server("10.0.0.53:53", Some("NXDOMAIN"), 1)
            .ends("a typo in the zone: the name does not exist", DNS, 0.9, &["name_server_said"])
            .says(&["NXDOMAIN", "does not exist", "app.internal", "10.0.0.53:53"]),
        story(Fault::DnsServerFailure)
            .server("10.0.0.53:53", Some("SERVFAIL"), 1)
            .ends("a zone file with a syntax error", DNS, 0.9, &["name_server_said"])
            .says(&["SERVFAIL"]),
        story(Fault::DnsServerFailure)
            .server("10.0.0.53:53", Some("SERVFAIL"), 30)
            .extended(7, "signature expired 3 days ago")
            .ends("a DNSSEC signature that has expired", DNS, 0.9, &["dnssec_failed"])
            .says(&["DNSSEC", "signature expired"]),
        story(Fault::DnsServerFailure)
            .server("10.0.0.53:53", Some("SERVFAIL"), 1_900)
            .extended(22, "")
            .ends("the zone's own name servers are down", DNS, 0.9, &["zone_servers_silent"])
            .says(&["extended error 22 (no reachable authority)"]),
        story(Fault::DnsServerFailure)
            .server("10.0.0.53:53", Some("SERVFAIL"), 5_020)
            .ends("a lookup whose packet was lost once", DNS, 0.6, &["lookup_packet_lost"])
            .says(&["5 s"]),
        story(Fault::DnsNameNotFound)
            .server("10.0.0.53:53", Some("NXDOMAIN"), 1)
            .extended(17, "Blocklist")
            .ends("a resolver that filters the name", DNS, 0.6, &["name_filtered"])
            .says(&["filtered, Blocklist"]),
        story(Fault::DnsRefused).server("10.0.0.53:53", Some("REFUSED"), 1).ends(
            "a name server that answers its own network only",
            DNS,
            0.85,
            &["name_server_said"],
        ),
        story(Fault::DnsRefused)
            .server("10.0.0.53:53", Some("REFUSED"), 1)
            .server("10.0.0.54:53", Some("NXDOMAIN"), 1)
            .ends("two name servers that disagree", DNS, 0.9, &["name_servers_disagree"])
            .says(&["10.0.0.53:53 says REFUSED, 10.0.0.54:53 says NXDOMAIN"]),
        story(Fault::DnsNoRecords)
            .server("10.0.0.53:53", Some("NOERROR"), 1)
            .ends("a name with a TXT record only", DNS, 0.9, &["name_without_addresses"])
            .says(&["neither an A nor an AAAA"]),
        story(Fault::DnsNameNotFound)
            .alias("shop-1234.herokudns.example")
            .server("10.0.0.53:53", Some("NXDOMAIN"), 8)
            .ends("an alias of a hosted site that was deleted", DNS, 0.9, &["dangling_alias"])
            .says(&["shop-1234.herokudns.example"]),
        Story::of(Fault::DnsNameNotFound).name("app").server("10.0.0.53:53", Some("NXDOMAIN"), 1).ends(
            "a bare name without its search domain",
            DNS,
            0.9,
            &["bare_name"],
        ),
        Story::of(Fault::DnsNameNotFound).name("app").in_container().server("127.0.0.11:53", Some("NXDOMAIN"), 1).ends(
            "a container's name asked for on another network",
            DNS,
            0.7,
            &["container_name_unknown", "bare_name"],
        ),
        story(Fault::DnsNameNotFound)
            .server("8.8.8.8:53", Some("NXDOMAIN"), 12)
            .ends("a private name asked of a public name server", DNS, 0.7, &["private_name_asked_in_public"])
            .says(&["8.8.8.8:53 is a public name server", ".internal"]),
        story(Fault::DnsResolverUnreachable).server("10.0.0.53:53", None, 0).unreached(libc::ECONNREFUSED).ends(
            "the resolver's process ended",
            DNS,
            0.85,
            &["name_server_not_listening"],
        ),
        story(Fault::DnsResolverUnreachable)
            .in_container()
            .server("127.0.0.53:53", None, 0)
            .unreached(libc::ECONNREFUSED)
            .ends("a container with its host's local resolver", DNS, 0.6, &["own_name_server_not_listening"])
            .says(&["127.0.0.53:53 is this container itself, not its host"]),
        story(Fault::DnsResolverUnreachable)
            .server("10.9.0.53:53", None, 0)
            .unreached(libc::ENETUNREACH)
            .ends("no route to the resolver", DNS, 0.6, &["name_server_unroutable"])
            .says(&["ENETUNREACH 101"]),
        story(Fault::DnsNoRecords)
            .server("10.0.0.53:53", Some("NOERROR"), 2)
            .service(SrvEvidence::Asked)
            .ends("a service without records", DNS, 0.8, &["name_without_addresses"])
            .says(&["has no SRV records"]),
        story(Fault::DnsNoRecords)
            .service(SrvEvidence::NotOffered)
            .ends("a service that is not offered", DNS, 0.8, &["service_not_offered"])
            .says(&["'.' as its target"]),
        story(Fault::DnsTimeout)
            .limit(2_000)
            .server("10.0.0.53:53", None, 1_000)
            .server("10.0.0.54:53", None, 1_000)
            .ends("a firewall drops the questions", DNS, 0.55, &["name_servers_silent"])
            .says(&["10.0.0.53:53 and 10.0.0.54:53"]),
    ]
}

impl Story {
    /// SRV records were asked for, with this outcome.
    fn service(mut self, srv: SrvEvidence) -> Self {
        self.last.dns.get_or_insert_default().srv = Some(srv);
        self
    }
}
