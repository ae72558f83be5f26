//! A shard's share of the broker: its partitions, its image of the metadata, its connections, and the way to other shards.

mod beginning;
mod controller;
mod keys;
mod moved;
mod offline;
mod partition;
mod partitions;
mod producer_ids;
mod reads;
mod settings;
mod topics;
mod wanted;
mod watch;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::future::Either;
use rustc_hash::FxHashMap;
use slab::Slab;
use tautline_core::buffer::Pool;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{NodeId, PartitionIndex, ProducerId, ShardId, TopicId};
use tautline_core::mailbox::Mailbox;
use tautline_core::socket::Listener;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, Task, spawn};
use tautline_core::time::monotonic_ns;
use tautline_replica::Refusal;
use tautline_replica::groups::GroupCoordinator;
use tautline_replica::memory::CoordinatorMemory;
use tautline_replica::metadata::{MetadataImage, TopicImage};
use tautline_store::Store;

pub use beginning::InTransaction;
pub use controller::{Controller, ControllerError};
pub use offline::Leadership;
pub use partition::{Appending, Partition, Produced};
pub use partitions::Partitions;
pub use wanted::{FetchLimits, Findings, Found, Wanted};
pub use watch::{Registration, WatchSet, Watcher};

use self::settings::CachedSettings;
use crate::config::BrokerSettings;
use crate::connection::{ConnectionState, Entrance, LogLimit, RequestMemory};
use crate::coordinator::{Hosts, Transactions, coordinator_memory};
use crate::fetch_session::{FETCH_SESSION_PARTITIONS_MAX, FetchSessions, SessionLimits};
use crate::metrics::ShardMetrics;
use crate::node::{BrokerId, Node};

/// What cores send each other: work to be done on the shard it goes to.
pub type Message = Box<dyn FnOnce(&Rc<Broker>) + Send>;

/// The shard that keeps the metadata log.
pub const CONTROLLER_SHARD: ShardId = ShardId(0);

/// One shard of the broker.
pub struct Broker {
    /// The node as a whole: ids, addresses, settings.
    pub node: Arc<Node>,
    /// The way to the other shards.
    pub mailbox: Mailbox<Message>,
    /// The logs of this shard's partitions.
    pub store: Rc<Store>,
    /// The partitions that this shard owns.
    pub partitions: Partitions,
    /// The coordinators of groups on this shard.
    pub groups: Hosts<GroupCoordinator>,
    /// The coordinators of transactions on this shard, and what they have others do.
    pub transactions: Transactions,
    /// What this shard counts.
    pub metrics: ShardMetrics,
    /// What this shard's coordinators may hold.
    pub coordinator_memory: CoordinatorMemory,
    /// Memory for long requests.
    pub request_memory: Rc<RequestMemory>,
    /// How many lines about connections are logged.
    pub log_limit: LogLimit,
    /// Open connections.
    pub connections: RefCell<Slab<Rc<ConnectionState>>>,
    /// Set when the broker shuts down: no new connection, no new request.
    pub stopping: Cell<bool>,
    /// The addresses that the shard is to listen on, until it does.
    pub listeners: RefCell<Vec<(Entrance, Listener)>>,
    /// The tasks that accept connections.
    pub accepting: RefCell<Vec<Task<()>>>,
    /// Rung when the shard's thread shall end.
    pub ended: Signal,
    image: RefCell<Arc<MetadataImage>>,
    /// Fetch sessions of this shard's connections.
    pub fetch_sessions: RefCell<FetchSessions>,
    settings: Cell<BrokerSettings>,
    topic_settings: RefCell<FxHashMap<TopicId, CachedSettings>>,
    watches: RefCell<FxHashMap<(ShardId, u64), Rc<Watcher>>>,
    next_watch: Cell<u64>,
    /// Next and end of this shard's block of producer ids.
    producer_ids: Cell<(i64, i64)>,
    /// Producer ids that were taken and not used.
    spare_producer_ids: RefCell<Vec<ProducerId>>,
    controller: RefCell<Option<Rc<Controller>>>,
}

impl Broker {
    /// A shard without partitions; [`Broker::install_image`] gives it some.
    pub fn new(node: Arc<Node>, mailbox: Mailbox<Message>, store: Rc<Store>) -> Rc<Broker> {
        let fetch_sessions = fetch_sessions(&node, &mailbox);
        let settings = Cell::new(node.config.settings(&MetadataImage::default()));
        let broker = Rc::new(Broker {
            node,
            settings,
            fetch_sessions: RefCell::new(fetch_sessions),
            topic_settings: RefCell::default(),
            mailbox: mailbox.clone(),
            store,
            partitions: Partitions::default(),
            groups: Hosts::default(),
            transactions: Transactions::default(),
            metrics: ShardMetrics::default(),
            coordinator_memory: coordinator_memory(Pool::current()),
            request_memory: RequestMemory::new(Pool::current()),
            log_limit: LogLimit::default(),
            connections: RefCell::default(),
            stopping: Cell::new(false),
            listeners: RefCell::default(),
            accepting: RefCell::default(),
            ended: Signal::new(),
            image: RefCell::default(),
            watches: RefCell::default(),
            next_watch: Cell::new(0),
            producer_ids: Cell::new((0, 0)),
            spare_producer_ids: RefCell::default(),
            controller: RefCell::default(),
        });
        let receiver = broker.clone();
        mailbox.on_message(move |_, message| message(&receiver));
        broker
    }

    /// This shard.
    pub fn shard(&self) -> ShardId {
        self.mailbox.shard()
    }

    /// All shards of the node.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.mailbox.shard_count() as u16).map(ShardId)
    }

    /// The metadata as this shard knows it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.borrow().clone()
    }

    /// The metadata log's keeper; only on [`CONTROLLER_SHARD`].
    pub fn controller(&self) -> Option<Rc<Controller>> {
        self.controller.borrow().clone()
    }

    /// Makes this shard the keeper of the metadata log.
    pub fn set_controller(&self, controller: Rc<Controller>) {
        *self.controller.borrow_mut() = Some(controller);
    }

    /// Adopts an image, opening, configuring and deleting partitions of this shard as it says, and their coordinators.
    pub async fn install_image(self: &Rc<Self>, image: Arc<MetadataImage>) {
        let _turn = self.partitions.turn().await;
        let before = self.image.replace(image.clone());
        self.settings.set(self.node.config.settings(&image));
        if before.broker_configs(self.node.id) != image.broker_configs(self.node.id)
            || before.broker_defaults() != image.broker_defaults()
        {
            self.topic_settings.borrow_mut().clear();
        } else {
            self.topic_settings
                .borrow_mut()
                .retain(|&topic, _| image.topic_by_id(topic).is_some());
        }
        self.groups.stop_missing(&image);
        self.transactions.hosts.stop_missing(&image);
        self.partitions.follow(self, &before, &image).await;
        self.groups.follow(self, &image);
        self.transactions.hosts.follow(self, &image);
    }

    /// The shard that owns a partition. It depends only on the ids and the number of shards, so nothing is lost when a
    /// restart changes that number, and the partitions of one topic spread evenly.
    pub fn owner(&self, topic: TopicId, partition: PartitionIndex) -> ShardId {
        let (high, low) = topic.0.as_u64_pair();
        // A shard kept for the controller owns nothing, and there is another one then.
        let first = u64::from(self.node.control_apart);
        let owners = self.mailbox.shard_count() as u64 - first;
        let start = (high ^ low) % owners;
        ShardId((first + (start + u64::from(partition.0.unsigned_abs())) % owners) as u16)
    }

    /// The partition, if this shard owns it, or what to tell a client.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR if its log could not be opened, NOT_LEADER_OR_FOLLOWER if it is not open yet.
    pub fn find_partition(&self, topic: TopicId, index: PartitionIndex) -> Result<Rc<Partition>, ErrorCode> {
        self.partitions.get(topic, index).ok_or_else(|| {
            if self.is_offline(topic, index) {
                ErrorCode::KafkaStorageError
            } else {
                ErrorCode::NotLeaderOrFollower
            }
        })
    }

    /// The broker that leads a partition.
    pub fn leader(&self, topic: TopicId, partition: PartitionIndex) -> BrokerId {
        self.node.broker_of(self.owner(topic, partition)).id
    }

    /// The node that leads partitions: this one.
    pub fn node_id(&self) -> NodeId {
        self.node.id
    }

    /// The topic a request names by name (old versions) or by id.
    pub fn find_topic(&self, name: &str, id: TopicId) -> Option<Arc<TopicImage>> {
        let image = self.image.borrow();
        if id == TopicId::ZERO {
            image.topic(name).cloned()
        } else {
            image.topic_by_id(id).cloned()
        }
    }

    /// Runs `work` on a shard and gives its result here. What it starts synchronously is started in the order of these
    /// calls. If the result is no longer wanted, work on another shard still runs to its end and work on this one stops where it
    /// waits: [`Broker::to_the_end`] is for work that must not.
    pub fn on_shard<T, F, Fut>(self: &Rc<Self>, shard: ShardId, work: F) -> impl Future<Output = T> + 'static
    where
        T: Send + 'static,
        F: FnOnce(Rc<Broker>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        if shard == self.shard() {
            return Either::Left(work(self.clone()));
        }
        let (sender, receiver) = oneshot::channel();
        let home = self.shard();
        self.mailbox.post(
            shard,
            Box::new(move |broker: &Rc<Broker>| {
                let broker = broker.clone();
                let running = work(broker.clone());
                spawn(Queue::Produce, async move {
                    let result = running.await;
                    // The waiting task is woken on its own core.
                    let reply: Message = Box::new(move |_| drop(sender.send(result)));
                    broker.mailbox.post(home, reply);
                });
            }),
        );
        Either::Right(async move {
            match receiver.await {
                Ok(result) => result,
                // Only a shutdown that ran out of time leaves a question open: nobody is answered any more.
                Err(oneshot::Canceled) => std::future::pending().await,
            }
        })
    }
}

impl Broker {
    /// Runs `work` in a task of its own and gives its result: whoever waits for it may go away, as a request does with its
    /// connection, and it still runs to its end.
    pub fn to_the_end<T: 'static>(
        queue: Queue,
        work: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        let (sender, receiver) = oneshot::channel();
        spawn(queue, async move { drop(sender.send(work.await)) });
        // Nothing but the end of the shard drops the task.
        async move {
            match receiver.await {
                Ok(result) => result,
                Err(oneshot::Canceled) => std::future::pending().await,
            }
        }
    }

    /// Has the controller do something, to the end: what it decided may be on its way to the disk.
    pub(super) fn on_controller<T, F, Fut>(
        self: &Rc<Self>,
        work: F,
    ) -> impl Future<Output = Result<T, Refusal>> + 'static
    where
        T: Send + 'static,
        F: FnOnce(Rc<Broker>, Rc<Controller>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, Refusal>> + 'static,
    {
        self.on_shard(CONTROLLER_SHARD, move |broker| {
            let controller = broker.controller().expect("the controller's shard has it");
            Broker::to_the_end(Queue::Coordination, work(broker, controller))
        })
    }
}

/// This shard's cache of fetch sessions, with its share of the slots and a range of ids of its own.
fn fetch_sessions(node: &Node, mailbox: &Mailbox<Message>) -> FetchSessions {
    let shards = mailbox.shard_count();
    let slots = node
        .config
        .settings(&MetadataImage::default())
        .fetch_session_slots
        .div_ceil(shards);
    let limits = SessionLimits {
        slots,
        partitions: FETCH_SESSION_PARTITIONS_MAX / shards,
        ..Default::default()
    };
    let (shard, width) = (i32::from(mailbox.shard().0), (i32::MAX - 1) / shards as i32);
    let ids = 1 + shard * width..1 + (shard + 1) * width;
    FetchSessions::new(limits, ids, monotonic_ns())
}
