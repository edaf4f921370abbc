//! What is fuzzed: one function a target, which takes any bytes and panics where something does not hold.
//!
//! They are plain functions, so that `cargo fuzz` can look for inputs and an ordinary test can try known and mutated ones.

pub(crate) mod answer;
mod case;
pub(crate) mod configuration;
pub(crate) mod first_bytes;
pub(crate) mod framing;
mod judge;
pub(crate) mod logbook;
pub(crate) mod proxy_header;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod shell;
mod wire;
