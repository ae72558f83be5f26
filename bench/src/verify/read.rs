//! `verify check`: reads every partition from its first offset to its high watermark and checks it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use uuid::Uuid;

use super::check::{PartitionCheck, Violations};
use super::journal::{self, Entry};
use crate::client::admin::{Admin, EARLIEST, LATEST};
use crate::client::batch::Batches;
use crate::client::connection::{Connection, Poll};
use crate::client::fetch::{self, FetchRequest, Position};
use crate::clock::{nanos, now_ns};
use crate::errors;
use crate::load::target::{self, Target};

const PARTITION_BYTES_MAX: i32 = 8 << 20;
const FETCH_WAIT_MS: i32 = 100;
/// How long a partition may give nothing although its end lies ahead.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(20);

/// Flags of `verify check`.
#[derive(Args, Debug, Clone)]
pub struct CheckArgs {
    /// Kafka addresses of the broker, comma-separated
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT,...")]
    bootstrap: String,
    /// The topic that `verify produce` wrote
    #[arg(long, default_value = "tautline-bench")]
    topic: String,
    /// Directory of the journals
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What a check found.
#[derive(Default)]
pub struct Found {
    /// Records read.
    pub records: u64,
    /// Records the journals hold.
    pub acknowledged: u64,
    /// What is wrong.
    pub violations: Violations,
}

/// Checks and prints; false on any violation.
pub fn run(args: &CheckArgs) -> anyhow::Result<bool> {
    let target = target::existing(&args.bootstrap, &args.topic)?;
    let found = check(&target, &args.out)?;
    for violation in &found.violations.kept {
        println!("VIOLATION {violation}");
    }
    println!(
        "{} records read, {} acknowledged, {} violations",
        found.records, found.acknowledged, found.violations.count
    );
    Ok(found.violations.count == 0)
}

/// Checks every partition of a topic against the journals in `out`.
pub fn check(target: &Target, out: &Path) -> anyhow::Result<Found> {
    let mut by_partition: HashMap<i32, Vec<Entry>> = HashMap::new();
    let mut found = Found::default();
    for entry in journal::read_all(out)? {
        found.acknowledged += u64::from(entry.count);
        by_partition.entry(entry.partition).or_default().push(entry);
    }
    for (partition, leader) in target.topic.leaders.iter().enumerate() {
        let partition = partition as i32;
        let entries = by_partition.remove(&partition).unwrap_or_default();
        let read = read_partition(target, leader, partition, entries);
        let (records, violations) =
            read.with_context(|| format!("read partition {partition} from {leader}"))?;
        found.records += records;
        found.violations.append(violations);
    }
    if let Some(partition) = by_partition.keys().next() {
        bail!("the journals name partition {partition}, which the topic doesn't have");
    }
    Ok(found)
}

fn read_partition(
    target: &Target,
    leader: &str,
    partition: i32,
    entries: Vec<Entry>,
) -> anyhow::Result<(u64, Violations)> {
    let mut admin = Admin::connect(leader)?;
    let mut offset = |which| anyhow::Ok(admin.list_offsets(&target.topic.name, &[partition], which)?[0].1);
    let (start, end) = (offset(EARLIEST)?, offset(LATEST)?);
    let mut check = PartitionCheck::new(partition, start, entries);
    let mut connection = Connection::open(leader, Poll::Block)?;
    connection.receiver.set_timeout(Some(PROGRESS_TIMEOUT))?;
    let mut request = fetch_request(&target.topic.name, target.topic.id, target.fetch_version);
    let mut progressed_at = now_ns();
    let mut correlation = 0;
    while check.next_offset() < end {
        correlation += 1;
        let before = check.next_offset();
        let frame = request.encode(
            correlation,
            &[Position {
                partition,
                offset: before,
            }],
        );
        let body = connection.call(frame)?;
        let mut taken = Ok(());
        let error = fetch::parse(body, target.fetch_version, |fetched| {
            taken = take(fetched, &mut check);
        })?;
        errors::check(error, "Fetch")?;
        taken?;
        if check.next_offset() > before {
            progressed_at = now_ns();
        } else if now_ns() - progressed_at > nanos(PROGRESS_TIMEOUT) {
            bail!("nothing to read at offset {before} for {PROGRESS_TIMEOUT:?}, although the end is {end}");
        }
    }
    Ok(check.finish())
}

fn take(fetched: fetch::Fetched<'_>, check: &mut PartitionCheck) -> anyhow::Result<()> {
    errors::check(fetched.error_code, &format!("offset {}", check.next_offset()))?;
    for batch in Batches(fetched.records) {
        let batch = batch?;
        if batch.next_offset() > fetched.high_watermark {
            bail!(
                "the batch at {} lies beyond the high watermark {}",
                batch.base_offset,
                fetched.high_watermark
            );
        }
        check.take(&batch);
    }
    Ok(())
}

fn fetch_request(topic: &str, topic_id: Uuid, version: i16) -> FetchRequest {
    FetchRequest {
        version,
        topic: topic.into(),
        topic_id,
        wait_ms_max: FETCH_WAIT_MS,
        partition_bytes_max: PARTITION_BYTES_MAX,
        bytes_max: PARTITION_BYTES_MAX,
        frame: Vec::new(),
    }
}
