//! Owns what the kernel says of this process: memory, descriptors, processor time. Read from `/proc` when somebody asks.

use std::fs;
use std::time::Duration;

use rustix::process::Resource;
use rustix::process::getrlimit;
use rustix::time::ClockId;
use rustix::time::clock_gettime;

/// What it takes now; what the kernel does not tell is none.
#[derive(Debug)]
pub(super) struct Process {
    /// Processor time of all threads so far, in seconds.
    pub(super) processor_seconds: f64,
    /// Memory that it has resident, in bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Memory that it has mapped, in bytes.
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    /// File descriptors that are open, and how many may be.
    pub(super) open_descriptors: Option<u64>,
    pub(super) most_descriptors: Option<u64>,
}

impl Process {
    /// Looks.
    pub(super) fn look() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = |key| number(&status, key).map(|size| size * 1024);
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        let processor = Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default());
        let descriptors = fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as u64);
        Self {
            processor_seconds: processor.as_secs_f64(),
            resident_bytes: kibibytes("VmRSS:"),
            virtual_bytes: kibibytes("VmSize:"),
            threads: number(&status, "Threads:"),
            // One of them is for this look.
            open_descriptors: descriptors.map(|open| open.saturating_sub(1)),
            most_descriptors: getrlimit(Resource::Nofile).current,
        }
    }
}

fn number(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn the_kernel_tells_of_a_process_that_runs() {
        let Process { processor_seconds, resident_bytes, virtual_bytes, threads, open_descriptors, most_descriptors } =
            Process::look();
        assert!(processor_seconds > 0.0 && resident_bytes > Some(1 << 20) && virtual_bytes > resident_bytes);
        assert!(threads >= Some(1) && open_descriptors > Some(2) && most_descriptors >= open_descriptors);
    }
}
