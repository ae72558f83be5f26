//! Consumers: each lives some polls long, from the start on, in one manner of asking; seeks, asks for offsets and for the ends of
//! leader epochs in between.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use tautline_core::error::ErrorCode;

use super::client::{Client, Patience};
use super::fetcher::{Fetcher, Manner};
use crate::client::admin::{EARLIEST, LATEST, topic_name};
use crate::clock::now_ns;
use crate::errors;
use crate::history::event::{EpochEnd, Isolation, Offset, What};

/// Fetch versions they speak.
const VERSIONS: [i16; 6] = [7, 11, 12, 13, 16, 17];
const SIZES: [i32; 4] = [1, 300, 4000, 1 << 20];
const POLLS_MAX: u64 = 400;
const WAIT_MS_MAX: u64 = 30;
const PACE: Duration = Duration::from_millis(3);

/// Lives until the schedule is over.
pub fn run(client: &mut Client<'_>) -> anyhow::Result<()> {
    while !client.field.is_over() {
        let mut size = || SIZES[client.random.below(SIZES.len() as u64) as usize];
        let (partition_bytes_max, bytes_max) = (size(), size());
        let manner = Manner {
            version: VERSIONS[client.random.below(VERSIONS.len() as u64) as usize],
            isolation: isolation(client),
            session: client.random.once_in(2),
            partition_bytes_max,
            bytes_max,
            wait_ms_max: client.random.below(WAIT_MS_MAX) as i32,
            last: false,
        };
        let Some(starts) = offsets(client, false, manner.isolation)? else {
            continue;
        };
        let mut fetcher = Fetcher::new(manner, &starts);
        for _ in 0..client.random.below(POLLS_MAX) {
            if client.field.is_over() {
                break;
            }
            step(client, &mut fetcher)?;
            client.pause(PACE);
        }
    }
    Ok(())
}

fn isolation(client: &mut Client<'_>) -> Isolation {
    if client.random.once_in(2) {
        Isolation::ReadUncommitted
    } else {
        Isolation::ReadCommitted
    }
}

fn step(client: &mut Client<'_>, fetcher: &mut Fetcher) -> anyhow::Result<()> {
    match client.random.below(60) {
        0 => {
            let (latest, isolation) = (client.random.once_in(2), isolation(client));
            offsets(client, latest, isolation)?;
        }
        1 => epoch_end(client)?,
        2 | 3 => {
            let partition = client.partition();
            let known = &client.field.known[partition as usize];
            let start = known.log_start.load(Ordering::Relaxed);
            let high = known.high_watermark.load(Ordering::Relaxed);
            let offset = start + client.random.below((high - start).max(0) as u64 + 1) as i64;
            fetcher.seek(partition, offset);
        }
        _ => {}
    }
    poll(client, fetcher).map(|_| ())
}

/// Polls once; true if it brought records.
fn poll(client: &mut Client<'_>, fetcher: &mut Fetcher) -> anyhow::Result<bool> {
    let request = fetcher.request(&client.field.topic, &mut client.random);
    let began_ns = now_ns();
    let Some(answer) = client.ask(&request, fetcher.manner.version)? else {
        fetcher.forget_session();
        return Ok(false);
    };
    let Some(poll) = fetcher.take(answer)? else {
        return Ok(false);
    };
    let mut brought = false;
    let mut gone = Vec::new();
    for polled in &poll.partitions {
        brought |= !polled.batches.is_empty();
        if polled.error == 0 {
            client
                .field
                .learn(polled.partition, polled.log_start, polled.high_watermark);
            for batch in &polled.batches {
                client
                    .field
                    .leader_epoch
                    .fetch_max(batch.leader_epoch, Ordering::Relaxed);
            }
        } else if errors::is(polled.error, ErrorCode::OffsetOutOfRange) {
            gone.push(polled.partition);
        }
    }
    client.record(began_ns, What::Poll(poll));
    if !gone.is_empty()
        && let Some(starts) = offsets(client, false, fetcher.manner.isolation)?
    {
        for partition in gone {
            fetcher.seek(partition, starts[partition as usize]);
        }
    }
    Ok(brought)
}

/// ListOffsets of all partitions; none if it wasn't answered.
fn offsets(client: &mut Client<'_>, latest: bool, isolation: Isolation) -> anyhow::Result<Option<Vec<i64>>> {
    const VERSION: i16 = 7;
    let partitions = (0..client.field.partitions()).map(|index| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_current_leader_epoch(-1)
            .with_timestamp(if latest { LATEST } else { EARLIEST })
    });
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(&client.field.topic.name))
        .with_partitions(partitions.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
        .with_topics(vec![topic]);
    let began_ns = now_ns();
    let Some(answer) = client.ask(&request, VERSION)? else {
        return Ok(None);
    };
    let mut offsets = vec![None; client.field.known.len()];
    for told in answer.topics.into_iter().flat_map(|topic| topic.partitions) {
        let partition = told.partition_index;
        if told.error_code != 0 {
            return Ok(None);
        }
        if let Some(offset) = offsets.get_mut(partition as usize) {
            *offset = Some(told.offset);
        }
        client
            .field
            .leader_epoch
            .fetch_max(told.leader_epoch, Ordering::Relaxed);
        let what = Offset {
            partition,
            latest,
            isolation,
            offset: told.offset,
        };
        client.record(began_ns, What::Offset(what));
    }
    let all: Option<Vec<i64>> = offsets.into_iter().collect();
    all.context("the answer to ListOffsets leaves a partition out")
        .map(Some)
}

fn epoch_end(client: &mut Client<'_>) -> anyhow::Result<()> {
    const VERSION: i16 = 4;
    let newest = client.field.leader_epoch.load(Ordering::Relaxed);
    let (partition, asked) = (
        client.partition(),
        client.random.below(newest.max(0) as u64 + 2) as i32,
    );
    let topic = OffsetForLeaderTopic::default()
        .with_topic(topic_name(&client.field.topic.name))
        .with_partitions(vec![
            OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(-1)
                .with_leader_epoch(asked),
        ]);
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let began_ns = now_ns();
    let Some(answer) = client.ask(&request, VERSION)? else {
        return Ok(());
    };
    let topic = answer.topics.first();
    let told = topic.and_then(|topic| topic.partitions.first());
    let told = told.context("the answer to OffsetForLeaderEpoch leaves the partition out")?;
    if told.error_code == 0 {
        let what = EpochEnd {
            partition,
            asked,
            epoch: told.leader_epoch,
            end_offset: told.end_offset,
        };
        client.record(began_ns, What::EpochEnd(what));
    }
    Ok(())
}

/// The full read at the end: from the start of each partition to its high watermark. It gives up when nothing more comes, which the
/// checker then sees.
pub fn read_all(client: &mut Client<'_>, isolation: Isolation, session: bool) -> anyhow::Result<()> {
    let mut patience = Patience::new();
    let mut asked = |latest| {
        loop {
            match offsets(client, latest, Isolation::ReadUncommitted)? {
                Some(offsets) => return Ok(offsets),
                None if !client.may_retry(&mut patience) => anyhow::bail!("no answer to ListOffsets"),
                None => {}
            }
        }
    };
    let (starts, ends) = (asked(false)?, asked(true)?);
    let manner = Manner {
        version: 12,
        isolation,
        session,
        partition_bytes_max: 1 << 20,
        bytes_max: 1 << 20,
        wait_ms_max: 50,
        last: true,
    };
    let mut fetcher = Fetcher::new(manner, &starts);
    let mut patience = Patience::new();
    while fetcher
        .positions
        .iter()
        .zip(&ends)
        .any(|(position, &end)| position.offset < end)
    {
        if poll(client, &mut fetcher)? {
            patience = Patience::new();
        } else if !client.may_retry(&mut patience) {
            break;
        }
    }
    Ok(())
}
