//! Owns the values that a configuration is made of, as types that cannot be wrong: each is read from its text once, and
//! a text that is wrong is refused with what would be right.

mod address;
mod amount;
mod host;
mod network;
mod server_url;
mod webhook_url;

pub use self::address::ListenAddress;
pub use self::address::NameServer;
pub use self::amount::Size;
pub use self::host::HostPattern;
pub use self::host::ServerName;
pub use self::host::is_authority;
pub use self::network::Network;
pub use self::network::Networks;
pub use self::server_url::Location;
pub use self::server_url::ServerUrl;
pub use self::server_url::service_domain;
pub use self::webhook_url::WebhookUrl;
