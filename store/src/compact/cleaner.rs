//! The cleaner of a shard: one log at a time, the dirtiest first, in the background queue.

use std::rc::{Rc, Weak};
use std::time::Duration;

use tautline_core::task::{Queue, spawn, yield_if_needed};
use tautline_core::time::{now_ms, sleep};

use super::fault::CleanError;
use crate::limits::CLEANER_RETRY_MS;
use crate::log::Log;
use crate::shared::Shared;

/// Starts it; it ends with the store.
pub(crate) fn start(shared: Weak<Shared>) {
    let Some(options) = shared.upgrade().map(|shared| shared.options.cleaner) else {
        return;
    };
    if !options.enabled {
        return;
    }
    let backoff = Duration::from_millis(options.backoff_ms.max(1) as u64);
    spawn(Queue::Background, async move {
        loop {
            sleep(backoff).await;
            while let Some(shared) = shared.upgrade()
                && clean_dirtiest(&shared).await
            {}
            if shared.strong_count() == 0 {
                return;
            }
        }
    });
}

/// Cleans the log that needs it most; false if none does, or it has to wait.
async fn clean_dirtiest(shared: &Rc<Shared>) -> bool {
    let now = now_ms();
    let metrics = &shared.metrics;
    let (mut dirtiest, mut percent, mut uncleanable) = (None, 0, 0);
    for log in shared.open_logs() {
        yield_if_needed().await;
        let Some(dirt) = log.dirt(now) else { continue };
        let Ok(cleanable) = dirt else {
            uncleanable += 1;
            continue;
        };
        percent = percent.max(cleanable.dirty_millionths() / 10_000);
        let due = cleanable.is_due(&log.state.borrow().config) && !log.cleaning.is_resting(now);
        let dirtier = |(_, least): &(Rc<Log>, u32)| cleanable.dirty_millionths() > *least;
        if due && dirtiest.as_ref().is_none_or(dirtier) {
            dirtiest = Some((log, cleanable.dirty_millionths()));
        }
    }
    metrics.cleaner_dirty_percent_max.set(u64::from(percent));
    metrics.cleaner_uncleanable_logs.set(uncleanable);
    let Some((log, _)) = dirtiest else { return false };
    let Some(_place) = shared.data.clean_one_more(shared.options.cleaner.logs_at_a_time) else {
        return false;
    };
    match log.clean(now).await {
        Ok(cleaned) => cleaned.is_some(),
        Err(CleanError::Ended) => false,
        Err(error) => {
            metrics.cleaner_errors.add(1);
            let again = if error.lasts() {
                "not before it is gone"
            } else {
                "trying again later"
            };
            tracing::warn!(log = %log.identity, %error, again, "the log was not cleaned");
            log.cleaning.rest_until(now + CLEANER_RETRY_MS);
            true
        }
    }
}
