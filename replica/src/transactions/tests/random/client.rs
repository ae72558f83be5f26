//! A producer: takes its transactional id, and then makes one transaction after the other, whatever becomes of them.

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::ProducerId;

use crate::coordinator::TransactionalProducer;
use crate::transactions::{
    AddPartitionsToTxn, EndTxn, InitProducerId, TopicPartition, TransactionRequest, TransactionResponse,
    TransactionVersion,
};

use super::Random;
use super::partitions::{Name, Partitions};
use crate::transactions::tests::host::partition;

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Doing {
    Init,
    Add(Vec<TopicPartition>),
    End { committed: bool },
    Idle,
}

/// How an end of a transaction was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Committed,
    Aborted,
    /// INVALID_TXN_STATE to a commit.
    NotCommitted,
}

#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    pub id: Arc<str>,
    version: TransactionVersion,
    /// What it holds; `None` takes over whatever is there.
    holds: Option<TransactionalProducer>,
    doing: Doing,
    transaction: u64,
    /// Requests sent: answers to any but the last are not listened to.
    pub sent: u64,
    pub resend_at_ms: i64,
    pub told: Vec<(Name, Told)>,
}

impl Client {
    pub fn new(number: usize, id: &str, version: TransactionVersion) -> Self {
        Self {
            number,
            id: Arc::from(id),
            version,
            holds: None,
            doing: Doing::Init,
            transaction: 0,
            sent: 0,
            resend_at_ms: 0,
            told: Vec::new(),
        }
    }

    /// Whether its requests may overtake each other and come twice. Without an epoch for each transaction (versions 0 and 1)
    /// a delayed request is not told from one of the next transaction: that is what KIP-890 is for.
    pub fn may_be_overtaken(&self) -> bool {
        self.version == TransactionVersion::V2
    }

    fn name(&self) -> Name {
        (self.number, self.transaction)
    }

    /// The request that it waits for, to be sent once more or for the first time.
    pub fn request(&mut self, now_ms: i64, random: &mut Random, fresh: &mut i64) -> TransactionRequest {
        self.sent += 1;
        self.resend_at_ms = now_ms + 5 + random.below(40) as i64;
        if self.doing == Doing::Idle {
            self.begin(random);
        }
        let transactional_id = self.id.clone();
        let holds = self.holds;
        let producer = || holds.expect("only one that holds an id is past Init");
        match &self.doing {
            Doing::Init => {
                *fresh += 1;
                TransactionRequest::InitProducerId(InitProducerId {
                    transactional_id,
                    timeout_ms: 60,
                    current: holds,
                    fresh_producer_id: ProducerId(*fresh),
                })
            }
            Doing::Add(partitions) => TransactionRequest::AddPartitionsToTxn(AddPartitionsToTxn {
                transactional_id,
                producer: producer(),
                partitions: partitions.clone(),
                verify_only: false,
                transaction_version: self.version,
            }),
            Doing::End { committed } => {
                let needs = EndTxn::needs_fresh_producer_id(producer(), self.version);
                *fresh += i64::from(needs);
                TransactionRequest::EndTxn(EndTxn {
                    transactional_id,
                    producer: producer(),
                    committed: *committed,
                    transaction_version: self.version,
                    fresh_producer_id: needs.then_some(ProducerId(*fresh)),
                })
            }
            Doing::Idle => unreachable!("it has begun"),
        }
    }

    fn begin(&mut self, random: &mut Random) {
        self.transaction += 1;
        self.doing = if random.one_in(12) {
            Doing::Init
        } else if self.version == TransactionVersion::V2 && random.one_in(10) {
            Doing::End { committed: false }
        } else {
            Doing::Add(self.some_partitions(random))
        };
    }

    fn some_partitions(&self, random: &mut Random) -> Vec<TopicPartition> {
        let count = 1 + random.below(3);
        (0..count)
            .map(|_| partition("topic", random.below(4) as i32))
            .collect()
    }

    /// The answer to its last request.
    pub fn answered(
        &mut self,
        now_ms: i64,
        response: TransactionResponse,
        partitions: &mut Partitions,
        random: &mut Random,
    ) {
        // It sends on soon, but now and then it falls asleep.
        let pause_ms = if random.one_in(12) {
            random.below(200)
        } else {
            random.below(5)
        };
        self.resend_at_ms = now_ms + pause_ms as i64;
        match response {
            TransactionResponse::InitProducerId { result, .. } => match result {
                Ok(producer) => {
                    self.holds = Some(producer);
                    self.doing = Doing::Idle;
                }
                Err(refusal) => self.refused(refusal.code),
            },
            TransactionResponse::AddPartitionsToTxn(result) => match result {
                Ok(_) => self.write(partitions, random),
                Err(refusal) => self.refused(refusal.code),
            },
            TransactionResponse::EndTxn { result, .. } => match result {
                Ok(producer) => {
                    self.note_end(true);
                    self.holds = Some(producer);
                    self.doing = Doing::Idle;
                }
                Err(refusal) => {
                    if refusal.code == ErrorCode::InvalidTxnState {
                        self.note_end(false);
                    }
                    self.refused(refusal.code);
                }
            },
            other => panic!("{other:?}"),
        }
    }

    fn note_end(&mut self, done: bool) {
        let Doing::End { committed } = self.doing else {
            panic!("{self:?} has not asked for an end")
        };
        let told = match (committed, done) {
            (true, true) => Told::Committed,
            (false, true) => Told::Aborted,
            (true, false) => Told::NotCommitted,
            (false, false) => return,
        };
        self.told.push((self.name(), told));
    }

    fn write(&mut self, partitions: &mut Partitions, random: &mut Random) {
        let Doing::Add(added) = &self.doing else {
            panic!("{self:?} has not added")
        };
        let producer = self.holds.expect("it has added");
        let taken = added
            .iter()
            .all(|partition| partitions.write(partition, producer, self.name()));
        self.doing = match random.below(6) {
            0 => Doing::Add(self.some_partitions(random)),
            1 => Doing::End { committed: false },
            // What was not written must not be committed.
            _ => Doing::End { committed: taken },
        };
    }

    fn refused(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::ConcurrentTransactions => {}
            ErrorCode::ProducerFenced => {
                // Somebody else has the id, and it takes it back.
                self.holds = None;
                self.doing = Doing::Init;
            }
            ErrorCode::InvalidTxnState if self.version == TransactionVersion::V2 => {
                self.doing = Doing::End { committed: false };
            }
            ErrorCode::InvalidTxnState | ErrorCode::InvalidProducerIdMapping => self.doing = Doing::Init,
            other => panic!("{self:?}: {other:?}"),
        }
        if self.doing == (Doing::End { committed: false }) && code != ErrorCode::ConcurrentTransactions {
            // The abort of a transaction of which it does not know how it ended is not the end of that transaction.
            self.transaction += 1;
        }
    }
}
