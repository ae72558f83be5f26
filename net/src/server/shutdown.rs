//! Taking the node down: what was acknowledged is on disk already; this makes the next start quick and clients content.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tautline_core::blocking;
use tautline_core::time::{sleep, timeout};

use crate::broker::Broker;

/// How often it is looked whether requests are still in flight, at shutdown.
const DRAIN_POLL: Duration = Duration::from_millis(5);
/// How long requests in flight may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(2);

/// Takes the node down: no new connections, requests in flight to their end, checkpoints, and all shards end.
pub(super) async fn shut_down(broker: &Rc<Broker>) {
    join_all(broker.shards().map(|shard| broker.on_shard(shard, drain))).await;
    let closed = join_all(broker.shards().map(|shard| broker.on_shard(shard, close_logs))).await;
    if closed.into_iter().all(|closed| closed) {
        let data_dir = broker.store.data_dir().clone();
        if let Err(error) = blocking::run(move || data_dir.mark_clean()).await {
            tracing::warn!("the next start recovers the logs: {error}");
        }
    }
    for shard in broker.shards().filter(|&shard| shard != broker.shard()) {
        broker
            .mailbox
            .post(shard, Box::new(|broker| broker.ended.notify_all()));
    }
}

async fn drain(broker: Rc<Broker>) {
    broker.stopping.set(true);
    for accepting in broker.accepting.take() {
        accepting.cancel();
    }
    broker.groups.stop();
    broker.transactions.hosts.stop();
    broker
        .partitions
        .all()
        .iter()
        .for_each(|partition| partition.fire_watchers());
    let busy = |broker: &Broker| {
        broker
            .connections
            .borrow()
            .iter()
            .any(|(_, connection)| connection.is_busy())
    };
    let quiet = async {
        while busy(&broker) {
            sleep(DRAIN_POLL).await;
        }
        if let Some(controller) = broker.controller() {
            controller.end().await;
        }
    };
    if timeout(DRAIN, quiet).await.is_err() {
        tracing::warn!("requests still in flight after {DRAIN:?} are cut off");
    }
    broker
        .connections
        .borrow()
        .iter()
        .for_each(|(_, connection)| connection.close());
}

async fn close_logs(broker: Rc<Broker>) -> bool {
    match broker.store.close().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!("a log was not closed cleanly, the next start recovers it: {error}");
            false
        }
    }
}
