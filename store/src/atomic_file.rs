//! Small files that are replaced as a whole: written beside, synced, renamed, and the directory synced. For helper threads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tautline_core::checksum::crc32;

/// What a replaced file promises when the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    /// On stable storage.
    Durably,
    /// All of it is, or the old content still: the name is made durable by whatever syncs the filesystem next.
    Wholly,
    /// Written; a sync of the filesystem makes it durable.
    Lazily,
}

/// Puts `bytes` in place of `path`.
pub(crate) fn replace(path: &Path, bytes: &[u8], how: Replace) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    if how != Replace::Lazily {
        file.sync_all()?;
    }
    drop(file);
    fs::rename(&beside, path)?;
    if how == Replace::Durably {
        sync_parent(path)?;
    }
    Ok(())
}

/// Makes the name of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    // A relative name of one part has the empty path as its parent.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates `dir` and those above it, and makes their names durable.
pub(crate) fn create_dirs(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create_dirs(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    sync_parent(dir)
}

const ENVELOPE_BYTES: usize = 20;

/// `payload` behind a magic number, a version, its length and its CRC-32.
pub(crate) fn seal(magic: [u8; 8], version: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + payload.len());
    bytes.extend_from_slice(&magic);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The version and payload that [`seal`] wrapped; `None` if a byte is wrong.
pub(crate) fn unseal(magic: [u8; 8], bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, payload) = bytes.split_at_checked(ENVELOPE_BYTES)?;
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let sound = head[..8] == magic && number(12) as usize == payload.len() && number(16) == crc32(payload);
    sound.then(|| (number(8), payload))
}

/// Replaces a small file as a whole; it is on stable storage when the call returns. Blocks.
///
/// # Errors
/// The old content then stays, or the new one is there.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, Replace::Durably)
}
