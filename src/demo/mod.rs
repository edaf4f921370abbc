//! Owns the demo: the whole thing on loopback, with origins that fail in one known way each and a start page that shows them.

pub mod origin;
