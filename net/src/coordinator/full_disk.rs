//! A coordinator whose disk is full: it keeps what it has decided until that can be appended.
//!
//! Promises: meanwhile it decides nothing that has to be written, so that no member runs out of time. Who says that it lives is
//! heard; all others are told COORDINATOR_NOT_AVAILABLE at once, and those who wait already after [`DISK_WAIT_MAX`]. Whether what
//! they asked for comes to be is then open. After so long a wait a coordinator is replayed, in which everybody's time begins anew.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use tautline_core::error::ErrorCode;
use tautline_core::task::yield_if_needed;
use tautline_core::time::{monotonic_ns, sleep};
use tautline_replica::coordinator::{Coordinator, Decision, Token};

use super::host::Input;
use super::limits::{DISK_PAUSE, DISK_WAIT_MAX, INPUTS_PER_ROUND};
use super::serving::{Serving, now};
use crate::broker::Partition;

/// Since when a batch waits for the disk.
pub(super) struct FullDisk {
    since_ns: u64,
    /// Those who waited were told.
    is_long: bool,
}

impl FullDisk {
    fn lasts(&self) -> Duration {
        Duration::from_nanos(monotonic_ns() - self.since_ns)
    }
}

impl<C: Coordinator + 'static> Serving<'_, C> {
    /// Waits before the append is tried again.
    ///
    /// # Errors
    /// The host was stopped.
    pub(super) async fn wait_for_disk(&mut self, full: &mut Option<FullDisk>) -> Result<(), String> {
        let now_ns = monotonic_ns();
        let full = full.get_or_insert_with(|| {
            let Partition { topic, index, .. } = &*self.host.partition;
            tracing::warn!(%topic, partition = %index, "the coordinator waits: the disk is full");
            FullDisk {
                since_ns: now_ns,
                is_long: false,
            }
        });
        let until_ns = now_ns + DISK_PAUSE.as_nanos() as u64;
        loop {
            let news = self.host.news.wait();
            if self.host.is_stopped() {
                return Err("it was stopped while the disk was full".to_owned());
            }
            for _ in 0..INPUTS_PER_ROUND {
                let Some(input) = self.host.take_input() else {
                    break;
                };
                self.take_without_disk(input);
            }
            yield_if_needed().await;
            let left_ns = until_ns.saturating_sub(monotonic_ns());
            if left_ns == 0 {
                break;
            }
            if !self.host.has_input() {
                select(pin!(sleep(Duration::from_nanos(left_ns))), news).await;
            }
        }
        if !full.is_long && full.lasts() >= DISK_WAIT_MAX {
            full.is_long = true;
            self.pending.refuse(ErrorCode::CoordinatorNotAvailable);
        }
        Ok(())
    }

    /// The batch was appended.
    ///
    /// # Errors
    /// After so long that members would run out of time for not having been heard.
    pub(super) fn has_disk_again(&self, full: &FullDisk) -> Result<(), String> {
        if full.is_long {
            return Err(format!("the disk was full for {:?}", full.lasts()));
        }
        Ok(())
    }

    fn take_without_disk(&mut self, input: Input<C::Request>) {
        match input {
            Input::Request(token, request, _) => {
                if self.with_coordinator(|coordinator| coordinator.writes_nothing(&request)) {
                    self.hear(token, request);
                } else {
                    self.refuse_without_disk(token);
                }
            }
            Input::Abandoned(token) => self.abandoned(token),
            // Who waited may be gone.
            Input::EndTransaction(end) => drop(end.ended.send(Err(ErrorCode::CoordinatorNotAvailable))),
        }
    }

    fn hear(&mut self, token: Token, request: C::Request) {
        let image = self.host.surroundings.image();
        let mut decided = Decision::default();
        self.with_coordinator(|coordinator| coordinator.step(now(&image), token, request, &mut decided));
        assert!(
            decided.batches.is_empty() && decided.effects.is_empty(),
            "it writes nothing"
        );
        for (token, response) in decided.prompt {
            self.host.surroundings.answer(token, Ok(response));
        }
        // These would tell of what is not appended yet.
        for (token, _) in decided.replies {
            self.refuse_without_disk(token);
        }
    }

    fn refuse_without_disk(&self, token: Token) {
        let refused = Err(ErrorCode::CoordinatorNotAvailable);
        self.host.surroundings.answer(token, refused);
    }
}
