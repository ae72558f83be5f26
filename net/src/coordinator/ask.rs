//! A question on its way to the coordinator that can answer it, wherever that is, and back.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ShardId, TopicId};
use tautline_replica::coordinator::Token;

use super::hosts::{Answer, send_home};
use super::{Hosted, TransactionClaim, partition_of};
use crate::broker::{Broker, Message};

/// The future of a question: the answer; or NOT_COORDINATOR where there is no such partition or its coordinator has failed,
/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE. Dropping it tells the coordinator that nobody waits any more.
pub struct Ask<C: Hosted>(State<C>);

enum State<C: Hosted> {
    Refused(ErrorCode),
    Asked(Asked<C>),
}

struct Asked<C: Hosted> {
    broker: Rc<Broker>,
    owner: ShardId,
    at: (TopicId, PartitionIndex),
    token: Token,
    answer: oneshot::Receiver<Answer<C>>,
}

impl Broker {
    /// Asks the coordinator of a group or a transactional id. The question is on its way when this returns.
    pub fn ask<C: Hosted>(self: &Rc<Self>, key: &str, request: C::Request) -> Ask<C> {
        let count = self
            .image()
            .topic(C::TOPIC.name())
            .map(|topic| topic.partition_count);
        match count {
            Some(count) => self.ask_partition(partition_of(key, count), request),
            None => Ask(State::Refused(ErrorCode::NotCoordinator)),
        }
    }

    /// Asks the coordinator of a partition.
    pub fn ask_partition<C: Hosted>(
        self: &Rc<Self>,
        partition: PartitionIndex,
        request: C::Request,
    ) -> Ask<C> {
        self.ask_claiming(partition, request, None)
    }

    /// Asks the coordinator of a partition, with a claim for what it writes in a transaction; INVALID_TXN_STATE if that is void.
    pub fn ask_claiming<C: Hosted>(
        self: &Rc<Self>,
        partition: PartitionIndex,
        request: C::Request,
        claim: Option<TransactionClaim>,
    ) -> Ask<C> {
        let image = self.image();
        let topic = image
            .topic(C::TOPIC.name())
            .filter(|topic| topic.has_partition(partition));
        let Some(topic) = topic else {
            return Ask(State::Refused(ErrorCode::NotCoordinator));
        };
        let at = (topic.id, partition);
        let owner = self.owner(topic.id, partition);
        let (token, answer) = C::hosts(self).note(self.shard());
        let asked = Asked {
            broker: self.clone(),
            owner,
            at,
            token,
            answer,
        };
        asked.on_owner(move |broker| match C::hosts(broker).get(at.0, at.1) {
            Some(host) => host.ask(token, request, claim),
            // The partition's log could not be opened.
            None => send_home::<C>(broker, token, Err(ErrorCode::NotCoordinator)),
        });
        Ask(State::Asked(asked))
    }
}

impl<C: Hosted> Asked<C> {
    fn on_owner(&self, work: impl FnOnce(&Rc<Broker>) + Send + 'static) {
        if self.owner == self.broker.shard() {
            work(&self.broker);
        } else {
            let message: Message = Box::new(work);
            self.broker.mailbox.post(self.owner, message);
        }
    }
}

impl<C: Hosted> Future for Ask<C> {
    type Output = Answer<C>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Refused(code) => Poll::Ready(Err(*code)),
            State::Asked(asked) => Pin::new(&mut asked.answer).poll(cx).map(|answer| {
                // A host answers each question; only a shutdown that ran out of time does not.
                answer.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
            }),
        }
    }
}

impl<C: Hosted> Drop for Asked<C> {
    fn drop(&mut self) {
        if C::hosts(&self.broker).forget(self.token) {
            let (at, token) = (self.at, self.token);
            self.on_owner(move |broker| {
                if let Some(host) = C::hosts(broker).get(at.0, at.1) {
                    host.abandon(token);
                }
            });
        }
    }
}
