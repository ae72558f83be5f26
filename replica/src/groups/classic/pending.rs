//! Member ids that were given out and not used yet (KIP-394).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::groups::limits::PENDING_MEMORY_BYTES;
use crate::memory::{Charge, CoordinatorMemory};

/// Pending ids, and in which order they came.
#[derive(Debug)]
pub(super) struct PendingMembers {
    ids: BTreeMap<Arc<str>, u64>,
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    charge: Charge,
}

impl PendingMembers {
    pub fn new(memory: &CoordinatorMemory) -> Self {
        Self {
            ids: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            charge: Charge::new(memory, 0),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn contains(&self, member_id: &str) -> bool {
        self.ids.contains_key(member_id)
    }

    pub fn insert(&mut self, member_id: Arc<str>) {
        self.remove(&member_id);
        self.charge.add(PENDING_MEMORY_BYTES + member_id.len());
        self.order.insert(self.next, Arc::clone(&member_id));
        self.ids.insert(member_id, self.next);
        self.next += 1;
    }

    /// Whether it was pending.
    pub fn remove(&mut self, member_id: &str) -> bool {
        let Some(at) = self.ids.remove(member_id) else {
            return false;
        };
        self.order.remove(&at);
        self.charge.subtract(PENDING_MEMORY_BYTES + member_id.len());
        true
    }

    /// The one that came first.
    pub fn oldest(&self) -> Option<Arc<str>> {
        self.order
            .first_key_value()
            .map(|(_, member_id)| Arc::clone(member_id))
    }
}
