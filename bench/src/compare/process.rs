//! A broker's process from outside: stopped while others are measured, its time and memory read from /proc.

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// Kernel ticks a second in /proc; fixed for user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process, by id.
#[derive(Clone, Copy)]
pub struct Process(Pid);

impl Process {
    /// The process of this id.
    pub fn new(pid: i32) -> anyhow::Result<Process> {
        Ok(Process(Pid::from_raw(pid).context("a process id is above 0")?))
    }

    /// Stops it.
    pub fn freeze(self) -> anyhow::Result<()> {
        kill_process(self.0, Signal::STOP).with_context(|| format!("stop process {}", self.0))
    }

    /// Lets it go on.
    pub fn thaw(self) -> anyhow::Result<()> {
        kill_process(self.0, Signal::CONT).with_context(|| format!("continue process {}", self.0))
    }

    /// Processor time it has used, in seconds.
    pub fn cpu_seconds(self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        cpu_seconds(&stat)
    }

    /// Memory it has resident, in MiB.
    pub fn resident_mib(self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib >> 10)
    }
}

/// User and system time in a line of /proc/PID/stat: the 14th and 15th field. The 2nd, the name, may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself() {
        let this = Process::new(std::process::id() as i32).unwrap();
        assert!(this.cpu_seconds().is_some());
        assert!(this.resident_mib().is_some_and(|mib| mib > 0));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }
}
