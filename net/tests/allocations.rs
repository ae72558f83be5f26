//! How much memory requests ask for on the shard's thread, all the way from the socket to the disk and back: none for a Produce,
//! and nothing of the size of its records for a fetch at the tail.

#[path = "../examples/counts/house.rs"]
mod house;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use house::{any_address, fetch_frame, on_a_shard, produce_frame};
use tautline_core::counting::{Counting, count_this_shard, counted};
use tautline_core::socket::Listener;
use tautline_net::broker::Broker;
use tautline_net::connection::{Entrance, serve};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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

/// Sends a request, reads the response into `room`, and gives the response's length.
fn ask(stream: &mut TcpStream, frame: &[u8], room: &mut [u8]) -> usize {
    stream.write_all(frame).expect("the broker reads");
    stream.read_exact(&mut room[..4]).expect("the broker answers");
    let size = u32::from_be_bytes([room[0], room[1], room[2], room[3]]) as usize;
    stream.read_exact(&mut room[..size]).expect("the whole response");
    size
}

/// What was asked for, request by request: allocations and their bytes. What runs beside them (a segment's index that grows, the
/// next piece of the log's memory, the sweeper) is counted with whichever request it meets.
fn measure(stream: &mut TcpStream, frame: &[u8]) -> Vec<(usize, usize)> {
    let mut room = vec![0; 1 << 20];
    let mut asked = Vec::with_capacity(MEASURED);
    for round in 0..WARM_UP + MEASURED {
        let before = counted();
        ask(stream, frame, &mut room);
        let after = counted();
        if round >= WARM_UP {
            asked.push((after.0 - before.0, after.1 - before.1));
        }
    }
    asked
}

fn at_most(asked: &mut [(usize, usize)], percent: usize) -> (usize, usize) {
    asked.sort_unstable();
    asked[asked.len() * percent / 100 - 1]
}

#[test]
fn produce_asks_for_no_memory_and_a_tail_fetch_for_none_for_its_records() {
    let (mut small, mut large, mut fetch) = with_a_client(|mut stream| {
        let small = measure(&mut stream, &produce_frame(1_024));
        // More than a block: full blocks are written straight from the log's memory.
        let large = measure(&mut stream, &produce_frame(10_000));
        // The last batches: a good many times what a request may ask for.
        let last = 2 * (WARM_UP + MEASURED) as i64 - 10;
        let fetch = measure(&mut stream, &fetch_frame(last));
        (small, large, fetch)
    });
    for percent in [50, 90, 99, 100] {
        let each = [&mut small, &mut large, &mut fetch].map(|asked| at_most(asked, percent));
        println!("{percent} % ask at most for (allocations, bytes) {each:?}");
    }
    assert_eq!(at_most(&mut small, 90), (0, 0), "{:?}", &small[small.len() / 2..]);
    assert_eq!(at_most(&mut large, 90), (0, 0), "{:?}", &large[large.len() / 2..]);
    let (_, bytes) = at_most(&mut fetch, 90);
    assert!(bytes < 8_192, "{bytes} bytes are asked for by a fetch of 100 kB");
}
