//! Checks of where a member begins, what a commit holds, and what is lost or repeated when a member dies.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{Client, NO_RESET_POLICY, Producing};
use crate::fleet::{committed, joining};
use crate::harness::{
    DEADLINE, Outcome, Record, Run, eventually, expect, expect_equal, expect_refused, refused,
};
use crate::ledger::{Partition, Positions, value_of};
use crate::member::{Joining, commit_sync};

fn produce(client: &Client, at: &Partition, count: i64) -> Outcome {
    let record = |i| Record {
        value: Some(value_of(at, i).into_bytes()),
        ..Record::default()
    };
    let records: Vec<Record> = (0..count).map(record).collect();
    client.produce(&at.0, &records, &Producing::default())
}

/// A topic of one partition with 100 records.
fn hundred(run: &Run, client: &Client, name: &str) -> Outcome<Partition> {
    let at = (run.topic(name), 0);
    client.create_topic(&at.0, 1)?;
    produce(client, &at, 100)?;
    Ok(at)
}

fn joined(how: &Joining, reset: &str) -> Outcome<BaseConsumer> {
    let consumer: BaseConsumer = how.config().set("auto.offset.reset", reset).create()?;
    consumer.subscribe(&[&how.subscription])?;
    Ok(consumer)
}

/// The offsets of the next records, or the error that comes instead.
fn take(consumer: &BaseConsumer, count: usize) -> Outcome<Vec<i64>> {
    let mut offsets = Vec::new();
    let mut failed = None;
    eventually("records", || {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => offsets.push(message.offset()),
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
        Ok(offsets.len() >= count || failed.is_some())
    })?;
    match failed {
        Some(error) => Err(refused(error)),
        None => Ok(offsets),
    }
}

fn range(from: i64, until: i64) -> Vec<i64> {
    (from..until).collect()
}

pub fn reset(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let at = hundred(run, client, &format!("reset-{flavour}"))?;
    let group = |n| joining(run, &format!("{}-{n}", at.0), &at.0, flavour);
    let earliest = joined(&group(1), "earliest")?;
    expect_equal(take(&earliest, 100)?, range(0, 100), "earliest")?;
    earliest.seek(&at.0, 0, Offset::Offset(97), DEADLINE)?;
    expect_equal(take(&earliest, 3)?, range(97, 100), "after seek")?;
    commit_sync(&earliest, &Positions::from([(at.clone(), 42)]))?;
    drop(earliest);
    let again = joined(&group(1), "earliest")?;
    expect_equal(
        take(&again, 58)?,
        range(42, 100),
        "from the commit, whatever the reset",
    )?;
    drop(again);
    let none = joined(&group(3), "error")?;
    expect_refused(take(&none, 1), NO_RESET_POLICY, "no commit and no reset")?;
    drop(none);
    let latest = joined(&group(2), "latest")?;
    let mut first = None;
    eventually("what is produced after the member knows where the end is", || {
        produce(client, &at, 1)?;
        let got = latest.poll(Duration::from_millis(100));
        first = got.and_then(Result::ok).map(|message| message.offset());
        Ok(first.is_some())
    })?;
    expect(
        first >= Some(100),
        format_args!("latest began at {first:?}, among the old records"),
    )?;
    Ok(String::new())
}

pub fn at_most_once(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let at = hundred(run, client, &format!("most-{flavour}"))?;
    let how = joining(run, &at.0, &at.0, flavour);
    let dying = joined(&how, "earliest")?;
    let mut done = take(&dying, 10)?;
    commit_sync(&dying, &Positions::from([(at, 10)]))?;
    done.truncate(5);
    drop(dying);
    done.extend(take(&joined(&how, "earliest")?, 90)?);
    let wanted = [range(0, 5), range(10, 100)].concat();
    expect_equal(done, wanted, "processed: 5 to 9 are lost, nothing is repeated")?;
    Ok(String::new())
}

pub fn at_least_once(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let at = hundred(run, client, &format!("least-{flavour}"))?;
    let how = joining(run, &at.0, &at.0, flavour);
    let dying = joined(&how, "earliest")?;
    let mut done = take(&dying, 10)?;
    commit_sync(&dying, &Positions::from([(at, 4)]))?;
    drop(dying);
    done.extend(take(&joined(&how, "earliest")?, 96)?);
    let wanted = [range(0, 10), range(4, 100)].concat();
    expect_equal(done, wanted, "processed: nothing is lost, 4 to 9 are repeated")?;
    Ok(String::new())
}

/// Commits for a group without being its member.
pub fn commit_alone(how: &Joining, positions: &Positions, metadata: &str) -> Outcome {
    let alone: BaseConsumer = how.config().create()?;
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in positions {
        let mut one = offsets.add_partition(topic, *partition);
        one.set_offset(Offset::Offset(*offset))?;
        one.set_metadata(metadata);
    }
    alone.commit(&offsets, CommitMode::Sync).map_err(refused)
}

pub fn metadata(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let at = hundred(run, client, "metadata")?;
    let how = joining(run, &at.0, &at.0, flavour);
    for (offset, text) in [
        (0, "x".repeat(4000)),
        (1, String::new()),
        (2, "where \u{e9}".into()),
    ] {
        commit_alone(&how, &Positions::from([(at.clone(), offset)]), &text)?;
        let alone: BaseConsumer = how.config().create()?;
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&at.0, 0);
        let found = alone.committed_offsets(wanted, DEADLINE).map_err(refused)?;
        let found = &found.elements()[0];
        expect_equal(
            (found.offset(), found.metadata()),
            (Offset::Offset(offset), text.as_str()),
            "committed",
        )?;
    }
    let large = commit_alone(&how, &Positions::from([(at.clone(), 9)]), &"x".repeat(4097));
    expect_refused(
        large,
        RDKafkaErrorCode::OffsetMetadataTooLarge,
        "4097 bytes of metadata",
    )?;
    expect_equal(
        committed(&how, &at.0, 1)?,
        Positions::from([(at, 2)]),
        "committed after the refusal",
    )?;
    Ok(String::new())
}

pub fn manual(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let at = hundred(run, client, &format!("manual-{flavour}"))?;
    let how = joining(run, &at.0, &at.0, flavour);
    let wanted = Positions::from([(at.clone(), 33)]);
    commit_alone(&how, &wanted, "")?;
    expect_equal(committed(&how, &at.0, 1)?, wanted.clone(), "committed")?;
    let member = joined(&how, "earliest")?;
    expect_equal(take(&member, 67)?, range(33, 100), "a member goes on from there")?;
    let stranger = commit_alone(&how, &Positions::from([(at.clone(), 50)]), "");
    expect_refused(stranger, RDKafkaErrorCode::UnknownMemberId, "a stranger's commit")?;
    expect_equal(
        committed(&how, &at.0, 1)?,
        wanted,
        "committed, after the stranger was refused",
    )?;
    Ok(String::new())
}
