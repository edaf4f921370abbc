//! Owns what is told of an incident: that it was opened, is over, or was cut short, each as a line of the log.

use std::sync::Arc;

use super::Record;
use crate::incident::Incident;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::IncidentClosed;

/// What is to be told of an incident, once.
#[derive(Debug)]
pub struct News {
    pub(super) what: What,
    /// Whether it is in the history and on the disk; none where no history is kept.
    pub(super) stored: Option<bool>,
}

/// What there is to tell.
#[derive(Debug)]
pub(super) enum What {
    /// It was opened, or is back.
    Opened(Box<Incident>),
    /// It is over.
    Closed(Box<Incident>),
    /// The process that saw it has ended first.
    CutShort(Arc<Record>),
}

impl News {
    /// Tells it.
    pub fn tell(&self, telemetry: &telemetry::Core) {
        let stored = self.stored;
        match &self.what {
            What::Opened(incident) => {
                let opened = telemetry::IncidentOpened { stored, ..(&**incident).into() };
                telemetry.record(Event::IncidentOpened(opened));
            }
            What::Closed(incident) => {
                let closed = IncidentClosed { stored, ..(&**incident).into() };
                telemetry.record(Event::IncidentClosed(closed));
            }
            What::CutShort(record) => telemetry.record(Event::IncidentClosed(IncidentClosed {
                incident: &record.id,
                upstream: &record.upstream,
                opened: record.opened,
                closed: record.closed.unwrap_or(record.last),
                cut_short: true,
                count: record.count,
                faults: &record.faults,
                cause: record.cause,
                confidence: record.confidence,
                returns: record.returns,
                stored,
            })),
        }
    }
}
