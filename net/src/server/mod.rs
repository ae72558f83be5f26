//! The composition root: from settings to a running node, and back down.
//!
//! Shard 0 opens the metadata first; the other shards wait for its image. When every shard has opened its partitions all of
//! them listen, and the node is ready.

mod address;
mod shard;
mod shutdown;
mod table;

use std::io::Write;
use std::sync::atomic::{AtomicI32, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tautline_core::ids::{NodeId, TopicId};
use tautline_core::mailbox::Mailbox;
use tautline_core::{cpu, preflight, shard as runtime_shard};
use tautline_replica::metadata::{Configs, MetadataImage};
use tautline_store::{ColdRead, DataDir, Properties, StoreOptions};

use crate::admin::{Admin, Phase};
use crate::broker::Message;
use crate::config::{BrokerConfig, ColdReadFlag, StartOptions};
use crate::faults;
use crate::metrics::NodeFacts;
use crate::node::{self, Node};

use self::address::Doors;
use self::shard::{Report, STOP, ShardSeed, run_shard};

/// Id of the node in a new data directory.
const NODE_ID: i32 = 1;
/// The tail cache's part of a core's memory: one in so many.
const TAIL_CACHE_SHARE: usize = 2;

/// Runs the broker until a signal ends it.
///
/// # Errors
/// Whatever keeps it from starting, with the cure.
pub fn start(options: &StartOptions) -> anyhow::Result<()> {
    let runtime = options.runtime();
    preflight::check(runtime.shard_count())?;
    if let Some(core) = options.control_core {
        // This thread, and those it starts, which are the admin server's and what serves signals.
        cpu::pin_thread(core).with_context(|| format!("--control-core {core}"))?;
    }
    let new = Properties {
        cluster_id: new_cluster_id(),
        node_id: NODE_ID,
    };
    let data_dir = DataDir::open(&options.data_dir, &new)?;
    if !data_dir.direct_io() {
        tracing::warn!(
            "{} has no O_DIRECT: files are buffered",
            options.data_dir.display()
        );
    }
    let doors = Doors::open(options)?;
    let address = doors.address;
    let admin = Admin::bind(&options.admin)?;
    let id = NodeId(data_dir.properties().node_id);
    let config = options.broker_config(id)?;
    let store = StoreOptions {
        faults: faults::from_environment()?,
        ..store_options(options, &config)
    };
    let advertised = doors.advertised(options, id)?;
    let cluster_id = data_dir.properties().cluster_id.clone();
    let node = Arc::new(Node {
        id,
        cluster_id,
        advertised: advertised.clone(),
        control_apart: options.control_core.is_some(),
        config,
        connections: AtomicUsize::new(0),
        connections_max: node::connections_max(),
        shards_short_of_memory: AtomicUsize::new(0),
        coordinator_epochs: AtomicI32::new(0),
    });
    tracing::info!("metrics and health at http://{}", admin.address());
    let status = admin.serve(facts(options, &node)?)?;
    let signals = signals()?;
    let (reports, inbox) = flume::unbounded();
    let listeners = Arc::new(Mutex::new(doors.listeners));
    let shared = Arc::new(ShardSeed {
        node,
        data_dir: Arc::new(data_dir),
        store,
        reports,
    });
    let shards = runtime_shard::start(&runtime, {
        let shared = shared.clone();
        move |mailbox: Mailbox<Message>| {
            let index = mailbox.shard().0 as usize;
            let own = std::mem::take(&mut listeners.lock().expect("nobody panics with the lock")[index]);
            run_shard(shared.clone(), mailbox, own)
        }
    })
    .context("the shards can't be started")?;
    drop(shared);
    let mut remotes = Vec::new();
    loop {
        let news = flume::Selector::new()
            .recv(&inbox, |report| report.map_or(News::Ended, News::Report))
            .recv(&signals, |signal| {
                News::Signal(signal.expect("the thread that tells of signals never ends"))
            })
            .wait();
        match news {
            News::Report(Report::Started(remote)) => {
                status.add_shard(remote.clone());
                remotes.push(remote);
            }
            News::Report(Report::Ready(rows)) => {
                status.set(Phase::Ready);
                table::print(&runtime, &advertised, &rows);
                println!("ready: {address}");
                std::io::stdout().flush().context("standard output")?;
                break;
            }
            News::Report(Report::Failed(reason)) => return Err(anyhow!(reason)),
            News::Ended => {
                shards.join()?;
                return Err(anyhow!("the shards ended before the node was ready"));
            }
            News::Signal(signal) => {
                // Recovery can take minutes. Nothing was promised to anybody yet, and the next start recovers anew.
                tracing::info!("ended by signal {signal} before the node was ready");
                return Ok(());
            }
        }
    }
    let signal = signals
        .recv()
        .expect("the thread that tells of signals never ends");
    status.set(Phase::Stopping);
    tracing::info!("stopping on signal {signal}");
    // A second signal, or a shutdown that hangs, ends the process at once: what was acknowledged is on disk.
    let shutdown_max = options.shutdown_max;
    std::thread::spawn(move || {
        match signals.recv_timeout(shutdown_max) {
            Ok(signal) => tracing::error!("ended by a second signal {signal}; the next start will recover"),
            Err(_) => {
                tracing::error!("shutdown took longer than {shutdown_max:?}; the next start will recover")
            }
        }
        std::process::exit(1);
    });
    for remote in &remotes {
        remote.run_on_shard(Box::new(|| STOP.with(|stop| stop.notify_all())));
    }
    shards.join()?;
    Ok(())
}

/// What the main thread waits for until the node is ready.
enum News {
    Report(Report),
    /// No shard runs any more.
    Ended,
    Signal(i32),
}

/// Signals that shall end the node, from now on.
fn signals() -> anyhow::Result<flume::Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("signal handlers can't be set up")?;
    let (told, inbox) = flume::unbounded();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            // Nobody listens once the node has ended.
            let _ = told.send(signal);
        }
    });
    Ok(inbox)
}

/// What metrics say of the node as a whole.
fn facts(options: &StartOptions, node: &Node) -> anyhow::Result<NodeFacts> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    let topics = node
        .config
        .topic_settings(&MetadataImage::default(), &Configs::default());
    Ok(NodeFacts {
        cores: options.runtime().pins(),
        node_id: node.id.0,
        cluster_id: node.cluster_id.clone(),
        flush_messages: topics.flush_messages,
        started_s: now.as_secs_f64(),
    })
}

/// A new cluster's id, of Kafka's form: 16 random bytes in URL-safe base64.
fn new_cluster_id() -> String {
    TopicId(uuid::Uuid::new_v4()).to_string()
}

fn store_options(options: &StartOptions, config: &BrokerConfig) -> StoreOptions {
    let settings = config.settings(&MetadataImage::default());
    StoreOptions {
        tail_cache_bytes: options.memory_bytes as usize / options.runtime().shard_count() / TAIL_CACHE_SHARE,
        cold_read: match options.cold_read {
            ColdReadFlag::Direct => ColdRead::Ring,
            ColdReadFlag::Sendfile => ColdRead::Sendfile,
        },
        producer_id_expiration_ms: settings.producer_id_expiration_ms,
        retention_check_interval_ms: settings.retention_check_interval_ms,
        cleaner: settings.cleaner,
        ..StoreOptions::default()
    }
}
