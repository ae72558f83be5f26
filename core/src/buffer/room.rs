//! Memory of the allocator for one copy after another.

use std::sync::Arc;

use super::Slice;

/// Keeps the memory of one copy for the next: for bytes that are too few, and held for too long, to take a block of a pool.
#[derive(Default)]
pub struct Room(Option<Arc<Vec<u8>>>);

impl Room {
    /// A copy of `bytes`. While the copy before is held the new one gets memory of its own.
    pub fn copy(&mut self, bytes: &[u8]) -> Slice {
        let memory = self.0.get_or_insert_default();
        match Arc::get_mut(memory) {
            Some(memory) => {
                memory.clear();
                memory.extend_from_slice(bytes);
            }
            None => *memory = Arc::new(bytes.to_vec()),
        }
        Slice::of_vec(memory.clone())
    }

    /// Bytes that it keeps.
    pub fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |memory| memory.capacity())
    }
}
