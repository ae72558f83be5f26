//! The topics that have offsets: their names once in memory, and which of them were deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, TopicId};

use super::Offsets;
use crate::metadata::MetadataImage;

#[derive(Debug, Default)]
struct Known {
    /// Offsets, committed and pending.
    offsets: usize,
    /// The id that was compared last with those offsets.
    id: Option<TopicId>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct KnownTopics(BTreeMap<Arc<str>, Known>);

impl KnownTopics {
    /// The name as it is shared.
    pub fn name(&mut self, name: &str) -> Arc<str> {
        if let Some((shared, _)) = self.0.get_key_value(name) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = name.into();
        self.0.insert(Arc::clone(&shared), Known::default());
        shared
    }

    /// One more offset.
    pub fn more(&mut self, name: &Arc<str>) {
        self.0.entry(Arc::clone(name)).or_default().offsets += 1;
    }

    /// Fewer offsets.
    pub fn fewer(&mut self, name: &str, by: usize) {
        if let Some(known) = self.0.get_mut(name) {
            known.offsets -= by;
            if known.offsets == 0 {
                self.0.remove(name);
            }
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Offsets {
    /// Offsets of topics that are no more: the name is gone, or belongs to another topic now.
    ///
    /// The image must be as new as the log: topics that it does not know yet would lose their offsets.
    pub fn of_deleted_topics(&mut self, image: &MetadataImage) -> Vec<(Arc<str>, Arc<str>, PartitionIndex)> {
        let changed: Vec<_> = self
            .topics
            .0
            .iter_mut()
            .filter_map(|(name, known)| {
                let id = image.topic(name).map(|topic| topic.id);
                let is_same = id.is_some() && known.id == id;
                known.id = id;
                (!is_same).then(|| (Arc::clone(name), id))
            })
            .collect();
        let mut gone = Vec::new();
        for (name, id) in changed {
            let is_gone =
                |committed: TopicId| id.is_none_or(|id| committed != TopicId::ZERO && committed != id);
            let of_topic = self.of_topic(&name).into_iter();
            gone.extend(
                of_topic
                    .filter(|(_, _, committed)| is_gone(*committed))
                    .map(|(group, partition, _)| (group, Arc::clone(&name), partition)),
            );
        }
        gone
    }
}
