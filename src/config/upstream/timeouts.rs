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
    /// The limits of an upstream that says nothing of them.
    pub const USUAL: Self = Self {
        resolve: Duration::from_secs(2),
        connect: Duration::from_secs(3),
        tls: Duration::from_secs(5),
        send: Duration::from_secs(30),
        response: Duration::from_secs(60),
        body: Duration::from_secs(60),
        tunnel: Duration::from_secs(3600),
    };

    pub(super) fn read(table: Table<'_>) -> Self {
        let timeouts = Self {
            resolve: table.time_limit("resolve", Self::USUAL.resolve),
            connect: table.time_limit("connect", Self::USUAL.connect),
            tls: table.time_limit("tls", Self::USUAL.tls),
            send: table.time_limit("send", Self::USUAL.send),
            response: table.time_limit("response", Self::USUAL.response),
            body: table.time_limit("body", Self::USUAL.body),
            tunnel: table.time_limit("tunnel", Self::USUAL.tunnel),
        };
        table.close();
        timeouts
    }
}
