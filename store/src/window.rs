//! A part of a segment file in memory, through the core's ring.

use tautline_core::buffer::{Buffer, Pool, Slice};

use crate::disk::LogFile;
use crate::error::ReadError;
use crate::limits::{BLOCK_BYTES, COLD_READ_BYTES_MAX};
use crate::tail::block_start;

/// A part of a file in memory, moved on as the reader goes.
pub(crate) struct Window<'a> {
    file: &'a LogFile,
    memory: &'a Pool,
    end: u64,
    at: u64,
    bytes: Option<(Buffer, usize)>,
}

impl<'a> Window<'a> {
    pub fn new(file: &'a LogFile, memory: &'a Pool, end: u64) -> Window<'a> {
        Window {
            file,
            memory,
            end,
            at: 0,
            bytes: None,
        }
    }

    /// The bytes from `position` on: `len` of them unless the file ends before. Reads `ahead` bytes if it has to read.
    pub async fn get(&mut self, position: u64, len: usize, ahead: usize) -> Result<&[u8], ReadError> {
        let wanted_end = (position + len as u64).min(self.end);
        let have = self.bytes.as_ref().map_or(0, |(_, len)| *len as u64);
        if self.bytes.is_none() || position < self.at || wanted_end > self.at + have {
            self.bytes = None;
            self.at = block_start(position);
            let skip = (position - self.at) as usize;
            // Reading ahead stays within the largest size that the pool keeps.
            let ahead = ahead.min(COLD_READ_BYTES_MAX - skip).max(len);
            let to = (position + ahead as u64)
                .min(self.end)
                .next_multiple_of(BLOCK_BYTES);
            let read_len = (to - self.at) as usize;
            // A read can be tried again; the memory that appends need is not touched.
            let buffer = self
                .memory
                .take_sparing(read_len)
                .map_err(|_| ReadError::OutOfMemory)?;
            let (buffer, got) = self.file.read_at(buffer, self.at, read_len).await?;
            self.bytes = Some((buffer, got.min((self.end - self.at) as usize)));
        }
        let (buffer, len) = self.bytes.as_ref().expect("read above");
        Ok(&buffer[((position - self.at) as usize).min(*len)..*len])
    }

    /// The window's memory as a slice of the bytes between two positions that it holds.
    pub fn into_slice(self, from: u64, to: u64) -> Slice {
        let at = self.at;
        let (buffer, _) = self.bytes.expect("the range was read");
        buffer.freeze().slice((from - at) as usize..(to - at) as usize)
    }
}
