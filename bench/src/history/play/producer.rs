//! Producers without transactions: every other one idempotent. Each lives some batches long; a life ends when it can't know what
//! became of one.

use std::time::Duration;

use kafka_protocol::messages::InitProducerIdRequest;

use super::client::{Client, Patience, Verdict, verdict};
use super::writer::Writer;
use crate::errors;
use crate::history::event::Producer;

/// Produce versions they speak.
const VERSIONS: [i16; 4] = [3, 9, 11, 13];
const LIFE_MAX: u64 = 300;
const PACE: Duration = Duration::from_millis(8);

/// Lives until the schedule is over.
pub fn run(client: &mut Client<'_>, idempotent: bool) -> anyhow::Result<()> {
    while !client.field.is_over() {
        let version = VERSIONS[client.random.below(VERSIONS.len() as u64) as usize];
        let mut writer = Writer::new(client, version);
        if idempotent {
            let Some(producer) = init(client)? else {
                return Ok(());
            };
            writer.become_producer(producer);
        } else if client.random.once_in(2) {
            writer.acks = 1;
        }
        for _ in 0..1 + client.random.below(LIFE_MAX) {
            if client.field.is_over() {
                break;
            }
            let partitions = client.some_partitions();
            let parcels = partitions
                .into_iter()
                .map(|partition| writer.pack(client, partition, None));
            let parcels = parcels.collect::<anyhow::Result<_>>()?;
            if !writer.write(client, parcels)? {
                break;
            }
            client.pause(PACE);
        }
    }
    Ok(())
}

/// A new producer id; none when the schedule is over first.
fn init(client: &mut Client<'_>) -> anyhow::Result<Option<Producer>> {
    const VERSION: i16 = 4;
    let mut patience = Patience::new();
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    loop {
        if let Some(answer) = client.ask(&request, VERSION)? {
            match verdict(answer.error_code) {
                Verdict::Done => {
                    return Ok(Some(Producer {
                        id: answer.producer_id.0,
                        epoch: answer.producer_epoch,
                    }));
                }
                Verdict::Refused => errors::check(answer.error_code, "InitProducerId")?,
                Verdict::Again | Verdict::Unsure => {}
            }
        }
        if client.field.is_over() || !client.may_retry(&mut patience) {
            return Ok(None);
        }
    }
}
