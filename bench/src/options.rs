//! Flags that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::affinity::Cores;
use crate::client::connection::Poll;

/// Which broker and topic.
#[derive(Args, Debug, Clone, Serialize)]
pub struct TargetArgs {
    /// Kafka addresses of the broker, comma-separated
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT,...")]
    pub bootstrap: String,
    /// The topic; created if it is missing
    #[arg(long, default_value = "tautline-bench")]
    pub topic: String,
    /// Partitions of the topic when it is created
    #[arg(long, default_value_t = 1)]
    pub partitions: i32,
    /// Replicas of each partition when the topic is created; -1 for the broker's default
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    pub replication_factor: i16,
    /// A configuration of the topic when it is created, as flush.messages=1; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub topic_config: Vec<(String, String)>,
}

/// The topic part of flags that name no broker.
#[derive(Args, Debug, Clone, Serialize)]
pub struct TopicArgs {
    /// The topic; created if it is missing
    #[arg(long, default_value = "tautline-bench")]
    topic: String,
    /// Partitions of the topic when it is created
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Replicas of each partition when the topic is created; -1 for the broker's default
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    replication_factor: i16,
    /// A configuration of the topic of all targets when it is created; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    topic_config: Vec<(String, String)>,
}

impl TopicArgs {
    /// On the broker at `bootstrap`, with further configurations.
    pub fn at(&self, bootstrap: &str, configs: &[(String, String)]) -> TargetArgs {
        TargetArgs {
            bootstrap: bootstrap.into(),
            topic: self.topic.clone(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            topic_config: [self.topic_config.as_slice(), configs].concat(),
        }
    }
}

/// What is sent, and how fast.
#[derive(Args, Debug, Clone, Serialize)]
pub struct LoadArgs {
    /// Bytes of a message's value
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
    /// Fill batches up to this many bytes [default: one message a batch, or 16384 with --linger]
    #[arg(long, value_name = "BYTES")]
    pub batch_bytes: Option<usize>,
    /// Open loop: a batch waits this long for further messages, as a client's linger.ms [default: 0]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    pub linger: Option<Duration>,
    /// Give messages keys, from a set of this size, which decide the partition as in Kafka's clients [default: no keys,
    /// partitions in turn]
    #[arg(long, value_name = "COUNT")]
    pub keys: Option<u64>,
    /// Acknowledgements to wait for: 0, 1 or all
    #[arg(long, default_value = "all", value_parser = acks)]
    pub acks: i16,
    /// Connections that produce, spread over the brokers that lead partitions (at least one each)
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Open loop: messages a second over all connections; latency counts from the intended send time
    #[arg(long, value_name = "MSG/S", conflicts_with = "in_flight")]
    pub rate: Option<f64>,
    /// Closed loop: requests under way on each connection [default: 1]
    #[arg(long, value_name = "REQUESTS")]
    pub in_flight: Option<usize>,
    /// Connections that consume, for e2e, the partitions spread over them [default: one a broker that leads partitions]
    #[arg(long)]
    pub consumers: Option<usize>,
    /// Seconds that are measured
    #[arg(long, value_parser = seconds, default_value = "10", value_name = "SECONDS")]
    pub duration: Duration,
    /// Seconds before that, not measured
    #[arg(long, value_parser = seconds, default_value = "2", value_name = "SECONDS")]
    pub warmup: Duration,
    /// Cores of the client's threads, as 0-3,6 [default: the last allowed core]
    #[arg(long)]
    pub cores: Option<Cores>,
    /// How client threads wait: asleep in the kernel, or spinning. A spinner can delay the kernel's own threads on its core, and
    /// with them durable writes whose interrupts arrive there (/proc/interrupts): spin where the disk has another core
    #[arg(long, value_enum, default_value_t = Poll::Block)]
    pub client_poll: Poll,
}

impl LoadArgs {
    /// Bytes that a batch may have; None for one message a batch.
    pub fn batch_bytes_max(&self) -> Option<usize> {
        const KAFKA_BATCH_BYTES: usize = 16 << 10;
        self.batch_bytes.or(self.linger.map(|_| KAFKA_BATCH_BYTES))
    }
}

/// The floor beside the load, and where the report goes.
#[derive(Args, Debug, Clone, Serialize)]
pub struct ReportArgs {
    /// Measure this machine's limits in the same run, in slices between those of the load, and print ratios
    #[arg(long)]
    pub floor: bool,
    /// With --floor: where its durable writes go; the disk of the broker's data
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data_dir: PathBuf,
    /// With --floor: the core of its answering thread, the broker's core [default: the first allowed core that isn't in --cores]
    #[arg(long, value_name = "CORE")]
    pub floor_core: Option<usize>,
    /// With --floor: how many slices the duration is cut into, a slice of the floor around each
    #[arg(long, default_value_t = 5)]
    pub slices: u32,
    /// With --floor: stop this process (the broker, when it spins) while the floor is measured, and continue it after
    #[arg(long, value_name = "PID")]
    pub pause_pid: Option<i32>,
    /// Write the report as JSON and the latencies as an HdrHistogram log here
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Seconds, with an optional unit: 10, 0.5, 500ms, 2m.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("`{unit}` is not a unit of time here: use ms, s or m")),
    };
    let value: f64 = digits
        .parse()
        .map_err(|_| format!("`{digits}` is not a number of seconds"))?;
    Duration::try_from_secs_f64(value * factor).map_err(|error| error.to_string())
}

/// A pair written with an equals sign.
pub fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

/// 0, 1, or -1 for all.
pub fn acks(text: &str) -> Result<i16, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        _ => Err("acks are 0, 1 or all".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(seconds("10"), Ok(Duration::from_secs(10)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "x", "-1", "3h", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
