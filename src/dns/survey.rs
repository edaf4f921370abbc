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
        let plan = Plan { name, candidates, servers: &system.servers, patience: self.patience, deadline };
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
                Says::Unusable => (Vec::new(), Vec::new()),
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
