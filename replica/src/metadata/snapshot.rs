//! A snapshot of the metadata log: a prefix of it, folded into an image.
//!
//! ```text
//! 0          8              12           20            28          32          36
//! | TAUTMETA | format (u32) | end (u64)  | body (u64)  | body CRC  | head CRC  | body ...
//! ```
//!
//! Little endian. `end` is the exclusive offset up to which the log is in it, `body` the body's length, the checksums CRC-32 (IEEE);
//! the head's covers the 32 bytes before it. The body is the records that lead from nothing to the image, so records and
//! snapshots grow by the same rule: each is its length (u32) and [`MetadataRecord::encode`]'s bytes.
//!
//! The bytes only: the caller writes them to a file of another name, syncs it and renames it.

use tautline_core::checksum::crc32;
use tautline_core::ids::Offset;

use super::{ApplyError, DecodeError, MetadataImage, MetadataRecord};

const MAGIC: &[u8; 8] = b"TAUTMETA";
/// The format this build writes, and the newest it reads.
pub const SNAPSHOT_FORMAT_VERSION: u32 = 1;
const HEAD_CRC_AT: usize = 32;
const HEAD_BYTES: usize = 36;
const RECORD_LENGTH_BYTES: usize = 4;

/// Why bytes are not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Something else, or nothing.
    #[error("this is not a metadata snapshot")]
    NotASnapshot,
    /// Written by a newer broker.
    #[error(
        "the metadata snapshot has format version {found}, this broker reads up to {SNAPSHOT_FORMAT_VERSION}: start a newer one"
    )]
    NewerVersion {
        /// Its version.
        found: u32,
    },
    /// Shorter or longer than it says.
    #[error("the metadata snapshot should have {expected} bytes, it has {found}")]
    BadLength {
        /// By its header.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// The bytes are not those that were written.
    #[error("the metadata snapshot is damaged: its checksum says {stored:08x}, its bytes {computed:08x}")]
    BadCrc {
        /// In the file.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A record in it makes no sense or is too new.
    #[error(transparent)]
    Record(#[from] DecodeError),
    /// Its records do not follow each other.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// The bytes of a snapshot of `image`, which holds the log up to `end` (exclusive).
///
/// # Panics
/// If `end` is negative.
#[must_use]
pub fn encode(image: &MetadataImage, end: Offset) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES];
    for record in image.records() {
        let record = record.encode();
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&record);
    }
    let (head, body) = bytes.split_at_mut(HEAD_BYTES);
    let end = u64::try_from(end.0).expect("offsets of a log are not negative");
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&SNAPSHOT_FORMAT_VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&end.to_le_bytes());
    head[20..28].copy_from_slice(&(body.len() as u64).to_le_bytes());
    head[28..HEAD_CRC_AT].copy_from_slice(&crc32(body).to_le_bytes());
    let head_crc = crc32(&head[..HEAD_CRC_AT]);
    head[HEAD_CRC_AT..].copy_from_slice(&head_crc.to_le_bytes());
    bytes
}

/// The image in a snapshot, and the exclusive offset of the log up to which it holds.
///
/// # Errors
/// If the bytes are not a whole, undamaged snapshot of a format this build knows.
pub fn decode(bytes: &[u8]) -> Result<(MetadataImage, Offset), SnapshotError> {
    let Some((head, body)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(SnapshotError::NotASnapshot);
    };
    if &head[..8] != MAGIC {
        return Err(SnapshotError::NotASnapshot);
    }
    // The version first: a newer format may have moved everything else.
    let found = u32::from_le_bytes(part(head, 8));
    if found > SNAPSHOT_FORMAT_VERSION {
        return Err(SnapshotError::NewerVersion { found });
    }
    check_crc(u32::from_le_bytes(part(head, HEAD_CRC_AT)), &head[..HEAD_CRC_AT])?;
    let body_bytes = u64::from_le_bytes(part(head, 20));
    if body_bytes != body.len() as u64 {
        let expected = body_bytes.saturating_add(HEAD_BYTES as u64);
        return Err(SnapshotError::BadLength {
            expected,
            found: bytes.len() as u64,
        });
    }
    check_crc(u32::from_le_bytes(part(head, 28)), body)?;
    let end = i64::try_from(u64::from_le_bytes(part(head, 12))).map_err(|_| SnapshotError::NotASnapshot)?;
    Ok((image_of(body)?, Offset(end)))
}

fn image_of(mut body: &[u8]) -> Result<MetadataImage, SnapshotError> {
    let mut image = MetadataImage::default();
    while !body.is_empty() {
        let (length, rest) = body
            .split_first_chunk::<RECORD_LENGTH_BYTES>()
            .ok_or(DecodeError::Malformed)?;
        let (record, rest) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or(DecodeError::Malformed)?;
        image.apply(&MetadataRecord::decode(record)?)?;
        body = rest;
    }
    Ok(image)
}

fn check_crc(stored: u32, bytes: &[u8]) -> Result<(), SnapshotError> {
    let computed = crc32(bytes);
    if stored == computed {
        Ok(())
    } else {
        Err(SnapshotError::BadCrc { stored, computed })
    }
}

fn part<const N: usize>(head: &[u8; HEAD_BYTES], at: usize) -> [u8; N] {
    *head[at..]
        .first_chunk()
        .expect("the offsets are constants within the head")
}
