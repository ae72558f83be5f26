//! SIGTERM: how long it may take, and what is left when it takes longer. In other tests a shutdown has as long as it needs.

mod common;

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::raw::{connect, fetch};
use common::{HANGS, Metrics, TestBroker, create, end_offset, produce, produce_batch, within};
use tautline_core::batch::BatchBuilder;

/// The default of `--shutdown-ms`.
const DEFAULT: Duration = Duration::from_millis(4500);
const CUT_OFF: &str = "shutdown took longer than";

/// How long the file system of a directory takes to sync, as every clean shutdown has it do.
fn sync_of(broker: &TestBroker) -> Duration {
    let began = Instant::now();
    let directory = File::open(broker.data_dir()).expect("it is there");
    rustix::fs::syncfs(directory).expect("the disk works");
    began.elapsed()
}

#[test]
fn a_shutdown_takes_no_longer_than_it_may() {
    let mut broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    for n in 0..5 {
        let topic = format!("t{n}");
        create(&mut client, &topic, 20, &[]);
        for partition in 0..20 {
            produce(&mut client, &topic, partition, 10);
        }
    }
    let idle = connect(broker.address());
    let before = sync_of(&broker);
    let began = Instant::now();
    let status = broker.terminate();
    let took = began.elapsed();
    let control = before + sync_of(&broker);
    println!("took {took:?}, two syncs of the file system {control:?}");
    assert!(status.success(), "it ended with {status}");
    assert!(took < DEFAULT + control, "{took:?}, and two syncs {control:?}");
    drop(idle);
}

/// A client that asks for more than sockets hold and reads nothing of it, so that something is in flight.
fn deaf_client(broker: &TestBroker) -> TcpStream {
    let mut client = broker.connect();
    let value = vec![7; 900 << 10];
    for _ in 0..20 {
        let batch = BatchBuilder::new(1).record(None, Some(&value)).build();
        produce_batch(&mut client, "t", 0, batch);
    }
    let mut stream = connect(broker.address());
    stream
        .write_all(&fetch("t", 0).repeat(100))
        .expect("fetches are short");
    within(HANGS, "something is in flight", || {
        Metrics::scrape(broker.admin(), "/metrics").sum("tautline_requests_in_flight", "") > 0.0
    });
    stream
}

#[test]
fn a_shutdown_that_takes_longer_is_cut_off_and_loses_nothing() {
    const TRIES: u32 = 20;
    for _ in 0..TRIES {
        let mut broker = TestBroker::start(2, &["--shutdown-ms", "100"]);
        let mut client = broker.connect();
        create(&mut client, "t", 1, &[]);
        let deaf = deaf_client(&broker);
        let end = end_offset(&mut client, "t", 0);
        let status = broker.terminate();
        drop(deaf);
        if status.success() {
            println!("the machine was slower to cut it off than it was to end: once more");
            continue;
        }
        assert_eq!(status.code(), Some(1));
        broker.log().wait_for(CUT_OFF);
        let mut client = broker.crash_and_restart(2);
        assert_eq!(end_offset(&mut client, "t", 0), end);
        assert_eq!(produce(&mut client, "t", 0, 1), end);
        return;
    }
    panic!("no shutdown of {TRIES} was cut off");
}
