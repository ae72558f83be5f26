//! When the expressions of a group are resolved: a new one at once, all of them when topics have changed (at most every
//! [`REFRESH_MS_MIN`]) and every `group.consumer.regex.refresh.interval.ms`. They are resolved together, so that they make
//! for one new epoch.

use std::sync::Arc;

use super::edit::Edit;
use super::group::bytes_of;
use super::pattern::{REFRESH_MS_MIN, Resolving};
use super::record::{ConsumerRecord, ResolvedPattern};
use crate::coordinator::Moment;
use crate::groups::timers::{TimerKey, TimerKind};

impl Edit<'_> {
    fn pattern_timer(&self) -> TimerKey {
        self.timer(TimerKind::ConsumerRegex, &Arc::from(""))
    }

    /// Sets when all expressions are resolved again.
    pub fn schedule_patterns(&mut self) {
        let key = self.pattern_timer();
        if self.group.patterns.is_empty() {
            self.group.resolving = None;
            self.timers.cancel(&key);
            return;
        }
        // What is on its way goes on first.
        if self.group.resolving.is_some() {
            self.timers.set(&key, self.now.monotonic_ms + 1);
            return;
        }
        let interval_ms = if self.group.patterns_stale {
            REFRESH_MS_MIN
        } else {
            self.config.consumer_regex_refresh_interval_ms.max(REFRESH_MS_MIN)
        };
        let due = self.resolved_ms().saturating_add(interval_ms);
        self.timers.set(&key, due.max(self.now.monotonic_ms));
    }

    /// When expressions were last resolved, as far as is known.
    fn resolved_ms(&mut self) -> i64 {
        let now = self.now.moment();
        let recorded = self.group.resolved.values().map(|it| it.timestamp_ms).max();
        let recorded = recorded.map(|ms| Moment::recorded(ms).as_seen(now).monotonic_ms);
        *self.group.resolved_ms.get_or_insert(recorded.unwrap_or(i64::MIN))
    }

    /// Resolves expressions that were never resolved; true if there is something new to assign.
    pub fn resolve_new_patterns(&mut self) -> bool {
        let group = &mut *self.group;
        let unresolved: Vec<Arc<str>> = group
            .patterns
            .keys()
            .filter(|pattern| !group.resolved.contains_key(*pattern))
            .cloned()
            .collect();
        if unresolved.is_empty() {
            return false;
        }
        match &mut group.resolving {
            Some(resolving) => unresolved.iter().for_each(|pattern| resolving.add(pattern)),
            None => {
                let resolved = group.resolved.values();
                let bytes = resolved.map(|resolved| bytes_of(&resolved.topics)).sum();
                group.resolving = Some(Resolving::new(unresolved, bytes));
            }
        }
        self.resolve_patterns()
    }

    /// It is time to resolve: begins, or goes on; true if there is something new to assign.
    pub fn resolve_due_patterns(&mut self) -> bool {
        let group = &mut *self.group;
        if group.resolving.is_none() {
            group.patterns_stale = false;
            group.resolving = Some(Resolving::new(group.patterns.keys().cloned().collect(), 0));
        }
        self.resolve_patterns()
    }

    fn resolve_patterns(&mut self) -> bool {
        let image = self.now.image;
        let finished = self.group.resolving.take_if(|resolving| resolving.advance(image));
        let mut changed = false;
        if let Some(resolving) = finished {
            self.group.resolved_ms = Some(self.now.monotonic_ms);
            for (pattern, topics) in resolving.finish() {
                let known = self.group.resolved.get(&pattern).map(|known| &known.topics);
                if known == Some(&topics) || !self.group.patterns.contains_key(&pattern) {
                    continue;
                }
                changed = true;
                let resolved = ResolvedPattern {
                    topics,
                    version: 0,
                    timestamp_ms: self.now.ms,
                };
                self.write(ConsumerRecord::Pattern(pattern, Some(resolved)));
            }
        }
        self.schedule_patterns();
        changed
    }

    /// Forgets the topics of expressions that nobody subscribes to any more.
    pub fn forget_unused_patterns(&mut self) {
        let group = &self.group;
        let unused = group
            .resolved
            .keys()
            .filter(|pattern| !group.patterns.contains_key(*pattern));
        for pattern in unused.cloned().collect::<Vec<_>>() {
            self.write(ConsumerRecord::Pattern(pattern, None));
        }
    }
}
