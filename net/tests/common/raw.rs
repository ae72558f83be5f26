//! Sockets that do what no client does.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::protocol::Encodable;

use super::{HANGS, topic_name};

/// A frame's bytes with its length in front.
pub fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}

/// A request's frame without its length: header version 1 and whatever follows.
pub fn request(api: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&api.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    frame.extend_from_slice(&(-1i16).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// A frame with a fetch of all there is.
pub fn fetch(topic: &str, wait_ms: i32) -> Vec<u8> {
    let partition = FetchPartition::default()
        .with_partition_max_bytes(8 << 20)
        .with_fetch_offset(0);
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![partition]);
    let fetch = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_bytes(8 << 20)
        .with_min_bytes(1)
        .with_max_wait_ms(wait_ms)
        .with_topics(vec![topic]);
    let mut body = bytes::BytesMut::new();
    fetch.encode(&mut body, 11).expect("version 11 has all of that");
    framed(&request(1, 11, 1, &body))
}

/// A socket to the broker that fails the test when it is left without an answer.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker listens");
    stream.set_read_timeout(Some(HANGS)).expect("a TCP socket");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// Sends bytes and nothing more; gives what comes back until the broker closes.
pub fn send_and_end(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // The broker may close before it has read all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    read_to_close(&mut stream)
}

/// Reads until the broker closes.
pub fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut back = Vec::new();
    match stream.read_to_end(&mut back) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("neither answered nor closed: {error}"),
    }
    back
}

/// Whether the broker closes the connection on these bytes, while the client leaves it open, without an answer.
pub fn is_closed_by(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    read_to_close(&mut stream).is_empty()
}

/// Numbers from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    /// From the environment's SEED, or a new one; printed.
    pub fn from_seed() -> Random {
        let new = || {
            std::time::UNIX_EPOCH
                .elapsed()
                .map_or(1, |time| time.as_nanos() as u64)
        };
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(new);
        println!("SEED={seed} repeats this run");
        Random(seed)
    }

    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Another one, for another thread.
    pub fn split(&mut self) -> Random {
        Random(self.next())
    }
}
