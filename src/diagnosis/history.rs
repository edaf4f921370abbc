//! Owns what is known of a server's and its upstream's past when a request fails, as values. Who remembers it is
//! `crate::upstream`.

use std::net::IpAddr;
use std::time::Duration;

use crate::fault::Fault;

/// The past of an upstream, as it looks from one failing request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// For how long this process has watched the upstream.
    pub watched: Duration,
    /// The server that failed.
    pub server: Past,
    /// The other servers of the upstream, by URL.
    pub others: Vec<(String, Past)>,
    /// What the path that failed did before, on any server.
    pub path: PathPast,
}

/// The past of one server. Counts are of what this process has seen; all times are before the failure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Past {
    /// Since it last answered.
    pub last_success: Option<Duration>,
    /// Answers in the last 10 seconds, the last minute, the last hour.
    pub successes: Windows,
    /// Failures in the same times, this one included.
    pub failures: Windows,
    /// Failures of the last minute by fault, most first.
    pub faults: Vec<(Fault, u64)>,
    /// Failures since it last answered.
    pub failures_since_success: u64,
    /// The most requests that hung at once within the last minute, until this proxy gave each up. The program may be busy with
    /// them still.
    pub hung_at_once: u32,
    /// Since the first of those.
    pub failing_for: Option<Duration>,
    /// How long opening a connection takes now, against what is usual.
    pub connecting: Option<Pace>,
    /// How long the head of an answer takes now, against what is usual.
    pub answering: Option<Pace>,
    /// Requests in flight when this one failed, itself included.
    pub in_flight: u32,
    /// The most that were in flight at once while it answered well.
    pub in_flight_usual: Option<u32>,
    /// How often its connections were found closed after lying idle, and the least idle time that it happened at.
    pub idle_closes: Option<(u64, Duration)>,
    /// The idle time after which it is found to close a connection, where that is one and the same time.
    pub keep_alive: Option<Duration>,
    /// The longest that a connection lay idle and was still good.
    pub longest_idle: Option<Duration>,
    /// A time around which failures on the same stage cluster, and how many do: a worker that is killed, a limit elsewhere.
    pub cluster: Option<(Duration, u64)>,
    /// Addresses that its name has had, the latest first, each with the time since it was last connected to.
    pub addresses: Vec<(IpAddr, Duration)>,
    /// What the active health check says; none where there is none.
    pub health: Option<Health>,
    /// Since it was taken out, where it is out.
    pub ejected_for: Option<Duration>,
}

impl Past {
    /// Requests that the program may be busy with: those in flight, or those that this proxy has given up lately.
    #[must_use]
    pub fn at_work(&self) -> u32 {
        self.in_flight.max(self.hung_at_once)
    }
}

/// Counts over the last 10 seconds, the last minute and the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Windows {
    /// In the last 10 seconds.
    pub seconds: u64,
    /// In the last minute.
    pub minute: u64,
    /// In the last hour.
    pub hour: u64,
    /// Since this process started.
    pub ever: u64,
}

/// A time as it is now, against what it usually was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Over the last few.
    pub now: Duration,
    /// Over many.
    pub usual: Duration,
    /// How many were measured in all.
    pub samples: u64,
}

/// What the active health check says of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// Whether it holds the server to be up.
    pub up: bool,
    /// Since the last check.
    pub checked: Duration,
    /// How the last check went wrong; none where it went well.
    pub fault: Option<Fault>,
    /// The status of its answer, where one came.
    pub status: Option<u16>,
    /// The path that it asks for.
    pub path: String,
}

/// What a path did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathPast {
    /// Since it was last answered; none where it never was, as far as is remembered.
    pub last_success: Option<Duration>,
    /// Its failures within the last ten minutes, this one included.
    pub failures: u64,
    /// Other paths that have failed in that time.
    pub others_failing: u64,
    /// Other paths that were answered since this one began to fail, or within the last half minute.
    pub others_working: u64,
    /// Since another path was last answered.
    pub other_success: Option<Duration>,
}
