//! A host that commits at once: what a scenario asks is answered before its next line.

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ProducerEpoch, ProducerId};

use crate::Refusal;
use crate::coordinator::{Coordinator, CoordinatorRecord, Now, Token, TransactionalProducer};
use crate::memory::CoordinatorMemory;
use crate::metadata::MetadataImage;
use crate::transactions::coordinator::Decided;
use crate::transactions::{
    AddPartitionsToTxn, Effect, EndTxn, InitProducerId, Instance, MarkersWritten, TopicPartition,
    TransactionConfig, TransactionCoordinator, TransactionRequest, TransactionResponse, TransactionState,
    TransactionVersion, WriteMarkers,
};

pub(super) use TransactionVersion::{V0, V2};

/// The timeout of transactions, unless a scenario says otherwise.
pub(super) const TIMEOUT_MS: i32 = 60_000;

/// Nothing waits, so that each step answers its request.
const CONFIG: TransactionConfig = TransactionConfig {
    max_timeout_ms: 900_000,
    id_expiration_ms: 604_800_000,
    abort_interval_ms: 10_000,
    expire_interval_ms: 3_600_000,
    concurrent_wait_ms: 0,
    partition_verification: true,
};

pub(super) type Answer<T> = Result<T, ErrorCode>;

pub(super) struct Host {
    pub memory: CoordinatorMemory,
    pub coordinator: TransactionCoordinator,
    /// The clock that nobody sets.
    pub now_ms: i64,
    /// By how much the wall clock is ahead of it.
    pub ahead_ms: i64,
    pub log: Vec<CoordinatorRecord>,
    /// Markers that were asked for and not written.
    pub markers: Vec<WriteMarkers>,
    /// Batches of the last step.
    pub batches: usize,
    pub fresh_id: i64,
    epoch: i32,
    image: MetadataImage,
    tokens: u64,
}

pub(super) fn producer(id: i64, epoch: i16) -> TransactionalProducer {
    TransactionalProducer {
        id: ProducerId(id),
        epoch: ProducerEpoch(epoch),
    }
}

pub(super) fn partition(topic: &str, index: i32) -> TopicPartition {
    (Arc::from(topic), PartitionIndex(index))
}

pub(super) fn code<T>(result: Result<T, Refusal>) -> Answer<T> {
    result.map_err(|refusal| refusal.code)
}

/// A coordinator with the number of its epoch.
pub(super) fn coordinator(
    config: TransactionConfig,
    epoch: i32,
    memory: &CoordinatorMemory,
) -> TransactionCoordinator {
    let mut coordinator = TransactionCoordinator::new(config, memory);
    coordinator.lead(Instance {
        number: epoch.unsigned_abs().into(),
        epoch,
    });
    coordinator
}

impl Host {
    pub fn new() -> Self {
        Self::with_memory(CoordinatorMemory::of(usize::MAX))
    }

    pub fn with_memory(memory: CoordinatorMemory) -> Self {
        Self {
            coordinator: coordinator(CONFIG, 1, &memory),
            memory,
            now_ms: 1_000_000,
            ahead_ms: 0,
            log: Vec::new(),
            markers: Vec::new(),
            batches: 0,
            fresh_id: 4_000,
            epoch: 1,
            image: MetadataImage::default(),
            tokens: 0,
        }
    }

    /// A host whose transactional id `id` is held by this producer.
    pub fn held_by(id: &str, holder: TransactionalProducer) -> Self {
        let mut host = Self::new();
        host.fresh_id = holder.id.0;
        host.init(id, None).expect("nobody has the id");
        let holds = host.coordinator.transactions.get_mut(id).expect("it was taken");
        holds.producer = holder;
        host
    }

    pub fn take(&mut self, decided: Decided) -> Vec<(Token, TransactionResponse)> {
        self.batches = decided.batches.len();
        for batch in decided.batches {
            assert!(!batch.records.is_empty());
            assert_eq!(batch.producer, None);
            self.log.extend(batch.records);
        }
        for Effect::WriteMarkers(markers) in decided.effects {
            assert!(!markers.partitions.is_empty());
            self.markers.push(markers);
        }
        decided.replies.into_iter().chain(decided.prompt).collect()
    }

    pub fn ask(&mut self, request: TransactionRequest) -> TransactionResponse {
        self.tokens += 1;
        let token = Token(self.tokens);
        let mut decided = Decided::default();
        let now = Now {
            ms: self.now_ms + self.ahead_ms,
            monotonic_ms: self.now_ms,
            image: &self.image,
        };
        self.coordinator.step(now, token, request, &mut decided);
        let mut replies = self.take(decided);
        let (answered, response) = replies.pop().expect("each step answers its token");
        assert_eq!((answered, replies.len()), (token, 0));
        response
    }

    pub fn init_with(
        &mut self,
        id: &str,
        current: Option<TransactionalProducer>,
        timeout_ms: i32,
    ) -> Answer<TransactionalProducer> {
        let fresh_producer_id = ProducerId(self.fresh_id);
        let response = self.ask(TransactionRequest::InitProducerId(InitProducerId {
            transactional_id: Arc::from(id),
            timeout_ms,
            current,
            fresh_producer_id,
        }));
        let TransactionResponse::InitProducerId {
            result,
            unused_producer_id,
        } = response
        else {
            panic!("{response:?}")
        };
        let used = result
            .as_ref()
            .is_ok_and(|producer| producer.id == fresh_producer_id);
        assert_eq!(unused_producer_id, (!used).then_some(fresh_producer_id));
        self.fresh_id += i64::from(used);
        code(result)
    }

    pub fn init(
        &mut self,
        id: &str,
        current: Option<TransactionalProducer>,
    ) -> Answer<TransactionalProducer> {
        self.init_with(id, current, TIMEOUT_MS)
    }

    fn partitions(
        &mut self,
        id: &str,
        producer: TransactionalProducer,
        partitions: Vec<TopicPartition>,
        verify_only: bool,
        transaction_version: TransactionVersion,
    ) -> Answer<Vec<TopicPartition>> {
        let response = self.ask(TransactionRequest::AddPartitionsToTxn(AddPartitionsToTxn {
            transactional_id: Arc::from(id),
            producer,
            partitions,
            verify_only,
            transaction_version,
        }));
        match response {
            TransactionResponse::AddPartitionsToTxn(result) => code(result),
            other => panic!("{other:?}"),
        }
    }

    pub fn add(
        &mut self,
        id: &str,
        producer: TransactionalProducer,
        partitions: &[TopicPartition],
        version: TransactionVersion,
    ) -> Answer<()> {
        let missing = self.partitions(id, producer, partitions.to_vec(), false, version)?;
        assert_eq!(missing, []);
        Ok(())
    }

    pub fn verify(
        &mut self,
        id: &str,
        producer: TransactionalProducer,
        partitions: &[TopicPartition],
    ) -> Answer<Vec<TopicPartition>> {
        self.partitions(id, producer, partitions.to_vec(), true, V2)
    }

    pub fn end(
        &mut self,
        id: &str,
        producer: TransactionalProducer,
        committed: bool,
        version: TransactionVersion,
    ) -> Answer<TransactionalProducer> {
        let needs = EndTxn::needs_fresh_producer_id(producer, version);
        let fresh_producer_id = needs.then_some(ProducerId(self.fresh_id));
        let response = self.ask(TransactionRequest::EndTxn(EndTxn {
            transactional_id: Arc::from(id),
            producer,
            committed,
            transaction_version: version,
            fresh_producer_id,
        }));
        let TransactionResponse::EndTxn {
            result,
            unused_producer_id,
        } = response
        else {
            panic!("{response:?}")
        };
        let used = result
            .as_ref()
            .is_ok_and(|producer| Some(producer.id) == fresh_producer_id);
        assert_eq!(unused_producer_id, fresh_producer_id.filter(|_| !used));
        self.fresh_id += i64::from(used);
        code(result)
    }

    /// A transaction of one partition begins.
    pub fn begin(&mut self, id: &str, producer: TransactionalProducer, version: TransactionVersion) {
        self.add(id, producer, &[partition("orders", 0)], version)
            .expect("the producer holds the id");
    }

    pub fn written(&mut self, markers: &WriteMarkers, partitions: Vec<TopicPartition>) {
        let response = self.ask(TransactionRequest::MarkersWritten(MarkersWritten {
            transactional_id: markers.transactional_id.clone(),
            decision: markers.decision,
            instance: markers.instance.number,
            partitions,
        }));
        assert_eq!(response, TransactionResponse::MarkersWritten);
    }

    /// Writes all markers that are asked for.
    pub fn write_markers(&mut self) {
        for markers in std::mem::take(&mut self.markers) {
            self.written(&markers, markers.partitions.clone());
        }
    }

    pub fn tick(&mut self, later_ms: i64) {
        self.now_ms += later_ms;
        let mut decided = Decided::default();
        let now = Now {
            ms: self.now_ms + self.ahead_ms,
            monotonic_ms: self.now_ms,
            image: &self.image,
        };
        self.coordinator.tick(now, &mut decided);
        assert_eq!(self.take(decided), []);
    }

    /// The coordinator is lost, another replays the log.
    pub fn restart(&mut self) {
        self.epoch += 1;
        self.markers.clear();
        self.coordinator = coordinator(CONFIG, self.epoch, &self.memory);
        for record in &self.log {
            self.coordinator
                .replay(None, &record.key, record.value.as_deref(), 0)
                .expect("a coordinator has written it");
        }
        let mut decided = Decided::default();
        let now = Now {
            ms: self.now_ms + self.ahead_ms,
            monotonic_ms: self.now_ms,
            image: &self.image,
        };
        self.coordinator.replayed(now, &mut decided);
        assert_eq!(self.take(decided), []);
    }

    pub fn state(&self, id: &str) -> TransactionState {
        self.coordinator.transaction(id).expect("it is there").state
    }

    pub fn holder(&self, id: &str) -> TransactionalProducer {
        self.coordinator.transaction(id).expect("it is there").producer
    }
}
