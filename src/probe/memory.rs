//! Owns the question whether the kernel has killed a process for lack of memory lately.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use super::process::text;

/// Remembers how many were killed until now, where that was not done just before; to be called when the program starts and about
/// once a second.
pub(super) fn remember() {
    let mut past = PAST.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if past.is_due(now) {
        past.note(now, counts());
    }
}

/// How many were killed lately: on this host, or in this process's own group, whichever is more. None where neither can be
/// read.
pub(super) fn killed() -> Option<u64> {
    let past = PAST.lock().unwrap_or_else(PoisonError::into_inner);
    past.since(counts())
}

static PAST: Mutex<Past> = Mutex::new(Past { counts: VecDeque::new() });

/// Counts of the last minutes, the oldest first.
///
/// What was killed last week has nothing to do with a failure of today, so that those since the program started do not do.
#[derive(Debug)]
struct Past {
    counts: VecDeque<(Instant, Counts)>,
}

impl Past {
    fn is_due(&self, now: Instant) -> bool {
        self.counts.back().is_none_or(|(last, _)| now.duration_since(*last) >= APART)
    }

    fn note(&mut self, now: Instant, counts: Counts) {
        self.counts.push_back((now, counts));
        // The last of those that are old enough is what is compared with.
        while self.counts.get(1).is_some_and(|(next, _)| now.duration_since(*next) >= LATELY) {
            self.counts.pop_front();
        }
    }

    fn since(&self, now: Counts) -> Option<u64> {
        let (_, before) = self.counts.front()?;
        let since = |before: Option<u64>, now: Option<u64>| Some(now?.saturating_sub(before?));
        since(before.host, now.host).max(since(before.group, now.group))
    }
}

/// How long a process that was killed may have to do with what fails now. `rules` says it in words.
const LATELY: Duration = Duration::from_secs(600);
/// How long nobody needs to look again.
const APART: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
struct Counts {
    host: Option<u64>,
    group: Option<u64>,
}

fn counts() -> Counts {
    let number = |file: &str| count(&text(Path::new(file)).ok()?);
    let groups = text(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let events = group.map(|group| format!("/sys/fs/cgroup{}/memory.events", group.trim_end_matches('/')));
    Counts { host: number("/proc/vmstat"), group: events.and_then(|events| number(&events)) }
}

/// The line `oom_kill 3`.
fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;
    use std::time::Instant;

    use super::Counts;
    use super::Past;
    use super::count;
    use super::killed;
    use super::remember;

    #[test]
    fn the_line_is_found_among_its_like() {
        assert_eq!(count("nr_free 1\noom_kill 3\noom_kill_x 9\n"), Some(3));
        assert_eq!(count("low 0\noom 2\noom_kill 0\noom_group_kill 7\n"), Some(0));
        assert_eq!((count(""), count("oom_kill x")), (None, None));
    }

    #[test]
    fn what_was_before_does_not_count() {
        remember();
        assert!(killed().is_none_or(|count| count == 0));
    }

    #[test]
    fn what_was_killed_long_ago_does_not_count_either() {
        let (begin, mut past) = (Instant::now(), Past { counts: VecDeque::new() });
        let (mut noted, mut seen) = (0, Vec::new());
        for seconds in 0..2_000 {
            let now = begin + Duration::from_secs(seconds);
            let counts = Counts { host: Some(if seconds < 100 { 7 } else { 8 }), group: None };
            if past.is_due(now) {
                past.note(now, counts);
                noted = noted.max(past.counts.len());
            }
            if seconds % 350 == 149 {
                seen.push(past.since(counts).unwrap());
            }
        }
        assert_eq!(seen, [1, 1, 0, 0, 0, 0], "at 149 s, 499 s, 849 s …");
        assert!(noted <= 22, "{noted}");
    }
}
