//! The memory of coordinators as a part of their shard's.

use tautline_core::buffer::Pool;
use tautline_replica::memory::{CoordinatorMemory, MemorySource};

use super::limits::MEMORY_SHARE;

/// The memory of a shard's coordinators: a share of its budget at most, and no more of it than they hold.
pub fn coordinator_memory(pool: Pool) -> CoordinatorMemory {
    CoordinatorMemory::new(pool.limit_bytes() / MEMORY_SHARE, Box::new(FromPool(pool)))
}

struct FromPool(Pool);

impl MemorySource for FromPool {
    fn take(&self, bytes: usize) -> bool {
        self.0.charge(bytes)
    }

    fn give_back(&self, bytes: usize) {
        self.0.discharge(bytes);
    }
}
