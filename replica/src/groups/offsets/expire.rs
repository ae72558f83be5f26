//! Retention of offsets: `offsets.retention.minutes` after what KIP-211 says, and of the groups that have none left.

use std::ops::Bound;
use std::sync::Arc;

use tautline_core::ids::PartitionIndex;

use super::Offsets;
use super::delete::append_tombstones;
use crate::coordinator::CoordinatorRecord;
use crate::groups::group::{Group, Retention};
use crate::groups::limits::{EXPIRY_GROUPS_PER_TICK, EXPIRY_OFFSETS_PER_TICK};
use crate::groups::record::{OffsetValue, offset_tombstone};
use crate::groups::turn::{Groups, Turn};

const MINUTE_MS: i64 = 60_000;

/// When the next groups are looked at, and which. Every `offsets.retention.check.interval.ms` all of them are, some each tick,
/// so that no request waits for long.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    next_ms: Option<i64>,
    /// The last group that was looked at.
    cursor: Option<Arc<str>>,
}

impl Expiry {
    /// Sets the first time.
    pub fn start(&mut self, turn: &Turn<'_>) {
        self.next_ms = Some(turn.now.monotonic_ms + turn.config.offsets_retention_check_interval_ms);
    }

    /// When [`Expiry::tick`] has something to do; None before the log is replayed.
    pub const fn next_ms(&self) -> Option<i64> {
        self.next_ms
    }

    /// Looks at some groups, if it is time.
    pub fn tick(&mut self, groups: &mut Groups, offsets: &mut Offsets, turn: &mut Turn<'_>) {
        if self.next_ms.is_none_or(|at| turn.now.monotonic_ms < at) {
            return;
        }
        let mut records = Vec::new();
        let mut looked_at = 0;
        for _ in 0..EXPIRY_GROUPS_PER_TICK {
            let after = self
                .cursor
                .as_ref()
                .map_or(Bound::Unbounded, |last| Bound::Excluded(&**last));
            let next = groups.range::<str, _>((after, Bound::Unbounded)).next();
            let Some((id, group)) = next.map(|(id, group)| (Arc::clone(id), group)) else {
                self.cursor = None;
                self.next_ms = Some(turn.now.monotonic_ms + turn.config.offsets_retention_check_interval_ms);
                break;
            };
            looked_at += expire(&id, group, offsets, turn, &mut records);
            if !offsets.has_group(&id) && group.is_deletable() {
                group.append_tombstones(&id, &mut records);
                groups.remove(&id);
                turn.timers.cancel_group(&id);
            }
            self.cursor = Some(id);
            if looked_at >= EXPIRY_OFFSETS_PER_TICK {
                break;
            }
        }
        append_tombstones(turn, records);
    }
}

/// Forgets what has expired of a group. How many offsets it had.
fn expire(
    id: &Arc<str>,
    group: &Group,
    offsets: &mut Offsets,
    turn: &Turn<'_>,
    records: &mut Vec<CoordinatorRecord>,
) -> usize {
    let retention_ms = turn.config.offsets_retention_minutes * MINUTE_MS;
    let Some(retention) = group.retention() else {
        return 0;
    };
    let has_expired = |value: &OffsetValue| match (value.expire_ms, retention) {
        (Some(at), _) => turn.now.ms >= at,
        (None, Retention::SinceCommit) => turn.now.ms - value.commit_ms >= retention_ms,
        (None, Retention::Since(since_ms)) => turn.now.ms - since_ms >= retention_ms,
    };
    let mut expired: Vec<(Arc<str>, PartitionIndex)> = Vec::new();
    let mut count = 0;
    for (topic, partitions) in offsets.groups.get(id).into_iter().flatten() {
        count += partitions.len();
        if group.is_subscribed(topic) {
            continue;
        }
        for (partition, committed) in partitions {
            if has_expired(&committed.value) && !offsets.is_pending(id, topic, *partition) {
                expired.push((Arc::clone(topic), *partition));
            }
        }
    }
    for (topic, partition) in expired {
        offsets.forget(id, &topic, partition);
        records.push(offset_tombstone(id, &topic, partition));
    }
    count
}
