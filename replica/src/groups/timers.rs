//! What is due when: one ordered set of deadlines for all groups of a coordinator.
//!
//! Promises: at most one entry a key; putting a deadline off, as each heartbeat does, moves nothing and allocates nothing,
//! the entry is looked at again when its old deadline comes; what is cancelled is gone, so that the size is bounded by the
//! keys that are set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is due for a group or for one of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimerKind {
    /// Classic: the join phase of a rebalance ends.
    Join,
    /// Classic: members that have not synced are removed.
    Sync,
    /// Classic: a member has been silent for its session timeout, or nobody has joined with an id given out (KIP-394).
    Session,
    /// Consumer: a member has been silent for the session timeout.
    ConsumerSession,
    /// Consumer: a member has not given up partitions within its rebalance timeout.
    ConsumerRebalance,
    /// Consumer: a classic member has not joined or synced in time.
    ConsumerClassicJoin,
    /// Consumer: regular expressions are resolved again.
    ConsumerRegex,
}

/// Whose timer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    /// The group.
    pub group: Arc<str>,
    /// What is due.
    pub kind: TimerKind,
    /// The member; empty for what concerns the group.
    pub member: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Under which the key stands in `order`: never after `deadline_ms`.
    ordered_ms: i64,
    /// When it is due.
    deadline_ms: i64,
}

/// The timers of a coordinator, on the clock that nobody sets.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    order: BTreeSet<(i64, TimerKey)>,
    entries: BTreeMap<TimerKey, Entry>,
}

impl Timers {
    /// Makes the key due then, in place of what was set before.
    pub fn set(&mut self, key: &TimerKey, deadline_ms: i64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.deadline_ms = deadline_ms;
            if entry.ordered_ms <= deadline_ms {
                return;
            }
            let at = std::mem::replace(&mut entry.ordered_ms, deadline_ms);
            self.order.remove(&(at, key.clone()));
        } else {
            let entry = Entry {
                ordered_ms: deadline_ms,
                deadline_ms,
            };
            self.entries.insert(key.clone(), entry);
        }
        self.order.insert((deadline_ms, key.clone()));
    }

    /// The deadline of a key that is set.
    pub fn deadline_ms(&self, key: &TimerKey) -> Option<i64> {
        self.entries.get(key).map(|entry| entry.deadline_ms)
    }

    /// Forgets a key, whether it is set or not.
    pub fn cancel(&mut self, key: &TimerKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&(entry.ordered_ms, key.clone()));
        }
    }

    /// Forgets all of a group.
    pub fn cancel_group(&mut self, group: &Arc<str>) {
        let first = TimerKey {
            group: Arc::clone(group),
            kind: TimerKind::Join,
            member: Arc::from(""),
        };
        let keys: Vec<_> = self
            .entries
            .range(first..)
            .take_while(|(key, _)| key.group == *group)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            self.cancel(key);
        }
    }

    /// When to look next; nothing may be due then, because deadlines are put off lazily.
    pub fn next_ms(&self) -> Option<i64> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes one key that is due.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<TimerKey> {
        while self.next_ms()? <= now_ms {
            let (_, key) = self.order.pop_first()?;
            let entry = self.entries.get_mut(&key).expect("what is in order has an entry");
            if entry.deadline_ms <= now_ms {
                self.entries.remove(&key);
                return Some(key);
            }
            entry.ordered_ms = entry.deadline_ms;
            self.order.insert((entry.deadline_ms, key));
        }
        None
    }

    /// Number of keys that are set.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.order.len(), self.entries.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, kind: TimerKind, member: &str) -> TimerKey {
        TimerKey {
            group: Arc::from(group),
            kind,
            member: Arc::from(member),
        }
    }

    #[test]
    fn what_is_put_off_comes_later_and_what_is_brought_forward_sooner() {
        let mut timers = Timers::default();
        let a = key("g", TimerKind::Session, "a");
        let b = key("g", TimerKind::Session, "b");
        timers.set(&a, 10);
        timers.set(&b, 20);
        timers.set(&a, 30);
        assert_eq!(timers.pop_due(15), None);
        assert_eq!(timers.next_ms(), Some(20));
        timers.set(&a, 19);
        assert_eq!(timers.pop_due(20), Some(a.clone()));
        assert_eq!(timers.pop_due(20), Some(b));
        assert_eq!(timers.pop_due(1_000), None);
        assert_eq!(timers.deadline_ms(&a), None);
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn a_group_that_goes_takes_its_timers_and_no_others() {
        let mut timers = Timers::default();
        for group in ["f", "g", "ga"] {
            for kind in [TimerKind::Join, TimerKind::Session, TimerKind::ConsumerRegex] {
                for member in ["", "m"] {
                    timers.set(&key(group, kind, member), 5);
                }
            }
        }
        timers.cancel_group(&Arc::from("g"));
        assert_eq!(timers.len(), 12);
        timers.cancel(&key("f", TimerKind::Join, ""));
        timers.cancel(&key("f", TimerKind::Join, ""));
        assert_eq!(timers.len(), 11);
    }
}
