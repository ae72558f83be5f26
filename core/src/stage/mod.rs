//! Where a request's time goes: the vocabulary of stages, the stamps that a request carries, and the flight recorder.
//!
//! Stamps are plain numbers that travel with the request, also to other cores and back; the monotonic clock is the same on all.
//! Each moment is read once and ends one stage where it begins the next, so the stages of a request add up to its whole time.
//! Nothing here allocates, locks or logs while requests are served.

mod recorder;
mod times;

pub use recorder::{Flight, Recorder, SLOWEST_KEPT};
pub use times::StageTimes;

/// A part of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// From its first byte to its last.
    Receive,
    /// It waits for its turn: behind others of its connection, for the core, for room in the log, for the write in flight.
    Queue,
    /// It is taken apart and checked.
    Parse,
    /// It is on its way to the core that owns the partition, or back.
    Hop,
    /// Its records are copied into the log's memory.
    Append,
    /// The write that carries its records, from submission to completion.
    Durable,
    /// Other voters have not got it yet.
    Replicate,
    /// Logs are read, in memory or from disk.
    Read,
    /// It waits for what others do, as long as its client wants it to.
    Wait,
    /// The handler of any other request, as a whole.
    Handle,
    /// From its result to the last byte of its response handed to the system.
    Respond,
}

/// How many stages there are.
pub const STAGES: usize = Stage::ALL.len();

impl Stage {
    /// All, by number.
    pub const ALL: [Stage; 11] = [
        Stage::Receive,
        Stage::Queue,
        Stage::Parse,
        Stage::Hop,
        Stage::Append,
        Stage::Durable,
        Stage::Replicate,
        Stage::Read,
        Stage::Wait,
        Stage::Handle,
        Stage::Respond,
    ];

    /// As a label.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Receive => "receive",
            Stage::Queue => "queue",
            Stage::Parse => "parse",
            Stage::Hop => "hop",
            Stage::Append => "append",
            Stage::Durable => "durable",
            Stage::Replicate => "replicate",
            Stage::Read => "read",
            Stage::Wait => "wait",
            Stage::Handle => "handle",
            Stage::Respond => "respond",
        }
    }
}

const _: () = {
    let mut at = 0;
    while at < STAGES {
        assert!(Stage::ALL[at] as usize == at);
        at += 1;
    }
};

/// What a request has spent in each stage so far, in nanoseconds on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    began_ns: u64,
    last_ns: u64,
    spent_ns: [u64; STAGES],
}

impl Stamps {
    /// Those of a request whose first byte came at that time.
    pub const fn begin(now_ns: u64) -> Stamps {
        Stamps {
            began_ns: now_ns,
            last_ns: now_ns,
            spent_ns: [0; STAGES],
        }
    }

    /// What passed since the last moment noted was spent in `stage`. A moment before that one counts as the same.
    #[inline]
    pub fn lap(&mut self, stage: Stage, now_ns: u64) {
        if now_ns > self.last_ns {
            self.spent_ns[stage as usize] += now_ns - self.last_ns;
            self.last_ns = now_ns;
        }
    }

    /// The last moment noted.
    pub const fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// What was spent in a stage.
    pub const fn spent_ns(&self, stage: Stage) -> u64 {
        self.spent_ns[stage as usize]
    }

    /// From the first moment to the last.
    pub const fn total_ns(&self) -> u64 {
        self.last_ns - self.began_ns
    }

    /// The total without what the client wanted it to wait: by this requests are slow.
    pub const fn own_ns(&self) -> u64 {
        self.total_ns() - self.spent_ns(Stage::Wait)
    }

    /// The stage that took most of [`Stamps::own_ns`].
    pub fn slowest(&self) -> Stage {
        let own = Stage::ALL.into_iter().filter(|stage| *stage != Stage::Wait);
        own.max_by_key(|stage| self.spent_ns(*stage))
            .expect("there are stages")
    }
}

/// How the records of one batch came to be acknowledged, on the core that owns their log. Moments of the monotonic clock in
/// nanoseconds; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// The batch came from another core.
    pub arrived_ns: u64,
    /// It was in the log's memory.
    pub appended_ns: u64,
    /// The write that carried it began.
    pub submitted_ns: u64,
    /// That write was complete.
    pub durable_ns: u64,
    /// It was committed.
    pub committed_ns: u64,
}

impl Stamps {
    /// Adds the way of a batch, seen from the core that asked for it at `now_ns`.
    pub fn follow(&mut self, way: &Acknowledged, now_ns: u64) {
        self.lap(Stage::Hop, way.arrived_ns);
        self.lap(Stage::Append, way.appended_ns);
        self.lap(Stage::Queue, way.submitted_ns);
        self.lap(Stage::Durable, way.durable_ns);
        self.lap(Stage::Replicate, way.committed_ns);
        if way.arrived_ns > 0 {
            self.lap(Stage::Hop, now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_add_up_and_time_does_not_go_back() {
        let mut stamps = Stamps::begin(100);
        stamps.lap(Stage::Parse, 130);
        stamps.lap(Stage::Append, 120);
        stamps.lap(Stage::Wait, 1_130);
        stamps.lap(Stage::Respond, 1_150);
        assert_eq!(stamps.spent_ns(Stage::Append), 0);
        assert_eq!((stamps.total_ns(), stamps.own_ns()), (1_050, 50));
        let sum: u64 = Stage::ALL.iter().map(|stage| stamps.spent_ns(*stage)).sum();
        assert_eq!(sum, stamps.total_ns());
        assert_eq!(stamps.slowest(), Stage::Parse);
    }

    #[test]
    fn a_batch_of_another_core_hops_twice_and_one_that_was_not_awaited_takes_no_time() {
        let mut stamps = Stamps::begin(0);
        stamps.lap(Stage::Parse, 10);
        let mut here = stamps;
        let way = Acknowledged {
            arrived_ns: 15,
            appended_ns: 18,
            submitted_ns: 30,
            durable_ns: 70,
            committed_ns: 70,
        };
        stamps.follow(&way, 77);
        let spent = |stage| stamps.spent_ns(stage);
        assert_eq!((spent(Stage::Hop), spent(Stage::Append)), (12, 3));
        assert_eq!((spent(Stage::Queue), spent(Stage::Durable)), (12, 40));
        // A relaxed topic: the last write of the log was before the batch.
        let relaxed = Acknowledged {
            appended_ns: 12,
            submitted_ns: 2,
            durable_ns: 5,
            ..Acknowledged::default()
        };
        here.follow(&relaxed, 20);
        assert_eq!(here.total_ns(), 12);
        assert_eq!(here.spent_ns(Stage::Durable), 0);
    }
}
