//! Owns what became of all requests, and what to think of it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

/// What became of a request.
pub(crate) enum Outcome {
    /// It was answered, and every byte is right.
    Right,
    /// It was answered with something else.
    Wrong(String),
    /// It could have been sent again, and was not.
    Lost(String),
    /// A POST that an origin may have had: a 502 with this fault.
    NotToBeRepeated(String),
    /// The answer broke off, and its client can tell.
    BrokenOff,
    /// A POST on a kept connection that was closed just then.
    Unsure(String),
}

/// All that was counted.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    gets: u64,
    posts: u64,
    right: u64,
    lost: u64,
    wrong: u64,
    unsure: u64,
    broken_off: u64,
    kept_closed: u64,
    not_to_be_repeated: BTreeMap<String, u64>,
    /// POSTs that were answered with a 200.
    answered: Vec<String>,
    slowest: Duration,
    /// What was seen of the first few that went wrong.
    remarks: Vec<String>,
    reloads: u64,
    refusals: u64,
    take_overs: u64,
    mishaps: u64,
}

/// The program's needs at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
}

/// How the program's life went.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Before any client came.
    pub(crate) begin: Needs,
    /// When all had come.
    pub(crate) warm: Needs,
    /// When all had gone.
    pub(crate) end: Needs,
    pub(crate) peak: Needs,
    pub(crate) exited_well: bool,
}

/// What to think of it.
pub(crate) struct Verdict {
    lines: Vec<String>,
    faults: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&self, is_post: bool, id: &str, outcome: Outcome, took: Duration) {
        let mut counts = self.0.lock().expect("nobody panics with it");
        *(if is_post { &mut counts.posts } else { &mut counts.gets }) += 1;
        counts.slowest = counts.slowest.max(took);
        let kind = if is_post { "POST" } else { "GET" };
        match outcome {
            Outcome::Right => {
                counts.right += 1;
                if is_post {
                    counts.answered.push(id.to_owned());
                }
            }
            Outcome::Wrong(what) => {
                counts.wrong += 1;
                counts.remark(format!("wrong: {kind} {id}: {what}"));
            }
            Outcome::Lost(what) => {
                counts.lost += 1;
                counts.remark(format!("lost: {kind} {id} after {took:?}: {what}"));
            }
            Outcome::Unsure(what) => {
                counts.unsure += 1;
                counts.remark(format!("unsure: {kind} {id}: {what}"));
            }
            Outcome::NotToBeRepeated(fault) => *counts.not_to_be_repeated.entry(fault).or_default() += 1,
            Outcome::BrokenOff => counts.broken_off += 1,
        }
    }

    pub(crate) fn kept_connection_closed(&self) {
        self.0.lock().expect("nobody panics with it").kept_closed += 1;
    }

    pub(crate) fn reloaded(&self) {
        self.0.lock().expect("nobody panics with it").reloads += 1;
    }

    pub(crate) fn refused_a_file(&self) {
        self.0.lock().expect("nobody panics with it").refusals += 1;
    }

    pub(crate) fn taken_over(&self) {
        self.0.lock().expect("nobody panics with it").take_overs += 1;
    }

    /// Something that the program was told to do and did not.
    pub(crate) fn mishap(&self, what: String) {
        let mut counts = self.0.lock().expect("nobody panics with it");
        counts.mishaps += 1;
        counts.remark(what);
    }

    /// What to think of it, with the POSTs that the origins have noted.
    pub(crate) fn judge(&self, ledgers: &[Vec<String>], life: &Life) -> Verdict {
        let counts = self.0.lock().expect("nobody panics with it");
        let mut seen: HashMap<&str, u64> = HashMap::new();
        ledgers.iter().flatten().for_each(|id| *seen.entry(id).or_default() += 1);
        let doubled = seen.values().filter(|times| **times > 1).count();
        let unseen = counts.answered.iter().filter(|id| !seen.contains_key(id.as_str())).count();
        let refused: u64 = counts.not_to_be_repeated.values().sum();
        let lines = vec![
            format!(
                "requests: {} GET, {} POST, {} right to the last byte; the slowest took {:?}",
                counts.gets, counts.posts, counts.right, counts.slowest
            ),
            format!("POSTs that were not to be repeated (502): {refused} {:?}", counts.not_to_be_repeated),
            format!("answers that broke off with their origin, told so to the client: {}", counts.broken_off),
            format!(
                "kept connections closed under a request: {}, of those POSTs {}",
                counts.kept_closed, counts.unsure
            ),
            format!(
                "reloads: {}, wrong files refused: {}, take-overs: {}",
                counts.reloads, counts.refusals, counts.take_overs
            ),
            format!(
                "resident memory: {} KiB at the start, {} KiB with all clients, {} KiB at the end, {} KiB at most",
                life.begin.resident_kib, life.warm.resident_kib, life.end.resident_kib, life.peak.resident_kib
            ),
            format!(
                "descriptors: {} at the start, {} with all clients, {} at the end, {} at most",
                life.begin.descriptors, life.warm.descriptors, life.end.descriptors, life.peak.descriptors
            ),
            format!("lost though they could have been sent again: {}", counts.lost),
            format!("POSTs doubled at the origins: {doubled} of {}", seen.len()),
            format!("wrong bytes: {}", counts.wrong),
        ];
        let judged = [
            (counts.right == 0, "nothing was answered"),
            (counts.lost > 0, "requests were lost"),
            (doubled > 0, "POSTs were doubled"),
            (unseen > 0, "POSTs were answered that no origin has noted"),
            (counts.wrong > 0, "bytes were wrong"),
            (counts.mishaps > 0, "the program did not do as it was told"),
            (!life.exited_well, "the program did not end in order"),
            (life.end.descriptors > life.begin.descriptors, "descriptors grow"),
            (life.end.resident_kib > 2 * life.warm.resident_kib + (32 << 10), "memory grows"),
        ];
        let faults = judged.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what.to_owned());
        let faults = faults.chain(counts.remarks.iter().map(|remark| format!("  {remark}"))).collect();
        Verdict { lines, faults }
    }
}

impl Counts {
    fn remark(&mut self, what: String) {
        if self.remarks.len() < 20 {
            self.remarks.push(what);
        }
    }
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.faults.iter().all(|fault| fault.starts_with(' '))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines.iter().chain(&self.faults) {
            writeln!(f, "{line}")?;
        }
        f.write_str(if self.is_good() { "chaos: all is well" } else { "chaos: FAILED" })
    }
}
