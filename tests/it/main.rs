//! The integration tests: the real program on real sockets, on loopback, without root.
//!
//! `support` starts it and is its client; the origins are the demo's (`why502::demo::origin`), so that neither can rot.
//! Where a test needs a program or a right that this machine does not give it, it says so in a line and passes.

#[cfg(test)]
mod activation;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod balancing;
#[cfg(test)]
mod capacity;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod diagnose;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod ejection;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod h2;
#[cfg(test)]
mod health;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod http2_attacks;
#[cfg(test)]
mod ids;
#[cfg(test)]
mod incident_history;
#[cfg(test)]
mod incidents;
#[cfg(test)]
mod intercept;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod log;
#[cfg(test)]
mod names;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod proxy_protocol;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod report;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod srv;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod support;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod tls_front;
#[cfg(test)]
mod unix;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod webhook;
