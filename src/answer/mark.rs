//! Owns the marks: the places in a rendered body where something is filled in for each request, or left out.
//!
//! A mark is one noncharacter of Unicode, which no text in an answer has of its own. Should a hostile server smuggle one
//! into an operator's evidence all the same, it is filled in like the real one, escaped for the format: an id shown twice.

use std::fmt;
use std::fmt::Write;

/// A place that is filled in later, or the edge of a passage that is kept only sometimes. Passages do not nest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The request's id.
    RequestId,
    /// The time, RFC 3339.
    Moment,
    /// The time, for a person.
    Clock,
    /// The incident's id.
    Incident,
    /// The wait, in words.
    Wait,
    /// What follows is kept where there is an incident.
    IfIncident,
    /// What follows is kept where there is none.
    UnlessIncident,
    /// What follows is kept where waiting helps.
    IfWait,
    /// What follows is kept where a link repeats the request.
    IfRepeatable,
    /// What follows is kept where a link does not.
    UnlessRepeatable,
    /// The end of such a passage.
    End,
}

impl Mark {
    const ALL: [Self; 11] = [
        Self::RequestId,
        Self::Moment,
        Self::Clock,
        Self::Incident,
        Self::Wait,
        Self::IfIncident,
        Self::UnlessIncident,
        Self::IfWait,
        Self::IfRepeatable,
        Self::UnlessRepeatable,
        Self::End,
    ];

    /// The character that stands for it.
    pub(super) const fn sign(self) -> char {
        match self {
            Self::RequestId => '\u{FDD0}',
            Self::Moment => '\u{FDD1}',
            Self::Clock => '\u{FDD2}',
            Self::Incident => '\u{FDD3}',
            Self::Wait => '\u{FDD4}',
            Self::IfIncident => '\u{FDD5}',
            Self::UnlessIncident => '\u{FDD6}',
            Self::IfWait => '\u{FDD7}',
            Self::IfRepeatable => '\u{FDD8}',
            Self::UnlessRepeatable => '\u{FDD9}',
            Self::End => '\u{FDDA}',
        }
    }

    /// The mark that this character is, if it is one.
    pub(super) fn of(character: char) -> Option<Self> {
        if !FIRST_TO_LAST.contains(&character) {
            return None;
        }
        Self::ALL.into_iter().find(|mark| mark.sign() == character)
    }
}

/// The sign itself, so that a template may write a mark like a value.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.sign())
    }
}

const FIRST_TO_LAST: std::ops::RangeInclusive<char> = '\u{FDD0}'..='\u{FDDA}';

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn every_sign_leads_back_to_its_mark() {
        for mark in Mark::ALL {
            assert_eq!(mark.to_string().chars().map(Mark::of).collect::<Vec<_>>(), [Some(mark)]);
        }
        assert_eq!(Mark::of('x'), None);
    }
}
