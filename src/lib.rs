//! why502: a reverse proxy that tells people why they got a 502.

pub mod config;
pub mod fault;

pub mod diagnosis;

pub mod demo;
