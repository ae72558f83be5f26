//! A broker for tests: one topic, everything in memory, Kafka's protocol by the kafka-protocol crate, and one fault.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Request, StrBytes, decode_request_header_from_buffer,
};
use rustix::process::{Pid, Signal, kill_process};

const APIS: [(ApiKey, i16, i16); 8] = [
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::InitProducerId, 0, 4),
    (ApiKey::DescribeConfigs, 1, 4),
];
const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
/// What takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What goes wrong, once.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// This produce request is answered this much later, and everything behind it waits.
    Stall { request: u64, lasts: Duration },
    /// This produce request is acknowledged and not kept.
    Lose { request: u64 },
    /// The connection is closed after this request is kept, before it is acknowledged.
    Hangup { request: u64 },
    /// A partition keeps only this many batches: those before are gone, as by retention.
    Retain { batches: usize },
}

#[derive(Default)]
struct Partition {
    batches: Vec<(i64, Bytes)>,
    start: i64,
    end: i64,
    /// Base sequence and offset of what each idempotent producer wrote.
    producers: BTreeMap<(i64, i32), i64>,
}

struct State {
    fault: Fault,
    address: (String, u16),
    topics: BTreeMap<String, Vec<Partition>>,
    produced: u64,
    producers: i64,
}

/// How many produce requests have come to a broker.
pub struct Produced(Arc<Mutex<State>>);

impl Produced {
    /// So far.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap().produced
    }
}

/// Listens on a free port until the test process ends; returns its address.
pub fn start(fault: Fault) -> String {
    start_counted(fault).0
}

/// The same, with a view of what has come.
pub fn start_counted(fault: Fault) -> (String, Produced) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let state = Arc::new(Mutex::new(State {
        fault,
        address: ("127.0.0.1".into(), port),
        topics: BTreeMap::new(),
        produced: 0,
        producers: 0,
    }));
    let produced = Produced(state.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, state) = (stream.unwrap(), state.clone());
            std::thread::spawn(move || serve(stream, &state));
        }
    });
    (format!("127.0.0.1:{port}"), produced)
}

/// Runs tautline-bench.
pub fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tautline-bench"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs tautline-bench until something holds, and then has it come to its end.
pub fn bench_until(args: &[&str], holds: impl Fn() -> bool) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_tautline-bench"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !holds() && process.try_wait().unwrap().is_none() {
        if began.elapsed() > HANGS {
            process.kill().unwrap();
            panic!("it hangs: {:?}", process.wait_with_output());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // It may have failed and be gone.
    let _ = kill_process(Pid::from_child(&process), Signal::TERM);
    process.wait_with_output().unwrap()
}

/// The report it wrote.
pub fn report(dir: &Path, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    stream.set_nodelay(true).unwrap();
    let mut len = [0; 4];
    while stream.read_exact(&mut len).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        if stream.read_exact(&mut frame).is_err() {
            return;
        }
        let mut frame = Bytes::from(frame);
        let header = decode_request_header_from_buffer(&mut frame).unwrap();
        let Some(answer) = state.lock().unwrap().answer(&header, frame) else {
            return;
        };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn encode<R: Request>(header: &RequestHeader, response: &R::Response) -> Option<Bytes> {
    let version = header.request_api_version;
    let mut bytes = BytesMut::zeroed(4);
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut bytes, R::Response::header_version(version))
        .unwrap();
    response.encode(&mut bytes, version).unwrap();
    let len = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    Some(bytes.freeze())
}

impl State {
    /// None closes the connection.
    fn answer(&mut self, header: &RequestHeader, mut body: Bytes) -> Option<Bytes> {
        let version = header.request_api_version;
        match ApiKey::try_from(header.request_api_key).unwrap() {
            ApiKey::ApiVersions => {
                let api = |(key, min, max): (ApiKey, i16, i16)| {
                    ApiVersion::default()
                        .with_api_key(key as i16)
                        .with_min_version(min)
                        .with_max_version(max)
                };
                let response =
                    ApiVersionsResponse::default().with_api_keys(APIS.into_iter().map(api).collect());
                encode::<ApiVersionsRequest>(header, &response)
            }
            ApiKey::Metadata => encode::<MetadataRequest>(
                header,
                &self.metadata(MetadataRequest::decode(&mut body, version).unwrap()),
            ),
            ApiKey::CreateTopics => {
                let request = CreateTopicsRequest::decode(&mut body, version).unwrap();
                let mut results = Vec::new();
                for topic in request.topics {
                    let partitions = (0..topic.num_partitions).map(|_| Partition::default()).collect();
                    self.topics.insert(topic.name.to_string(), partitions);
                    results.push(CreatableTopicResult::default().with_name(topic.name));
                }
                encode::<CreateTopicsRequest>(header, &CreateTopicsResponse::default().with_topics(results))
            }
            ApiKey::InitProducerId => {
                self.producers += 1;
                let response = InitProducerIdResponse::default().with_producer_id(ProducerId(self.producers));
                encode::<InitProducerIdRequest>(header, &response.with_producer_epoch(0))
            }
            ApiKey::DescribeConfigs => {
                let config = DescribeConfigsResourceResult::default()
                    .with_name(StrBytes::from_static_str("flush.messages"))
                    .with_value(Some(StrBytes::from_static_str("1")))
                    .with_config_source(1);
                let result = DescribeConfigsResult::default().with_configs(vec![config]);
                encode::<DescribeConfigsRequest>(
                    header,
                    &DescribeConfigsResponse::default().with_results(vec![result]),
                )
            }
            ApiKey::Produce => self.produce(header, ProduceRequest::decode(&mut body, version).unwrap()),
            ApiKey::ListOffsets => encode::<ListOffsetsRequest>(
                header,
                &self.offsets(ListOffsetsRequest::decode(&mut body, version).unwrap()),
            ),
            ApiKey::Fetch => encode::<FetchRequest>(
                header,
                &self.fetch(FetchRequest::decode(&mut body, version).unwrap()),
            ),
            other => panic!("the harness should not ask for {other:?}"),
        }
    }

    fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(1))
            .with_host(StrBytes::from_string(self.address.0.clone()))
            .with_port(i32::from(self.address.1));
        let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
            let name = topic.name.clone().unwrap();
            let shown = MetadataResponseTopic::default().with_name(topic.name);
            let Some(partitions) = self.topics.get(name.as_str()) else {
                return shown.with_error_code(UNKNOWN_TOPIC_OR_PARTITION);
            };
            let partition = |index: usize| {
                MetadataResponsePartition::default()
                    .with_partition_index(index as i32)
                    .with_leader_id(BrokerId(1))
            };
            shown.with_partitions((0..partitions.len()).map(partition).collect())
        });
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_topics(topics.collect())
    }

    fn produce(&mut self, header: &RequestHeader, request: ProduceRequest) -> Option<Bytes> {
        self.produced += 1;
        let number = self.produced;
        if let Fault::Stall { request, lasts } = self.fault
            && request == number
        {
            std::thread::sleep(lasts);
        }
        let lose = self.fault == Fault::Lose { request: number };
        let hang_up = self.fault == Fault::Hangup { request: number };
        let mut topics = Vec::new();
        for topic in request.topic_data {
            let partitions = self.topics.get_mut(topic.name.as_str()).unwrap();
            let answers = topic.partition_data.into_iter().map(|data| {
                let partition = &mut partitions[data.index as usize];
                let offset = partition.append(&data.records.unwrap(), lose);
                if let Fault::Retain { batches } = self.fault {
                    partition.retain(batches);
                }
                PartitionProduceResponse::default()
                    .with_index(data.index)
                    .with_base_offset(offset)
            });
            topics.push(
                TopicProduceResponse::default()
                    .with_partition_responses(answers.collect())
                    .with_name(topic.name),
            );
        }
        if hang_up || request.acks == 0 {
            return if hang_up { None } else { Some(Bytes::new()) };
        }
        encode::<ProduceRequest>(header, &ProduceResponse::default().with_responses(topics))
    }

    fn offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = &self.topics[topic.name.as_str()];
            let answers = topic.partitions.iter().map(|asked| {
                let partition = &partitions[asked.partition_index as usize];
                let offset = if asked.timestamp == -2 {
                    partition.start
                } else {
                    partition.end
                };
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(asked.partition_index)
                    .with_offset(offset)
            });
            ListOffsetsTopicResponse::default()
                .with_partitions(answers.collect())
                .with_name(topic.name)
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    fn fetch(&self, request: FetchRequest) -> FetchResponse {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = &self.topics[topic.topic.as_str()];
            let answers = topic.partitions.iter().map(|asked| {
                let partition = &partitions[asked.partition as usize];
                let mut records = BytesMut::new();
                for (end, batch) in &partition.batches {
                    if *end > asked.fetch_offset && records.len() < 1 << 20 {
                        records.extend_from_slice(batch);
                    }
                }
                let is_gone = asked.fetch_offset < partition.start;
                PartitionData::default()
                    .with_partition_index(asked.partition)
                    .with_error_code(if is_gone { OFFSET_OUT_OF_RANGE } else { 0 })
                    .with_high_watermark(partition.end)
                    .with_records(Some(records.freeze()))
            });
            FetchableTopicResponse::default()
                .with_partitions(answers.collect())
                .with_topic(topic.topic)
        });
        FetchResponse::default().with_responses(topics.collect())
    }
}

impl Partition {
    /// Keeps a batch, unless it is a duplicate or to be lost; its base offset.
    fn append(&mut self, batch: &Bytes, lose: bool) -> i64 {
        let number = |at: usize| i64::from_be_bytes(batch[at..at + 8].try_into().unwrap());
        let int = |at: usize| i32::from_be_bytes(batch[at..at + 4].try_into().unwrap());
        let (producer, sequence) = (number(43), int(53));
        if producer >= 0
            && let Some(&offset) = self.producers.get(&(producer, sequence))
        {
            return offset;
        }
        let offset = self.end;
        self.producers.insert((producer, sequence), offset);
        if !lose {
            let mut kept = batch.to_vec();
            kept[..8].copy_from_slice(&offset.to_be_bytes());
            self.end += i64::from(int(57));
            self.batches.push((self.end, kept.into()));
        }
        offset
    }

    /// Forgets all but the last batches.
    fn retain(&mut self, batches: usize) {
        let gone = self.batches.len().saturating_sub(batches);
        if let Some((end, _)) = self.batches.drain(..gone).next_back() {
            self.start = end;
        }
    }
}
