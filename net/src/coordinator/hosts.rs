//! The hosts of one kind of coordinator on one shard, kept in step with the partitions the shard has, and the questions that
//! this shard's clients have asked of hosts anywhere.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_channel::oneshot;
use rustc_hash::FxHashMap;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ShardId, TopicId};
use tautline_replica::coordinator::Token;
use tautline_replica::metadata::MetadataImage;

use super::gate::Gate;
use super::limits::REPLAYS_MAX;
use super::{Host, Hosted, Surroundings};
use crate::broker::{Broker, Message};

/// Bits of a token that count a shard's questions; those above are the shard that asks.
const TOKEN_COUNT_BITS: u32 = 48;

/// An answer, or why there is none.
pub(super) type Answer<C> = Result<<C as tautline_replica::coordinator::Coordinator>::Response, ErrorCode>;

type ByPartition<C> = FxHashMap<(TopicId, PartitionIndex), Rc<Host<C>>>;

/// See the module.
pub struct Hosts<C: Hosted> {
    hosts: RefCell<ByPartition<C>>,
    gate: Gate,
    asked: RefCell<FxHashMap<Token, oneshot::Sender<Answer<C>>>>,
    next: Cell<u64>,
}

impl<C: Hosted> Default for Hosts<C> {
    fn default() -> Self {
        Hosts {
            hosts: RefCell::default(),
            gate: Gate::new(REPLAYS_MAX),
            asked: RefCell::default(),
            next: Cell::new(0),
        }
    }
}

impl<C: Hosted> Hosts<C> {
    /// The host of a partition.
    pub fn get(&self, topic: TopicId, partition: PartitionIndex) -> Option<Rc<Host<C>>> {
        self.hosts.borrow().get(&(topic, partition)).cloned()
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Rc<Host<C>>> {
        self.hosts.borrow().values().cloned().collect()
    }

    /// Stops the hosts of partitions that are gone from the image, before their logs go.
    pub fn stop_missing(&self, image: &MetadataImage) {
        let topic = image.topic(C::TOPIC.name());
        self.hosts.borrow_mut().retain(|&(id, _), host| {
            let stays = topic.is_some_and(|topic| topic.id == id);
            if !stays {
                host.stop();
            }
            stays
        });
    }

    /// Stops all of them: the broker shuts down.
    pub fn stop(&self) {
        self.hosts.borrow().values().for_each(|host| host.stop());
    }

    /// Tells the hosts of the image, and starts those of partitions that have come to this shard.
    pub fn follow(&self, broker: &Rc<Broker>, image: &MetadataImage) {
        let mut hosts = self.hosts.borrow_mut();
        hosts.values().for_each(|host| host.image_changed());
        let Some(topic) = image.topic(C::TOPIC.name()) else {
            return;
        };
        for index in topic.partitions() {
            // A partition whose log could not be opened has no coordinator.
            if let Some(partition) = broker.partitions.get(topic.id, index) {
                hosts.entry((topic.id, index)).or_insert_with(|| {
                    let broker = Rc::downgrade(broker);
                    Host::start(partition, Box::new(OnShard { broker, index }), self.gate.clone())
                });
            }
        }
    }

    /// Notes a question of this shard's.
    pub(super) fn note(&self, here: ShardId) -> (Token, oneshot::Receiver<Answer<C>>) {
        let count = self.next.get();
        self.next.set((count + 1) & ((1 << TOKEN_COUNT_BITS) - 1));
        let token = Token(u64::from(here.0) << TOKEN_COUNT_BITS | count);
        let (sender, receiver) = oneshot::channel();
        self.asked.borrow_mut().insert(token, sender);
        (token, receiver)
    }

    /// Gives up a question of this shard's. Whether it was open.
    pub(super) fn forget(&self, token: Token) -> bool {
        self.asked.borrow_mut().remove(&token).is_some()
    }

    fn answered(&self, token: Token, answer: Answer<C>) {
        if let Some(sender) = self.asked.borrow_mut().remove(&token) {
            // Who asked may be gone in this very turn.
            let _ = sender.send(answer);
        }
    }
}

/// The shard around a host.
struct OnShard {
    broker: Weak<Broker>,
    index: PartitionIndex,
}

impl OnShard {
    fn broker(&self) -> Rc<Broker> {
        self.broker
            .upgrade()
            .expect("a shard's tasks end with its broker")
    }
}

impl<C: Hosted> Surroundings<C> for OnShard {
    fn coordinator(&self) -> C {
        C::create(&self.broker(), self.index)
    }

    fn loaded(&self, coordinator: &mut C) {
        coordinator.loaded(&self.broker(), self.index);
    }

    fn image(&self) -> Arc<MetadataImage> {
        self.broker().image()
    }

    fn answer(&self, token: Token, answer: Answer<C>) {
        send_home::<C>(&self.broker(), token, answer);
    }

    fn act(&self, effect: C::Effect) {
        C::act(&self.broker(), self.index, effect);
    }
}

/// Takes an answer to the shard that asked.
pub(super) fn send_home<C: Hosted>(broker: &Rc<Broker>, token: Token, answer: Answer<C>) {
    let home = ShardId((token.0 >> TOKEN_COUNT_BITS) as u16);
    if home == broker.shard() {
        C::hosts(broker).answered(token, answer);
    } else {
        let message: Message = Box::new(move |broker| C::hosts(broker).answered(token, answer));
        broker.mailbox.post(home, message);
    }
}
