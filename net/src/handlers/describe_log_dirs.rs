//! DescribeLogDirs (35), versions 1-4: how large the partitions' logs are, and their volume. KIP-113, KIP-827 (volume sizes).
//!
//! A partition that does not exist, whose log could not be opened, or which another broker leads, is left out, as in Kafka.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::statvfs;
use tautline_core::blocking;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_replica::metadata::TopicImage;

use super::owners::{Asked, on_owners};
use crate::broker::{Broker, Partition};
use crate::connection::{Call, Reply};
use crate::wire::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic, WireError,
};

/// Describes the data directory, the only one.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeLogDirsRequest<'_> = call.decode()?;
    let asked = asked(&call, &request);
    let topics: Vec<Option<Arc<TopicImage>>> = asked.iter().map(|asked| asked.topic.clone()).collect();
    let answers = on_owners(&call.broker, asked, |partition, ()| measure(partition)).await;
    let topics = topics.into_iter().zip(answers).filter_map(|(topic, answers)| {
        let partitions: Vec<_> = answers.into_iter().flatten().collect();
        let name = topic?.name.to_string().into();
        (!partitions.is_empty()).then_some(DescribeLogDirsTopic { name, partitions })
    });
    let result = directory(&call.broker, topics.collect()).await;
    Ok(call.reply(&DescribeLogDirsResponse {
        throttle_time_ms: 0,
        error_code: 0,
        results: vec![result],
    }))
}

/// The partitions asked for; all of them where the request names none.
fn asked(call: &Call, request: &DescribeLogDirsRequest<'_>) -> Vec<Asked<()>> {
    let broker = &call.broker;
    let ours = |topic: &TopicImage, index: &PartitionIndex| call.answers_for(broker.owner(topic.id, *index));
    let Some(topics) = &request.topics else {
        let all = |topic: &Arc<TopicImage>| {
            let indexes = topic.partitions().filter(|index| ours(topic, index));
            Asked {
                topic: Some(topic.clone()),
                partitions: indexes.map(|index| (index, ())).collect(),
            }
        };
        return broker.image().topics().map(all).collect();
    };
    let named = topics.iter().map(|asked| {
        let topic = broker.find_topic(&asked.topic, TopicId::ZERO);
        let indexes = asked.partitions.iter().map(|&index| PartitionIndex(index));
        let indexes = indexes.filter(|index| topic.as_ref().is_some_and(|topic| ours(topic, index)));
        Asked {
            partitions: indexes.map(|index| (index, ())).collect(),
            topic,
        }
    });
    named.collect()
}

async fn measure(partition: Rc<Partition>) -> Result<DescribeLogDirsPartition, ErrorCode> {
    let log = &partition.log;
    Ok(DescribeLogDirsPartition {
        partition_index: partition.index.0,
        partition_size: bounded(log.size_bytes()),
        offset_lag: (log.high_watermark().0 - log.end_offset().0).max(0),
        is_future_key: false,
    })
}

async fn directory(
    broker: &Broker,
    topics: Vec<DescribeLogDirsTopic<'static>>,
) -> DescribeLogDirsResult<'static> {
    let path = broker.store.data_dir().path();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let log_dir = absolute.to_string_lossy().into_owned().into();
    match blocking::run(move || volume(&absolute)).await {
        Ok((total_bytes, usable_bytes)) => DescribeLogDirsResult {
            error_code: 0,
            log_dir,
            topics,
            total_bytes,
            usable_bytes,
        },
        Err(error) => {
            tracing::warn!("the data directory's volume can't be measured: {error}");
            let error_code = ErrorCode::KafkaStorageError.code();
            DescribeLogDirsResult {
                error_code,
                log_dir,
                ..Default::default()
            }
        }
    }
}

/// Bytes of the volume, and those of them that this process could still write.
fn volume(path: &Path) -> std::io::Result<(i64, i64)> {
    let found = statvfs(path)?;
    let bytes = |blocks: u64| bounded(blocks.saturating_mul(found.f_frsize));
    Ok((bytes(found.f_blocks), bytes(found.f_bavail)))
}

fn bounded(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
