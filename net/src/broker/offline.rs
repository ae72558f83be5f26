//! Partitions whose logs could not be opened: no descriptor was left, a file could not be read. Requests answer
//! KAFKA_STORAGE_ERROR, Metadata says on every shard that the partition has no leader, and its owner tries again, ever less
//! often. A damaged log is not among them: it opens, for reading.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ShardId, TopicId};
use tautline_core::task::{Queue, spawn, yield_now};
use tautline_core::time::sleep;

use super::Broker;
use crate::node::BrokerId;

/// When the first attempt follows one that failed; the pause doubles with each ...
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// ... up to this.
const RETRY_LAST: Duration = Duration::from_secs(30);

/// Who leads a partition that has no leader.
const NO_LEADER: i32 = -1;

type Key = (TopicId, PartitionIndex);

/// What this shard knows of such partitions: its own, and what the others say of theirs.
#[derive(Default)]
pub(super) struct Offline {
    by_owner: RefCell<FxHashMap<ShardId, Arc<FxHashSet<Key>>>>,
}

impl Offline {
    pub fn has(&self, owner: ShardId, key: Key) -> bool {
        let by_owner = self.by_owner.borrow();
        by_owner.get(&owner).is_some_and(|keys| keys.contains(&key))
    }

    fn of(&self, owner: ShardId) -> Arc<FxHashSet<Key>> {
        self.by_owner.borrow().get(&owner).cloned().unwrap_or_default()
    }

    fn set(&self, owner: ShardId, keys: Arc<FxHashSet<Key>>) {
        self.by_owner.borrow_mut().insert(owner, keys);
    }
}

/// What Metadata says of a partition's leader.
pub struct Leadership {
    /// LEADER_NOT_AVAILABLE while the partition is offline.
    pub error: ErrorCode,
    /// The leader, or -1.
    pub leader: i32,
    /// The broker that has the partition.
    pub replica: i32,
    /// The same one, if the partition is offline.
    pub offline_replicas: Vec<i32>,
}

impl Broker {
    /// Whether a partition's log could not be opened, as far as this shard has heard.
    pub fn is_offline(&self, topic: TopicId, index: PartitionIndex) -> bool {
        self.partitions
            .offline
            .has(self.owner(topic, index), (topic, index))
    }

    /// Who leads a partition, if anybody does.
    pub fn leadership(&self, topic: TopicId, index: PartitionIndex) -> Leadership {
        let BrokerId(replica) = self.leader(topic, index);
        let offline = self.is_offline(topic, index);
        Leadership {
            error: if offline {
                ErrorCode::LeaderNotAvailable
            } else {
                ErrorCode::None
            },
            leader: if offline { NO_LEADER } else { replica },
            replica,
            offline_replicas: offline.then_some(replica).into_iter().collect(),
        }
    }

    /// Notes which of this shard's partitions have come to be offline, or are not any more, and tells the other shards.
    pub(super) fn note_offline(&self, change: impl FnOnce(&mut FxHashSet<Key>)) {
        let (here, offline) = (self.shard(), &self.partitions.offline);
        let before = offline.of(here);
        let mut keys = (*before).clone();
        change(&mut keys);
        if keys == *before {
            return;
        }
        let keys = Arc::new(keys);
        offline.set(here, keys.clone());
        for shard in self.shards().filter(|&shard| shard != here) {
            let keys = keys.clone();
            let note = move |broker: &Rc<Broker>| broker.partitions.offline.set(here, keys);
            self.mailbox.post(shard, Box::new(note));
        }
    }

    /// Starts to open this shard's offline partitions again from time to time.
    pub fn keep_opening_offline(self: &Rc<Self>) {
        let broker = Rc::downgrade(self);
        spawn(Queue::Background, async move {
            let mut pause = RETRY_FIRST;
            loop {
                sleep(pause).await;
                let Some(broker) = broker.upgrade() else { return };
                let offline = broker.open_offline().await;
                if offline == 0 {
                    pause = RETRY_FIRST;
                    continue;
                }
                pause = (pause * 2).min(RETRY_LAST);
                tracing::warn!("partitions whose logs can't be opened: {offline}; trying again in {pause:?}");
            }
        });
    }

    /// Tries to open this shard's partitions that are offline; gives how many still are.
    async fn open_offline(self: &Rc<Self>) -> usize {
        let here = self.shard();
        for &(topic, index) in self.partitions.offline.of(here).iter() {
            // One at a time: a change of the metadata waits for no more than this.
            let turn = self.partitions.turn().await;
            let image = self.image();
            let wanted = image
                .topic_by_id(topic)
                .filter(|_| !self.stopping.get() && self.is_offline(topic, index));
            if let Some(topic) = wanted {
                match self.partitions.open(self, topic, index).await {
                    Ok(()) => {
                        tracing::info!(topic = %topic.name, partition = %index, "log opened at last");
                        self.note_offline(|keys| {
                            keys.remove(&(topic.id, index));
                        });
                        self.groups.follow(self, &image);
                        self.transactions.hosts.follow(self, &image);
                    }
                    Err(error) => {
                        tracing::debug!(topic = %topic.name, partition = %index, "log still not opened: {error}");
                    }
                }
            }
            drop(turn);
            yield_now().await;
        }
        self.partitions.offline.of(here).len()
    }
}
