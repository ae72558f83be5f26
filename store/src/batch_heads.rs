//! What a log holds, told by the headers of its batches: from where a replica's journal ends on, it is counted again at a start.

use tautline_core::batch::BATCH_HEADER_BYTES;
use tautline_core::file::OpenMode;
use tautline_core::ids::{LeaderEpoch, Offset};
use tautline_core::task::yield_if_needed;

use crate::cold::header_of;
use crate::error::ReadError;
use crate::limits::SCAN_WINDOW_BYTES;
use crate::log::Log;
use crate::window::Window;

/// A batch without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHead {
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Length of its bytes.
    pub size_bytes: u32,
    /// The CRC-32C in its header.
    pub crc: u32,
}

impl Log {
    /// The batches from `from` on, which is where one of them begins, or a gap. Also below the log's start, as far as they are still
    /// there. Reads files only: what was appended since the log was opened is not all in them.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn batch_heads(&self, from: Offset) -> Result<Vec<BatchHead>, ReadError> {
        let mut heads = Vec::new();
        let (mut at, end) = (from, self.end_offset());
        while at < end
            && let Some(segment) = self.cold_segment(at)
        {
            let index = self.index_for(&segment, at).await?;
            let place = self.with_index(segment.id, index.as_deref(), |index| index.at_or_before(at));
            let file = self.descriptor(segment.id, OpenMode::ReadDirect).await?;
            let mut window = Window::new(&file, &self.shared.memory, segment.end);
            let mut position = place.unwrap_or(segment.base).position;
            while position < segment.end {
                let bytes = window
                    .get(position, BATCH_HEADER_BYTES, SCAN_WINDOW_BYTES)
                    .await?;
                let Some((size, base_offset, next)) = header_of(bytes) else {
                    return Err(ReadError::Corrupt { offset: at });
                };
                if next > at {
                    let number =
                        |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
                    heads.push(BatchHead {
                        leader_epoch: LeaderEpoch(number(12) as i32),
                        base_offset,
                        last_offset: next + -1,
                        size_bytes: size as u32,
                        crc: number(17),
                    });
                }
                position += size as u64;
                yield_if_needed().await;
            }
            match self.begin_behind(segment.id, segment.end_offset + -1) {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(heads)
    }
}
