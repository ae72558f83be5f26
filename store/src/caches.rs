//! What a store keeps at hand of sealed segments: loaded indexes, lists of aborted transactions and open descriptors, each
//! bounded, the least recently used leaving first.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::aborted::Aborted;
use crate::disk::LogFile;
use crate::index::SparseIndex;
use crate::limits::{ABORTED_CACHE_BYTES_MAX, DESCRIPTORS_MAX, INDEX_CACHE_BYTES_MAX};
use crate::segment::SegmentId;

/// A segment file of one open log: the log's number and the file's.
pub(crate) type SegmentKey = (u64, SegmentId);

struct Kept<V> {
    value: V,
    weight: usize,
    used: u64,
}

/// A bounded map; what was used longest ago leaves when there is too much.
pub(crate) struct Recent<K, V> {
    kept: RefCell<(FxHashMap<K, Kept<V>>, usize, u64)>,
    limit: usize,
}

impl<K: Copy + Eq + std::hash::Hash, V: Clone> Recent<K, V> {
    fn new(limit: usize) -> Recent<K, V> {
        Recent {
            kept: RefCell::default(),
            limit,
        }
    }

    pub fn get(&self, key: K) -> Option<V> {
        let (kept, _, clock) = &mut *self.kept.borrow_mut();
        *clock += 1;
        let entry = kept.get_mut(&key)?;
        entry.used = *clock;
        Some(entry.value.clone())
    }

    pub fn put(&self, key: K, value: V, weight: usize) {
        let (kept, total, clock) = &mut *self.kept.borrow_mut();
        *clock += 1;
        if let Some(old) = kept.insert(
            key,
            Kept {
                value,
                weight,
                used: *clock,
            },
        ) {
            *total -= old.weight;
        }
        *total += weight;
        while *total > self.limit && kept.len() > 1 {
            let oldest = *kept
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .expect("there are two at least")
                .0;
            *total -= kept.remove(&oldest).expect("just found").weight;
        }
    }

    pub fn remove_if(&self, goes: impl Fn(&K) -> bool) {
        let (kept, total, _) = &mut *self.kept.borrow_mut();
        kept.retain(|key, entry| {
            let goes = goes(key);
            *total -= if goes { entry.weight } else { 0 };
            !goes
        });
    }
}

/// Loaded indexes, weighed in bytes.
pub(crate) type Indexes = Recent<SegmentKey, Arc<SparseIndex>>;

/// Aborted transactions of sealed segments, weighed in bytes.
pub(crate) type AbortedLists = Recent<SegmentKey, Rc<Vec<Aborted>>>;

/// Open files; the flag tells the buffered ones from the direct ones.
pub(crate) type Descriptors = Recent<(SegmentKey, bool), Rc<LogFile>>;

pub(crate) fn indexes() -> Indexes {
    Recent::new(INDEX_CACHE_BYTES_MAX)
}

pub(crate) fn aborted_lists() -> AbortedLists {
    Recent::new(ABORTED_CACHE_BYTES_MAX)
}

pub(crate) fn descriptors() -> Descriptors {
    Recent::new(DESCRIPTORS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_leaves() {
        let cache: Recent<u32, u32> = Recent::new(30);
        for key in 0..3 {
            cache.put(key, key, 10);
        }
        assert_eq!(cache.get(0), Some(0));
        cache.put(3, 3, 10);
        assert_eq!(
            (cache.get(0), cache.get(1), cache.get(2), cache.get(3)),
            (Some(0), None, Some(2), Some(3))
        );
        cache.remove_if(|&key| key == 0);
        cache.put(4, 4, 10);
        assert_eq!(
            (cache.get(2), cache.get(3), cache.get(4)),
            (Some(2), Some(3), Some(4))
        );
    }
}
