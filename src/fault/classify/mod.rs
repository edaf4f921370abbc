//! Owns the meaning of foreign errors: each file turns one library's error type into a `Fault`, and nobody else asks.

pub mod dns;
pub mod h2;
pub mod http;
pub mod io;
pub mod tls;
