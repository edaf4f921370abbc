//! Owns one piece of evidence: a sentence for the operator, the cause it points to, and its weight.

use super::Cause;

/// What one rule concluded from a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The rule's stable name in snake case (`port_closed_since_start`).
    pub id: &'static str,
    /// One sentence for the operator, with this incident's own numbers, names and addresses.
    pub says: String,
    /// The cause that it points to.
    pub points_to: Cause,
    /// How much it adds to that cause, as a log-odds weight; negative where it speaks against it.
    pub weight: f64,
}
