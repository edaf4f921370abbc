//! Owns `[upstream.timeouts]`: every wait for a server has a limit of its own.

use std::time::Duration;

use crate::config::document::Table;

/// `[upstream.timeouts]`: one limit for each wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking up the name.
    pub resolve: Duration,
    /// Opening the connection, all addresses together.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// No progress while sending the request.
    pub send: Duration,
    /// From the request's last byte until the response's head is complete.
    pub response: Duration,
    /// No progress while reading the body.
    pub body: Duration,
    /// No byte either way on an upgraded connection.
    pub tunnel: Duration,
}

impl Timeouts {
    pub(super) fn read(table: Table<'_>) -> Self {
        let seconds = |key, default| table.time_limit(key, Duration::from_secs(default));
        let timeouts = Self {
            resolve: seconds("resolve", 2),
            connect: seconds("connect", 3),
            tls: seconds("tls", 5),
            send: seconds("send", 30),
            response: seconds("response", 60),
            body: seconds("body", 60),
            tunnel: seconds("tunnel", 3600),
        };
        table.close();
        timeouts
    }
}
