//! Clients that hold on to what they were given: half-open, idle, silent, deaf. What they cost is bounded, and nobody else
//! notices. Memory is the process's resident memory, against `--memory` and a stated constant ([`Witness::check`]).

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use common::raw::{connect, fetch, framed, read_to_close, request};
use common::{HANGS, Metrics, TestBroker, Witness, create, produce_batch, resident_bytes, within};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::protocol::Encodable;
use tautline_core::batch::BatchBuilder;
use tautline_core::buffer::BLOCK_SIZE;

/// Descriptors the test leaves for everything else.
const DESCRIPTORS_BESIDE: usize = 500;
/// What an idle connection may cost the broker's process.
const IDLE_CONNECTION_BYTES_MAX: u64 = 6 << 10;

/// Raises the limit of descriptors as far as it goes; the broker inherits it. Gives how many connections that allows.
fn connections_allowed(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit goes as far as the hard one");
    let allowed = limit
        .maximum
        .map_or(wanted, |most| (most as usize).saturating_sub(DESCRIPTORS_BESIDE));
    if allowed < wanted {
        println!("the limit of descriptors allows {allowed} connections, not {wanted}");
    }
    wanted.min(allowed)
}

fn open(broker: &TestBroker) -> f64 {
    Metrics::scrape(broker.admin(), "/metrics").sum("tautline_connections", "")
}

/// A broker's memory before anything is held, when what it needs for a witness and for scrapes is there: the first scrape has the
/// shards make a second set of histograms, ten megabytes that no connection costs.
fn resident_before(broker: &TestBroker, witness: &mut Witness) -> u64 {
    for _ in 0..20 {
        witness.check();
        open(broker);
    }
    resident_bytes(broker.pid())
}

#[test]
fn idle_connections_cost_little() {
    const STEP: usize = 500;
    let count = connections_allowed(10_000);
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let before = resident_before(&broker, &mut witness);
    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    while idle.len() < count {
        // In steps: what a connection costs is asked, not what a burst does.
        idle.extend((idle.len()..count).take(STEP).map(|_| connect(broker.address())));
        within(HANGS, "all connections are accepted", || {
            open(&broker) >= idle.len() as f64
        });
    }
    let each = resident_bytes(broker.pid()).saturating_sub(before) / count as u64;
    println!("{count} connections that never said anything: {each} bytes each");
    assert!(each <= IDLE_CONNECTION_BYTES_MAX);
    witness.check();
    // And after a request: whatever that needed is given back.
    let ask = framed(&request(18, 0, 1, b""));
    for stream in &mut idle {
        stream.write_all(&ask).unwrap();
        let mut size = [0; 4];
        stream.read_exact(&mut size).unwrap();
        stream
            .read_exact(&mut vec![0; u32::from_be_bytes(size) as usize])
            .unwrap();
    }
    let each = resident_bytes(broker.pid()).saturating_sub(before) / count as u64;
    println!("{count} idle connections: {each} bytes each");
    assert!(each <= IDLE_CONNECTION_BYTES_MAX);
    let slowest = (0..100).map(|_| witness.check()).max().unwrap();
    println!("slowest of 100 appends beside them: {slowest:?}");
    drop(idle);
    within(HANGS, "all are closed", || open(&broker) < 10.0);
    witness.check();
    broker.stop();
}

#[test]
fn a_long_poll_ends_when_its_client_is_gone_though_a_request_waits_behind_it() {
    let broker = TestBroker::start(1, &[]);
    let mut witness = Witness::new(&broker);
    const A_WEEK_MS: i32 = 7 * 24 * 3_600_000;
    let mut gone = connect(broker.address());
    for _ in 0..10 {
        gone.write_all(&fetch("witness", A_WEEK_MS)).unwrap();
    }
    gone.shutdown(Shutdown::Write).unwrap();
    // All are answered, and the broker closes.
    let answers = read_to_close(&mut gone);
    assert!(answers.len() > 10 * size_of::<u32>());
    witness.check();
    broker.stop();
}

#[test]
fn idle_connections_are_closed_after_their_time_and_waiting_ones_are_not() {
    const IDLE: Duration = Duration::from_secs(5);
    const POLL: Duration = Duration::from_secs(12);
    // A little less, for clocks that differ.
    const ALMOST: Duration = Duration::from_millis(100);
    let idle_max = format!("connections.max.idle.ms={}", IDLE.as_millis());
    let broker = TestBroker::start(1, &["--set", &idle_max]);
    let mut witness = Witness::new(&broker);
    let mut waiting = connect(broker.address());
    let began = Instant::now();
    // A long poll is work, not idleness.
    let poll = fetch("witness", POLL.as_millis() as i32);
    waiting.write_all(&poll).unwrap();
    let idle_began = Instant::now();
    let mut idle = connect(broker.address());
    assert_eq!(idle.read(&mut [0]).expect("closed in order"), 0);
    let closed = idle_began.elapsed();
    assert!(closed >= IDLE - ALMOST, "closed after {closed:?}");
    let mut size = [0; 4];
    waiting.read_exact(&mut size).expect("the long poll is answered");
    let answered = began.elapsed();
    assert!(answered >= POLL - ALMOST, "answered after {answered:?}");
    let swept = Metrics::scrape(broker.admin(), "/metrics")
        .sum("tautline_connections_swept_total", "reason=\"idle\"");
    assert!(swept >= 1.0);
    // The witness was idle as well, and comes again.
    witness = Witness::again(&broker, witness);
    witness.check();
    broker.stop();
}

/// A connection that begins a frame and does not end it; every fifth has not even sent its whole length.
fn half_open_connection(broker: &TestBroker, n: usize) -> TcpStream {
    let mut stream = connect(broker.address());
    let claimed: i32 = if n.is_multiple_of(2) { 4 << 20 } else { 100_000 };
    let length = claimed.to_be_bytes();
    if n.is_multiple_of(5) {
        stream.write_all(&length[..3]).unwrap();
    } else {
        stream.write_all(&length).unwrap();
        stream.write_all(&request(0, 9, 1, b"and no more")).unwrap();
    }
    stream
}

fn held_by_requests(broker: &TestBroker) -> f64 {
    Metrics::scrape(broker.admin(), "/metrics").sum("tautline_memory_requests_bytes", "")
}

#[test]
fn half_open_connections_cost_little_and_are_closed() {
    // Fewer where the limit of descriptors is low, and whole fifths.
    let count = connections_allowed(1_000) / 5 * 5;
    // A round that took too long tells nothing; the next one meets a broker of its own.
    const ROUNDS: u32 = 10;
    assert!(
        (0..ROUNDS).any(|_| half_open_connections_cost_little(count)),
        "no round of {ROUNDS} was in time"
    );
}

/// False if the first connections were closed, as they should be, before what all cost together was known.
fn half_open_connections_cost_little(count: usize) -> bool {
    const STEP: usize = 50;
    /// A while before a half-open connection is closed.
    const OPEN_WITHIN: Duration = Duration::from_secs(25);
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let before = resident_before(&broker, &mut witness);
    let mut half_open = Vec::with_capacity(count);
    let began = Instant::now();
    while half_open.len() < count {
        let step = (half_open.len()..count).take(STEP);
        half_open.extend(step.map(|n| half_open_connection(&broker, n)));
        // What a connection costs is asked, not what a burst does: receive buffers that a shard had no time to give back stay on
        // the free lists.
        let begun = half_open.len() - half_open.len() / 5;
        within(HANGS, "all frames have begun", || {
            began.elapsed() >= OPEN_WITHIN
                || open(&broker) >= half_open.len() as f64
                    && held_by_requests(&broker) >= (begun * BLOCK_SIZE) as f64
        });
    }
    let held = held_by_requests(&broker);
    for _ in 0..20 {
        witness.check();
    }
    let each = resident_bytes(broker.pid()).saturating_sub(before) / count as u64;
    if began.elapsed() >= OPEN_WITHIN {
        println!(
            "{count} half-open connections took {:?}: once more",
            began.elapsed()
        );
        return false;
    }
    assert_eq!(
        held,
        ((count - count / 5) * BLOCK_SIZE) as f64,
        "a block for each frame that has begun"
    );
    println!("{count} half-open connections: {each} bytes each");
    assert!(each <= 3 * IDLE_CONNECTION_BYTES_MAX);
    for stream in &mut half_open {
        // Either an end or a reset.
        assert!(!matches!(stream.read(&mut [0]), Ok(count) if count > 0));
    }
    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    assert_eq!(
        metrics.sum("tautline_connections_swept_total", "reason=\"half_frame\""),
        count as f64
    );
    witness.check();
    broker.stop();
    true
}

#[test]
fn claims_beyond_the_memory_are_refused_or_wait_their_turn() {
    const COUNT: usize = 200;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    // Each has sent enough to be trusted with all it claims, and sends no more: more than there is memory for.
    let greedy: Vec<TcpStream> = (0..COUNT)
        .map(|_| {
            let mut stream = connect(broker.address());
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            stream.write_all(&(8i32 << 20).to_be_bytes()).unwrap();
            // What the broker does not take yet the system keeps.
            let _ = stream.write_all(&vec![0; 200 << 10]);
            stream
        })
        .collect();
    for _ in 0..50 {
        witness.check();
    }
    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    let held = metrics.sum("tautline_memory_requests_bytes", "");
    let limit = metrics.sum("tautline_memory_limit_bytes", "");
    println!("{COUNT} greedy connections hold {held} of {limit} bytes");
    assert!(held <= limit / 4.0);
    drop(greedy);
    within(HANGS, "what they held is given back", || {
        Metrics::scrape(broker.admin(), "/metrics").sum("tautline_memory_requests_bytes", "") == 0.0
    });
    witness.check();
    broker.stop();
}

#[test]
fn clients_that_fetch_and_never_read_hold_one_answer() {
    const CLIENTS: usize = 40;
    const FETCHES: usize = 200;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut client = broker.connect();
    create(&mut client, "deaf", 1, &[]);
    let batch = {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(1_000, None, Some(&vec![7; 500 << 10]), &[]);
        builder.build()
    };
    for _ in 0..16 {
        produce_batch(&mut client, "deaf", 0, batch.clone());
    }
    let fetches: Vec<u8> = fetch("deaf", 0).repeat(FETCHES);
    let deaf: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(broker.address());
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            stream.write_all(&fetches).expect("fetches are short");
            stream
        })
        .collect();
    for _ in 0..100 {
        witness.check();
    }
    // A request of the witness's is counted a moment longer than it waits for it.
    let looks = (0..10).map(|_| {
        let metrics = Metrics::scrape(broker.admin(), "/metrics");
        metrics.sum("tautline_requests_in_flight", "")
    });
    let in_flight = looks.fold(f64::INFINITY, f64::min);
    println!("{CLIENTS} deaf clients with {FETCHES} fetches each: {in_flight} requests in flight");
    assert!(in_flight <= CLIENTS as f64, "one fetch of a connection at a time");
    drop(deaf);
    within(HANGS, "they are gone", || open(&broker) < 5.0);
    witness.check();
    broker.stop();
}

#[test]
fn clients_that_fetch_old_data_and_never_read_leave_memory_for_others() {
    const CLIENTS: usize = 100;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut client = broker.connect();
    create(&mut client, "old", 2, &[]);
    let batch = {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(1_000, None, Some(&vec![7; 500 << 10]), &[]);
        builder.build()
    };
    // More than the tail cache holds.
    for n in 0..240 {
        produce_batch(&mut client, "old", n % 2, batch.clone());
    }
    witness.check();
    let ask = fetch("old", 0);
    let deaf: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(broker.address());
            stream.write_all(&ask.repeat(1_000)).expect("fetches are short");
            stream
        })
        .collect();
    let slowest = (0..200).map(|_| witness.check()).max().unwrap();
    println!("slowest of 200 appends beside {CLIENTS} deaf clients: {slowest:?}");
    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    println!(
        "{} of {} bytes used, {} cold reads, {} answers not read",
        metrics.sum("tautline_memory_used_bytes", ""),
        metrics.sum("tautline_memory_limit_bytes", ""),
        metrics.sum("tautline_storage_cold_reads_total", ""),
        metrics.sum("tautline_requests_in_flight", "")
    );
    // Those that pin an answer and read nothing of it are closed: soon while memory is short, else after half a minute.
    within(HANGS, "no answer is left unread", || {
        witness.check();
        let metrics = Metrics::scrape(broker.admin(), "/metrics");
        metrics.sum("tautline_requests_in_flight", "") == 0.0
    });
    drop(deaf);
    within(HANGS, "they are gone", || open(&broker) < 5.0);
    witness.check();
    broker.stop();
}

#[test]
fn a_fetch_of_very_many_partitions_costs_others_little() {
    const CLIENTS: usize = 16;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let before = resident_before(&broker, &mut witness);
    // Each names the same partition tens of thousands of times, and waits.
    let partitions: Vec<FetchPartition> = (0..45_000)
        .map(|_| {
            FetchPartition::default()
                .with_partition_max_bytes(1)
                .with_fetch_offset(1_000_000)
        })
        .collect();
    let topic = FetchTopic::default()
        .with_topic(common::topic_name("witness"))
        .with_partitions(partitions);
    let fetch = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_bytes(8 << 20)
        .with_min_bytes(1)
        .with_max_wait_ms(3_000)
        .with_topics(vec![topic]);
    let mut body = bytes::BytesMut::new();
    fetch.encode(&mut body, 4).expect("version 4 has all of that");
    let ask = framed(&request(1, 4, 1, &body));
    println!("a request of {} bytes", ask.len());
    let many: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(broker.address());
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            let _ = stream.write_all(&ask);
            stream
        })
        .collect();
    let slowest = (0..100).map(|_| witness.check()).max().unwrap();
    let grown = resident_bytes(broker.pid()).saturating_sub(before);
    println!(
        "slowest of 100 appends beside {CLIENTS} such clients: {slowest:?}; {grown} bytes more resident"
    );
    drop(many);
    witness.check();
    broker.stop();
}

#[test]
fn clients_that_leave_are_not_waited_for() {
    const CLIENTS: usize = 50;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    // They would wait for 24 days.
    let ask = fetch("witness", i32::MAX);
    let waiting: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(broker.address());
            stream.write_all(&ask).unwrap();
            stream
        })
        .collect();
    let in_flight = || Metrics::scrape(broker.admin(), "/metrics").sum("tautline_requests_in_flight", "");
    within(HANGS, "all wait", || in_flight() == CLIENTS as f64);
    drop(waiting);
    within(HANGS, "their requests are given up", || {
        in_flight() == 0.0 && open(&broker) <= 1.0
    });
    witness.check();
    broker.stop();
}

#[test]
fn clients_that_produce_and_never_read_are_held_back() {
    const CLIENTS: usize = 20;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut client = broker.connect();
    create(&mut client, "deaf", 4, &[]);
    let ask = produce_frame("deaf").repeat(1_000);
    let sent: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = connect(broker.address());
                    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
                    // Until the broker takes no more, or enough is sent.
                    let sent = (0..50).take_while(|_| stream.write_all(&ask).is_ok()).count();
                    (stream, sent)
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            witness.check();
        }
        threads.into_iter().map(|thread| thread.join().unwrap().1).sum()
    });
    println!(
        "{CLIENTS} clients sent {} produce requests and read no answer",
        sent * 1_000
    );
    within(HANGS, "nothing is left of them", || {
        witness.check();
        open(&broker) <= 2.0
    });
    broker.stop();
}

/// A frame with one small batch.
fn produce_frame(topic: &str) -> Vec<u8> {
    let mut batch = BatchBuilder::new(1_000);
    batch.push(1_000, None, Some(b"value"), &[]);
    let data = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch.build().into()));
    let topic = TopicProduceData::default()
        .with_name(common::topic_name(topic))
        .with_partition_data(vec![data]);
    let produce = ProduceRequest::default()
        .with_acks(1)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![topic]);
    let mut body = bytes::BytesMut::new();
    produce.encode(&mut body, 7).expect("version 7 has all of that");
    framed(&request(0, 7, 1, &body))
}
