//! Who waits for a coordinator, and what is done for them when what it rests on is committed.
//!
//! Promises: everybody who was taken in gets one answer. What was put off until a commit goes out in the order in which it was
//! decided.

use std::collections::VecDeque;

use futures_channel::oneshot;
use rustc_hash::FxHashSet;
use tautline_core::error::ErrorCode;
use tautline_core::ids::Offset;
use tautline_replica::coordinator::{Coordinator, Token};

use super::Surroundings;

/// What waits for a commit.
pub(super) enum Due<C: Coordinator> {
    Reply(Token, C::Response),
    Effect(C::Effect),
    /// Of a transaction in the partition.
    Ended(oneshot::Sender<Result<(), ErrorCode>>),
}

/// See the module.
pub(super) struct Pending<'a, C: Coordinator> {
    surroundings: &'a dyn Surroundings<C>,
    /// Who was taken in and not answered.
    waiting: FxHashSet<Token>,
    /// What may be done when all below the offset is committed; offsets never fall.
    due: VecDeque<(Offset, Due<C>)>,
}

impl<'a, C: Coordinator> Pending<'a, C> {
    pub fn new(surroundings: &'a dyn Surroundings<C>) -> Self {
        Pending {
            surroundings,
            waiting: FxHashSet::default(),
            due: VecDeque::new(),
        }
    }

    /// Takes somebody in.
    pub fn take_in(&mut self, token: Token) {
        self.waiting.insert(token);
    }

    /// Lets somebody go without an answer. Whether that was waited for.
    pub fn forget(&mut self, token: Token) -> bool {
        self.waiting.remove(&token)
    }

    /// Answers at once.
    pub fn answer(&mut self, token: Token, response: C::Response) {
        // Without it the client is gone.
        if self.waiting.remove(&token) {
            self.surroundings.answer(token, Ok(response));
        }
    }

    /// Puts it off until all below `end` is committed.
    pub fn put_off(&mut self, end: Offset, due: Due<C>) {
        debug_assert!(self.due.back().is_none_or(|(last, _)| *last <= end));
        self.due.push_back((end, due));
    }

    /// What has to be committed for the next of what was put off.
    pub fn next_end(&self) -> Option<Offset> {
        self.due.front().map(|(end, _)| *end)
    }

    /// Lets everything go that rests on what is below `committed`.
    pub fn release(&mut self, committed: Offset) {
        while self.next_end().is_some_and(|end| end <= committed) {
            match self.due.pop_front() {
                Some((_, Due::Reply(token, response))) => self.answer(token, response),
                Some((_, Due::Effect(effect))) => self.surroundings.act(effect),
                // Who waited may be gone.
                Some((_, Due::Ended(ended))) => drop(ended.send(Ok(()))),
                None => {}
            }
        }
    }

    /// Tells all who wait now that they don't get an answer.
    pub fn refuse(&mut self, refusal: ErrorCode) {
        for token in self.waiting.drain() {
            self.surroundings.answer(token, Err(refusal));
        }
    }

    /// Tells all who wait that it is over.
    pub fn refuse_all(mut self) {
        self.refuse(ErrorCode::NotCoordinator);
    }
}
