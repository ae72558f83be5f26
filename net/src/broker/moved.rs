//! Waiting until one of the partitions that a fetch wants has more, on whatever shards they are.
//!
//! Those of this shard are watched in place, with what the fetch before has waited with; others by a task on each of their shards.

use std::rc::Rc;

use futures_util::future::{select, select_all};
use tautline_core::ids::{Offset, PartitionIndex, ShardId, TopicId};

use super::wanted::{Found, Wanted};
use super::{Broker, Registration, Watcher};

/// A partition, and how far it was seen.
type Seen = (TopicId, PartitionIndex, Offset);

/// Who waits on this shard. Used by one fetch after the other.
#[derive(Default)]
pub(super) struct Watch {
    watcher: Rc<Watcher>,
    registrations: Vec<Registration>,
}

impl Watch {
    /// Waits no more.
    pub fn end(&mut self) {
        self.registrations.clear();
        self.watcher.reset();
    }
}

impl Broker {
    /// Completes when one of the partitions has more than was found. [`Watch::end`] follows, also when it is dropped.
    pub(super) async fn any_moved(
        self: &Rc<Self>,
        wanted: &[Wanted],
        found: &[Found],
        committed_only: bool,
        watch: &mut Watch,
    ) {
        let mut elsewhere: Vec<(ShardId, Vec<Seen>)> = Vec::new();
        let Watch {
            watcher,
            registrations,
        } = watch;
        for (want, found) in wanted.iter().zip(found) {
            let Ok(owner) = want.owner else { continue };
            let bound = if committed_only {
                found.last_stable
            } else {
                found.high_watermark
            };
            let seen = (want.topic, want.index, bound);
            if owner == self.shard() {
                registrations.extend(register(self, watcher, seen, committed_only));
            } else if let Some((_, all)) = elsewhere.iter_mut().find(|(shard, _)| *shard == owner) {
                all.push(seen);
            } else {
                elsewhere.push((owner, vec![seen]));
            }
        }
        if elsewhere.is_empty() {
            return watcher.fired().await;
        }
        let elsewhere = elsewhere.into_iter().map(|(shard, seen)| {
            self.watch_on(shard, move |broker, watcher| {
                let register = |seen| register(broker, watcher, seen, committed_only);
                seen.into_iter().filter_map(register).collect()
            })
        });
        // In a box: who waits only here shall not carry room for it.
        Box::pin(select(Box::pin(watcher.fired()), select_all(elsewhere))).await;
    }
}

/// Registers the watcher with a partition of this shard, and fires it at once if that has moved already.
fn register(
    broker: &Rc<Broker>,
    watcher: &Rc<Watcher>,
    (topic, index, bound): Seen,
    committed_only: bool,
) -> Option<Registration> {
    let Some(partition) = broker.partitions.get(topic, index) else {
        watcher.fire();
        return None;
    };
    let registration = partition.watchers(committed_only).add(watcher);
    if partition.visible_end(committed_only) > bound {
        watcher.fire();
    }
    Some(registration)
}
