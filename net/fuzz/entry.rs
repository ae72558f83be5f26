//! What the fuzz targets and the corpus test run: each takes any bytes and must come back without a panic.

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, BatchBuilder, Compression, patch_position};
use tautline_core::checksum::crc32c;
use tautline_core::ids::{LeaderEpoch, Offset};
use tautline_net::wire::{APIS, ApiKey, Reader, Request, RequestHeader};
use tautline_store::{KeyCheck, check_keys};

/// Largest batch that is taken for an append.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Where a batch's CRC is, and where the bytes start that it covers.
const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;
/// Where a batch's length is, and where the bytes start that it counts.
const LENGTH_AT: usize = 8;
const LENGTH_COVERS_FROM: usize = 12;
const ATTRIBUTES_AT: usize = 21;
/// Gzip, snappy, lz4, zstd: 1 to 4 in the attributes.
const CODECS: u8 = 4;
/// How many records a packed batch says that it has.
const PACKED_RECORDS: usize = 3;

/// A request's body behind a byte each for API key and version. Others than there are stand for some there is, so that no
/// input is wasted on the header.
pub fn request(data: &[u8]) {
    let [api, version, body @ ..] = data else { return };
    let api = ApiKey::from_key(i16::from(*api)).unwrap_or(APIS[usize::from(*api) % APIS.len()].key);
    let (info, mut version) = (api.info(), i16::from(*version));
    if !api.supports(version) {
        version = info.min + version % (info.max - info.min + 1);
    }
    let header = RequestHeader {
        api,
        version,
        correlation_id: 0,
        client_id: None,
    };
    decode(&header, &mut Reader::new(body));
}

/// A connection's stream: frames, each a size and then header and body.
pub fn frame(mut data: &[u8]) {
    while let Some((size, rest)) = data.split_first_chunk() {
        let size = usize::try_from(i32::from_be_bytes(*size)).unwrap_or(0);
        let (frame, rest) = rest.split_at(size.min(rest.len()));
        let mut reader = Reader::new(frame);
        if let Ok(header) = RequestHeader::decode(&mut reader) {
            decode(&header, &mut reader);
        }
        data = rest;
    }
}

/// Decodes a body and walks all of it: lists are read again when they are compared.
fn decode(header: &RequestHeader<'_>, reader: &mut Reader<'_>) {
    if let Ok(request) = Request::decode(header, reader) {
        assert_eq!(request, request.clone());
    }
}

/// The records field of a Produce request: batch after batch. Each is checked as it came, and again with its CRC put right,
/// since no fuzzer finds a CRC.
pub fn batch(data: &[u8]) {
    let mut rest = data;
    while let Ok((batch, behind)) = Batch::parse(rest) {
        assert_eq!(batch.size_bytes() + behind.len(), rest.len());
        walk(&batch);

        let mut copy = batch.bytes().to_vec();
        let crc = crc32c(&copy[CRC_COVERS_FROM..]);
        copy[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        patch_position(&mut copy, Offset(1_000), LeaderEpoch(3));
        let (patched, nothing) = Batch::parse(&copy).expect("a parsed batch stays one");
        assert!(nothing.is_empty());
        patched
            .verify_crc()
            .expect("the CRC does not cover what was patched");
        assert_eq!(
            (patched.base_offset(), patched.leader_epoch()),
            (Offset(1_000), LeaderEpoch(3))
        );
        walk(&patched);
        rest = behind;
    }
}

/// What a codec has made of a batch's records, behind a byte for the codec: it is taken apart as for a compacted topic.
pub fn packed(data: &[u8]) {
    if let Some(bytes) = pack(data) {
        let (batch, _) = Batch::parse(&bytes).expect("a batch with any payload is one");
        let found = check_keys(&batch);
        assert_ne!(found, KeyCheck::Long, "there was time");
        let promptly = KeyCheck::promptly(&batch);
        assert!(promptly == found || promptly == KeyCheck::Long);
    }
}

/// The batch: header of a batch of [`PACKED_RECORDS`] records, and the bytes in place of these.
pub fn pack(data: &[u8]) -> Option<Vec<u8>> {
    let (&codec, payload) = data.split_first()?;
    let plain = (0..PACKED_RECORDS).fold(BatchBuilder::new(0), |b, _| b.record(Some(b""), None));
    let mut bytes = [&plain.build()[..BATCH_HEADER_BYTES], payload].concat();
    let length = (bytes.len() - LENGTH_COVERS_FROM) as i32;
    bytes[LENGTH_AT..LENGTH_COVERS_FROM].copy_from_slice(&length.to_be_bytes());
    bytes[ATTRIBUTES_AT + 1] = 1 + codec % CODECS;
    let crc = crc32c(&bytes[CRC_COVERS_FROM..]);
    bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    Some(bytes)
}

fn walk(batch: &Batch<'_>) {
    let valid = batch.validate_for_append(BATCH_BYTES_MAX).is_ok();
    let (mut good, mut bad) = (0, 0);
    for record in batch.records() {
        let Ok(record) = record else {
            bad += 1;
            continue;
        };
        good += 1;
        let headers_are_good = record.headers().all(|header| header.is_ok());
        assert!(
            headers_are_good || !valid,
            "a batch with a bad header may not be appended"
        );
    }
    if valid && batch.compression() == Compression::None {
        assert_eq!(
            (good, bad),
            (batch.record_count(), 0),
            "what may be appended can be read"
        );
    }
}
