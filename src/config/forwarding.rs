//! Owns `[forwarding]`: who is believed about the client, and what the origin is told of it.

use super::document::Table;
use super::document::Word;
use super::value::Networks;

/// `[forwarding]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarding {
    /// Whose forwarding fields are believed.
    pub trusted_proxies: Networks,
    /// Which fields tell the origin of the client.
    pub headers: ForwardingHeaders,
}

/// Which fields tell the origin of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardingHeaders {
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Both.
    Both,
    /// Neither.
    None,
}

impl Word for ForwardingHeaders {
    const NOUN: &'static str = "a choice of forwarding headers";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("x-forwarded", Self::XForwarded),
        ("forwarded", Self::Forwarded),
        ("both", Self::Both),
        ("none", Self::None),
    ];
}

impl Forwarding {
    pub(super) fn read(table: Table<'_>) -> Self {
        let forwarding = Self {
            trusted_proxies: table.values("trusted_proxies").into_iter().map(|network| network.value).collect(),
            headers: table.value_or("headers", ForwardingHeaders::XForwarded),
        };
        table.close();
        forwarding
    }
}
