//! What was acknowledged, written down as it is learnt: one file a writer, one entry of fixed length a batch.
//!
//! An entry is handed to the kernel before the writer goes on, so it survives the writer's own death; a torn last
//! entry is left out when reading.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tautline_core::checksum::crc32c;

use crate::client::wire::Reader;

const ENTRY_BYTES: usize = 40;
const EXTENSION: &str = "journal";
/// Offset of a batch whose acknowledgement didn't tell it (a duplicate's may not).
pub const OFFSET_UNKNOWN: i64 = -1;

/// One acknowledged batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it was written.
    pub partition: i32,
    /// Offset of its first record, as acknowledged.
    pub base_offset: i64,
    /// Who wrote it.
    pub writer: u64,
    /// Sequence of its first record.
    pub first_sequence: u64,
    /// Records.
    pub count: u32,
}

impl Entry {
    /// The offset after the last record.
    pub fn end_offset(&self) -> i64 {
        self.base_offset + i64::from(self.count)
    }

    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&self.partition.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.writer.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.first_sequence.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.count.to_be_bytes());
        let crc = crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Entry> {
        let mut reader = Reader::new(bytes);
        let partition = reader.i32().ok()?;
        let base_offset = reader.i64().ok()?;
        let writer = reader.i64().ok()? as u64;
        let first_sequence = reader.i64().ok()? as u64;
        let count = reader.u32().ok()?;
        reader.bytes(4).ok()?;
        let crc = reader.u32().ok()?;
        (crc == crc32c(&bytes[..36])).then_some(Entry {
            partition,
            base_offset,
            writer,
            first_sequence,
            count,
        })
    }
}

/// A writer's open journal.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins the journal of a writer.
    pub fn create(dir: &Path, writer: u64) -> anyhow::Result<Journal> {
        let path = dir.join(format!("{writer:016x}.{EXTENSION}"));
        let file = File::create_new(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Journal { file, path })
    }

    /// Adds an acknowledged batch.
    pub fn append(&mut self, entry: &Entry) -> anyhow::Result<()> {
        self.file
            .write_all(&entry.encode())
            .with_context(|| format!("write {}", self.path.display()))
    }
}

/// The entries of all journals in a directory.
pub fn read_all(dir: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            read(&path, &mut entries)?;
        }
    }
    Ok(entries)
}

fn read(path: &Path, entries: &mut Vec<Entry>) -> anyhow::Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let chunks = bytes.chunks_exact(ENTRY_BYTES);
    let last = chunks.len().saturating_sub(1);
    for (at, chunk) in chunks.enumerate() {
        match Entry::decode(chunk) {
            Some(entry) => entries.push(entry),
            None => ensure!(at == last, "{} is damaged at entry {at}", path.display()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_is_left_out_and_damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), 5).unwrap();
        let entry = |sequence| Entry {
            partition: 1,
            base_offset: 10,
            writer: 5,
            first_sequence: sequence,
            count: 3,
        };
        for sequence in 0..3 {
            journal.append(&entry(sequence)).unwrap();
        }
        journal.file.write_all(&entry(3).encode()[..17]).unwrap();
        assert_eq!(read_all(dir.path()).unwrap(), [entry(0), entry(1), entry(2)]);

        let mut bytes = std::fs::read(&journal.path).unwrap();
        bytes[50] ^= 1;
        std::fs::write(&journal.path, bytes).unwrap();
        assert!(read_all(dir.path()).is_err());
    }
}
