//! why502: a reverse proxy that tells people why they got a 502.

pub mod config;
pub mod fault;

pub mod diagnosis;
pub mod net;
pub mod route;

pub mod dns;

pub mod upstream;

pub mod answer;
pub mod telemetry;

pub mod proxy;

pub mod listener;

pub mod server;

pub mod demo;

pub mod command;
