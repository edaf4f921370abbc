//! Owns what is below HTTP: sockets, streams that can be tapped, deadlines, and what this host says of itself.

pub mod deadline;
pub mod frames;
pub mod here;
pub mod icmp;
pub mod kernel;
pub mod listening;
pub mod proxy_protocol;
pub mod pump;
pub mod socket;
pub mod stream;
pub mod tap;
pub mod tcp_info;
pub mod tls;

#[cfg(test)]
mod kernel_tests;
