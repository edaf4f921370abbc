//! Owns one round: which checks a failure calls for, in which order, and when it ends at the latest.

use std::time::Duration;

use super::board::Report;
use super::local;
use super::subject::Subject;
use crate::fault::Failure;
use crate::net::deadline::within;

/// Runs the checks that can tell more about this failure.
pub(super) async fn run(subject: Subject, failure: Failure, report: Report) {
    within(LONGEST, examine(&subject, &failure, &report)).await.ok();
}

async fn examine(subject: &Subject, failure: &Failure, report: &Report) {
    local::check(subject, failure, report).await;
}

/// A round has ended by then.
const LONGEST: Duration = Duration::from_secs(3);
