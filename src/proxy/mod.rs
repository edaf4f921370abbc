//! Owns the story of one request.

pub mod admission;
pub mod arrival;
pub mod client;
pub mod fields;
pub mod forward;
pub mod forwarded;
pub mod hop;
pub mod introduce;
pub mod request_id;
pub mod response;
pub mod trace;
pub mod via;
pub mod vouched;

#[cfg(test)]
mod heads;
