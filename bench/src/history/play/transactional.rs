//! Transactional producers. Several share a transactional id and fence each other; they commit, abort, die in the middle, and wait
//! longer than their transaction may last; in both versions of transactions (KIP-98, KIP-890).

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProducerId,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::client::{Client, Patience, Verdict, verdict};
use super::writer::Writer;
use crate::client::admin::{Admin, topic_name};
use crate::clock::now_ns;
use crate::history::event::{End, Init, Outcome, Producer, What};

const TRANSACTIONS_MAX: u64 = 12;
const BATCHES_MAX: u64 = 6;
const PACE: Duration = Duration::from_millis(8);
/// Between two lives.
const REST: Duration = Duration::from_millis(60);
/// One life in so many has a transaction timeout short enough to be met.
const SHORT: u64 = 3;
const SHORT_TIMEOUT: Duration = Duration::from_millis(250);
const LONG_TIMEOUT: Duration = Duration::from_secs(30);
const INIT_VERSION: i16 = 4;

/// Versions of one life's requests.
#[derive(Clone, Copy)]
struct Versions {
    produce: i16,
    end: i16,
}

/// The first version of transactions: partitions are added by a request of their own.
const FIRST: Versions = Versions { produce: 11, end: 3 };
/// The second: a batch adds its partition, and each transaction has an epoch of its own.
const SECOND: Versions = Versions { produce: 13, end: 5 };

/// How a transaction is to end.
enum Ending {
    Commit,
    Abort,
    /// Nobody ends it.
    Die,
    /// A batch is still on its way, on another connection, when the end is asked for.
    Straggle {
        commit: bool,
    },
}

/// Lives until the schedule is over.
pub fn run(client: &mut Client<'_>) -> anyhow::Result<()> {
    while !client.field.is_over() {
        live(client)?;
        client.pause(REST);
    }
    Ok(())
}

fn live(client: &mut Client<'_>) -> anyhow::Result<()> {
    let ids = &client.field.transactional_ids;
    let id = ids[client.random.below(ids.len() as u64) as usize].clone();
    let short = client.random.once_in(SHORT);
    let timeout = if short { SHORT_TIMEOUT } else { LONG_TIMEOUT };
    let versions = if client.random.once_in(2) { FIRST } else { SECOND };
    let Some(producer) = init(client, &id, timeout)? else {
        return Ok(());
    };
    let mut writer = Writer::new(client, versions.produce);
    writer.transactional_id = Some(id);
    writer.become_producer(producer);
    for _ in 0..1 + client.random.below(TRANSACTIONS_MAX) {
        if client.field.is_over() || !transact(client, &mut writer, versions, short)? {
            break;
        }
    }
    Ok(())
}

/// Takes a transactional id over; none when that can't be had.
pub fn init(client: &mut Client<'_>, id: &str, timeout: Duration) -> anyhow::Result<Option<Producer>> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_string(id.into()))))
        .with_transaction_timeout_ms(timeout.as_millis() as i32)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    find_coordinator(client, id)?;
    let began_ns = now_ns();
    let (mut unsure, mut patience) = (false, Patience::new());
    let outcome = loop {
        match client.ask(&request, INIT_VERSION)? {
            None => unsure = true,
            Some(answer) => match verdict(answer.error_code) {
                Verdict::Done => {
                    break Outcome::Ok(Producer {
                        id: answer.producer_id.0,
                        epoch: answer.producer_epoch,
                    });
                }
                Verdict::Refused if unsure => break Outcome::Unknown,
                Verdict::Refused => break Outcome::Fail(answer.error_code),
                Verdict::Unsure => unsure = true,
                Verdict::Again => {}
            },
        }
        if !client.may_retry(&mut patience) {
            break Outcome::Unknown;
        }
    };
    let transactional_id = id.into();
    client.record(
        began_ns,
        What::Init(Init {
            transactional_id,
            outcome,
        }),
    );
    Ok(match outcome {
        Outcome::Ok(producer) => Some(producer),
        _ => None,
    })
}

/// Asks for the id's coordinator, as a client does first; on a single node it is always the same broker.
fn find_coordinator(client: &mut Client<'_>, id: &str) -> anyhow::Result<()> {
    const VERSION: i16 = 3;
    const TRANSACTION: i8 = 1;
    let request = FindCoordinatorRequest::default()
        .with_key(StrBytes::from_string(id.into()))
        .with_key_type(TRANSACTION);
    let mut patience = Patience::new();
    loop {
        if let Some(answer) = client.ask(&request, VERSION)?
            && verdict(answer.error_code) == Verdict::Done
        {
            return Ok(());
        }
        if !client.may_retry(&mut patience) {
            bail!("{id} has no coordinator");
        }
    }
}

/// One transaction; false when the producer can't go on.
fn transact(
    client: &mut Client<'_>,
    writer: &mut Writer,
    versions: Versions,
    short: bool,
) -> anyhow::Result<bool> {
    let transaction = client.field.number();
    let mut added = HashSet::new();
    for _ in 0..1 + client.random.below(BATCHES_MAX) {
        let mut parcels = Vec::new();
        for partition in client.some_partitions() {
            let adds = versions.end == FIRST.end && added.insert(partition);
            if adds && !add_partition(client, writer, partition)? {
                return Ok(false);
            }
            parcels.push(writer.pack(client, partition, Some(transaction))?);
        }
        if !writer.write(client, parcels)? {
            return Ok(false);
        }
        client.pause(PACE);
    }
    if short && client.random.once_in(3) {
        // Longer than the transaction may last, by a little or by a lot.
        std::thread::sleep(SHORT_TIMEOUT);
        client.pause(SHORT_TIMEOUT);
    }
    let commit = match ending(client, versions) {
        Ending::Die => return Ok(false),
        Ending::Commit => true,
        Ending::Abort => false,
        Ending::Straggle { commit } => {
            straggle(client, writer, transaction)?;
            commit
        }
    };
    end(client, writer, versions, transaction, commit)
}

fn ending(client: &mut Client<'_>, versions: Versions) -> Ending {
    match client.random.below(20) {
        0..=9 => Ending::Commit,
        10..=14 => Ending::Abort,
        15 => Ending::Die,
        _ if versions.end == FIRST.end => Ending::Commit,
        // Only the second version tells a late batch from one of the next transaction.
        other => Ending::Straggle {
            commit: other % 2 == 0,
        },
    }
}

fn add_partition(client: &mut Client<'_>, writer: &Writer, partition: i32) -> anyhow::Result<bool> {
    const VERSION: i16 = 3;
    let (id, producer) = identity(writer)?;
    let topic = AddPartitionsToTxnTopic::default()
        .with_name(topic_name(&client.field.topic.name))
        .with_partitions(vec![partition]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id)
        .with_v3_and_below_producer_id(ProducerId(producer.id))
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![topic]);
    let mut patience = Patience::new();
    loop {
        if let Some(answer) = client.ask(&request, VERSION)? {
            let topic = answer.results_by_topic_v3_and_below.first();
            let result = topic.and_then(|topic| topic.results_by_partition.first());
            let result = result.context("the answer to AddPartitionsToTxn leaves the partition out")?;
            match verdict(result.partition_error_code) {
                Verdict::Done => return Ok(true),
                Verdict::Refused => return Ok(false),
                Verdict::Again | Verdict::Unsure => {}
            }
        }
        if !client.may_retry(&mut patience) {
            return Ok(false);
        }
    }
}

fn identity(writer: &Writer) -> anyhow::Result<(TransactionalId, Producer)> {
    let id = writer.transactional_id.clone().context("a transactional id")?;
    let producer = writer.producer.context("a producer id")?;
    Ok((TransactionalId(StrBytes::from_string(id)), producer))
}

/// Sends a batch of the transaction on a connection of its own and doesn't wait: it and the end race.
fn straggle(client: &mut Client<'_>, writer: &mut Writer, transaction: u64) -> anyhow::Result<()> {
    let partition = client.partition();
    let parcels = [writer.pack(client, partition, Some(transaction))?];
    let request = writer.request(&client.field.topic, &parcels);
    let began_ns = now_ns();
    if let Ok(mut other) = Admin::connect(&client.field.listen) {
        // It may be lost, as any request.
        let _ = other.send_at(&request, writer.version);
    }
    parcels
        .into_iter()
        .for_each(|parcel| parcel.abandon(client, began_ns));
    Ok(())
}

fn end(
    client: &mut Client<'_>,
    writer: &mut Writer,
    versions: Versions,
    transaction: u64,
    commit: bool,
) -> anyhow::Result<bool> {
    const DIE_SENDING: u64 = 40;
    const DIE_WAITING: u64 = 4;
    let (id, producer) = identity(writer)?;
    let request = EndTxnRequest::default()
        .with_transactional_id(id)
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_committed(commit);
    let began_ns = now_ns();
    let (mut unsure, mut patience) = (false, Patience::new());
    let outcome = loop {
        if client.random.once_in(DIE_SENDING) {
            client.send_and_die(&request, versions.end)?;
            break Outcome::Unknown;
        }
        match client.ask(&request, versions.end)? {
            None => {
                unsure = true;
                if client.random.once_in(DIE_WAITING) {
                    break Outcome::Unknown;
                }
            }
            Some(answer) => match verdict(answer.error_code) {
                Verdict::Done => {
                    if versions.end == SECOND.end && answer.producer_id.0 >= 0 {
                        writer.become_producer(Producer {
                            id: answer.producer_id.0,
                            epoch: answer.producer_epoch,
                        });
                    }
                    break Outcome::Ok(());
                }
                Verdict::Refused if unsure => break Outcome::Unknown,
                Verdict::Refused => break Outcome::Fail(answer.error_code),
                Verdict::Unsure => unsure = true,
                Verdict::Again => {}
            },
        }
        if !client.may_retry(&mut patience) {
            break Outcome::Unknown;
        }
    };
    client.record(
        began_ns,
        What::End(End {
            transaction,
            producer,
            commit,
            outcome,
        }),
    );
    Ok(outcome == Outcome::Ok(()))
}
