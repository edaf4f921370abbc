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
        timeouts: Timeouts::USUAL,
        pool_idle: Duration::from_secs(55),
        response_header_bytes: 64 * 1024,
        retry_attempts: 2,
        client_certificate: false,
        name_servers: vec!["10.0.0.53:53".to_owned()],
    }
}
