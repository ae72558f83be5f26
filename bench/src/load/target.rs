//! The topic under load: found or created, its leaders and its durability known, before the first message.

use std::time::Duration;

use anyhow::Context;
use kafka_protocol::messages::ApiKey;

use crate::client::admin::{Admin, Topic};
use crate::clock::{nanos, now_ns};
use crate::options::TargetArgs;
use crate::report::durability::Durability;

/// How long a new topic may take to show up with leaders.
const READY_TIMEOUT: Duration = Duration::from_secs(15);
const RETRY_EVERY: Duration = Duration::from_millis(50);
/// Produce versions whose shape [`crate::client::template`] writes.
const PRODUCE_VERSIONS: (i16, i16) = (9, 13);
/// Fetch versions that [`crate::client::fetch`] writes.
const FETCH_VERSIONS: (i16, i16) = (12, 16);

/// A topic ready for load.
pub struct Target {
    /// Its name, id and leaders.
    pub topic: Topic,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// The Produce version to speak.
    pub produce_version: i16,
    /// The Fetch version to speak.
    pub fetch_version: i16,
}

/// Finds the topic or creates it, and waits until each partition has a leader.
pub fn prepare(args: &TargetArgs) -> anyhow::Result<Target> {
    let mut admin = Admin::connect(&args.bootstrap)?;
    if admin
        .topic(&args.topic)
        .map(|topic| topic.is_none())
        .unwrap_or(false)
    {
        admin.create_topic(
            &args.topic,
            args.partitions,
            args.replication_factor,
            &args.topic_config,
        )?;
    }
    let topic = ready_topic(&mut admin, &args.topic)?;
    if topic.leaders.len() != args.partitions as usize {
        eprintln!(
            "note: {} exists with {} partitions; --partitions is for a new topic",
            topic.name,
            topic.leaders.len()
        );
    }
    describe(&admin, topic, &args.bootstrap)
}

/// The same for a topic that must exist.
pub fn existing(bootstrap: &str, name: &str) -> anyhow::Result<Target> {
    let mut admin = Admin::connect(bootstrap)?;
    let topic = admin
        .topic(name)?
        .with_context(|| format!("the broker at {bootstrap} has no topic {name}"))?;
    describe(&admin, topic, bootstrap)
}

fn describe(admin: &Admin, topic: Topic, bootstrap: &str) -> anyhow::Result<Target> {
    let durability = Durability::of(bootstrap, &topic.name);
    // By name where that is possible: the shortest request.
    let by_name = |key, ours: (i16, i16), last_by_name| {
        admin
            .version(key, (ours.0, last_by_name))
            .or_else(|_| admin.version(key, ours))
    };
    Ok(Target {
        produce_version: by_name(ApiKey::Produce, PRODUCE_VERSIONS, 12)?,
        fetch_version: by_name(ApiKey::Fetch, FETCH_VERSIONS, 12)?,
        topic,
        durability,
    })
}

/// Waits until metadata shows the topic with a leader for each partition.
pub fn ready_topic(admin: &mut Admin, name: &str) -> anyhow::Result<Topic> {
    let deadline = now_ns() + nanos(READY_TIMEOUT);
    loop {
        let reason = match admin.topic(name) {
            Ok(Some(topic)) => return Ok(topic),
            Ok(None) => anyhow::anyhow!("metadata doesn't show it"),
            Err(error) => error,
        };
        if now_ns() > deadline {
            return Err(reason.context(format!("topic {name} is not ready after {READY_TIMEOUT:?}")));
        }
        std::thread::sleep(RETRY_EVERY);
    }
}
