//! Owns sets of networks: who is an operator, and who is believed.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// A set of networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    /// The networks, as addresses with a prefix length.
    pub networks: Vec<IpNet>,
    /// Whether `"unix"` was listed: peers of unix-socket listeners.
    pub unix: bool,
}

impl Networks {
    /// Whether the address lies in one of them. An IPv4 address in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// A network that holds every address of its family, where one is listed.
    #[must_use]
    pub fn everybody(&self) -> Option<&IpNet> {
        self.networks.iter().find(|network| network.prefix_len() == 0)
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<T: IntoIterator<Item = Network>>(listed: T) -> Self {
        let mut set = Self::default();
        for network in listed {
            match network {
                Network::Addresses(network) => set.networks.push(network),
                Network::Unix => set.unix = true,
            }
        }
        set
    }
}

/// One of a set of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Addresses with a common prefix.
    Addresses(IpNet),
    /// The peers of unix-socket listeners.
    Unix,
}

impl Written for Network {
    const NOUN: &'static str = "a network";

    fn cure() -> String {
        r#"write "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" or "unix""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| Self::refused(&quoted(text)))?;
        if network.addr() != network.network() {
            let what = format!("{} has more bits than its prefix", quoted(text));
            return Err(Wrong::new(what, format!("write \"{}\" or \"{}\"", network.trunc(), network.addr())));
        }
        match network {
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
                let what = format!("{} is an IPv4 network in IPv6 form", quoted(text));
                Err(Wrong::new(what, "write it as IPv4: clients are compared in that form"))
            }
            IpNet::V4(_) | IpNet::V6(_) => Ok(Self::Addresses(network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_prefix_an_address_or_unix() {
        let set: Networks = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "unix"]
            .map(|text| Network::parse(text).unwrap())
            .into_iter()
            .collect();
        assert!(set.unix);
        let table = [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ];
        for (address, inside) in table {
            assert_eq!(set.contain(address.parse().unwrap()), inside, "{address}");
        }
        assert_eq!(set.everybody(), None);
        let all: Networks = [Network::parse("0.0.0.0/0").unwrap()].into_iter().collect();
        assert_eq!(all.everybody().map(ToString::to_string), Some("0.0.0.0/0".to_owned()));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_cure() {
        let cure = r#"write "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" or "unix""#;
        let table = [
            ("*", "\"*\" is not a network", cure),
            ("10.0.0.0/33", "\"10.0.0.0/33\" is not a network", cure),
            ("localhost", "\"localhost\" is not a network", cure),
            ("10.0.0.1/8", "\"10.0.0.1/8\" has more bits than its prefix", "write \"10.0.0.0/8\" or \"10.0.0.1\""),
            (
                "::ffff:10.0.0.0/104",
                "\"::ffff:10.0.0.0/104\" is an IPv4 network in IPv6 form",
                "write it as IPv4: clients are compared in that form",
            ),
        ];
        for (text, what, instead) in table {
            assert_eq!(Network::parse(text), Err(Wrong::new(what, instead)), "{text}");
        }
    }
}
