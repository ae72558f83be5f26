//! Properties of batches, from proptest's printed seeds.

use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;
const MAX_MESSAGE_BYTES: usize = 1_048_588;

type OwnedHeader = (String, Option<Vec<u8>>);
type OwnedRecord = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<OwnedHeader>);

fn bytes_strategy() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..200))
}

fn records_strategy() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let headers = prop::collection::vec((".{0,8}", bytes_strategy()), 0..4);
    prop::collection::vec(
        (0..100_000i64, bytes_strategy(), bytes_strategy(), headers),
        1..20,
    )
}

fn build(records: &[OwnedRecord]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(NOW_MS);
    for (delta, key, value, headers) in records {
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()))
            .collect();
        builder.push(NOW_MS + delta, key.as_deref(), value.as_deref(), &headers);
    }
    builder.build()
}

fn small() -> Vec<u8> {
    BatchBuilder::new(NOW_MS)
        .record(Some(b"k"), Some(b"v1"))
        .record(None, Some(b"v2"))
        .build()
}

/// Changes the header of a good batch and makes the checksum right again.
fn with_header(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut bytes = small();
    change(patch::header_mut(&mut bytes));
    patch::patch_crc(&mut bytes);
    bytes
}

fn append_error(bytes: &[u8]) -> BatchError {
    let (batch, _) = Batch::parse(bytes).expect("parses");
    batch
        .validate_for_append(MAX_MESSAGE_BYTES)
        .expect_err("must be refused")
}

proptest! {
    #[test]
    fn any_bytes_never_panic(mut bytes: Vec<u8>, sane_length: bool) {
        if bytes.len() > MAGIC_AT && sane_length {
            bytes[MAGIC_AT] = MAGIC_V2;
            let length = (bytes.len() - LENGTH_COVERS_FROM) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
        }
        if let Ok((batch, _)) = Batch::parse(&bytes) {
            let _ = (batch.last_offset(), batch.next_offset(), batch.last_sequence(), batch.compression());
            let _ = batch.verify_crc();
            let _ = batch.validate_for_append(MAX_MESSAGE_BYTES);
            for record in batch.records().flatten() {
                let _ = record.headers().count();
            }
        }
    }

    #[test]
    fn garbage_records_never_panic(payload in prop::collection::vec(any::<u8>(), 0..300), count in 1..50i32) {
        let mut bytes = small();
        bytes.truncate(BATCH_HEADER_BYTES);
        bytes.extend_from_slice(&payload);
        let length = (bytes.len() - LENGTH_COVERS_FROM) as i32;
        let header = patch::header_mut(&mut bytes);
        header.batch_length.set(length);
        header.record_count.set(count);
        header.last_offset_delta.set(count - 1);
        patch::patch_crc(&mut bytes);
        let (batch, _) = Batch::parse(&bytes).unwrap();
        let _ = batch.validate_for_append(MAX_MESSAGE_BYTES);
    }

    #[test]
    fn builder_parse_records_round_trip(records in records_strategy(), tail: Vec<u8>) {
        let mut bytes = build(&records);
        let size_bytes = bytes.len();
        bytes.extend_from_slice(&tail);
        let (batch, rest) = Batch::parse(&bytes).unwrap();
        prop_assert_eq!(rest, &tail[..]);
        prop_assert_eq!(batch.size_bytes(), size_bytes);
        prop_assert_eq!(batch.record_count() as usize, records.len());
        prop_assert_eq!(batch.next_offset(), Offset(records.len() as i64));
        let check = batch.validate_for_append(MAX_MESSAGE_BYTES).unwrap();
        prop_assert_eq!(check.max_timestamp_ms, NOW_MS + records.iter().map(|r| r.0).max().unwrap());
        prop_assert_eq!(check.min_timestamp_ms, NOW_MS + records.iter().map(|r| r.0).min().unwrap());
        prop_assert_eq!(batch.max_timestamp(), check.max_timestamp_ms);
        let read: Vec<OwnedRecord> = batch.records().enumerate().map(|(index, record)| {
            let record = record.unwrap();
            assert_eq!(record.offset_delta as usize, index);
            let headers = record.headers().map(|header| {
                let header = header.unwrap();
                (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
            });
            let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            (record.timestamp_delta, own(record.key), own(record.value), headers.collect())
        }).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn a_flipped_bit_is_noticed(records in records_strategy(), place: prop::sample::Index, bit in 0..8u8) {
        let mut bytes = build(&records);
        let place = header::CRC_COVERS_FROM + place.index(bytes.len() - header::CRC_COVERS_FROM);
        bytes[place] ^= 1 << bit;
        let noticed = match Batch::parse(&bytes) {
            Ok((batch, _)) => batch.verify_crc().is_err(),
            Err(_) => true,
        };
        prop_assert!(noticed);
    }

    #[test]
    fn every_truncation_asks_for_more(records in records_strategy(), place: prop::sample::Index) {
        let bytes = build(&records);
        let kept = place.index(bytes.len());
        match Batch::parse(&bytes[..kept]) {
            Err(BatchError::Truncated { needed }) => prop_assert!(needed > kept && needed <= bytes.len()),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn position_is_outside_the_checksum(records in records_strategy(), offset in 0..i64::MAX / 2, epoch: i32) {
        let mut bytes = build(&records);
        patch_position(&mut bytes, Offset(offset), LeaderEpoch(epoch));
        let (batch, _) = Batch::parse(&bytes).unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.base_offset(), Offset(offset));
        prop_assert_eq!(batch.leader_epoch(), LeaderEpoch(epoch));
        prop_assert_eq!(batch.next_offset(), Offset(offset + records.len() as i64));
    }

    #[test]
    fn append_time_keeps_the_checksum_valid(records in records_strategy(), now_ms in 0..i64::MAX) {
        let mut bytes = build(&records);
        patch_log_append_time(&mut bytes, now_ms);
        let (batch, _) = Batch::parse(&bytes).unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
        prop_assert_eq!(batch.max_timestamp(), now_ms);
    }
}

#[test]
fn old_magic_is_named_before_anything_else() {
    // A whole message set of magic 0 is shorter than a v2 header.
    let mut bytes = [0u8; 26];
    assert_eq!(
        Batch::parse(&bytes).unwrap_err(),
        BatchError::BadMagic { magic: 0 }
    );
    bytes[MAGIC_AT] = 1;
    assert_eq!(
        Batch::parse(&bytes).unwrap_err(),
        BatchError::BadMagic { magic: 1 }
    );
}

#[test]
fn header_faults_have_their_names() {
    let parse = |bytes: &[u8]| Batch::parse(bytes).map(|_| ()).unwrap_err();
    assert_eq!(
        parse(&with_header(|h| h.batch_length.set(48))),
        BatchError::BadLength { length: 48 }
    );
    assert_eq!(
        parse(&with_header(|h| h.batch_length.set(-1))),
        BatchError::BadLength { length: -1 }
    );
    assert_eq!(
        parse(&with_header(|h| h.attributes.set(5))),
        BatchError::BadCompression { codec: 5 }
    );
    assert_eq!(
        parse(&with_header(|h| h.batch_length.set(i32::MAX))),
        BatchError::Truncated {
            needed: i32::MAX as usize + 12
        }
    );
    assert!(matches!(
        parse(&with_header(|h| h.record_count.set(-1))),
        BatchError::BadRecordCount { .. }
    ));
    assert!(matches!(
        parse(&with_header(|h| h.last_offset_delta.set(-1))),
        BatchError::BadRecordCount { .. }
    ));
}

#[test]
fn append_faults_have_their_codes() {
    use crate::error::ErrorCode;
    let cases: [(Vec<u8>, ErrorCode); 12] = [
        (
            with_header(|h| h.attributes.set(header::LOG_APPEND_TIME)),
            ErrorCode::InvalidTimestamp,
        ),
        (
            with_header(|h| h.attributes.set(header::DELETE_HORIZON)),
            ErrorCode::InvalidRecord,
        ),
        (
            with_header(|h| h.attributes.set(header::CONTROL)),
            ErrorCode::InvalidRecord,
        ),
        (
            with_header(|h| h.attributes.set(header::TRANSACTIONAL)),
            ErrorCode::InvalidRecord,
        ),
        (with_header(|h| h.record_count.set(3)), ErrorCode::InvalidRecord),
        (
            with_header(|h| h.last_offset_delta.set(2)),
            ErrorCode::InvalidRecord,
        ),
        (
            with_header(|h| (h.record_count.set(0), h.last_offset_delta.set(0)).0),
            ErrorCode::InvalidRecord,
        ),
        (
            with_header(|h| {
                (
                    h.record_count.set(1 << 30),
                    h.last_offset_delta.set((1 << 30) - 1),
                )
                    .0
            }),
            ErrorCode::InvalidRecord,
        ),
        (with_header(|h| h.producer_id.set(7)), ErrorCode::InvalidRecord),
        (
            with_header(|h| h.base_timestamp.set(-2)),
            ErrorCode::InvalidTimestamp,
        ),
        (
            with_header(|h| h.max_timestamp.set(i64::MIN)),
            ErrorCode::InvalidTimestamp,
        ),
        (
            {
                let mut bytes = small();
                bytes[17] ^= 1;
                bytes
            },
            ErrorCode::CorruptMessage,
        ),
    ];
    for (bytes, code) in cases {
        assert_eq!(
            append_error(&bytes).error_code(),
            code,
            "{}",
            append_error(&bytes)
        );
    }
    let bytes = small();
    let (batch, _) = Batch::parse(&bytes).unwrap();
    let error = batch.validate_for_append(bytes.len() - 1).unwrap_err();
    assert_eq!(error.error_code(), ErrorCode::MessageTooLarge);
    batch.validate_for_append(bytes.len()).unwrap();
}

#[test]
fn a_wrong_maximum_timestamp_is_found_and_put_right() {
    let mut bytes = with_header(|h| h.max_timestamp.set(-1));
    let found = Batch::parse(&bytes)
        .unwrap()
        .0
        .validate_for_append(MAX_MESSAGE_BYTES)
        .unwrap();
    assert_eq!(found.max_timestamp_ms, NOW_MS);
    patch_max_timestamp(&mut bytes, found.max_timestamp_ms);
    let (batch, _) = Batch::parse(&bytes).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(batch.max_timestamp(), NOW_MS);
}

#[test]
fn compressed_batches_pass_with_their_header_only() {
    let bytes = with_header(|h| h.attributes.set(4));
    let (batch, _) = Batch::parse(&bytes).unwrap();
    assert_eq!(batch.compression(), Compression::Zstd);
    batch.validate_for_append(MAX_MESSAGE_BYTES).unwrap();
    let records: Vec<_> = batch.records().collect();
    assert_eq!(records, [Err(BatchError::Compressed)]);
}

#[test]
fn sequences_wrap_to_zero() {
    // KIP-98: after 2^31 - 1 comes 0.
    let bytes = BatchBuilder::new(NOW_MS)
        .producer(ProducerId(1), ProducerEpoch(0), i32::MAX)
        .record(None, None)
        .record(None, None)
        .build();
    assert_eq!(Batch::parse(&bytes).unwrap().0.last_sequence(), 0);
    assert_eq!(Batch::parse(&small()).unwrap().0.last_sequence(), -1);
}

#[test]
fn bytes_behind_the_last_record_are_refused() {
    let mut bytes = small();
    bytes.push(0);
    let length = (bytes.len() - LENGTH_COVERS_FROM) as i32;
    patch::header_mut(&mut bytes).batch_length.set(length);
    patch::patch_crc(&mut bytes);
    assert_eq!(append_error(&bytes), BatchError::BadRecord { index: 2 });
}
