//! A shard's life: its store, its broker, its listener; shard 0 brings the others up.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tautline_core::ids::{PartitionIndex, ShardId, TopicId};
use tautline_core::mailbox::Mailbox;
use tautline_core::remote::Remote;
use tautline_core::socket::{Incoming, Listener};
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, Task, spawn};
use tautline_core::time::{monotonic_ns, sleep};
use tautline_store::{DataDir, LogConfig, LogIdentity, Store, StoreOptions};

use super::shutdown::shut_down;
use super::table::ShardRow;
use crate::broker::{Broker, CONTROLLER_SHARD, Controller, Message};
use crate::connection::{Entrance, serve};
use crate::node::Node;
use crate::{admin, sweeper};

/// Name of the metadata log, Kafka's.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Largest decision: one batch of the metadata log. A request frame that asks for more is larger than any may be.
const METADATA_BATCH_BYTES_MAX: usize = 128 << 20;
/// How long a listener rests when the system has no descriptors or memory for a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What a shard tells the main thread.
pub(super) enum Report {
    /// It runs, and can be reached.
    Started(Remote),
    /// All shards listen; the table's rows.
    Ready(Vec<ShardRow>),
    /// The node can't start.
    Failed(String),
}

thread_local! {
    /// Rung when the node shall stop.
    pub(super) static STOP: Rc<Signal> = Rc::default();
}

/// What every shard is made from.
pub(super) struct ShardSeed {
    pub node: Arc<Node>,
    pub data_dir: Arc<DataDir>,
    pub store: StoreOptions,
    pub reports: flume::Sender<Report>,
}

/// Runs a shard to its end.
pub(super) async fn run_shard(
    seed: Arc<ShardSeed>,
    mailbox: Mailbox<Message>,
    listeners: Vec<(Entrance, Listener)>,
) {
    let stop = STOP.with(Rc::clone);
    let stopped = stop.wait();
    let _ = seed.reports.send(Report::Started(Remote::current()));
    let store = match Store::open(seed.data_dir.clone(), seed.store.clone()) {
        Ok(store) => store,
        Err(error) => {
            let _ = seed.reports.send(Report::Failed(error.to_string()));
            return;
        }
    };
    let broker = Broker::new(seed.node.clone(), mailbox, store);
    admin::attach(&broker);
    sweeper::start(&broker);
    broker.keep_opening_offline();
    *broker.listeners.borrow_mut() = listeners;
    if broker.shard() == CONTROLLER_SHARD {
        match lead(&seed, &broker).await {
            Ok(rows) => drop(seed.reports.send(Report::Ready(rows))),
            Err(reason) => {
                let _ = seed.reports.send(Report::Failed(reason));
                return;
            }
        }
        drop(seed);
        stopped.await;
        shut_down(&broker).await;
    } else {
        drop(seed);
        broker.ended.wait().await;
    }
}

/// Brings the node up: metadata, partitions, listeners.
async fn lead(seed: &ShardSeed, broker: &Rc<Broker>) -> Result<Vec<ShardRow>, String> {
    let identity = LogIdentity {
        topic: METADATA_TOPIC.into(),
        topic_id: TopicId::ZERO,
        partition: PartitionIndex(0),
    };
    let directory = seed.data_dir.metadata_dir();
    let config = LogConfig {
        retention_ms: -1,
        max_message_bytes: METADATA_BATCH_BYTES_MAX,
        ..LogConfig::default()
    };
    let log = broker
        .store
        .open_metadata_log(identity, config)
        .await
        .map_err(|e| e.to_string())?;
    let controller = Rc::new(
        Controller::replay(log, directory)
            .await
            .map_err(|e| e.to_string())?,
    );
    controller
        .register(broker.node_id())
        .await
        .map_err(|e| e.to_string())?;
    broker.set_controller(controller.clone());
    let image = Arc::new(controller.image());
    let adopt = |shard: ShardId| {
        let image = image.clone();
        broker.on_shard(
            shard,
            move |broker| async move { broker.install_image(image).await },
        )
    };
    join_all(broker.shards().map(adopt)).await;
    let listen = |shard: ShardId| broker.on_shard(shard, |broker| async move { listen_here(&broker) });
    join_all(broker.shards().map(listen)).await.into_iter().collect()
}

/// Begins to take connections on this shard.
fn listen_here(broker: &Rc<Broker>) -> Result<ShardRow, String> {
    for (entrance, listener) in broker.listeners.take() {
        let incoming = listener
            .accept()
            .map_err(|e| format!("listening on {}: {e}", listener.address()))?;
        let accepting = take_connections(broker.clone(), entrance, incoming);
        broker.accepting.borrow_mut().push(accepting);
    }
    Ok(ShardRow {
        partitions: broker.partitions.len(),
    })
}

fn take_connections(this: Rc<Broker>, entrance: Entrance, mut incoming: Incoming) -> Task<()> {
    spawn(Queue::Produce, async move {
        loop {
            match incoming.next().await {
                Ok(stream) if may_serve(&this) => serve(&this, stream, entrance),
                Ok(_) => {
                    this.metrics.connections_refused.add(1);
                    if this.log_limit.allows(monotonic_ns()) {
                        tracing::warn!(
                            "connection refused: max.connections, or three quarters of the open files allowed (ulimit -n), \
                             are reached"
                        );
                    }
                }
                Err(error) => {
                    if this.log_limit.allows(monotonic_ns()) {
                        tracing::warn!("connections can't be accepted: {error}");
                    }
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    })
}

/// Whether another connection is within the bounds.
fn may_serve(broker: &Broker) -> bool {
    let most = broker.settings().connections_max.min(broker.node.connections_max);
    broker.node.connections.load(Ordering::Relaxed) < most
}
