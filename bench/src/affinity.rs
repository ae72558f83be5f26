//! Cores by number: the list a person writes (`0-3,6`), checked against what this process may use, and pinning.

use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A list of cores, in the order it was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cores(pub Vec<usize>);

impl Cores {
    /// The cores this process may run on.
    pub fn allowed() -> anyhow::Result<Cores> {
        let set = sched_getaffinity(None).context("read the process's affinity mask")?;
        Ok(Cores(
            (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
        ))
    }

    /// The core for the `index`th thread, round robin.
    pub fn of(&self, index: usize) -> usize {
        self.0[index % self.0.len()]
    }

    /// Fails if one of the cores is outside the process's affinity mask.
    pub fn check(&self) -> anyhow::Result<()> {
        let allowed = Cores::allowed()?;
        for core in &self.0 {
            ensure!(
                allowed.0.contains(core),
                "core {core} is not among the cores this process may use ({}): choose from those, or widen the mask with taskset",
                allowed
            );
        }
        Ok(())
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Cores {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Cores> {
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |digits: &str| {
                digits.trim().parse::<usize>().with_context(|| {
                    format!("`{part}` is not a core or a range of cores; write them as 0-3,6")
                })
            };
            let (first, last) = (number(first)?, number(last)?);
            if last < first || last >= CpuSet::MAX_CPU {
                bail!("`{part}` is not a range of cores; write them as 0-3,6");
            }
            cores.extend(first..=last);
        }
        Ok(Cores(cores))
    }
}

/// Pins the calling thread to one core.
pub fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("pin a thread to core {core}"))
}

/// Runs `work` on a thread of its own, pinned to `core`, and waits for it.
pub fn on_core<T: Send>(core: usize, work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(core)?;
            work()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        assert_eq!("0-3,6".parse::<Cores>().unwrap(), Cores(vec![0, 1, 2, 3, 6]));
        assert_eq!("1".parse::<Cores>().unwrap(), Cores(vec![1]));
        for wrong in ["", "a", "3-1", "0,", "99999"] {
            assert!(wrong.parse::<Cores>().is_err(), "{wrong}");
        }
    }
}
