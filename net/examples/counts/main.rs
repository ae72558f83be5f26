//! Counts the instructions of a produce and of a tail fetch, from their frame to their answer, and holds them against the bounds
//! in `bounds.txt`: counts don't drift with the machine.
//!
//!     cargo run --release -p tautline-net --example counts
//!
//! Counted is what the shard's own thread does for one request: header, decoding, checks, checksum, the copy into the log, the
//! answer, stamps and histograms. Not counted is what depends on the kernel and the moment: the ring, the executor, the write.
//! It steps through the code ([`tautline_core::steps`]), since virtual machines often have no counters.

mod house;

use std::collections::BTreeMap;
use std::future::Future;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use house::{FetchAs, TOPIC, any_address, fetch_frame, on_a_shard, produce_frame};
use tautline_core::buffer::{Pool, Slice};
use tautline_core::ids::PartitionIndex;
use tautline_core::socket::Listener;
use tautline_core::stage::{Flight, Stage, Stamps};
use tautline_core::steps::{be_counted, count, mark};
use tautline_core::task::yield_now;
use tautline_core::time::monotonic_ns;
use tautline_net::broker::Broker;
use tautline_net::connection::{Answer, ConnectionState, Entrance, Reply};
use tautline_net::dispatch::{Begun, dispatch};
use tautline_net::metrics::ApiGroup;

/// Set for the child that is counted, to its data directory.
const CHILD: &str = "TAUTLINE_COUNTS_IN";
/// How often each piece is counted; the median counts.
const ROUNDS: usize = 15;
/// Rounds before, not counted.
const WARM_UP: usize = 50;
const VALUE_BYTES: usize = 1024;
/// The pieces of a round, in order.
const PIECES: [&str; 5] = [
    "nothing",
    "produce, appended",
    "produce, answered",
    "fetch",
    "stamps",
];
/// Where tracing is not allowed.
const NOT_ALLOWED: i32 = 3;
/// Counts may grow by so much with a compiler.
const TOLERANCE_PERCENT: u64 = 5;

fn main() -> ExitCode {
    if let Some(directory) = std::env::var_os(CHILD) {
        return child(directory.as_ref());
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let me = std::env::current_exe().expect("this program");
    let counted = count(Command::new(me).env(CHILD, directory.path()));
    let (counts, code) = counted.expect("this program can be started");
    if code == NOT_ALLOWED {
        println!("not counted: this system does not let a process trace its child (ptrace)");
        return ExitCode::SUCCESS;
    }
    assert_eq!(
        (code, counts.len()),
        (0, ROUNDS * PIECES.len()),
        "the child ended well"
    );
    let median = |piece: usize| {
        let mut all: Vec<u64> = counts.iter().skip(piece).step_by(PIECES.len()).copied().collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let of = |piece: usize| median(piece) - median(0);
    for (piece, name) in PIECES.iter().enumerate().skip(1) {
        println!("{name}: {} instructions", of(piece));
    }
    let (produce, stamps) = (of(1) + of(2), of(4));
    println!(
        "stamps are {:.2} % of a produce's",
        100.0 * stamps as f64 / produce as f64
    );
    judge(&BTreeMap::from([("produce", produce), ("fetch", of(3))]))
}

/// Holds counts against their bounds.
fn judge(counts: &BTreeMap<&str, u64>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for line in include_str!("bounds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (name, bound) = line.split_once(' ').expect("a name and a number");
        let bound: u64 = bound.trim().parse().expect("a number");
        let count = counts[name];
        if count * 100 > bound * (100 + TOLERANCE_PERCENT) {
            println!(
                "{name}: {count} instructions are more than {bound} and {TOLERANCE_PERCENT} %: find out why"
            );
            code = ExitCode::FAILURE;
        } else if count * 100 < bound * (100 - TOLERANCE_PERCENT) {
            println!("{name}: {count} instructions instead of {bound}: lower the bound in bounds.txt");
        } else {
            println!("{name}: {count} instructions, bound {bound}");
        }
    }
    code
}

fn child(directory: &std::path::Path) -> ExitCode {
    let allowed = on_a_shard(directory, |broker| async move {
        if be_counted().is_err() {
            return false;
        }
        rounds(&broker).await;
        true
    });
    if allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_ALLOWED as u8)
    }
}

async fn rounds(broker: &Rc<Broker>) {
    let listener = Listener::bind(any_address(), true).expect("a free port");
    let mut incoming = listener.accept().expect("it listens");
    let _client = std::net::TcpStream::connect(listener.address()).expect("it listens");
    let stream = incoming.next().await.expect("a client");
    let connection = Rc::new(ConnectionState::new(stream, Entrance::Node));
    let topic = broker.image().topic(TOPIC).expect("it was created").id;
    let partition = broker
        .find_partition(topic, PartitionIndex(0))
        .expect("it is open");
    let produce = produce_frame(VALUE_BYTES);
    for round in 0..WARM_UP + ROUNDS {
        let mark = || {
            if round >= WARM_UP {
                mark();
            }
        };
        mark();
        mark();

        let frame = received(&produce);
        let stamps = Stamps::begin(monotonic_ns());
        mark();
        let begun = dispatch(broker, &connection, frame, None, stamps);
        mark();
        let Begun::Produce(produce) = begun else {
            panic!("a Produce request is one")
        };
        let mut produce = Box::pin(produce);
        let end = partition.log.end_offset();
        partition.log.committed(end).await.expect("the log takes writes");
        // The partition's own task notes it first.
        while partition.log.high_watermark() < end {
            yield_now().await;
        }
        mark();
        let mut answer = now(&mut produce);
        record(broker, ApiGroup::Produce, &mut answer);
        mark();
        assert!(matches!(answer.reply, Reply::SendOne(_)), "it is answered");
        drop((produce, answer));

        let frame = received(&fetch_frame(end.0 - 1, FetchAs::ALONE));
        let stamps = Stamps::begin(monotonic_ns());
        mark();
        let Begun::Fetch(fetch) = dispatch(broker, &connection, frame, None, stamps) else {
            panic!("a Fetch request is one")
        };
        let mut fetch = std::pin::pin!(fetch);
        let mut answer = now(&mut fetch);
        record(broker, ApiGroup::Fetch, &mut answer);
        mark();
        let Reply::Send(response) = &answer.reply else {
            panic!("it has records")
        };
        assert!(
            response.size_bytes() > VALUE_BYTES,
            "a fetch at the tail finds the batch"
        );
        drop(answer);

        mark();
        stamped(broker);
        mark();
    }
}

/// What the stamps of a produce cost: its looks at the clock, its stages, the histograms, the recorder.
#[inline(never)]
fn stamped(broker: &Broker) {
    let mut stamps = Stamps::begin(monotonic_ns() - 1_000);
    stamps.lap(Stage::Queue, monotonic_ns());
    stamps.lap(Stage::Parse, monotonic_ns());
    let now_ns = monotonic_ns();
    for (stage, later_ns) in [
        (Stage::Hop, 1),
        (Stage::Append, 300),
        (Stage::Queue, 500),
        (Stage::Durable, 50_000),
        (Stage::Replicate, 50_001),
        (Stage::Respond, 70_000),
    ] {
        stamps.lap(stage, now_ns + later_ns);
    }
    broker
        .metrics
        .answered(ApiGroup::Produce, &stamps, || flight(stamps));
}

/// The bytes behind a frame's length, in a receive buffer.
fn received(frame: &[u8]) -> Slice {
    let mut buffer = Pool::current().take(16 << 10).expect("there is memory");
    buffer[..frame.len()].copy_from_slice(frame);
    buffer.freeze().slice(4..frame.len())
}

/// The result of what has nothing left to wait for.
fn now<F: Future + Unpin>(future: &mut F) -> F::Output {
    let mut cx = Context::from_waker(Waker::noop());
    // It may give way to others, a few times or, where the machine is slow, a few more.
    for _ in 0..1_000 {
        if let Poll::Ready(result) = std::pin::Pin::new(&mut *future).poll(&mut cx) {
            return result;
        }
    }
    panic!("it waits for something")
}

fn record(broker: &Broker, group: ApiGroup, answer: &mut Answer) {
    answer.stamps.lap(Stage::Respond, monotonic_ns());
    let stamps = answer.stamps;
    broker.metrics.answered(group, &stamps, || flight(stamps));
}

fn flight(stamps: Stamps) -> Flight {
    Flight {
        api: 0,
        correlation_id: 7,
        client: None,
        bytes: 1_200,
        partition: None,
        stamps,
    }
}
