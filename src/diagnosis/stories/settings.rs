//! Owns what is configured in every story that does not say otherwise.

use std::time::Duration;

use crate::config::Platform;
use crate::config::Timeouts;
use crate::diagnosis::case::Settings;

pub(super) fn usual() -> Settings {
    Settings {
        upstream: "app".to_owned(),
        servers: 1,
        platform: Platform::Generic,
        timeouts: Timeouts {
            resolve: Duration::from_secs(2),
            connect: Duration::from_secs(3),
            tls: Duration::from_secs(5),
            send: Duration::from_secs(30),
            response: Duration::from_secs(60),
            body: Duration::from_secs(60),
            tunnel: Duration::from_secs(3600),
        },
        pool_idle: Duration::from_secs(55),
        response_header_bytes: 64 * 1024,
        retry_attempts: 2,
        client_certificate: false,
        name_servers: vec!["10.0.0.53:53".to_owned()],
    }
}
