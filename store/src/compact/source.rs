//! A sealed segment, read from front to back, a bounded piece at a time, past the page cache. For helper threads.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use tautline_core::batch::{Batch, BatchError};
use tautline_core::buffer::{BLOCK_SIZE, Buffer, Pool};
use tautline_core::ids::Offset;

use super::fault::Fault;
use crate::limits::{CLEANER_IO_BYTES, SEGMENT_HEADER_BYTES};
use crate::tail::block_start;

/// A window of a batch that was much larger than what is read otherwise is not kept.
const WINDOW_SURPLUS_MAX: usize = 4;

/// See the module.
pub(super) struct Source {
    file: File,
    pool: Pool,
    /// Position behind the last batch.
    end: u64,
    /// Where the next batch begins, and at which offset or behind.
    position: u64,
    expected: Offset,
    window: Option<Buffer>,
    /// File position of the window's first byte.
    at: u64,
    len: usize,
    /// What the next batch takes, as far as it is known.
    wanted: usize,
}

impl Source {
    pub fn open(path: &Path, direct: bool, base: Offset, end: u64, pool: &Pool) -> io::Result<Source> {
        let mut options = OpenOptions::new();
        options.read(true);
        if direct {
            options.custom_flags(rustix::fs::OFlags::DIRECT.bits() as i32);
        }
        Ok(Source {
            file: options.open(path)?,
            pool: pool.clone(),
            end,
            position: SEGMENT_HEADER_BYTES,
            expected: base,
            window: None,
            at: 0,
            len: 0,
            wanted: 0,
        })
    }

    pub fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    /// Reads on: a piece, or as much as the next batch takes. Gives how many bytes that were.
    pub fn fill(&mut self) -> Result<u64, Fault> {
        let at = block_start(self.position);
        let skip = (self.position - at) as usize;
        let left = (self.end - at) as usize;
        let len = (skip + self.wanted)
            .max(CLEANER_IO_BYTES)
            .min(left)
            .next_multiple_of(BLOCK_SIZE);
        // What the window has of it already is moved to its front; not if it has to be another one.
        let fits = |window: &Buffer| window.len() >= len && window.len() / WINDOW_SURPLUS_MAX <= len;
        let kept = match &mut self.window {
            Some(window) if fits(window) && self.at <= at => {
                let from = ((at - self.at) as usize).min(self.len);
                window.copy_within(from..self.len, 0);
                self.len - from
            }
            window => {
                // The old one goes first: both together may be more than there is.
                *window = None;
                *window = Some(self.pool.take_sparing(len)?);
                0
            }
        };
        let window = self.window.as_mut().expect("there is one now");
        self.at = at;
        self.len = kept;
        let mut read_bytes = 0;
        while self.len < len {
            let to = len.min(self.len + CLEANER_IO_BYTES);
            match self
                .file
                .read_at(&mut window[self.len..to], self.at + self.len as u64)
            {
                Ok(0) => break,
                Ok(read) => {
                    self.len += read;
                    read_bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if !self.len.is_multiple_of(BLOCK_SIZE) {
                // Only the end of the file is not a whole block.
                break;
            }
        }
        self.len = self.len.min(left);
        if self.len < skip + self.wanted.min((self.end - self.position) as usize) {
            return Err(self.damage(None));
        }
        Ok(read_bytes)
    }

    /// The next batch, if the window has all of it: sound, and behind the one before.
    pub fn next(&mut self) -> Result<Option<Batch<'_>>, Fault> {
        if self.is_at_end() || self.position < self.at {
            return Ok(None);
        }
        let begin = ((self.position - self.at) as usize).min(self.len);
        let window = self
            .window
            .as_ref()
            .map_or(&[][..], |window| &window[begin..self.len]);
        let size = match Batch::parse(window) {
            Ok((batch, _)) => {
                if batch.base_offset() < self.expected || batch.verify_crc().is_err() {
                    return Err(self.damage(Some(batch.next_offset())));
                }
                batch.size_bytes()
            }
            Err(BatchError::Truncated { needed }) if self.position + needed as u64 <= self.end => {
                self.wanted = needed;
                return Ok(None);
            }
            Err(_) => return Err(self.damage(None)),
        };
        self.position += size as u64;
        self.wanted = 0;
        let window = self.window.as_ref().expect("it was parsed from there");
        let batch = Batch::parse(&window[begin..begin + size])
            .expect("it was parsed above")
            .0;
        self.expected = batch.next_offset();
        Ok(Some(batch))
    }

    fn damage(&self, to: Option<Offset>) -> Fault {
        let from = self.expected;
        Fault::Damaged {
            position: self.position,
            from,
            to: to.filter(|&to| to > from).unwrap_or(from.next()),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Where there is no direct I/O: nobody else reads these pages soon.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }
}
