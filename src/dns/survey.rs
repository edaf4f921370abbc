//! Owns asking each name server on its own what it says of a name now, past all that is remembered: for whoever wants to know
//! why a name leads nowhere, or elsewhere.
//!
//! Nothing of it is learnt: what requests use is `lookup`'s to find and `cache`'s to remember.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Query;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::diagnosis::observation::NameServer;
use crate::dns::Resolver;
use crate::dns::answer::Says;
use crate::dns::lookup;
use crate::dns::lookup::Finding;
use crate::dns::lookup::Kind;
use crate::dns::lookup::Plan;
use crate::dns::lower_case;
use crate::dns::query;
use crate::fault::Fault;
use crate::fault::classify::dns::mnemonic;

impl Resolver {
    /// What this name server says of the name now. It is asked once for each family, and where a search list holds, for at
    /// most four names in turn, until one has addresses.
    pub async fn ask_one(&self, server: SocketAddr, name: &str, limit: Duration) -> NameServer {
        let begin = Instant::now();
        let candidates = self.system.current().candidates(&lower_case(name));
        let mut telling: Option<Said> = None;
        for name in candidates.names.iter().take(MOST_NAMES) {
            let said = both_families(server, name, begin + limit).await;
            let is_last = said.code.is_none() || !said.addresses.is_empty();
            // A name that exists in some way tells more than one that does not.
            if is_last || telling.as_ref().is_none_or(|known| known.code == Some(ResponseCode::NXDomain)) {
                telling = Some(said);
            }
            if is_last {
                break;
            }
        }
        let Said { code, extended, addresses, aliases, os_error } = telling.unwrap_or_default();
        NameServer {
            server,
            rcode: code.map(mnemonic),
            extended,
            addresses,
            aliases,
            elapsed: begin.elapsed(),
            os_error,
        }
    }

    /// What the name leads to where no search domain is tried; none where none would be.
    pub async fn resolve_absolute(&self, name: &str, limit: Duration) -> Option<Result<Vec<IpAddr>, Fault>> {
        let name = &*lower_case(name);
        let system = self.system.current();
        if system.candidates(name).names.len() < 2 {
            return None;
        }
        let candidates = system.candidates(&format!("{name}."));
        let deadline = Instant::now() + limit;
        let kind = Kind::Addresses;
        let plan = Plan { name, kind, candidates, servers: &system.servers, patience: self.patience, deadline };
        Some(match lookup::look_up(&plan).await {
            Finding::Addresses(found, _) => Ok(found.list),
            Finding::Failure(failure, _) => Err(failure.fault),
        })
    }

    /// What the hosts file says of the name, where it knows it.
    #[must_use]
    pub fn in_hosts_file(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.system.current().in_hosts_file(&lower_case(name)).map(|addresses| addresses.list.clone())
    }
}

/// What one name server said of one name.
#[derive(Debug, Default)]
struct Said {
    /// None where nothing came back.
    code: Option<ResponseCode>,
    extended: Vec<(u16, String)>,
    addresses: Vec<IpAddr>,
    aliases: Vec<String>,
    os_error: Option<i32>,
}

async fn both_families(server: SocketAddr, name: &Name, deadline: Instant) -> Said {
    let (v4, v6) = tokio::join!(
        one_family(server, Query::query(name.clone(), RecordType::A), deadline),
        one_family(server, Query::query(name.clone(), RecordType::AAAA), deadline),
    );
    v4.beside(v6)
}

async fn one_family(server: SocketAddr, question: Query, deadline: Instant) -> Said {
    match timeout_at(deadline, query::ask(server, &question)).await {
        Ok(Ok(answer)) => {
            let (addresses, aliases) = match answer.says {
                Says::Addresses { list, aliases, .. } => (list, aliases),
                Says::Nothing { aliases, .. } => (Vec::new(), aliases),
                Says::Services { .. } | Says::Unusable => (Vec::new(), Vec::new()),
            };
            Said { code: Some(answer.code), extended: answer.extended, addresses, aliases, os_error: None }
        }
        Ok(Err(trouble)) => Said { code: trouble.code(), os_error: trouble.os_error(), ..Said::default() },
        Err(_) => Said::default(),
    }
}

impl Said {
    /// Both families as one. The code is that of the family with addresses; where neither has any, IPv4's, if it came.
    fn beside(self, other: Self) -> Self {
        let others_code = !other.addresses.is_empty() && self.addresses.is_empty();
        let code = if others_code { other.code } else { self.code.or(other.code) };
        let new = |error: &(u16, String)| !self.extended.contains(error);
        let extended: Vec<_> = other.extended.into_iter().filter(new).collect();
        Self {
            code,
            addresses: [self.addresses, other.addresses].concat(),
            aliases: if self.aliases.is_empty() { other.aliases } else { self.aliases },
            os_error: self.os_error.or(other.os_error),
            extended: [self.extended, extended].concat(),
        }
    }
}

/// Kubernetes' own search list has three domains, and the name as written comes after them.
const MOST_NAMES: usize = 4;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::net::SocketAddr;
    use std::time::Duration;

    use hickory_proto::op::ResponseCode;

    use crate::config;
    use crate::dns::Resolver;
    use crate::dns::tests::name_server::Asked;
    use crate::dns::tests::name_server::ClosedPort;
    use crate::dns::tests::name_server::NameServer;
    use crate::dns::tests::name_server::Script;

    #[tokio::test]
    async fn each_server_is_asked_on_its_own_whatever_is_remembered() {
        let rows: [(Script, Option<&str>, &str, &str); 5] = [
            (
                |asked| asked.answer("edge.example 10.0.0.1 fd00::9"),
                Some("NOERROR"),
                "10.0.0.1 fd00::9",
                "edge.example",
            ),
            (|asked| asked.answer("gone.example"), Some("NOERROR"), "", "gone.example"),
            (|asked| asked.error(ResponseCode::NXDomain), Some("NXDOMAIN"), "", ""),
            (Asked::garbage, Some("NOERROR"), "", ""),
            (|_| Vec::new(), None, "", ""),
        ];
        for (script, rcode, list, aliases) in rows {
            let server = NameServer::saying(script).await;
            let resolver = asking(vec![server.address]);
            let first = resolver.ask_one(server.address, "App.example", SHORT).await;
            let second = resolver.ask_one(server.address, "app.example", SHORT).await;
            assert_eq!(
                (first.rcode, first.addresses, first.aliases.join(" ")),
                (rcode, addresses(list), aliases.into())
            );
            assert_eq!((second.rcode, server.count()), (rcode, 4), "one question a family and time");
            assert_eq!(resolver.known("app.example"), None, "nothing is learnt from it");
        }
    }

    #[tokio::test]
    async fn what_a_server_says_of_its_failure_is_told() {
        let server = NameServer::saying(Asked::extended_error).await;
        let said = asking(Vec::new()).ask_one(server.address, "app.example", LIMIT).await;
        let extended = vec![(9, "no key".to_owned()), (22, String::new())];
        assert_eq!((said.rcode, said.extended), (Some("SERVFAIL"), extended));
        let closed = ClosedPort::new().await;
        let said = asking(Vec::new()).ask_one(closed.address, "app.example", LIMIT).await;
        assert_eq!((said.rcode, said.os_error), (None, Some(libc::ECONNREFUSED)));
    }

    #[tokio::test]
    async fn a_name_without_search_domains_has_no_other_absolute_form() {
        let server = NameServer::saying(|asked| asked.answer("app.example 10.0.0.1")).await;
        assert_eq!(asking(vec![server.address]).resolve_absolute("app", LIMIT).await, None);
        assert_eq!(server.count(), 0);
    }

    fn asking(servers: Vec<SocketAddr>) -> Resolver {
        Resolver::new(&config::Dns { servers, max_ttl: LIMIT, serve_stale: LIMIT })
    }

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    /// Longer than any answer here takes.
    const LIMIT: Duration = Duration::from_secs(10);
    /// For those who wait for nothing.
    const SHORT: Duration = Duration::from_millis(100);
}
