//! Owns the question whether the kernel has killed a process for lack of memory since this one started.

use std::path::Path;
use std::sync::OnceLock;

use super::process::text;

/// How many were killed before; to be called when the program starts.
pub(super) fn remember() {
    AT_START.get_or_init(counts);
}

/// How many were killed since: on this host, or in this process's own group, whichever is more. None where neither can be
/// read.
pub(super) fn killed() -> Option<u64> {
    let (before, now) = (AT_START.get_or_init(counts), counts());
    let since = |before: Option<u64>, now: Option<u64>| Some(now?.saturating_sub(before?));
    since(before.host, now.host).max(since(before.group, now.group))
}

static AT_START: OnceLock<Counts> = OnceLock::new();

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
}
