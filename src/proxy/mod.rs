//! Owns the story of one request.

pub mod admission;
pub mod client;
pub mod fields;
pub mod forward;
pub mod forwarded;
pub mod hop;
pub mod request_id;
pub mod response;
pub mod via;
