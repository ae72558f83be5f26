use super::*;
use tautline_core::batch::BatchBuilder;

const V1: TransactionVersion = TransactionVersion::V1;
const V2: TransactionVersion = TransactionVersion::V2;

fn data(id: i64, epoch: i16, sequence: i32, records: usize) -> BatchBuilder {
    let builder = BatchBuilder::new(1).producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    (0..records).fold(builder, |b, _| b.record(None, Some(b"v")))
}

fn batch(id: i64, epoch: i16, sequence: i32, records: usize) -> Vec<u8> {
    data(id, epoch, sequence, records).build()
}

/// A log that has nothing but producers.
#[derive(Default)]
struct Tail {
    producers: Producers,
    end: i64,
}

fn name(error: &AppendError) -> &'static str {
    match error {
        AppendError::OutOfOrderSequence { .. } => "out of order",
        AppendError::InvalidProducerEpoch => "fenced",
        AppendError::InvalidTransactionState => "no transaction",
        AppendError::CoordinatorFenced { .. } => "zombie coordinator",
        AppendError::TooManyTransactions => "too many",
        other => panic!("{other}"),
    }
}

impl Tail {
    /// Appends as a log would; gives the offset answered or the error's name.
    fn append_verified(&mut self, bytes: &[u8], verification: Verification) -> Result<i64, &'static str> {
        let (batch, _) = Batch::parse(bytes).unwrap();
        match self.producers.check(&batch, verification) {
            Ok(Check::Duplicate(first)) => Ok(first.base_offset.0),
            Ok(Check::New) => {
                self.producers.note(&batch, Offset(self.end), 1, 1);
                self.end += i64::from(batch.record_count());
                Ok(self.end - i64::from(batch.record_count()))
            }
            Err(error) => Err(name(&error)),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<i64, &'static str> {
        self.append_verified(bytes, Verification::NotNeeded)
    }

    fn verify(
        &mut self,
        id: i64,
        epoch: i16,
        sequence: i32,
        version: TransactionVersion,
    ) -> Result<Verification, &'static str> {
        self.producers
            .verification(ProducerId(id), ProducerEpoch(epoch), sequence, version, 1)
            .map_err(|error| name(&error))
    }

    /// A transactional record, verified first as the produce path does.
    fn transactional(
        &mut self,
        id: i64,
        epoch: i16,
        sequence: i32,
        version: TransactionVersion,
    ) -> Result<i64, &'static str> {
        let verification = self.verify(id, epoch, sequence, version)?;
        self.append_verified(
            &data(id, epoch, sequence, 1).transactional().build(),
            verification,
        )
    }

    /// Ends a transaction; gives the first offset of what was aborted.
    fn end(
        &mut self,
        id: i64,
        epoch: i16,
        committed: bool,
        coordinator_epoch: i32,
        version: TransactionVersion,
    ) -> Result<Option<i64>, &'static str> {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch,
        };
        let (id, epoch) = (ProducerId(id), ProducerEpoch(epoch));
        let checked = self.producers.check_marker(id, epoch, marker, version);
        checked.map_err(|error| name(&error))?;
        let bytes = marker.batch(id, epoch, 1);
        let (batch, _) = Batch::parse(&bytes).unwrap();
        let aborted = self.producers.note(&batch, Offset(self.end), 1, 1);
        self.end += 1;
        Ok(aborted.map(|aborted| aborted.first.0))
    }
}

/// KIP-98: retries are answered with the first offset, gaps and old epochs refused.
#[test]
fn sequences_follow_kip_98() {
    let mut log = Tail::default();
    assert_eq!(log.append(&batch(1, 0, 0, 3)), Ok(0));
    assert_eq!(log.append(&batch(1, 0, 0, 3)), Ok(0), "a retry");
    assert_eq!(log.append(&batch(1, 0, 4, 1)), Err("out of order"));
    assert_eq!(log.append(&batch(1, 0, 3, 1)), Ok(3));
    for sequence in 4..9 {
        assert_eq!(log.append(&batch(1, 0, sequence, 1)), Ok(i64::from(sequence)));
    }
    assert_eq!(
        log.append(&batch(1, 0, 3, 1)),
        Err("out of order"),
        "six batches back"
    );
    assert_eq!(log.append(&batch(1, 0, 4, 1)), Ok(4), "five batches back");
    assert_eq!(
        log.append(&batch(1, 1, 9, 1)),
        Err("out of order"),
        "a new epoch begins at 0"
    );
    assert_eq!(log.append(&batch(1, 1, 0, 1)), Ok(9));
    assert_eq!(log.append(&batch(1, 0, 9, 1)), Err("fenced"));
    assert_eq!(
        log.append(&batch(2, 5, 70, 1)),
        Ok(10),
        "an unknown producer begins anywhere"
    );
}

#[test]
fn sequences_wrap() {
    let mut log = Tail::default();
    assert_eq!(log.append(&batch(1, 0, i32::MAX - 1, 2)), Ok(0));
    assert_eq!(log.append(&batch(1, 0, 0, 1)), Ok(2));
    assert_eq!(log.append(&batch(1, 0, i32::MAX - 1, 2)), Ok(0));
    assert_eq!(
        log.append(&batch(2, 0, i32::MAX, 3)),
        Ok(3),
        "wraps inside the batch"
    );
    assert_eq!(log.append(&batch(2, 0, 2, 1)), Ok(6));
}

/// KIP-98: a transaction is open from its first record to its marker; the epoch and the sequences go on behind it.
#[test]
fn transactions_follow_kip_98() {
    let mut log = Tail::default();
    assert_eq!(log.transactional(1, 0, 0, V1), Ok(0));
    assert_eq!(log.transactional(1, 0, 1, V1), Ok(1));
    assert_eq!(log.transactional(2, 0, 0, V1), Ok(2));
    assert_eq!(
        log.append(&batch(1, 0, 2, 1)),
        Err("no transaction"),
        "outside of it"
    );
    assert_eq!(log.producers.first_unstable(), Some(Offset(0)));
    assert_eq!(log.end(1, 0, true, 3, V1), Ok(None));
    assert_eq!(
        log.producers.first_unstable(),
        Some(Offset(0)),
        "the marker is not committed"
    );
    log.producers.high_watermark(Offset(3));
    assert_eq!(
        log.producers.first_unstable(),
        Some(Offset(0)),
        "the high watermark excludes the marker at 3"
    );
    log.producers.high_watermark(Offset(4));
    assert_eq!(log.producers.first_unstable(), Some(Offset(2)));
    assert_eq!(
        log.transactional(1, 0, 2, V1),
        Ok(4),
        "the next one, of the same epoch"
    );
    assert_eq!(log.end(2, 0, false, 3, V1), Ok(Some(2)));
    assert_eq!(
        log.end(2, 0, false, 3, V1),
        Ok(None),
        "a marker that comes again ends nothing"
    );
    assert_eq!(log.end(1, 0, false, 2, V1), Err("zombie coordinator"));
    assert_eq!(log.end(1, 1, false, 3, V1), Ok(Some(4)), "a later epoch fences");
    assert_eq!(log.transactional(1, 0, 3, V1), Err("fenced"));
    assert_eq!(log.end(1, 0, true, 3, V1), Err("fenced"));
    assert_eq!(log.transactional(1, 1, 3, V1), Err("out of order"));
    assert_eq!(log.transactional(1, 1, 0, V1), Ok(8));
}

/// As Kafka appends it: the marker of a producer that wrote nothing here, known or not.
#[test]
fn a_marker_without_a_transaction_fences_all_the_same() {
    let mut log = Tail::default();
    assert_eq!(log.end(1, 4, true, 3, V2), Ok(None));
    assert_eq!(log.append(&batch(1, 3, 0, 1)), Err("fenced"));
    assert_eq!(log.end(1, 5, true, 2, V2), Err("zombie coordinator"));
    assert_eq!(log.append(&batch(1, 4, 1, 1)), Err("out of order"));
    assert_eq!(log.append(&batch(1, 4, 0, 1)), Ok(1));
    assert_eq!(log.producers.first_unstable(), None);
    let shown = log.producers.active();
    assert_eq!(
        (shown[0].coordinator_epoch, shown[0].transaction_start),
        (3, None)
    );
}

/// KIP-890: a marker of version 2 has a later epoch than what it ends, so one that comes again can't end the next transaction.
#[test]
fn a_delayed_marker_does_not_end_the_next_transaction() {
    let mut log = Tail::default();
    assert_eq!(log.transactional(1, 0, 0, V2), Ok(0));
    assert_eq!(log.end(1, 0, true, 0, V2), Err("fenced"), "its own epoch");
    assert_eq!(log.end(1, 1, true, 0, V2), Ok(None));
    assert_eq!(log.end(1, 1, true, 0, V2), Ok(None), "again, with nothing to end");
    assert_eq!(log.transactional(1, 1, 0, V2), Ok(3), "sequences begin anew");
    assert_eq!(
        log.end(1, 1, true, 0, V2),
        Err("fenced"),
        "again, with the next one open"
    );
    assert_eq!(log.end(1, 2, false, 0, V2), Ok(Some(3)));
}

/// KIP-890: what was verified before its transaction ended can't begin another one.
#[test]
fn a_delayed_record_does_not_begin_a_transaction() {
    for version in [V1, V2] {
        let mut log = Tail::default();
        let record = data(1, 0, 0, 1).transactional().build();
        assert_eq!(log.append(&record), Err("no transaction"), "not verified");
        let verified = log.verify(1, 0, 0, version).unwrap();
        assert_eq!(
            log.verify(1, 0, 0, version),
            Ok(verified),
            "one guard for one attempt"
        );
        // The coordinator gave the transaction up meanwhile.
        assert_eq!(log.end(1, 1, false, 0, version), Ok(None));
        assert_eq!(log.append_verified(&record, verified), Err("fenced"));
        let again = data(1, 1, 0, 1).transactional().build();
        assert_eq!(
            log.append_verified(&again, verified),
            Err("no transaction"),
            "void"
        );
        // Another attempt has a guard of its own: the old one is not good for it.
        let fresh = log.verify(1, 1, 0, version).unwrap();
        assert_eq!(log.append_verified(&again, verified), Err("no transaction"));
        assert_eq!(log.append_verified(&again, fresh), Ok(1));
        assert_eq!(log.verify(1, 1, 1, version), Ok(Verification::NotNeeded));
        assert_eq!(
            log.append_verified(&data(1, 1, 1, 1).transactional().build(), fresh),
            Ok(2)
        );
        assert_eq!(log.verify(1, 0, 0, version), Err("fenced"));
    }
}

/// A producer that ends a transaction with the same epoch (version 1), and whose earlier record arrives only then.
#[test]
fn a_delayed_record_of_the_same_epoch_is_refused() {
    let mut log = Tail::default();
    assert_eq!(log.transactional(1, 0, 0, V1), Ok(0));
    let late = log.verify(1, 0, 1, V1).unwrap();
    assert_eq!(late, Verification::NotNeeded);
    assert_eq!(log.end(1, 0, false, 0, V1), Ok(Some(0)));
    let record = data(1, 0, 1, 1).transactional().build();
    assert_eq!(log.append_verified(&record, late), Err("no transaction"));
}

/// KIP-890: of several batches under verification the lowest goes first, else it could never follow.
#[test]
fn batches_being_verified_keep_their_order() {
    let mut log = Tail::default();
    let guard = log.verify(1, 0, 5, V1).unwrap();
    assert_eq!(log.verify(1, 0, 3, V1), Ok(guard));
    let record = |sequence| data(1, 0, sequence, 1).transactional().build();
    assert_eq!(log.append_verified(&record(5), guard), Err("out of order"));
    assert_eq!(log.append_verified(&record(3), guard), Ok(0));
    // Version 2: a producer that the log does not know begins at 0.
    let guard = log.verify(2, 0, 3, V2).unwrap();
    let record = |sequence| data(2, 0, sequence, 1).transactional().build();
    assert_eq!(log.append_verified(&record(3), guard), Err("out of order"));
    assert_eq!(log.append_verified(&record(0), guard), Ok(1));
}

/// No epoch is mixed into a transaction of another: one marker would decide over both.
#[test]
fn a_later_epoch_waits_for_the_end_of_an_open_transaction() {
    let mut log = Tail::default();
    assert_eq!(log.transactional(1, 0, 0, V1), Ok(0));
    assert_eq!(log.transactional(1, 1, 0, V1), Err("no transaction"));
    assert_eq!(log.end(1, 1, false, 0, V1), Ok(Some(0)));
    assert_eq!(log.transactional(1, 1, 0, V1), Ok(2));
}

/// TxnOffsetCommit: a coordinator's batches have no sequence.
#[test]
fn batches_without_a_sequence_are_compared_by_their_epoch() {
    let mut log = Tail::default();
    for offset in 0..3 {
        assert_eq!(log.transactional(1, 2, -1, V2), Ok(offset));
    }
    assert_eq!(log.transactional(1, 1, -1, V2), Err("fenced"));
    assert_eq!(log.end(1, 3, false, 0, V2), Ok(Some(0)));
    assert_eq!(log.transactional(1, 3, -1, V2), Ok(4));
}

#[test]
fn what_was_aborted_is_told_with_what_is_decided_by_then() {
    let mut log = Tail::default();
    for id in 1..=3 {
        log.transactional(id, 0, 0, V1).unwrap();
    }
    let marker = EndTransactionMarker {
        committed: false,
        coordinator_epoch: 0,
    };
    let mut end = |id: i64, offset: i64| {
        let bytes = marker.batch(ProducerId(id), ProducerEpoch(0), 1);
        let (batch, _) = Batch::parse(&bytes).unwrap();
        let aborted = log.producers.note(&batch, Offset(offset), 1, 1).unwrap();
        (aborted.first.0, aborted.marker.0, aborted.stable.0)
    };
    assert_eq!(end(2, 3), (1, 3, 0));
    assert_eq!(end(1, 4), (0, 4, 2));
    assert_eq!(end(3, 5), (2, 5, 6), "all are decided");
}

#[test]
fn their_number_is_bounded() {
    let mut p = Producers::default();
    for id in 0..PRODUCERS_MAX as i64 + 10 {
        let bytes = batch(id, 0, 0, 1);
        p.note(&Batch::parse(&bytes).unwrap().0, Offset(id), 1, id);
    }
    assert!(p.by_id.len() <= PRODUCERS_MAX);
    assert!(p.by_id.contains(ProducerId(PRODUCERS_MAX as i64 + 9)) && !p.by_id.contains(ProducerId(0)));
    p.expire(PRODUCERS_MAX as i64 + 10, 5);
    assert_eq!(p.by_id.len(), 4);
}

#[test]
fn a_producer_with_an_open_transaction_is_never_forgotten() {
    let mut log = Tail::default();
    for id in 0..TRANSACTIONS_OPEN_MAX as i64 {
        log.transactional(id, 0, 0, V2).unwrap();
    }
    assert_eq!(log.transactional(1 << 40, 0, 0, V2), Err("too many"));
    assert!(log.transactional(0, 0, 1, V2).is_ok(), "open ones go on");
    for id in 0..3 * PRODUCERS_MAX as i64 {
        let bytes = batch((1 << 50) + id, 0, 0, 1);
        log.producers
            .note(&Batch::parse(&bytes).unwrap().0, Offset(log.end), 1, id);
        log.end += 1;
    }
    assert!(log.producers.by_id.len() <= PRODUCERS_MAX);
    log.producers.expire(i64::MAX, 1);
    assert_eq!(log.producers.by_id.len(), TRANSACTIONS_OPEN_MAX);
    assert_eq!(log.end(7, 1, false, 0, V2), Ok(Some(7)));
    log.producers.expire(i64::MAX, 1);
    assert_eq!(log.producers.by_id.len(), TRANSACTIONS_OPEN_MAX - 1);
    assert!(
        log.transactional(1 << 40, 0, 0, V2).is_ok(),
        "there is room again"
    );
}
