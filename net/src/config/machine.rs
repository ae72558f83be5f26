//! The machine, as far as options depend on it.

use tautline_core::cpu::{self, CoreTopology};

/// What the machine has, as far as options depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores this process may run on, ascending.
    pub cores: Vec<CoreTopology>,
    /// Memory it may use, in bytes.
    pub memory_bytes: u64,
}

impl Machine {
    /// Asks the kernel; where a control group bounds the memory, that counts.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn probe() -> std::io::Result<Self> {
        let info = rustix::system::sysinfo();
        let total = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
        let bound = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        Ok(Self {
            cores: cpu::allowed_cores()?.into_iter().map(cpu::topology).collect(),
            memory_bytes: bound.map_or(total, |bound| bound.min(total)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_asked() {
        let machine = Machine::probe().unwrap();
        assert!(!machine.cores.is_empty() && machine.memory_bytes > 0);
    }
}
