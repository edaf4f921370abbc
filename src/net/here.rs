//! Owns what this host says of itself: descriptors, ports, addresses, whether it is a container. Read from `/proc`, when
//! something has failed; what cannot be read is left open.

use std::fs;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::path::Path;

use ipnet::IpNet;
use ipnet::Ipv4Net;
use ipnet::Ipv6Net;

use crate::fault::failure::LocalEvidence;

/// What this process and this host have left.
#[must_use]
pub fn local() -> LocalEvidence {
    LocalEvidence {
        descriptors: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
        descriptor_limit: fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(descriptor_limit),
        port_range: fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok().as_deref().and_then(port_range),
    }
}

/// Whether this process runs in a container, as far as its files tell.
#[must_use]
pub fn in_container() -> bool {
    let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists());
    let groups = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    marked || ["docker", "kubepods", "containerd", "libpod", "lxc"].iter().any(|word| groups.contains(word))
}

/// The addresses of this host's own interfaces, and the networks that they are in, of both families.
#[must_use]
pub fn addresses() -> (Vec<IpAddr>, Vec<IpNet>) {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let v6 = interfaces_v6(&read("/proc/net/if_inet6"));
    let mut own: Vec<IpAddr> = own_v4(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::V4).collect();
    own.extend(v6.iter().map(|network| IpAddr::V6(network.addr())));
    let mut networks: Vec<IpNet> = connected_v4(&read("/proc/net/route")).into_iter().map(IpNet::V4).collect();
    networks.extend(v6.iter().map(|network| IpNet::V6(network.trunc())));
    (own, networks)
}

/// The soft limit of the line `Max open files  1024  524288  files`.
fn descriptor_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `32768 60999`
fn port_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// In `fib_trie` an own address is a leaf (`|-- 10.0.0.5`) whose next line says `/32 host LOCAL`.
fn own_v4(trie: &str) -> Vec<Ipv4Addr> {
    let mut own = Vec::new();
    let mut leaf = None;
    for line in trie.lines().map(str::trim_start) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.trim().parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            own.extend(leaf.filter(|address| !own.contains(address)));
        }
    }
    own
}

/// Routes without a gateway, as `/proc/net/route` has them: addresses in hexadecimal, in this machine's byte order.
fn connected_v4(routes: &str) -> Vec<Ipv4Net> {
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()));
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (destination, gateway, mask) = (fields.get(1)?, fields.get(2)?, fields.get(7)?);
        let network = Ipv4Net::with_netmask(address(destination)?, address(mask)?).ok()?;
        (*gateway == "00000000" && network.prefix_len() > 0).then_some(network)
    };
    routes.lines().skip(1).filter_map(network).collect()
}

/// `fe80000000000000… 02 40 20 80 eth0`: address, interface, prefix length in hexadecimal.
fn interfaces_v6(interfaces: &str) -> Vec<Ipv6Net> {
    let network = |line: &str| {
        let mut fields = line.split_whitespace();
        let bits = u128::from_str_radix(fields.next()?, 16).ok()?;
        let prefix = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        Ipv6Net::new(Ipv6Addr::from(bits), prefix).ok()
    };
    interfaces.lines().filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::connected_v4;
    use super::descriptor_limit;
    use super::interfaces_v6;
    use super::own_v4;
    use super::port_range;

    #[test]
    fn the_kernel_s_files_are_read() {
        assert_eq!(
            descriptor_limit(
                "Limit  Soft\nMax open files            1024                 524288               files\n"
            ),
            Some(1024)
        );
        assert_eq!(port_range("32768\t60999\n"), Some((32768, 60999)));
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.50.0.0\n        /24 link UNICAST\n     |-- 10.50.0.2\n        /32 host LOCAL\n";
        assert_eq!(own_v4(trie), ["10.50.0.2".parse::<std::net::Ipv4Addr>().unwrap()]);
        let routes = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\neth0 00000000 0100320A 0003 0 0 0 00000000 0 0 0\neth0 0000320A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        assert_eq!(connected_v4(routes), ["10.50.0.0/24".parse::<ipnet::Ipv4Net>().unwrap()]);
        assert_eq!(
            interfaces_v6("00000000000000000000000000000001 01 80 10 80       lo\n"),
            ["::1/128".parse::<ipnet::Ipv6Net>().unwrap()]
        );
    }
}
