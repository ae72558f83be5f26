//! The host of a schedule's coordinator: what is appended is committed later, and answers and effects wait for it.

use crate::coordinator::{Coordinator, CoordinatorBatch, Now, Token};
use crate::memory::CoordinatorMemory;
use crate::metadata::MetadataImage;
use crate::transactions::coordinator::Decided;
use crate::transactions::{
    Effect, TransactionCoordinator, TransactionRequest, TransactionResponse, WriteMarkers,
};

use crate::transactions::tests::host::coordinator;

use super::world::{CONFIG, Message, World};

/// What waits until the log is committed up to a number of batches.
#[derive(Debug)]
pub(super) enum Held {
    Reply(Option<(usize, u64)>, TransactionResponse),
    Effect(WriteMarkers),
}

/// Who waits for an answer to what.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The client and the number of its request; none for the host itself.
    pub from: Option<(usize, u64)>,
    pub request: TransactionRequest,
}

impl World {
    pub(super) fn step(&mut self, from: Option<(usize, u64)>, request: TransactionRequest) {
        self.tokens += 1;
        let token = Token(self.tokens);
        let waiter = Waiter {
            from,
            request: request.clone(),
        };
        self.waiting.insert(token, waiter);
        let mut decided = Decided::default();
        self.coordinator.step(
            now(self.now_ms, self.ahead_ms, &self.image),
            token,
            request,
            &mut decided,
        );
        if !decided.effects.is_empty() {
            self.judge.decides(&self.waiting[&token].request);
        }
        self.judge_answers(Some(token), &decided);
        self.take(decided);
        if self.random.one_in(50) && from.is_some() && self.waiting.contains_key(&token) {
            self.coordinator.abandoned(token);
            self.waiting.remove(&token);
        }
    }

    pub(super) fn tick(&mut self) {
        let mut decided = Decided::default();
        self.coordinator
            .tick(now(self.now_ms, self.ahead_ms, &self.image), &mut decided);
        self.judge_answers(None, &decided);
        self.take(decided);
    }

    /// `asked` is who has brought the step about: others are answered besides, with what was decided before them.
    fn judge_answers(&mut self, asked: Option<Token>, decided: &Decided) {
        let before = self.log.len();
        let after = before + decided.batches.len();
        for (token, response) in decided.replies.iter().chain(&decided.prompt) {
            let waiter = self.waiting.get(token).expect("a token is answered once");
            let before = if asked == Some(*token) { before } else { after };
            self.judge.answer(&waiter.request, response, before, after);
        }
    }

    fn take(&mut self, decided: Decided) {
        self.log.extend(decided.batches);
        let need = self.log.len();
        for (token, response) in decided.prompt {
            self.answer(token, response);
        }
        for (token, response) in decided.replies {
            let waiter = self.waiting.remove(&token).expect("a token is answered once");
            self.held.push((need, Held::Reply(waiter.from, response)));
        }
        for Effect::WriteMarkers(markers) in decided.effects {
            self.held.push((need, Held::Effect(markers)));
        }
    }

    pub(super) fn release(&mut self) {
        let committed = self.committed;
        let (due, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(need, _)| *need <= committed);
        self.held = held;
        let due: Vec<(usize, Held)> = due;
        for (_, held) in due {
            match held {
                Held::Reply(from, response) => self.respond(from, response),
                Held::Effect(markers) => self.send(20, Message::Marker(markers)),
            }
        }
    }

    fn answer(&mut self, token: Token, response: TransactionResponse) {
        let waiter = self.waiting.remove(&token).expect("a token is answered once");
        self.respond(waiter.from, response);
    }

    fn respond(&mut self, from: Option<(usize, u64)>, response: TransactionResponse) {
        if let Some((number, sent)) = from
            && !self.random.one_in(20)
        {
            self.send(8, Message::Response(number, sent, response));
        }
    }

    /// The coordinator and what was not committed are lost; markers that were asked for are still on their way.
    pub(super) fn crash(&mut self) {
        self.log.truncate(self.committed);
        self.judge.cut(self.committed);
        self.held.clear();
        // NOT_COORDINATOR to all that wait: they ask again.
        self.waiting.clear();
        self.replay();
    }

    pub(super) fn replay(&mut self) {
        self.epoch += 1;
        self.coordinator = coordinator(CONFIG, self.epoch, &CoordinatorMemory::of(usize::MAX));
        replay(&mut self.coordinator, &self.log);
        let mut decided = Decided::default();
        self.coordinator
            .replayed(now(self.now_ms, self.ahead_ms, &self.image), &mut decided);
        self.take(decided);
    }
}

fn now(monotonic_ms: i64, ahead_ms: i64, image: &MetadataImage) -> Now<'_> {
    Now {
        ms: monotonic_ms + ahead_ms,
        monotonic_ms,
        image,
    }
}

pub(super) fn replay(coordinator: &mut TransactionCoordinator, log: &[CoordinatorBatch]) {
    for record in log.iter().flat_map(|batch| &batch.records) {
        coordinator
            .replay(None, &record.key, record.value.as_deref(), 0)
            .expect("a coordinator has written it");
    }
}
