//! Clients that use up the descriptors: some are kept for the logs. A test binary of its own, since the limit holds for the whole
//! process, and the broker inherits it.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::raw::{connect, framed, request};
use common::{Metrics, TestBroker, Witness, create, produce_batch};
use rustix::process::{Resource, Rlimit, setrlimit};
use tautline_core::batch::BatchBuilder;

const DESCRIPTORS: u64 = 600;

#[test]
fn connections_leave_descriptors_to_the_logs() {
    let limit = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(DESCRIPTORS),
    };
    setrlimit(Resource::Nofile, limit).expect("it may be lowered");
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut client = broker.connect();
    create(&mut client, "rolling", 8, &[("segment.bytes", "1048576")]);
    let mut open: Vec<TcpStream> = (0..DESCRIPTORS - 100)
        .map(|_| connect(broker.address()))
        .collect();
    let ask = framed(&request(18, 0, 1, b""));
    let answered = open
        .iter_mut()
        .filter_map(|stream| {
            stream
                .write_all(&ask)
                .and_then(|()| stream.read_exact(&mut [0; 4]))
                .ok()
        })
        .count();
    println!(
        "{answered} of {} connections are served with {DESCRIPTORS} descriptors",
        open.len()
    );
    assert!(answered as u64 <= DESCRIPTORS * 3 / 4 && answered as u64 >= DESCRIPTORS / 2);
    // Segments are begun meanwhile.
    let batch = {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(1_000, None, Some(&vec![7; 300 << 10]), &[]);
        builder.build()
    };
    for n in 0..64 {
        produce_batch(&mut client, "rolling", n % 8, batch.clone());
    }
    witness.check();
    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    assert!(metrics.sum("tautline_storage_segment_rolls_total", "") >= 16.0);
    assert!(metrics.sum("tautline_connections_refused_total", "") > 0.0);
    assert_eq!(metrics.sum("tautline_storage_write_errors_total", ""), 0.0);
    broker.stop();
}
