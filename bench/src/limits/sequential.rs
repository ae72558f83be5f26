//! How fast one thread makes blocks durable one after the other, as `dd oflag=direct,dsync` does.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::disk::{DirectFile, Extents};
use crate::clock::now_ns;
use crate::report::percentiles::Percentiles;
use crate::report::table::micros;

/// The measured speed.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// What lay under the blocks.
    pub extents: &'static str,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// Million bytes a second.
    pub mb_per_second: f64,
    /// Of one block.
    pub latency: Percentiles,
}

/// Writes for `duration` and computes the speed.
pub fn measure(
    data_dir: &Path,
    extents: Extents,
    block_bytes: usize,
    core: usize,
    duration: Duration,
) -> anyhow::Result<Throughput> {
    let mut file = DirectFile::create(data_dir, extents, block_bytes)?;
    let began = now_ns();
    let latencies = file.measure(core, duration)?;
    let took_ns = (now_ns() - began).max(1);
    Ok(Throughput {
        extents: match extents {
            Extents::Fresh => "to a new file",
            Extents::Allocated => "over unwritten extents",
            Extents::Written => "over written extents",
        },
        block_bytes,
        mb_per_second: latencies.len() as f64 * block_bytes as f64 * 1e3 / took_ns as f64,
        latency: Percentiles::of(&latencies),
    })
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sequential O_DIRECT+O_DSYNC, {} B blocks, {:<22} {:>8.1} MB/s   p50 {} us  p99 {} us  p99.9 {} us",
            self.block_bytes,
            self.extents,
            self.mb_per_second,
            micros(self.latency.p50_ns),
            micros(self.latency.p99_ns),
            micros(self.latency.p99_9_ns)
        )
    }
}
