use std::io::Write;

use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder as Lz4Encoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tautline_core::batch::{BATCH_HEADER_BYTES, BatchBuilder, patch_max_timestamp, patch_position};
use tautline_core::ids::LeaderEpoch;

use super::*;

const BASE: Offset = Offset(1_000);
const NOW_MS: i64 = 1_700_000_000_000;

/// A codec's number, and what writes it.
type Form = (i16, fn(&[u8]) -> Vec<u8>);

const GZIP: Form = (1, |plain| {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
});
const SNAPPY_RAW: Form = (2, |plain| snap::raw::Encoder::new().compress_vec(plain).unwrap());
const SNAPPY_XERIAL: Form = (2, |plain| {
    let mut bytes = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in plain.chunks(100) {
        let block = SNAPPY_RAW.1(block);
        bytes.extend_from_slice(&(block.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&block);
    }
    bytes
});
const LZ4: Form = (3, |plain| {
    let mut encoder = Lz4Encoder::new(Vec::new());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
});
const ZSTD: Form = (4, |plain| compress_to_vec(plain, CompressionLevel::Fastest));
const FORMS: [Form; 5] = [GZIP, SNAPPY_RAW, SNAPPY_XERIAL, LZ4, ZSTD];

fn plain(records: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(NOW_MS);
    for (delta, value) in records {
        builder.push(NOW_MS + delta, Some(b"key"), Some(value), &[("name", Some(b"v"))]);
    }
    let mut bytes = builder.build();
    patch_position(&mut bytes, BASE, LeaderEpoch(3));
    bytes
}

/// The batch with other bytes in place of its records.
fn with_payload(batch: &[u8], codec: i16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [&batch[..BATCH_HEADER_BYTES], payload].concat();
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[21..23].copy_from_slice(&codec.to_be_bytes());
    let max = parse(batch).max_timestamp();
    patch_max_timestamp(&mut bytes, max);
    parse(&bytes).verify_crc().unwrap();
    bytes
}

fn packed(batch: &[u8], (codec, compress): Form) -> Vec<u8> {
    with_payload(batch, codec, &compress(&batch[BATCH_HEADER_BYTES..]))
}

fn parse(bytes: &[u8]) -> Batch<'_> {
    Batch::parse(bytes).unwrap().0
}

fn look(bytes: &[u8], delta: i64, offset: Offset) -> Unpacked {
    let wanted = Wanted {
        timestamp_ms: NOW_MS + delta,
        offset,
    };
    find(&parse(bytes), wanted, DECODED_BYTES_MAX)
}

fn record(index: i64, delta: i64) -> Unpacked {
    Unpacked::Record {
        offset: BASE + index,
        timestamp_ms: NOW_MS + delta,
    }
}

#[test]
fn each_codec_gives_the_exact_record() {
    let batch = plain(&[0, 100, 50, 300, 300, 200].map(|delta| (delta, vec![b'v'; 70])));
    for form in FORMS {
        let bytes = packed(&batch, form);
        assert_eq!(look(&bytes, -1, BASE), record(0, 0));
        assert_eq!(look(&bytes, 0, BASE), record(0, 0));
        assert_eq!(look(&bytes, 1, BASE), record(1, 100));
        assert_eq!(look(&bytes, 100, BASE), record(1, 100));
        assert_eq!(look(&bytes, 101, BASE), record(3, 300));
        // The largest timestamp's first record (KIP-734).
        assert_eq!(look(&bytes, 300, BASE), record(3, 300));
        assert!(matches!(look(&bytes, 301, BASE), Unpacked::Absent { decoded_bytes } if decoded_bytes > 420));
        // The log begins within the batch.
        assert_eq!(look(&bytes, 0, BASE + 2), record(2, 50));
        assert_eq!(look(&bytes, 300, BASE + 4), record(4, 300));
        assert!(matches!(look(&bytes, 300, BASE + 5), Unpacked::Absent { .. }));
    }
}

#[test]
fn bodies_larger_than_any_buffer_are_skipped() {
    let body: Vec<u8> = (0..300_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let batch = plain(&[(0, body.clone()), (1, vec![0; 700_000]), (2, body)]);
    for form in FORMS {
        let bytes = packed(&batch, form);
        assert_eq!(look(&bytes, 2, BASE), record(2, 2));
        assert!(
            matches!(look(&bytes, 3, BASE), Unpacked::Absent { decoded_bytes } if decoded_bytes > 1_300_000)
        );
    }
}

#[test]
fn decoding_ends_at_the_bound() {
    let batch = plain(&[(0, vec![0; 5_000]), (1, vec![0; 5_000]), (2, Vec::new())]);
    for form in FORMS {
        let bytes = packed(&batch, form);
        let look = |delta, max| {
            let wanted = Wanted {
                timestamp_ms: NOW_MS + delta,
                offset: BASE,
            };
            find(&parse(&bytes), wanted, max)
        };
        assert_eq!(look(0, 6_000), record(0, 0));
        assert_eq!(look(2, 6_000), Unpacked::Unreadable);
        assert_eq!(look(2, 11_000), record(2, 2));
    }
}

#[test]
fn absurd_claims_are_refused() {
    let batch = plain(&[(0, vec![0; 100])]);
    let refused = |codec, payload: &[u8]| {
        assert_eq!(
            look(&with_payload(&batch, codec, payload), 0, BASE),
            Unpacked::Unreadable
        );
    };
    // Raw snappy that claims 4 GiB - 1, 8 MiB, and a little more than its bytes can make.
    refused(2, b"\xff\xff\xff\xff\x0f\xfe\x01\0");
    refused(2, b"\x80\x80\x80\x04\xfe\x01\0");
    refused(2, &[&[0xff, 0x01][..], &[0; 8]].concat());
    // Xerial's form: a header cut short, a block longer than what is left, a length cut short.
    refused(2, b"\x82SNAPPY\0\0\0\0\x01");
    refused(2, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff\0");
    refused(2, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0");
    // A zstd frame with a window of 16 MiB, and one of a single segment of 2^56 bytes.
    refused(4, b"\x28\xb5\x2f\xfd\x00\x70\x03\0\0\0");
    refused(4, b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x01\x03\0\0");
    for codec in 1..=4 {
        refused(codec, b"");
    }
}

#[test]
fn records_that_make_no_sense_are_unreadable() {
    let batch = plain(&[(0, Vec::new())]);
    for form in FORMS {
        for records in [
            // Length -1; shorter than its own fields; longer than the bytes; an offset delta beyond the header's; no end.
            &[1][..],
            &[2, 0, 0, 0, 0],
            &[40, 0, 0, 0],
            &[6, 0, 0, 2],
            &[6, 0, 0, 1],
            &[0xff; 20],
        ] {
            let bytes = with_payload(&batch, form.0, &form.1(records));
            assert_eq!(look(&bytes, 0, BASE), Unpacked::Unreadable, "{records:?}");
        }
    }
}

#[test]
fn a_library_s_zstd_is_read() {
    // What `zstd -19` of libzstd 1.5 makes of this batch's records.
    const LIBZSTD: &[u8] = b"(\xb5/\xfdd\xb6\x00}\x01\x00$\x02\xb2\x03\x00\x00\x00\x06key\x90\x03a\x02\x08name\x02v\xb2\x03\x00\x0e\x02b\x02\x08name\x02v\x03\x00DG\x05\xef\x1b>\x91\x02I\xb5\x5c\x8aq";
    let batch = plain(&[(0, vec![b'a'; 200]), (7, vec![b'b'; 200])]);
    let bytes = with_payload(&batch, 4, LIBZSTD);
    assert_eq!(look(&bytes, 1, BASE), record(1, 7));
}

fn records() -> impl Strategy<Value = Vec<(i64, Vec<u8>)>> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..5_000usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    prop::collection::vec((-1_000..1_000i64, value), 1..30)
}

/// Whatever the bytes are, an answer lies in the batch and where it was looked for.
fn check_sane(bytes: &[u8], delta: i64, index: i64) {
    if let Unpacked::Record { offset, timestamp_ms } = look(bytes, delta, BASE + index) {
        assert!(offset >= BASE + index && offset <= parse(bytes).last_offset());
        assert!(timestamp_ms >= NOW_MS + delta);
    }
}

proptest! {
    #[test]
    fn packed_or_plain_the_answer_is_the_same(
        records in records(), form in 0..FORMS.len(), delta in -1_001..1_001i64, index in 0..30i64,
    ) {
        let bytes = packed(&plain(&records), FORMS[form]);
        let wanted = |&(at, (time, _)): &(usize, &(i64, _))| at as i64 >= index && *time >= delta;
        match records.iter().enumerate().find(wanted) {
            Some((at, (time, _))) => prop_assert_eq!(look(&bytes, delta, BASE + index), record(at as i64, *time)),
            None => {
                let absent = matches!(look(&bytes, delta, BASE + index), Unpacked::Absent { .. });
                prop_assert!(absent);
            }
        }
    }

    #[test]
    fn any_bytes_are_answered(payload: Vec<u8>, codec in 1..=4i16, magic: bool, delta in -1_000..1_000i64) {
        let magics: [&[u8]; 4] = [b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"];
        let magic = if magic { magics[codec as usize - 1] } else { &[] };
        let batch = plain(&[(0, Vec::new()), (5, Vec::new())]);
        check_sane(&with_payload(&batch, codec, &[magic, &payload].concat()), delta, 0);
    }

    #[test]
    fn damaged_batches_are_answered(
        records in records(), form in 0..FORMS.len(), delta in -1_000..1_000i64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (codec, compress) = FORMS[form];
        let batch = plain(&records);
        let mut payload = compress(&batch[BATCH_HEADER_BYTES..]);
        for (place, byte) in damage {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        payload.truncate(cut.map_or(payload.len(), |cut| cut.index(payload.len())));
        check_sane(&with_payload(&batch, codec, &payload), delta, 1);
    }

    #[test]
    fn damaged_records_are_answered(records in records(), place: prop::sample::Index, byte: u8, form in 0..FORMS.len()) {
        let (codec, compress) = FORMS[form];
        let batch = plain(&records);
        let mut plain_records = batch[BATCH_HEADER_BYTES..].to_vec();
        let place = place.index(plain_records.len());
        plain_records[place] = byte;
        check_sane(&with_payload(&batch, codec, &compress(&plain_records)), 0, 0);
    }
}
