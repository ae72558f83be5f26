//! One load, as every thread of it sees it: what to send, at which pace, over which connections.

use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::keys::{KEY_BYTES, Keys};
use super::target::Target;
use crate::affinity::Cores;
use crate::client::admin::Topic;
use crate::client::connection::Poll;
use crate::client::template::RequestShape;
use crate::clock::nanos;
use crate::options::LoadArgs;

/// How long the broker may take for a request, in milliseconds.
const REQUEST_TIMEOUT_MS: i32 = 30_000;
/// Bytes of a stamp in a message's value.
const STAMP_BYTES: usize = 8;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// At a fixed rate over all connections, whatever the broker does.
    Open {
        /// Messages a second.
        rate: f64,
    },
    /// As many under way on each connection as this, the next when one is answered.
    Closed {
        /// Requests.
        in_flight: usize,
    },
}

/// One connection of the load.
#[derive(Clone, Debug, Serialize)]
pub struct Lane {
    /// Its number, which also staggers its schedule.
    pub index: usize,
    /// The broker it leads to.
    pub address: String,
    /// The partitions of that broker, in the order it takes turns with them.
    pub partitions: Vec<i32>,
    /// The core of its thread.
    pub core: usize,
    /// The keys of those partitions, when messages have keys.
    #[serde(skip)]
    pub keys: Option<Arc<Keys>>,
}

/// The load.
pub struct Job {
    /// The requests.
    pub shape: RequestShape,
    /// Their pace.
    pub pace: Pace,
    /// How long a batch waits for further messages, in nanoseconds. Then its messages are meant to be sent one after
    /// the other, as the rate says; without it all messages of a batch are meant to be sent at once.
    pub linger_ns: u64,
    /// Whether a batch is full before that.
    pub fills_batches: bool,
    /// The connections.
    pub lanes: Vec<Lane>,
    /// How threads wait.
    pub poll: Poll,
}

/// When a slice of the load begins, is measured from, and ends; monotonic nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// First send.
    pub start_ns: u64,
    /// Sends meant for before this are warm-up.
    pub from_ns: u64,
    /// No send is meant for this or later.
    pub end_ns: u64,
}

impl Window {
    /// Whether a message meant for `intended_ns` is measured.
    pub fn measures(&self, intended_ns: u64) -> bool {
        (self.from_ns..self.end_ns).contains(&intended_ns)
    }
}

impl Job {
    /// Lays the load out over the topic's leaders and the cores.
    pub fn plan(args: &LoadArgs, target: &Target, cores: &Cores) -> anyhow::Result<Job> {
        ensure!(
            args.size >= STAMP_BYTES,
            "--size is at least {STAMP_BYTES}: a message carries its intended send time"
        );
        ensure!(
            args.connections > 0 && args.in_flight != Some(0),
            "--connections and --in-flight are at least 1"
        );
        let pace = match args.rate {
            Some(rate) if rate > 0.0 && rate.is_finite() => Pace::Open { rate },
            Some(_) => anyhow::bail!("--rate is a number of messages a second above 0"),
            None => Pace::Closed {
                in_flight: args.in_flight.unwrap_or(1),
            },
        };
        ensure!(
            args.linger.is_none() || args.rate.is_some(),
            "--linger is for an open loop: give a --rate"
        );
        let linger_ns = args.linger.map_or(0, nanos);
        let lanes = lanes(&target.topic, args.connections, args.keys, cores)?;
        let fitting = args
            .batch_bytes_max()
            .map_or(1, |bytes| RequestShape::records_for(args.size, bytes));
        let records = match pace {
            // What a linger gathers at this rate.
            Pace::Open { rate } if linger_ns > 0 => {
                let spacing_ns = 1e9 * lanes.len() as f64 / rate;
                fitting.min(1 + (linger_ns as f64 / spacing_ns) as usize)
            }
            _ => fitting,
        };
        let shape = RequestShape {
            version: target.produce_version,
            topic: target.topic.name.clone(),
            topic_id: target.topic.id,
            acks: args.acks,
            timeout_ms: REQUEST_TIMEOUT_MS,
            value_bytes: args.size,
            key: vec![0; if args.keys.is_some() { KEY_BYTES } else { 0 }],
            records,
        };
        Ok(Job {
            shape,
            pace,
            linger_ns,
            fills_batches: records == fitting,
            lanes,
            poll: args.client_poll,
        })
    }

    /// When the first message of the `turn`th request of a lane is meant to be sent; lanes are staggered evenly.
    pub fn intended_ns(&self, window: &Window, lane: usize, turn: u64, rate: f64) -> u64 {
        let lanes = self.lanes.len() as f64;
        let records = self.shape.records as f64;
        let message = if self.linger_ns > 0 {
            turn as f64 * records * lanes + lane as f64
        } else {
            (turn as f64 * lanes + lane as f64) * records
        };
        window.start_ns + (message * 1e9 / rate) as u64
    }

    /// How long after that the request goes out: when its last message is there, or the linger is over.
    pub fn held_ns(&self, rate: f64) -> u64 {
        if self.fills_batches {
            self.spacing_ns(rate) * (self.shape.records as u64 - 1)
        } else {
            self.linger_ns
        }
    }

    /// The time between the messages of a request; 0 when they are all meant for the same moment.
    pub fn spacing_ns(&self, rate: f64) -> u64 {
        if self.linger_ns > 0 {
            (self.lanes.len() as f64 * 1e9 / rate) as u64
        } else {
            0
        }
    }
}

/// The leaders of a topic, each with its partitions.
pub fn leaders(topic: &Topic) -> Vec<(String, Vec<i32>)> {
    let mut leaders: Vec<(String, Vec<i32>)> = Vec::new();
    for (partition, address) in topic.leaders.iter().enumerate() {
        match leaders.iter_mut().find(|(known, _)| known == address) {
            Some((_, partitions)) => partitions.push(partition as i32),
            None => leaders.push((address.clone(), vec![partition as i32])),
        }
    }
    leaders
}

fn lanes(
    topic: &Topic,
    connections: usize,
    key_count: Option<u64>,
    cores: &Cores,
) -> anyhow::Result<Vec<Lane>> {
    let leaders = leaders(topic);
    let keys = leaders.iter().map(|(address, partitions)| {
        let Some(count) = key_count else { return Ok(None) };
        let keys = Keys::of(count, partitions, topic.leaders.len());
        let keys = keys.with_context(|| format!("none of {count} keys falls on a partition of {address}"))?;
        Ok(Some(Arc::new(keys)))
    });
    let keys: Vec<_> = keys.collect::<anyhow::Result<_>>()?;
    let lane = |index: usize| {
        let (address, partitions) = &leaders[index % leaders.len()];
        let mut partitions = partitions.clone();
        // Connections to the same broker begin at different partitions.
        let turn = (index / leaders.len()) % partitions.len();
        partitions.rotate_left(turn);
        Lane {
            index,
            address: address.clone(),
            partitions,
            core: cores.of(index),
            keys: keys[index % leaders.len()].clone(),
        }
    };
    Ok((0..connections.max(leaders.len())).map(lane).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leader_gets_a_connection_and_only_its_partitions() {
        let leaders = ["a:1", "b:1", "a:1", "b:1", "c:1"].map(String::from).to_vec();
        let topic = Topic {
            name: "t".into(),
            id: uuid::Uuid::nil(),
            leaders,
        };
        let planned = lanes(&topic, 1, None, &Cores(vec![3, 4])).unwrap();
        let seen: Vec<_> = planned
            .iter()
            .map(|l| (l.address.as_str(), l.partitions.clone(), l.core))
            .collect();
        assert_eq!(
            seen,
            [
                ("a:1", vec![0, 2], 3),
                ("b:1", vec![1, 3], 4),
                ("c:1", vec![4], 3)
            ]
        );
        let more = lanes(&topic, 6, None, &Cores(vec![0])).unwrap();
        assert_eq!(more[3].partitions, [2, 0]);
    }
}
