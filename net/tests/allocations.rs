//! How much memory requests ask for on the shard's thread, all the way from the socket to the disk and back, and how often their
//! records are copied there: no memory for a Produce and for a fetch at the tail, one copy for a Produce and none for a fetch.
//!
//! Not counted as copies are those of a block or less. Only one of them is of records: a write of the log takes the block in which it
//! ends along once more, with a footer.

#[path = "../examples/counts/house.rs"]
mod house;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use house::{FetchAs, any_address, batch, fetch_frame, on_a_shard, produce_frame};
use tautline_core::counting::{Counting, SMALL_COPY_BYTES, copied, count_this_shard, counted};
use tautline_core::limits::RECEIVE_BUFFER_BYTES;
use tautline_core::socket::Listener;
use tautline_net::broker::Broker;
use tautline_net::connection::{Entrance, serve};

#[global_allocator]
static ALLOCATOR: Counting = Counting;
tautline_core::count_copies!();

/// Requests before those that count: caches and places are made.
const WARM_UP: usize = 200;
const MEASURED: usize = 1_000;

/// Serves the first connection until `client`, on a thread of its own, has done its work with it.
fn with_a_client<T: Send + 'static>(client: impl Fn(TcpStream) -> T + Send + Clone + 'static) -> T {
    let directory = tempfile::tempdir().expect("a temporary directory");
    on_a_shard(directory.path(), move |broker: Rc<Broker>| {
        let client = client.clone();
        async move {
            count_this_shard();
            let listener = Listener::bind(any_address(), true).expect("a free port");
            let address: SocketAddr = listener.address();
            let mut incoming = listener.accept().expect("it listens");
            let (done, end) = futures_channel::oneshot::channel();
            let remote = tautline_core::remote::Remote::current();
            std::thread::spawn(move || {
                let stream = TcpStream::connect(address).expect("the broker listens");
                stream.set_nodelay(true).expect("a TCP socket");
                let result = client(stream);
                remote.run_on_shard(Box::new(move || drop(done.send(result))));
            });
            let stream = incoming.next().await.expect("a client");
            serve(&broker, stream, Entrance::Node);
            end.await.expect("the client ends well")
        }
    })
}

/// Reads a response into `room`, and gives its length.
fn read(stream: &mut TcpStream, room: &mut [u8]) -> usize {
    stream.read_exact(&mut room[..4]).expect("the broker answers");
    let size = u32::from_be_bytes([room[0], room[1], room[2], room[3]]) as usize;
    stream.read_exact(&mut room[..size]).expect("the whole response");
    size
}

/// What a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    /// Allocations, and their bytes.
    asked: (usize, usize),
    /// Copies, and their bytes.
    copied: (usize, usize),
}

/// What requests cost, one by one. What runs beside them (a segment's index that grows, the next piece of the log's memory, the
/// sweeper) is counted with whichever request it meets.
fn measure(mut request: impl FnMut()) -> Vec<Cost> {
    let mut costs = Vec::with_capacity(MEASURED);
    for round in 0..WARM_UP + MEASURED {
        let before = (counted(), copied());
        request();
        let after = (counted(), copied());
        if round >= WARM_UP {
            costs.push(Cost {
                asked: (after.0.0 - before.0.0, after.0.1 - before.0.1),
                copied: (after.1.0 - before.1.0, after.1.1 - before.1.1),
            });
        }
    }
    costs
}

/// What all but the most expensive cost at most, of a hundred; shown, with those.
fn at_most(name: &str, costs: &[Cost], percent: usize) -> Cost {
    let percentile = |of: fn(&Cost) -> (usize, usize), percent: usize| {
        let mut all: Vec<(usize, usize)> = costs.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() * percent / 100 - 1]
    };
    let at = |percent| Cost {
        asked: percentile(|cost| cost.asked, percent),
        copied: percentile(|cost| cost.copied, percent),
    };
    for percent in [50, 90, 99, 100] {
        println!("{name}: {percent} % cost at most {:?}", at(percent));
    }
    at(percent)
}

const NONE: (usize, usize) = (0, 0);
const SMALL_BYTES: usize = 1_024;
/// It fits a receive buffer, and is more than a block: full blocks are written straight from the log's memory.
const LARGE_BYTES: usize = 10_000;
const LONG_BYTES: usize = 100_000;
/// What the executor asks for to end a wait in time.
const TIMER_ALLOCATIONS_MAX: usize = 3;
/// So many large batches are fetched.
const FETCHED: usize = 10;

const _: () = assert!(SMALL_COPY_BYTES < LARGE_BYTES && LARGE_BYTES < RECEIVE_BUFFER_BYTES);
const _: () = assert!(RECEIVE_BUFFER_BYTES < LONG_BYTES);

/// One after the other, on one connection.
struct Client {
    stream: TcpStream,
    room: Vec<u8>,
    /// Batches produced so far.
    produced: i64,
}

impl Client {
    fn produce(&mut self, value_bytes: usize) -> Vec<Cost> {
        let frame = produce_frame(value_bytes);
        self.produced += (WARM_UP + MEASURED) as i64;
        measure(|| {
            self.ask(&frame);
        })
    }

    /// Fetches at the end, and produces behind it what the fetch waits for.
    fn wait(&mut self) -> Vec<Cost> {
        let produce = produce_frame(LARGE_BYTES);
        let mut end = self.produced;
        self.produced += (WARM_UP + MEASURED) as i64;
        measure(|| {
            let ask = FetchAs {
                wait_ms_max: 10_000,
                ..FetchAs::ALONE
            };
            let mut frames = fetch_frame(end, ask);
            frames.extend_from_slice(&produce);
            end += 1;
            let size = self.ask(&frames);
            assert!(size > LARGE_BYTES, "{size} bytes have the record");
            read(&mut self.stream, &mut self.room);
        })
    }

    /// Sends requests, and reads the response to the first; gives its length.
    fn ask(&mut self, frames: &[u8]) -> usize {
        self.stream.write_all(frames).expect("the broker reads");
        read(&mut self.stream, &mut self.room)
    }

    /// Fetches the last batches over and over.
    fn fetch(&mut self, opens_session: bool, committed_only: bool) -> Vec<Cost> {
        let from = self.produced - FETCHED as i64;
        let mut session = if opens_session {
            (0, 0)
        } else {
            FetchAs::ALONE.session
        };
        measure(|| {
            let ask = FetchAs {
                session,
                committed_only,
                ..FetchAs::ALONE
            };
            let size = self.ask(&fetch_frame(from, ask));
            assert!(size > FETCHED * LARGE_BYTES, "{size} bytes have all records");
            if opens_session {
                session = (session_id(&self.room), session.1 + 1);
            }
        })
    }
}

/// Behind correlation id, throttle time and error code.
fn session_id(response: &[u8]) -> i32 {
    let id = i32::from_be_bytes(response[10..14].try_into().expect("four bytes"));
    assert_ne!(id, 0, "the broker has a session for it");
    id
}

#[test]
fn nothing_asks_for_memory_and_records_are_copied_once_on_their_way_in() {
    let (small, large, fetches, waits, long) = with_a_client(|stream| {
        let mut client = Client {
            stream,
            room: vec![0; 1 << 20],
            produced: 0,
        };
        let (small, large) = (client.produce(SMALL_BYTES), client.produce(LARGE_BYTES));
        let fetches = [(false, false), (false, true), (true, false), (true, true)]
            .map(|(in_session, committed_only)| client.fetch(in_session, committed_only));
        (small, large, fetches, client.wait(), client.produce(LONG_BYTES))
    });
    let once = |value_bytes| (1, batch(value_bytes).len());

    let small = at_most("produce, small", &small, 90);
    assert_eq!(small, Cost::default());
    let large = at_most("produce, large", &large, 90);
    let (asked, copied) = (NONE, once(LARGE_BYTES));
    assert_eq!(large, Cost { asked, copied });
    for (name, fetch) in [
        "alone",
        "alone, committed",
        "in a session",
        "in a session, committed",
    ]
    .iter()
    .zip(&fetches)
    {
        assert_eq!(at_most(&format!("fetch, {name}"), fetch, 90), Cost::default());
    }
    // With the Produce it waited for, and the timer.
    let waited = at_most("fetch, waiting", &waits, 90);
    assert!(waited.asked.0 <= TIMER_ALLOCATIONS_MAX, "{waited:?}");
    assert_eq!(waited.copied, once(LARGE_BYTES));
    // What came first is moved from its receive buffer to where the rest is received.
    let long = at_most("produce, longer than a receive buffer", &long, 90).copied;
    assert!(
        long.0 <= 2 && long.1 - once(LONG_BYTES).1 <= RECEIVE_BUFFER_BYTES,
        "{long:?}"
    );
}
