//! Owns what is hashed of a request, and which server a key leads to.
//!
//! Every server is given a number for each key, and the highest has it (rendezvous hashing): where one goes, only its own keys
//! find another, where one comes, it only takes what becomes its own, and nothing has to be remembered. All why502s with the
//! same servers choose alike, whatever their order in the file.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::COOKIE;

use crate::config::HashOn;

/// What tells the requests of one server from those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The key of a request. One without the field or the cookie goes by the client's address; none where that is not known
    /// either.
    pub(super) fn of(on: &HashOn, headers: &HeaderMap, client: Option<IpAddr>) -> Option<Self> {
        let written = match on {
            HashOn::Client => None,
            HashOn::Header(name) => headers.get(name).map(http::HeaderValue::as_bytes).map(<[u8]>::trim_ascii),
            HashOn::Cookie(name) => cookie(headers, name.as_bytes()),
        };
        let written = written.filter(|value| !value.is_empty()).map(|value| Self(hash(value)));
        written.or_else(|| client.map(Self::of_client))
    }

    /// Whoever has an address of IPv6 has some 2^64 of them, and changes them while it visits (RFC 8981): the network counts.
    fn of_client(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => hash(&address.octets()),
            IpAddr::V6(address) => hash(address.octets().split_at(8).0),
        })
    }

    /// The server with the highest number among those that have a share; the larger the share, the likelier a high number.
    pub(super) fn choose(self, seeds: &[u64], share: impl Fn(usize) -> u32) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for (server, seed) in seeds.iter().enumerate() {
            let share = share(server);
            if share == 0 {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "53 bits, which a float holds exactly")]
            let drawn = ((mix(self.0 ^ seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            // Of exponential variables with these rates, each is the least as often as its rate is a share of all.
            let time = -drawn.ln() / f64::from(share);
            if best.is_none_or(|(least, _)| time < least) {
                best = Some((time, server));
            }
        }
        best.map(|(_, server)| server)
    }
}

/// What makes servers different for a key. One that is named twice is two.
pub(super) fn seeds(urls: &[&str]) -> Box<[u64]> {
    let seed = |(index, url): (usize, &&str)| {
        let before = urls.iter().take(index).filter(|other| *other == url).count();
        (0..before).fold(hash(url.as_bytes()), |seed, _| mix(seed))
    };
    urls.iter().enumerate().map(seed).collect()
}

/// The value of a cookie (RFC 6265, section 4.2.1), without quotes.
fn cookie<'h>(headers: &'h HeaderMap, name: &[u8]) -> Option<&'h [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    });
    values.next()
}

/// FNV-1a, mixed. It is the same in every process and version, so that a restart moves nobody.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// `SplitMix64`'s last steps: every bit of the input moves half of the bits.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
