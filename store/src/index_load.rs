//! Indexes of segments that are not (or not wholly) in memory: read from their file, or made again from the batches' headers.

use std::sync::Arc;

use tautline_core::batch::BATCH_HEADER_BYTES;
use tautline_core::blocking;
use tautline_core::file::OpenMode;
use tautline_core::ids::Offset;
use tautline_core::task::{Queue, spawn, yield_if_needed};

use crate::cold::{ColdSegment, header_of};
use crate::error::ReadError;
use crate::index::{Place, SparseIndex};
use crate::limits::SCAN_WINDOW_BYTES;
use crate::log::Log;
use crate::window::Window;

impl Log {
    /// The index to find `offset` with; `None` if the live segment's own has it.
    pub(crate) async fn index_for(
        &self,
        segment: &ColdSegment,
        offset: Offset,
    ) -> Result<Option<Arc<SparseIndex>>, ReadError> {
        if segment.index_from.is_some_and(|from| offset >= from.offset) {
            return Ok(None);
        }
        let key = (self.number, segment.id);
        if let Some(index) = self.shared.indexes.get(key) {
            return Ok(Some(index));
        }
        let end = segment.index_from.map_or(segment.end, |from| from.position);
        let sealed = segment.index_from.is_none();
        let index = match self.load_index(segment, sealed).await {
            Some(index) => index,
            None => self.rebuild_index(segment, end, sealed).await?,
        };
        let index = Arc::new(index);
        self.shared.indexes.put(key, index.clone(), index.size_bytes());
        Ok(Some(index))
    }

    async fn load_index(&self, segment: &ColdSegment, sealed: bool) -> Option<SparseIndex> {
        if !sealed {
            return None;
        }
        let (path, base, end) = (self.dir.index(segment.id), segment.base, segment.end);
        let sequence = segment.id.sequence;
        let read = move || {
            let bytes = std::fs::read(path).ok()?;
            SparseIndex::from_file(&bytes, base, sequence, end)
        };
        blocking::run(read).await
    }

    async fn rebuild_index(
        &self,
        segment: &ColdSegment,
        end: u64,
        sealed: bool,
    ) -> Result<SparseIndex, ReadError> {
        tracing::debug!(log = %self.identity, segment = ?segment.id, "making the index again from the batches");
        let interval = self.state.borrow().config.index_interval_bytes;
        let file = self.descriptor(segment.id, OpenMode::ReadDirect).await?;
        let mut index = SparseIndex::new(segment.base);
        let mut window = Window::new(&file, &self.shared.memory, end);
        let (mut position, mut max_timestamp_ms) = (segment.base.position, -1);
        while position < end {
            let bytes = window
                .get(position, BATCH_HEADER_BYTES, SCAN_WINDOW_BYTES)
                .await?;
            // Behind damage the index ends; reads find it there and say so.
            let Some((size, base, _)) = header_of(bytes) else {
                break;
            };
            let timestamp = i64::from_be_bytes(bytes[35..43].try_into().expect("eight bytes"));
            index.note(
                Place {
                    offset: base,
                    position,
                },
                max_timestamp_ms,
                interval,
            );
            max_timestamp_ms = max_timestamp_ms.max(timestamp);
            position += size as u64;
            yield_if_needed().await;
        }
        if sealed && position == end {
            let bytes = index.to_file(segment.id.sequence, end);
            let path = self.dir.index(segment.id);
            let write = blocking::run(move || std::fs::write(path, bytes));
            spawn(Queue::Background, async move {
                // Only a hint: if it can't be kept it is made again.
                let _ = write.await;
            });
        }
        Ok(index)
    }
}
