//! A broker of the test's own, as a process, and a client that speaks to it over a socket with the `kafka-protocol` crate's
//! codec: nothing of the broker's own code is between the test and the wire.

#![allow(dead_code, unused_imports)] // each test binary uses its part

mod broker;
mod client;
pub mod configs;
pub mod consumers;
pub mod groups;
mod health;
mod log;
mod metadata;
pub mod partitions;
pub mod raw;
mod topics;
mod witness;

pub use broker::TestBroker;
pub use client::Client;
pub use health::{HANGS, Metrics, ask_http, ask_http_once, get, resident_bytes, within};
pub use log::Log;
pub use metadata::topics;
pub use topics::{
    create, end_offset, fetch_error, produce, produce_batch, produce_error, receive_produced, send_produce,
    start_offset, try_produce,
};
pub use witness::{BESIDE_MEMORY_BYTES, MEMORY_BYTES, Witness};

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

/// A string of the codec's.
pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A topic's name in the codec's type.
pub fn topic_name(value: &str) -> TopicName {
    TopicName(text(value))
}

/// Runs a test against a broker of one shard, and against one of two.
pub fn on_one_and_two_shards(test: impl Fn(&mut TestBroker, &mut Client)) {
    for shards in [1, 2] {
        let mut broker = TestBroker::start(shards, &[]);
        let mut client = broker.connect();
        println!("on {shards} shard(s)");
        test(&mut broker, &mut client);
        broker.stop();
    }
}
