//! The flight recorder: the slowest requests of a core since somebody looked last.

use std::net::SocketAddr;

use super::Stamps;
use crate::ids::{PartitionIndex, TopicId};

/// How many requests a recorder keeps; faster ones make place.
pub const SLOWEST_KEPT: usize = 32;

/// One request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// The number of its API.
    pub api: i16,
    /// What its client numbered it with.
    pub correlation_id: i32,
    /// Where its client is.
    pub client: Option<SocketAddr>,
    /// Bytes of the request.
    pub bytes: u32,
    /// The partition that was acknowledged last, or the first that was read.
    pub partition: Option<(TopicId, PartitionIndex)>,
    /// Where its time went.
    pub stamps: Stamps,
}

/// See the module. Recording allocates nothing: what is full is replaced.
#[derive(Debug)]
pub struct Recorder {
    flights: Vec<Flight>,
    /// What a request has to exceed to be kept, once there are enough.
    floor_ns: u64,
    seen: u64,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            flights: Vec::with_capacity(SLOWEST_KEPT),
            floor_ns: 0,
            seen: 0,
        }
    }
}

impl Recorder {
    /// Counts a request, and keeps what `flight` says of it if it is among the slowest.
    #[inline]
    pub fn record(&mut self, own_ns: u64, flight: impl FnOnce() -> Flight) {
        self.seen += 1;
        if self.flights.len() < SLOWEST_KEPT || own_ns > self.floor_ns {
            self.keep(flight());
        }
    }

    #[cold]
    fn keep(&mut self, flight: Flight) {
        if self.flights.len() < SLOWEST_KEPT {
            self.flights.push(flight);
        } else if let Some(fastest) = self.flights.iter_mut().min_by_key(|kept| kept.stamps.own_ns()) {
            *fastest = flight;
        }
        let own = self.flights.iter().map(|kept| kept.stamps.own_ns());
        self.floor_ns = own.min().unwrap_or(0);
    }

    /// How many requests it has seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The slowest of them, in no order.
    pub fn flights(&self) -> &[Flight] {
        &self.flights
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stage;
    use super::*;

    fn flight(own_ns: u64) -> Flight {
        let mut stamps = Stamps::begin(1_000);
        stamps.lap(Stage::Durable, 1_000 + own_ns);
        Flight {
            api: 0,
            correlation_id: own_ns as i32,
            client: None,
            bytes: 0,
            partition: None,
            stamps,
        }
    }

    #[test]
    fn the_slowest_stay_whatever_the_order() {
        for step in [1, 7, 391] {
            let mut recorder = Recorder::default();
            for n in 0..1_000u64 {
                let own_ns = 1 + n * step % 1_000;
                recorder.record(own_ns, || flight(own_ns));
            }
            let mut kept: Vec<u64> = recorder.flights().iter().map(|f| f.stamps.own_ns()).collect();
            kept.sort_unstable();
            let slowest: Vec<u64> = (1_001 - SLOWEST_KEPT as u64..=1_000).collect();
            assert_eq!(kept, slowest, "step {step}");
            assert_eq!(recorder.seen(), 1_000);
        }
    }
}
