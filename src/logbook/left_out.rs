//! Owns what of a log could not be read: how much, and where it was first.

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It begins like an event and does not end like one, or is damaged within.
    Cut,
    /// It is no event of this program.
    Foreign,
    /// It has more bytes than a line of this program.
    TooLong,
}

/// A line of a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The place of the file among those that were read.
    pub file: usize,
    /// The line.
    pub line: u64,
}

/// How often something was left out, and where it was first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOuts([Option<(u64, Place)>; LeftOut::ALL.len()]);

impl LeftOut {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Cut, Self::Foreign, Self::TooLong];

    /// For programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Foreign => "foreign",
            Self::TooLong => "too_long",
        }
    }

    /// For a person, behind a number of lines.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Cut => "cut short or damaged",
            Self::Foreign => "no event of why502",
            Self::TooLong => "longer than 1 MiB",
        }
    }
}

impl LeftOuts {
    /// One more.
    pub fn note(&mut self, what: LeftOut, place: Place) {
        self.add(what, 1, place);
    }

    /// What another has left out too.
    pub fn merge(&mut self, other: &Self) {
        for (what, count, place) in other.all() {
            self.add(what, count, place);
        }
    }

    /// Each with how often it was, and where it was first.
    pub fn all(&self) -> impl Iterator<Item = (LeftOut, u64, Place)> {
        LeftOut::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(what, found)| found.map(|(count, place)| (what, count, place)))
    }

    fn add(&mut self, what: LeftOut, more: u64, at: Place) {
        if let Some((_, found)) = LeftOut::ALL.iter().zip(&mut self.0).find(|(known, _)| **known == what) {
            let (count, first) = found.unwrap_or((0, at));
            *found = Some((count + more, first.min(at)));
        }
    }
}
