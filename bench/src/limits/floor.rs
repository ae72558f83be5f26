//! The floor of one request on this machine, measured in slices beside a load: round trip, durable write, and both as one sample.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::disk::{BLOCK_BYTES, DirectFile, Extents};
use super::echo::EchoPeer;
use crate::affinity::Cores;
use crate::client::connection::Poll;
use crate::report::percentiles::{Percentiles, histogram};

/// The measuring thread's core and its peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Where the client runs.
    pub ours: usize,
    /// Where the peer (and beside a load, the broker) runs.
    pub peer: usize,
}

/// The pair asked for, or the last allowed core and the first.
pub fn pair(asked: Option<&Cores>) -> anyhow::Result<Pair> {
    let Some(cores) = asked else {
        let allowed = Cores::allowed()?;
        return Ok(Pair {
            ours: *allowed.0.last().unwrap_or(&0),
            peer: *allowed.0.first().unwrap_or(&0),
        });
    };
    ensure!(
        cores.0.len() == 2,
        "give two cores, as A,B: the measuring thread's and its peer's"
    );
    cores.check()?;
    Ok(Pair {
        ours: cores.0[0],
        peer: cores.0[1],
    })
}

/// The three latencies, added up over the slices of a run.
pub struct Floor {
    /// Request and answer over the loopback, both threads blocking.
    pub round_trip: Histogram<u64>,
    /// One durable 4 KiB overwrite by the peer's core.
    pub durable_write: Histogram<u64>,
    /// A round trip whose peer makes a durable overwrite before it answers.
    pub both: Histogram<u64>,
    our_core: usize,
    peer_core: usize,
    file: DirectFile,
    echo: EchoPeer,
    durable_echo: EchoPeer,
}

impl Floor {
    /// Prepares files in `data_dir` and peers for requests of `request_bytes`.
    pub fn prepare(data_dir: &Path, cores: Pair, request_bytes: usize) -> anyhow::Result<Floor> {
        let file = || DirectFile::create(data_dir, Extents::Written, BLOCK_BYTES);
        Ok(Floor {
            round_trip: histogram(),
            durable_write: histogram(),
            both: histogram(),
            our_core: cores.ours,
            peer_core: cores.peer,
            file: file()?,
            echo: EchoPeer::start(cores, request_bytes, Poll::Block, None)?,
            durable_echo: EchoPeer::start(cores, request_bytes, Poll::Block, Some(file()?))?,
        })
    }

    /// Measures each of the three for a third of `duration`.
    pub fn slice(&mut self, duration: Duration) -> anyhow::Result<()> {
        let third = duration / 3;
        let add = |total: &mut Histogram<u64>, part: Histogram<u64>| {
            total.add(&part).expect("all histograms have the same bounds");
        };
        add(&mut self.both, self.durable_echo.measure(third)?);
        add(&mut self.round_trip, self.echo.measure(third)?);
        add(&mut self.durable_write, self.file.measure(self.peer_core, third)?);
        Ok(())
    }
    /// Its percentiles so far.
    pub fn report(&self) -> FloorReport {
        FloorReport {
            cores: (self.our_core, self.peer_core),
            round_trip: Percentiles::of(&self.round_trip),
            durable_write: Percentiles::of(&self.durable_write),
            round_trip_and_durable_write: Percentiles::of(&self.both),
        }
    }
}

/// The floor as reports carry it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FloorReport {
    /// The measuring thread's core and its peer's.
    pub cores: (usize, usize),
    /// Request and answer over the loopback.
    pub round_trip: Percentiles,
    /// One durable 4 KiB overwrite.
    pub durable_write: Percentiles,
    /// A round trip with one.
    pub round_trip_and_durable_write: Percentiles,
}
