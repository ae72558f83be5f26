//! The machine a run was made on; figures of different machines don't belong beside each other.

use serde::{Deserialize, Serialize};

use crate::affinity::Cores;

/// What a reader needs to judge a figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel name and release.
    pub kernel: String,
    /// The processor's name.
    pub processor: String,
    /// Cores this process may use.
    pub cores: String,
    /// Memory, in MiB.
    #[serde(default)]
    pub memory_mib: u64,
    /// Whether it is a virtual machine.
    #[serde(default)]
    pub is_virtual: bool,
    /// Kind of the file system of the data directory.
    #[serde(default)]
    pub file_system: String,
}

impl Machine {
    /// Reads it from the system; what can't be read is left empty.
    pub fn here() -> Machine {
        Machine::with_data_in(std::path::Path::new("."))
    }

    /// The same, with the file system that holds `data_dir`.
    pub fn with_data_in(data_dir: &std::path::Path) -> Machine {
        let name = rustix::system::uname();
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or_default();
        Machine {
            kernel: format!(
                "{} {}",
                name.sysname().to_string_lossy(),
                name.release().to_string_lossy()
            ),
            processor: processor.trim_start_matches([' ', '\t', ':']).to_string(),
            cores: Cores::allowed()
                .map(|cores| cores.to_string())
                .unwrap_or_default(),
            memory_mib: memory_mib().unwrap_or(0),
            is_virtual: cpuinfo
                .lines()
                .any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor")),
            file_system: file_system(data_dir).unwrap_or_default(),
        }
    }
}

fn memory_mib() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib >> 10)
}

/// The type of the mount with the longest path that leads to `dir`.
fn file_system(dir: &std::path::Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?.to_string(), fields.next()?.to_string()))
    });
    let (_, kind) = mounts
        .filter(|(path, _)| dir.starts_with(path))
        .max_by_key(|(path, _)| path.len())?;
    Some(kind)
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, cores {}", self.processor, self.kernel, self.cores)?;
        if self.memory_mib > 0 {
            write!(f, ", {} GiB", self.memory_mib.div_ceil(1024))?;
        }
        if !self.file_system.is_empty() {
            write!(f, ", {}", self.file_system)?;
        }
        if self.is_virtual {
            write!(f, ", virtual")?;
        }
        Ok(())
    }
}
