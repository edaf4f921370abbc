//! Owns reading a log back: bytes in, events and their sums out. Pure: no file, no clock, no thread.
//!
//! A log is taken as it is found: rotated in the middle of a line, behind the prefixes of journald and of containers, between
//! the lines of other programs, made anew by a tool that sorts the members. What cannot be read is counted with its first place.
//! Whatever the bytes hold, memory stays bounded: names beyond a number are summed up without their own rows, which is said too.

mod at;
mod entry;
mod incidents;
mod kinds;
mod left_out;
mod line;
mod story;
mod tally;
mod timeline;

pub use self::at::At;
pub use self::entry::Details;
pub use self::entry::Entry;
pub use self::entry::Event;
pub use self::entry::Failure;
pub use self::entry::Incident as IncidentLine;
pub use self::entry::Seen;
pub use self::entry::StepSeen;
pub use self::incidents::Incident;
pub use self::kinds::Answers;
pub use self::kinds::Kind;
pub use self::kinds::Upstream;
pub use self::left_out::LeftOut;
pub use self::left_out::LeftOuts;
pub use self::left_out::Place;
pub use self::line::Found;
pub use self::line::read;
pub use self::story::Kept;
pub use self::story::Story;
pub use self::tally::Advice;
pub use self::tally::Filter;
pub use self::tally::Tally;
pub use self::timeline::Bucket;
pub use self::timeline::Timeline;

/// A line of more bytes is none of this program's.
pub const LONGEST_LINE: usize = 1 << 20;
