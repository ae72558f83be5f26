//! A broker of one shard inside this process, for what has to be seen from its own thread: instructions and allocations.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request, StrBytes};
use tautline_core::batch::BatchBuilder;
use tautline_core::cpu::allowed_cores;
use tautline_core::ids::{NodeId, PartitionIndex, TopicId};
use tautline_core::mailbox::Mailbox;
use tautline_core::shard::{PollMode, RuntimeOptions, start};
use tautline_net::broker::{Broker, Controller, Message};
use tautline_net::config::{BrokerConfig, HostPort};
use tautline_net::node::{Advertised, BrokerId, Node};
use tautline_replica::controller::NewTopic;
use tautline_store::{DataDir, LogConfig, LogIdentity, Properties, Store, StoreOptions};

/// The topic that there is, with one partition.
pub const TOPIC: &str = "measured";
const MEMORY_BYTES: usize = 128 << 20;
const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 11;

/// Runs `main` on the only shard of a broker with its data in `directory`.
pub fn on_a_shard<T, F, Fut>(directory: &Path, main: F) -> T
where
    T: Send + 'static,
    F: Fn(Rc<Broker>) -> Fut + Send + Clone + 'static,
    Fut: Future<Output = T> + 'static,
{
    let properties = Properties {
        cluster_id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        node_id: 1,
    };
    let data = Arc::new(DataDir::open(directory, &properties).expect("a data directory"));
    let core = allowed_cores().expect("this machine")[0];
    let options = RuntimeOptions {
        cores: vec![core],
        control_core: None,
        poll: PollMode::Adaptive,
        spin: Duration::from_micros(200),
        memory_bytes: MEMORY_BYTES,
    };
    let shards = start(&options, move |mailbox: Mailbox<Message>| {
        let (main, data) = (main.clone(), data.clone());
        async move {
            let broker = open(mailbox, data).await;
            let result = main(broker.clone()).await;
            broker.store.close().await.expect("a clean end");
            result
        }
    });
    let mut results = shards.expect("a shard").join().expect("the shard ends well");
    results.remove(0)
}

/// The broker, with its topic.
async fn open(mailbox: Mailbox<Message>, data: Arc<DataDir>) -> Rc<Broker> {
    let config = BrokerConfig::new(NodeId(1), []).expect("the defaults");
    let store = Store::open(data.clone(), StoreOptions::default()).expect("an empty store");
    let address = HostPort {
        host: "127.0.0.1".to_owned(),
        port: 1,
    };
    let node = Node {
        id: NodeId(1),
        cluster_id: data.properties().cluster_id.clone(),
        advertised: vec![Advertised {
            id: BrokerId(1),
            address,
        }],
        control_apart: false,
        config,
        connections: AtomicUsize::new(0),
        connections_max: 100,
        shards_short_of_memory: AtomicUsize::new(0),
        coordinator_epochs: AtomicI32::new(0),
    };
    let broker = Broker::new(Arc::new(node), mailbox, store);
    let identity = LogIdentity {
        topic: "__cluster_metadata".into(),
        topic_id: TopicId::ZERO,
        partition: PartitionIndex(0),
    };
    let log = broker.store.open_metadata_log(identity, LogConfig::default());
    let log = log.await.expect("a metadata log");
    let controller = Controller::replay(log, data.metadata_dir());
    let controller = Rc::new(controller.await.expect("a controller"));
    controller.register(NodeId(1)).await.expect("a new node");
    broker.set_controller(controller.clone());
    broker.install_image(Arc::new(controller.image())).await;
    let topic = NewTopic {
        partition_count: 1,
        ..NewTopic::with_defaults(TOPIC)
    };
    let created = broker.create_topics(vec![topic], false).await;
    created
        .expect("metadata takes writes")
        .remove(0)
        .expect("a new topic");
    broker
}

/// A batch with one record of so many bytes.
pub fn batch(value_bytes: usize) -> Vec<u8> {
    let value = vec![b'x'; value_bytes];
    BatchBuilder::new(1_000).record(None, Some(&value)).build()
}

/// A Produce request for one such batch.
pub fn produce_frame(value_bytes: usize) -> Vec<u8> {
    let data = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch(value_bytes).into()));
    let topic = TopicProduceData::default()
        .with_name(topic_name())
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    frame(PRODUCE_VERSION, &request)
}

/// In what way a Fetch asks.
#[derive(Clone, Copy)]
pub struct FetchAs {
    /// Its session, or 0, and its number there; -1 wants none.
    pub session: (i32, i32),
    /// Whether it wants nothing that is undecided.
    pub committed_only: bool,
    /// How long it waits for a byte.
    pub wait_ms_max: i32,
}

impl FetchAs {
    /// Without a session, up to the high watermark.
    pub const ALONE: FetchAs = FetchAs {
        session: (0, -1),
        committed_only: false,
        wait_ms_max: 0,
    };
}

/// A Fetch request of one partition from an offset on.
pub fn fetch_frame(offset: i64, ask: FetchAs) -> Vec<u8> {
    let asked = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic_name())
        .with_partitions(vec![asked]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(ask.wait_ms_max)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_id(ask.session.0)
        .with_session_epoch(ask.session.1)
        .with_isolation_level(ask.committed_only.into())
        .with_topics(vec![topic]);
    frame(FETCH_VERSION, &request)
}

fn topic_name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// A request as it is on the wire, behind its length.
fn frame<R: Request>(version: i16, request: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(StrBytes::from_static_str("counts")));
    let mut body = BytesMut::new();
    header
        .encode(&mut body, <R as HeaderVersion>::header_version(version))
        .expect("a header");
    request
        .encode(&mut body, version)
        .expect("a request of that version");
    let mut frame = BytesMut::new();
    frame.put_u32(body.len() as u32);
    frame.put(body);
    frame.to_vec()
}

/// Any free address of this machine.
#[allow(dead_code, reason = "for those that speak over a socket")]
pub fn any_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
