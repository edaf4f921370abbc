//! Owns the exhibits: each row of the tables with the origin that was started for it, or the reason why there is none here.

use super::origin::BROKEN;
use super::origin::HEALTHY;
use super::origin::Origin;
use super::origin::Row;
use super::origin::Unavailable;
use super::origin::Workshop;

/// A row and what became of it on this machine.
#[derive(Debug)]
pub struct Exhibit {
    /// What it shows.
    pub row: &'static Row,
    /// Its origin, at work.
    pub origin: Result<Origin, Unavailable>,
}

impl Exhibit {
    /// Starts every row, those that work behind those that fail, within a tokio runtime.
    #[must_use]
    pub fn all(workshop: &Workshop) -> Vec<Self> {
        let rows = BROKEN.iter().chain(HEALTHY);
        rows.map(|row| Self { row, origin: row.start(workshop) }).collect()
    }

    /// Why it cannot be seen here, if it cannot.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.origin.as_ref().err().map(|unavailable| unavailable.0.as_str())
    }
}
