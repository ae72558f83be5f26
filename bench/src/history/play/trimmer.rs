//! Deletes records from the front of a partition now and then, also under open and aborted transactions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use super::client::{Client, Verdict, verdict};
use crate::client::admin::topic_name;
use crate::clock::now_ns;
use crate::history::event::{Outcome, Trim, What};

const VERSION: i16 = 2;
const TIMEOUT_MS: i32 = 10_000;
const PACE: Duration = Duration::from_millis(300);

/// Goes on until the schedule is over.
pub fn run(client: &mut Client<'_>) -> anyhow::Result<()> {
    loop {
        client.pause(PACE);
        if client.field.is_over() {
            return Ok(());
        }
        trim(client)?;
    }
}

fn trim(client: &mut Client<'_>) -> anyhow::Result<()> {
    let partition = client.partition();
    let before = choose(client, partition);
    let topic = DeleteRecordsTopic::default()
        .with_name(topic_name(&client.field.topic.name))
        .with_partitions(vec![
            DeleteRecordsPartition::default()
                .with_partition_index(partition)
                .with_offset(before),
        ]);
    let request = DeleteRecordsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(TIMEOUT_MS);
    let began_ns = now_ns();
    let outcome = match client.ask(&request, VERSION)? {
        None => Outcome::Unknown,
        Some(answer) => {
            let topic = answer.topics.first();
            let result = topic.and_then(|topic| topic.partitions.first());
            let result = result.context("the answer to DeleteRecords leaves the partition out")?;
            match verdict(result.error_code) {
                Verdict::Done => Outcome::Ok(result.low_watermark),
                Verdict::Unsure => Outcome::Unknown,
                Verdict::Again | Verdict::Refused => Outcome::Fail(result.error_code),
            }
        }
    };
    let trim = Trim {
        partition,
        before,
        outcome,
    };
    client.record(began_ns, What::Trim(trim));
    Ok(())
}

/// Mostly a part of what is there, seldom all of it.
fn choose(client: &mut Client<'_>, partition: i32) -> i64 {
    let known = &client.field.known[partition as usize];
    let start = known.log_start.load(Ordering::Relaxed);
    let high = known.high_watermark.load(Ordering::Relaxed);
    match client.random.below(20) {
        0 => -1,
        1 => high,
        _ => start + client.random.below((high - start).max(0) as u64 / 2 + 1) as i64,
    }
}
