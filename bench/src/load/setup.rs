//! What a load is, in the words of a report: the same for every target that is compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::job::{Job, Pace, leaders};
use super::run::Kind;
use super::target::Target;
use crate::affinity::Cores;
use crate::client::connection::Poll;
use crate::client::template::Template;
use crate::options::LoadArgs;

/// The load and how it is driven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// What is measured.
    pub kind: Kind,
    /// Bytes of a message's value.
    pub value_bytes: usize,
    /// Distinct keys; None for messages without.
    pub keys: Option<u64>,
    /// Messages of a batch.
    pub records_per_batch: usize,
    /// Bytes of a whole batch as it is stored.
    pub batch_bytes: usize,
    /// How long a batch waits for more of them, in milliseconds.
    pub linger_ms: f64,
    /// 0, 1, or -1 for all.
    pub acks: i16,
    /// When requests are sent.
    pub pace: Pace,
    /// Whether that is only the first rate of many.
    #[serde(default)]
    pub sweeps: bool,
    /// Partitions of the topic.
    pub partitions: usize,
    /// Connections that produce.
    pub producers: usize,
    /// Connections that consume.
    pub consumers: usize,
    /// Cores of the client's threads.
    pub client_cores: String,
    /// How they wait.
    pub client_poll: Poll,
    /// Version of Produce requests; the highest by topic name that the broker has.
    pub produce_version: i16,
    /// Seconds measured in each repeat.
    pub duration_s: f64,
    /// Seconds before that, not measured.
    pub warmup_s: f64,
    /// How often all of it is done.
    pub repeats: u32,
}

impl Setup {
    /// Of a job and the flags it was planned from.
    pub fn of(kind: Kind, job: &Job, args: &LoadArgs, cores: &Cores, target: &Target, repeats: u32) -> Setup {
        let consumers = args.consumers.unwrap_or_else(|| leaders(&target.topic).len());
        Setup {
            kind,
            value_bytes: job.shape.value_bytes,
            keys: args.keys,
            records_per_batch: job.shape.records,
            batch_bytes: Template::new(&job.shape).batch_bytes(),
            linger_ms: job.linger_ns as f64 / 1e6,
            acks: job.shape.acks,
            pace: job.pace,
            sweeps: false,
            partitions: target.topic.leaders.len(),
            producers: job.lanes.len(),
            consumers: if kind == Kind::E2e { consumers } else { 0 },
            client_cores: cores.to_string(),
            client_poll: job.poll,
            produce_version: job.shape.version,
            duration_s: args.duration.as_secs_f64(),
            warmup_s: args.warmup.as_secs_f64(),
            repeats,
        }
    }
}

/// Acks as a person writes them.
pub fn acks(acks: i16) -> String {
    if acks < 0 { "all".into() } else { acks.to_string() }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B messages", self.value_bytes)?;
        if let Some(keys) = self.keys {
            write!(f, " with {keys} keys")?;
        }
        if self.sweeps && self.linger_ms > 0.0 {
            write!(f, ", as many a batch as the linger gathers")?;
        } else {
            write!(f, ", {} a batch", self.records_per_batch)?;
        }
        if self.linger_ms > 0.0 {
            write!(f, " (linger {} ms)", self.linger_ms)?;
        }
        let partitions = if self.partitions == 1 {
            "partition"
        } else {
            "partitions"
        };
        write!(f, ", acks={}, {} {partitions}", acks(self.acks), self.partitions)?;
        let connections = if self.producers == 1 {
            "connection"
        } else {
            "connections"
        };
        write!(f, ", {} producing {connections}", self.producers)?;
        if self.consumers > 0 {
            write!(f, " and {} consuming", self.consumers)?;
        }
        match self.pace {
            Pace::Open { rate } if self.sweeps => write!(
                f,
                ", open loop from {rate} msg/s upwards, latency from the intended send time"
            )?,
            Pace::Open { rate } => write!(
                f,
                ", open loop at {rate} msg/s, latency from the intended send time"
            )?,
            Pace::Closed { in_flight } => write!(f, ", closed loop, {in_flight} in flight a connection")?,
        }
        let how = if self.client_poll == Poll::Busy {
            "spinning"
        } else {
            "blocking"
        };
        write!(
            f,
            ", Produce v{}, {how} client on cores {}",
            self.produce_version, self.client_cores
        )
    }
}
