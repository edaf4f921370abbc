//! Owns the nine causes: one row each.

use std::fmt;

/// Why it likely happened (contract, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The origin is up but cannot keep up.
    Overload,
    /// The name does not lead to the origin.
    Dns,
    /// Something drops, rejects or resets traffic to a host that is alive.
    Firewall,
    /// A proxy in the chain is set up wrongly or failing: this one or the next one.
    FaultyProxy,
    /// Nothing listens there, the host is off, or it is restarting.
    OriginDown,
    /// The program behind the port misbehaves.
    Application,
    /// The path itself is broken.
    Network,
    /// Certificate or handshake.
    Tls,
    /// The evidence does not separate the causes.
    Unknown,
}

impl Cause {
    /// Every cause, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::Overload,
        Self::Dns,
        Self::Firewall,
        Self::FaultyProxy,
        Self::OriginDown,
        Self::Application,
        Self::Network,
        Self::Tls,
        Self::Unknown,
    ];

    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Overload => {
                ("overload", "Overload", "The site's server is up, but cannot keep up with the requests.")
            }
            Self::Dns => ("dns", "DNS", "The name of the site's server does not lead to it."),
            Self::Firewall => ("firewall", "Firewall", "Something blocks the way to a server that is alive."),
            Self::FaultyProxy => {
                ("faulty_proxy", "Faulty proxy", "A machine that passes requests on is set up wrongly or fails itself.")
            }
            Self::OriginDown => {
                ("origin_down", "Origin down", "The site's server is off or restarting, or its program does not run.")
            }
            Self::Application => {
                ("application", "Application", "The program behind the site crashes, hangs or answers wrongly.")
            }
            Self::Network => ("network", "Network", "The line between the site's machines is broken."),
            Self::Tls => ("tls", "TLS", "The secure connection between the site's machines cannot be made."),
            Self::Unknown => ("unknown", "Unknown", "What was seen does not tell the possible causes apart."),
        }
    }

    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.row().0
    }

    /// A short name for a heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().1
    }

    /// One sentence, fit for a visitor.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.row().2
    }

    /// The cause of that word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.word() == word)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
