//! Requests that meet a transaction that is being completed, and wait for it.

use std::sync::Arc;

use tautline_core::error::ErrorCode::{self, ConcurrentTransactions, ProducerFenced};
use tautline_core::ids::ProducerId;

use super::host::{Host, V2, partition, producer};
use crate::coordinator::{Coordinator, Now, Token, TransactionalProducer};
use crate::metadata::MetadataImage;
use crate::transactions::coordinator::Decided;
use crate::transactions::limits::WAITING_MAX;
use crate::transactions::{
    AddPartitionsToTxn, EndTxn, InitProducerId, MarkersWritten, TransactionRequest, TransactionResponse,
    TransactionState,
};

const WAIT_MS: i64 = 100;

/// A host that waits, with a transaction of "t" that is decided.
fn decided(committed: bool) -> (Host, TransactionalProducer) {
    let mut host = Host::new();
    host.coordinator.config.concurrent_wait_ms = WAIT_MS;
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V2);
    host.end("t", holder, committed, V2).expect("ongoing");
    (host, holder)
}

/// Sends a request; what was answered to whom, by the numbers that they gave.
fn step(host: &mut Host, number: u64, request: TransactionRequest) -> Vec<(u64, Result<(), ErrorCode>)> {
    let mut decided = Decided::default();
    let image = MetadataImage::default();
    let now = Now {
        ms: host.now_ms + host.ahead_ms,
        monotonic_ms: host.now_ms,
        image: &image,
    };
    host.coordinator.step(now, Token(number), request, &mut decided);
    answers(host, decided)
}

fn tick(host: &mut Host, later_ms: i64) -> Vec<(u64, Result<(), ErrorCode>)> {
    host.now_ms += later_ms;
    let mut decided = Decided::default();
    let image = MetadataImage::default();
    let now = Now {
        ms: host.now_ms + host.ahead_ms,
        monotonic_ms: host.now_ms,
        image: &image,
    };
    host.coordinator.tick(now, &mut decided);
    answers(host, decided)
}

fn answers(host: &mut Host, decided: Decided) -> Vec<(u64, Result<(), ErrorCode>)> {
    let answer = |(token, response): (Token, TransactionResponse)| {
        let result = match response {
            TransactionResponse::InitProducerId { result, .. }
            | TransactionResponse::EndTxn { result, .. } => result.map(drop),
            TransactionResponse::AddPartitionsToTxn(result) => result.map(drop),
            TransactionResponse::MarkersWritten => Ok(()),
            other => panic!("{other:?}"),
        };
        (token.0, result.map_err(|refusal| refusal.code))
    };
    host.take(decided).into_iter().map(answer).collect()
}

fn init(current: Option<TransactionalProducer>) -> TransactionRequest {
    TransactionRequest::InitProducerId(InitProducerId {
        transactional_id: Arc::from("t"),
        timeout_ms: 1_000,
        current,
        fresh_producer_id: ProducerId(99),
    })
}

fn add(producer: TransactionalProducer) -> TransactionRequest {
    TransactionRequest::AddPartitionsToTxn(AddPartitionsToTxn {
        transactional_id: Arc::from("t"),
        producer,
        partitions: vec![partition("next", 0)],
        verify_only: false,
        transaction_version: V2,
    })
}

fn end(producer: TransactionalProducer, committed: bool) -> TransactionRequest {
    TransactionRequest::EndTxn(EndTxn {
        transactional_id: Arc::from("t"),
        producer,
        committed,
        transaction_version: V2,
        fresh_producer_id: None,
    })
}

fn written(host: &mut Host) -> TransactionRequest {
    let markers = host.markers.remove(0);
    TransactionRequest::MarkersWritten(MarkersWritten {
        transactional_id: markers.transactional_id,
        decision: markers.decision,
        instance: markers.instance.number,
        partitions: markers.partitions,
    })
}

#[test]
fn the_next_transaction_begins_as_soon_as_the_last_is_complete() {
    let (mut host, holder) = decided(true);
    let next = host.holder("t");
    assert_eq!(step(&mut host, 1, end(holder, true)), [], "a retry");
    assert_eq!(step(&mut host, 2, add(next)), []);
    assert_eq!(step(&mut host, 3, end(holder, false)), []);
    assert_eq!(step(&mut host, 4, add(holder)), []);
    let markers = written(&mut host);
    let fenced = Err(ProducerFenced);
    assert_eq!(
        step(&mut host, 5, markers),
        [(5, Ok(())), (1, Ok(())), (2, Ok(())), (3, fenced), (4, fenced)]
    );
    assert_eq!(host.state("t"), TransactionState::Ongoing);
    assert_eq!(tick(&mut host, 10 * WAIT_MS), [], "each is answered once");
}

#[test]
fn who_fences_waits_for_the_abort() {
    let mut host = Host::new();
    host.coordinator.config.concurrent_wait_ms = WAIT_MS;
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V2);
    assert_eq!(step(&mut host, 1, init(None)), []);
    assert_eq!(host.state("t"), TransactionState::PrepareAbort);
    let markers = written(&mut host);
    assert_eq!(step(&mut host, 2, markers), [(2, Ok(())), (1, Ok(()))]);
    assert_eq!(host.holder("t"), producer(holder.id.0, 2));
}

#[test]
fn what_has_waited_long_enough_is_sent_back() {
    let (mut host, holder) = decided(true);
    let next = host.holder("t");
    assert_eq!(step(&mut host, 1, add(next)), []);
    host.now_ms += 1;
    assert_eq!(step(&mut host, 2, init(Some(holder))), []);
    assert_eq!(step(&mut host, 3, init(None)), []);
    assert_eq!(host.coordinator.deadline_ms(), Some(host.now_ms - 1 + WAIT_MS));
    host.coordinator.abandoned(Token(3));
    assert_eq!(tick(&mut host, WAIT_MS - 2), []);
    assert_eq!(tick(&mut host, 1), [(1, Err(ConcurrentTransactions))]);
    assert_eq!(tick(&mut host, 1), [(2, Err(ConcurrentTransactions))]);
    let markers = written(&mut host);
    assert_eq!(step(&mut host, 4, markers), [(4, Ok(()))], "nobody else waits");
    assert_eq!(host.state("t"), TransactionState::CompleteCommit);
}

#[test]
fn who_waits_is_judged_by_what_came_before() {
    let (mut host, _) = decided(false);
    let next = host.holder("t");
    assert_eq!(step(&mut host, 1, init(None)), []);
    assert_eq!(step(&mut host, 2, add(next)), []);
    let markers = written(&mut host);
    let expected = [(3, Ok(())), (1, Ok(())), (2, Err(ProducerFenced))];
    assert_eq!(step(&mut host, 3, markers), expected);
}

#[test]
fn there_is_a_most_of_those_who_wait() {
    let (mut host, _) = decided(true);
    let next = host.holder("t");
    for number in 0..WAITING_MAX as u64 {
        assert_eq!(step(&mut host, number, add(next)), []);
    }
    let one_more = WAITING_MAX as u64;
    assert_eq!(
        step(&mut host, one_more, add(next)),
        [(one_more, Err(ConcurrentTransactions))]
    );
    let markers = written(&mut host);
    assert_eq!(step(&mut host, one_more, markers).len(), WAITING_MAX + 1);
}
