//! What a partition remembers of idempotent producers (KIP-98): a function of its log, as in `store/src/producers/`, of which
//! this is a model.

use std::collections::{BTreeMap, VecDeque};

use tautline_core::batch::Batch;
use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};
use tautline_core::limits::PRODUCER_BATCHES_REMEMBERED;

use super::log::Stored;

#[derive(Clone, Debug, Default)]
struct Producer {
    epoch: ProducerEpoch,
    last_sequence: i32,
    batches: VecDeque<(i32, i32, Offset)>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Producers {
    by_id: BTreeMap<ProducerId, Producer>,
}

/// What the sequence of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It follows.
    New,
    /// It is there, up to this offset.
    Duplicate(Offset),
    /// Another one comes first, or this one is long past.
    OutOfOrder,
    /// A newer producer has taken over.
    Fenced,
}

impl Producers {
    pub fn check(&self, batch: &Batch<'_>) -> Check {
        let (id, epoch, first) = (batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
        let Some(known) = self.by_id.get(&id) else {
            return if first == 0 { Check::New } else { Check::OutOfOrder };
        };
        if epoch < known.epoch {
            return Check::Fenced;
        }
        if epoch > known.epoch {
            return if first == 0 { Check::New } else { Check::OutOfOrder };
        }
        let same = known
            .batches
            .iter()
            .find(|(base, last, _)| (*base, *last) == (first, batch.last_sequence()));
        match same {
            Some(&(_, _, end)) => Check::Duplicate(end),
            None if first == known.last_sequence + 1 => Check::New,
            None => Check::OutOfOrder,
        }
    }

    pub fn note(&mut self, stored: &Stored) {
        let batch = stored.batch();
        let producer = self.by_id.entry(batch.producer_id()).or_default();
        if producer.epoch != batch.producer_epoch() {
            *producer = Producer {
                epoch: batch.producer_epoch(),
                ..Producer::default()
            };
        }
        if producer.batches.len() == PRODUCER_BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.last_sequence = batch.last_sequence();
        producer
            .batches
            .push_back((batch.base_sequence(), batch.last_sequence(), stored.end_offset()));
    }

    /// Of a log from what was known at its start.
    pub fn of(at_start: &Producers, batches: &[Stored]) -> Self {
        let mut producers = at_start.clone();
        batches.iter().for_each(|stored| producers.note(stored));
        producers
    }
}
